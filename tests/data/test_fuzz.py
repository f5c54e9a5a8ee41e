"""Any bytes give a result or `BadInput`. What bench/data/fuzz.py found is kept in corpus/ and read again here."""

import contextlib
import pathlib
import random
import re
import resource
import warnings

import originals
import pytest

from lleval_jax import data
from lleval_jax.data import files
from lleval_jax.data.answers import Options
from lleval_jax.data.formats import registry
from lleval_jax.errors import BadInput, DataWarning

CORPUS = pathlib.Path(__file__).parent / "corpus"
FOUND = sorted(path for path in CORPUS.rglob("*") if path.is_file()) if CORPUS.is_dir() else []
VALUE = re.compile(rb'"(?:[^"\\\n]|\\.){0,200}"|-?\d[\d.eE+-]*|true|false|null')
ODD = [
    b"null",
    b"NaN",
    b"-1",
    b"1e999",
    b'""',
    b"[]",
    b"{}",
    b"[[1]]",
    b'"\\ud800"',
    b"9" * 30,
    b'{"value": "C"}',
    b"true",
]


def read(path, known=None):
    """Read a file, where no error but `BadInput` may come out; by the reader of one format, or by any."""
    with warnings.catch_warnings(), contextlib.suppress(BadInput):
        warnings.simplefilter("ignore", DataWarning)
        if known is None:
            data.read(path, cache=False)
        else:
            with files.damage(path.name):
                known.read(path, Options()).scaled(None)


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """[(format, content)] of one small file of each."""
    paths = originals.make(tmp_path_factory.mktemp("originals"))
    return [(registry.of(files.head(path), path), path.read_bytes()) for path in paths]


def changed(content, draw):
    kind = draw.choice(["value", "cut", "insert", "flip"])
    if kind == "value":
        places = [found.span() for found in VALUE.finditer(content)] or [(0, 0)]
        low, high = draw.choice(places)
        return content[:low] + draw.choice(ODD) + content[high:]
    if kind == "cut":
        return content[: draw.randrange(len(content))]
    if kind == "insert":
        at = draw.randrange(len(content))
        return content[:at] + draw.randbytes(draw.randrange(1, 20)) + content[at:]
    out = bytearray(content)
    for _ in range(draw.randrange(1, 8)):
        out[draw.randrange(len(out))] = draw.randrange(256)
    return bytes(out)


def cases(logs, folder, examples):
    """Other cases each time; an error that escapes names the seed that makes its case again."""
    path, first = folder / "the-file", random.randrange(10**9)
    for seed in range(first, first + examples):
        draw = random.Random(seed)
        known, content = draw.choice(logs)
        path.write_bytes(changed(content, draw))
        try:
            read(path, known)
            read(path)
        except BaseException as error:
            error.add_note(f"{known.name}, seed {seed}")
            raise


def test_changed_logs(logs, tmp_path):
    assert {known.name for known, _ in logs} == {known.name for known in registry.FORMATS}
    cases(logs, tmp_path, 400)


@pytest.mark.slow
def test_many_changed_logs(logs, tmp_path):
    cases(logs, tmp_path, 3_000)  # `bench/data/fuzz.py` goes on for as long as it is let


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found(path, tmp_path):
    known = next(each for each in registry.FORMATS if each.read.__module__.endswith(f".{path.parent.name}"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    copy = tmp_path / "the-file"
    copy.write_bytes(path.read_bytes())
    read(copy, known)
    read(copy)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # kilobytes
