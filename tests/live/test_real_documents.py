"""The readers on vignettes out of Debian packages: which figures and tables there are, captions, cells.

The documents (GPL, CPL) are fetched by the test and never kept. `truth.json` has our own counts, and hashes of captions
as the LaTeX sources have them, by the sha256 of the PDF file; a file that is not in it is skipped. LLEVAL_DOCUMENTS
names a folder where the packages are unpacked already.
"""

import hashlib
import json
import os
import pathlib
import re
import subprocess

import pytest

from lleval_jax.live import elements, latex, pdf
from lleval_jax.live.reading import Read

pytestmark = pytest.mark.realdocs
TRUTH = json.loads(pathlib.Path(__file__).with_name("truth.json").read_text())
CHUNK = re.compile(r"^<<[^\n]*>>=\n.*?^@[^\n]*\n?", re.MULTILINE | re.DOTALL)  # R in a .Rnw file


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    if "LLEVAL_DOCUMENTS" in os.environ:
        return pathlib.Path(os.environ["LLEVAL_DOCUMENTS"])
    place = tmp_path_factory.mktemp("debian")
    try:
        for package in sorted({each["package"] for each in TRUTH.values()}):
            subprocess.run(["apt-get", "download", package], cwd=place, check=True, capture_output=True, timeout=120)
        for file in place.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", file, place / "x"], check=True, capture_output=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"Debian's packages cannot be had here: {error}")
    return place / "x"


@pytest.fixture(scope="module")
def found(folder) -> dict[str, tuple[Read, pathlib.Path]]:
    """sha256 -> (what the PDF reader found, where the file is), of the known files."""
    out = {}
    for path in sorted(folder.rglob("*.pdf")):
        content = path.read_bytes()
        key = hashlib.sha256(content).hexdigest()
        if key in TRUTH:
            out[key] = (pdf.read(content, path.stem, crops=False), path)
    if not out:
        pytest.skip("none of the documents has a version that is in truth.json")
    return out


def source(path: pathlib.Path) -> Read:
    text = path.with_suffix(".Rnw").read_text(encoding="utf-8", errors="replace")
    return latex.read(CHUNK.sub("", text).encode(), path.stem)


def letters(caption: str) -> str:
    return hashlib.sha256(re.sub(r"[\W_]+", "", caption.casefold()).encode()).hexdigest()[:16]


def test_every_figure_and_table_and_no_other(found):
    """LIVE's bar: 64 of 64 figures, 13 of 13 tables, no false caption, on 11 documents."""
    wrong = []
    for key, (read, path) in found.items():
        names = sorted(each.name.partition("/")[2] for each in read.elements)
        expected = [f"figure-{i + 1}" for i in range(TRUTH[key]["figures"])]
        expected += [f"table-{i + 1}" for i in range(TRUTH[key]["tables"])]
        wrong += [f"{path.name}: {name}" for name in set(names) ^ set(expected)]
    assert not wrong


def test_captions_as_in_the_sources(found):
    """LIVE's bar: 67 of the 68 captions that have a source differ by at most .05."""
    far, count = [], 0
    for key, (read, path) in found.items():
        said = TRUTH[key]["captions"]
        if not said:
            continue
        written = {each.name.partition("/")[2]: each.caption for each in source(path).elements}
        assert {name: letters(caption) for name, caption in written.items()} == said
        shown = {each.name.partition("/")[2]: each.caption for each in read.elements}
        count += len(said)
        far += [f"{path.name} {n}" for n, text in written.items() if elements.distance(text, shown[n]) > 0.05]
    assert len(far) <= count / 68


def test_cells_of_typeset_tables(found):
    """LIVE's bar: 95 % of the cells of the 8 tables of lmer.pdf; numbers that LaTeX fills in do not count."""
    mine = [(read, path) for read, path in found.values() if path.name == "lmer.pdf"]
    if not mine:
        pytest.skip("lmer.pdf has another version")
    ((read, path),) = mine
    shown = {each.name: each.cells for each in read.elements}
    right = total = 0
    for table in source(path).elements:
        for row, other in zip(table.cells, shown[table.name], strict=False):
            total += len(row)
            right += sum(_alike(one, two) for one, two in zip(row, other, strict=False))
        total += sum(map(len, table.cells[len(shown[table.name]) :]))
    assert total == 253
    assert right >= 0.95 * total


def _alike(one: str, two: str) -> bool:
    plain = [re.sub(r"(Equations?|Sections?) [\d.]+(, [\d.]+)*|\([\d., ]*\)", r"\1", each or "") for each in (one, two)]
    return elements.distance(*plain) == 0


def test_pictures_are_cut_out(folder):
    """Every figure of a vignette has a box and a picture, of which more than a hundredth is drawn on."""
    import numpy as np

    from lleval_jax.live.pictures import opened

    path = next(iter(folder.rglob("residual-shadings.pdf")), None)
    if path is None or hashlib.sha256(path.read_bytes()).hexdigest() not in TRUTH:
        pytest.skip("residual-shadings.pdf has another version")
    read = pdf.read(path.read_bytes(), path.stem)
    assert len(read.elements) == 5
    for each in read.elements:
        assert each.box
        assert (np.asarray(opened(read.images[each.image]).convert("L")) < 250).mean() > 0.01
