"""Formats that other packages bring, and formats that are added to `FORMATS` by hand."""

import dataclasses
import os
import subprocess
import sys
import textwrap

import packages
import pytest

from lleval_jax import data
from lleval_jax.data import cache
from lleval_jax.data.answers import from_columns
from lleval_jax.data.formats import registry, table
from lleval_jax.errors import BadInput

ENTRY = "[lleval_jax.formats]\nmine = {name}:FORMAT\n"


@pytest.fixture
def files(tmp_path):
    """Two files in the format of the package, and one that its program writes with them."""
    folder = tmp_path / "answers"
    folder.mkdir()
    for n in range(2):
        (folder / f"m{n}.txt").write_text("MINE i j\n")
    (folder / "run.log").write_text("MINE ")
    return folder


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Installs the package for this test, and says under what name."""

    def installed(score="1.0", code=packages.READER):
        name = f"tiny_{tmp_path.name}"
        place = tmp_path / f"site-{score}"
        packages.install(place, name, f"SCORE = {score}\n{textwrap.dedent(code)}", ENTRY.format(name=name))
        monkeypatch.syspath_prepend(place)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return installed


@pytest.mark.parametrize("workers", [1, 2])
def test_a_package_brings_a_format(files, package, workers):
    package()
    found = data.read(files, workers=workers, cache=False)
    assert (found.rows, found.items, found.scores.tolist()) == (("m0", "m1"), ("i", "j"), [[1, 1], [1, 1]])
    with pytest.raises(BadInput, match="the reader of mine does not use 'metric'"):
        data.read(files, metric="acc")
    (files / "m1.txt").write_text("MINE ")
    with pytest.raises(BadInput, match="read as mine: m1.txt holds no answers"):
        data.read(files, workers=workers, cache=False)


def test_the_shell_knows_it(files, package):
    package()
    words = [
        sys.executable,
        "-c",
        "from lleval_jax.cli.main import main; main()",
        "convert",
        str(files),
        "--out",
        str(files / "out.parquet"),
    ]
    path = os.pathsep.join(sys.path)
    done = subprocess.run(words, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert data.read(files / "out.parquet").rows == ("m0", "m1")


def test_our_own_formats_need_no_package(tmp_path, package):
    package(code="raise RuntimeError('broken')\n")
    (tmp_path / "a.csv").write_text("model,item,score\na,i,1\n")
    assert data.read(tmp_path / "a.csv").rows == ("a",)  # a warning would be an error here


@pytest.mark.parametrize(
    ("code", "wrong"),
    [("raise RuntimeError('broken')\n", "RuntimeError: broken"), ("FORMAT = 3\n", "it is a int, not a Format")],
)
def test_a_broken_package_is_named_once_and_left_out(files, package, code, wrong):
    name = package(code=code)
    (files / "a.csv").write_text("model,item,score\na,i,1\n")
    said = rf"{name} 1.0 brings 'mine' .* for lleval_jax.formats, which cannot be used: {wrong}. .* uninstall {name}"
    with pytest.warns(RuntimeWarning, match=said), pytest.warns(UserWarning, match="m0.txt: is not a file of answers"):
        assert data.read(files).rows == ("a",)


def test_a_name_that_is_taken_is_left_out(files, package):
    package(code=packages.READER.replace("mine (.txt)", table.FORMAT.name))
    with (
        pytest.warns(RuntimeWarning, match="brings the format 'table .*, which there is already"),
        pytest.raises(BadInput, match="m0.txt is not in a format that can be read"),
    ):
        data.read(files / "m0.txt")


def test_a_changed_package_is_not_served_from_the_cache(tmp_path, files, package, monkeypatch):
    monkeypatch.setenv("LLEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SMALLEST", 0)
    package("1.0")
    assert data.read(files / "m0.txt").scores.tolist() == [[1, 1]]
    assert data.read(files / "m0.txt").scores.tolist() == [[1, 1]]
    assert len(list((tmp_path / "cache" / "answers").iterdir())) == 1
    monkeypatch.setattr(sys, "path", sys.path[1:])
    package("0.5")
    assert data.read(files / "m0.txt").scores.tolist() == [[0.5, 0.5]]
    assert len(list((tmp_path / "cache" / "answers").iterdir())) == 2


def test_a_format_added_by_hand_is_read_by_this_process(files, monkeypatch):
    """Another process does not know it."""

    by_hand = dataclasses.replace(
        table.FORMAT,
        name="by hand",
        recognises=lambda head, path: head.startswith(b"MINE i"),
        read=lambda path, options: from_columns(path.name, row=[path.stem], item=["i"], score=[1.0]),
    )
    monkeypatch.setattr(registry, "FORMATS", [*registry.FORMATS, by_hand])
    (files / "run.log").unlink()
    assert data.read(files, workers=2, cache=False).rows == ("m0", "m1")
