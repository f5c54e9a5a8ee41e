"""What else must know of an entry of a registry. Each failure names the file, and what to add there."""

import contextlib
import pathlib
import re
import shutil

import originals
import pytest

from lleval_jax.data import cache, files
from lleval_jax.data.answers import BY_ALL, Options
from lleval_jax.data.formats import registry
from lleval_jax.data.formats.format import ASKED
from lleval_jax.errors import BadInput

ROOT = pathlib.Path(__file__).parents[1]
TITLES = [format.title for format in registry.FORMATS]


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """[(path, the formats that recognise it)] of each original."""
    paths = originals.make(tmp_path_factory.mktemp("originals"))
    return [(path, [each for each in registry.FORMATS if each.recognises(files.head(path), path)]) for path in paths]


@pytest.fixture(params=registry.FORMATS, ids=TITLES)
def known(request):
    """One format."""
    return request.param


def mine(known, examples):
    return [path for path, formats in examples if known in formats]


def test_a_format_has_an_original(known, examples):
    where = (
        "tests/originals.py, make(): write a small file there, or keep a true one in tests/data/fixtures and list it"
    )
    assert mine(known, examples), f"no original is {known.name!r}; {where}"


def test_an_original_is_recognised_by_one_format(examples):
    for path, formats in examples:
        names = [each.name for each in formats]
        assert names, f"no format is {path.name}; add its FORMAT to FORMATS in lleval_jax/data/formats/registry.py"
        assert len(names) == 1, f"{path.name} is recognised by {names}; narrow `recognises` in lleval_jax/data/formats"


def test_what_a_program_writes_with_its_answers_is_known(examples):
    folders = {path.parent for path, _ in examples if path.is_relative_to(originals.FIXTURES)}
    for path in (path for folder in folders for path in folder.glob("*.json*")):
        answers = registry.of(files.head(path), path) is not None
        assert answers or registry.is_companion(path), f"{path}: no format reads it; `companion` of its FORMAT must"


def test_a_format_has_a_row_in_the_readme(known):
    table = (ROOT / "README.md").read_text().partition("## What can be read")[2].partition("\n\nA score")[0]
    words = {re.split(r"[` ]", line.removeprefix("| "))[0] for line in table.splitlines() if line.startswith("| ")}
    word = known.title.split()[0]
    assert word in words, f"README.md, 'What can be read': add a row that begins '| {word}' for {known.name!r}"


def test_where_an_original_comes_from_is_written(known):
    text = (originals.FIXTURES / "README.md").read_text()
    word = known.title.split()[0]
    where = f"add with which version of the program the original of {known.name!r} was made"
    assert re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text), (
        f"tests/data/fixtures/README.md does not say {word!r}; {where}"
    )


def test_a_copy_in_another_folder_has_its_own_names(known, examples, tmp_path, monkeypatch):
    """Through the cache. The content is the same, so only `beside` tells the cache that something else is read."""
    monkeypatch.setattr(cache, "SMALLEST", 0)
    for number, path in enumerate(mine(known, examples)):
        options = Options(metric=None if known.title != "Inspect log" else "match")
        for folder in ("one", "two"):
            copy = tmp_path / f"{folder}-{number}" / path.name
            copy.parent.mkdir()
            shutil.copy(path, copy)
            with contextlib.suppress(BadInput):  # a log of several filters
                kept, _ = registry.parse(copy, known, options, tmp_path / "cache")
                want, _ = registry.parse(copy, known, options, None)
                text = f"`beside` of the FORMAT of {known.name!r} must return all that `read` takes from the path"
                assert (kept.rows.tolist(), kept.items.tolist()) == (want.rows.tolist(), want.items.tolist()), text


class Watched:
    """Options that remember which of them were used."""

    def __init__(self, **words):
        self.options, self.used = Options(**words), set()

    def __getattr__(self, name):
        self.used.add(name)
        return getattr(self.options, name)


def test_an_option_is_used_or_refused(known, examples):
    used = set()
    for path in mine(known, examples):
        options = Watched()
        with contextlib.suppress(BadInput):
            known.read(path, options)
        used |= options.used
    said = f"`options` of the FORMAT of {known.name!r} must be {sorted(used & ASKED)}, which its `read` uses"
    assert used - BY_ALL == known.options, said
    for name, value in (
        ("metric", "x"),
        ("filter", "x"),
        ("rows", "prompt"),
        ("no_answer", "missing"),
        ("join", "number"),
    ):
        with contextlib.ExitStack() as stack:
            if name not in known.options:
                stack.enter_context(pytest.raises(BadInput, match=f"does not use '{name}'"))
            registry.require_used(Options(**{name: value}), [("a", known)])
