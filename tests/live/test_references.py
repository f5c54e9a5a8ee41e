"""What may not be handed on is named by page and box, and is the same picture when it is cut out again."""

import csv
import dataclasses
import io

import pytest
from live import made

from lleval_jax.errors import BadInput
from lleval_jax.live import pdf, references, steps
from lleval_jax.live.archive import Addresses
from lleval_jax.live.example import contents, layout
from lleval_jax.live.exports import items
from lleval_jax.live.fetch import Got, NotFetched
from lleval_jax.live.values import Paper, question

CLOSED = "http://arxiv.org/licenses/nonexclusive-distrib/1.0/"


class Papers:
    """A fetcher that has one paper."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def get(self, url: str) -> Got:
        if not url.endswith("/pdf/2611.00032v1"):
            raise NotFetched(url, "404")
        return Got(url, self.content, "")


@pytest.fixture(scope="module")
def referred(tmp_path_factory):
    """(fetcher, version with pictures by reference, where its pictures are)."""
    fetcher, blobs = Papers(layout.as_pdf(contents.content(12))), steps.Blobs(tmp_path_factory.mktemp("blobs"))
    version = made.version_of_tables()
    paper = Paper(
        id="2611.00032", version=1, title="Closed", authors=("A",), categories=("cs.LG",), created="2026-11-02",
        updated="2026-11-02", licence=CLOSED, source="oai",
    )  # fmt: skip
    read = pdf.read(fetcher.content, paper.name, crops=False).elements
    nowhere = dataclasses.replace(read[0], number="9", box=None)
    found, findings = references.referred(fetcher, paper, Addresses(), [*read, nowhere], blobs)
    assert [each.paper for each in findings] == [paper.name]
    assert "no place in the PDF" in findings[0].reason
    words = {"kind": "look-up", "made_by": "writer", "options": ("1", "2", "3", "4"), "answer": "2", "evidence": "E"}
    asked = [question(element=each.name, text="Which?", **words) for each in found]
    recipe = dataclasses.replace(
        version.recipe, papers=dataclasses.replace(version.recipe.papers, images="by-reference")
    )
    whole = dataclasses.replace(
        version, recipe=recipe, papers=(paper,), elements=tuple(found), questions=tuple(asked), verdicts=()
    )
    return fetcher, whole, blobs


def test_nothing_of_the_paper_is_in_the_rows(referred):
    _, version, _ = referred
    configs = items.configs(version)
    assert set(configs) == {"by-reference-figures", "by-reference-tables"}
    for row in (row for rows in configs.values() for row in rows):
        assert (row["caption"], row["table"], row["evidence"]) == ("", "", "")
        assert row["image_file"]
        assert int(row["page"]) >= 1
    kept = dataclasses.replace(version.recipe, papers=dataclasses.replace(version.recipe.papers, images="kept"))
    assert items.configs(dataclasses.replace(version, recipe=kept)) == {}


def test_pictures_are_cut_out_again(referred, tmp_path):
    fetcher, version, blobs = referred
    rows = [row for rows in items.configs(version).values() for row in rows]
    text = references.table(rows, blobs)
    (tmp_path / references.FILE).write_text(text)
    found = references.restore(tmp_path, fetcher)
    assert (found.same, found.alike, found.failed) == (5, 0, ())
    assert {each.name for each in (tmp_path / "images").iterdir()} == {row["image_file"] for row in rows}
    lines = list(csv.DictReader(io.StringIO(text)))
    lines[0]["image_file"] = "0" * 64 + ".png"  # as another renderer would draw it
    lines[1] |= {"image_file": "1" * 64 + ".png", "bits": f"{int(lines[1]['bits'], 16) ^ (2**32 - 1):x}"}
    lines[2]["paper"] = "2611.00033"
    lines[3]["page"] = "99"
    for place, reason in ((0, ""), (1, "shows another picture"), (2, "404"), (3, "has no page 99")):
        _write(tmp_path, lines[place : place + 1])
        found = references.restore(tmp_path, fetcher)
        assert (found.alike, len(found.failed)) == ((0, 1) if reason else (1, 0))
        assert not reason or reason in found.failed[0].reason


@pytest.mark.parametrize(
    "bad", [{"image_file": "../../x.png"}, {"page": "0"}, {"box": "[1, 2]"}, {"bits": "z"}, {"box": "1"}]
)
def test_a_list_that_was_changed_is_refused(referred, tmp_path, bad):
    _, version, blobs = referred
    rows = [row for rows in items.configs(version).values() for row in rows]
    lines = list(csv.DictReader(io.StringIO(references.table(rows[:1], blobs))))
    _write(tmp_path, [lines[0] | bad])
    with pytest.raises(BadInput, match=r"references\.csv:2 is not as an export writes it"):
        references.restore(tmp_path, Papers(b""))
    (tmp_path / references.FILE).unlink()
    with pytest.raises(BadInput, match="holds all its pictures"):
        references.restore(tmp_path, Papers(b""))


def _write(folder, lines):
    with (folder / references.FILE).open("w", newline="") as out:
        writer = csv.DictWriter(out, references.HEAD)
        writer.writeheader()
        writer.writerows(lines)
