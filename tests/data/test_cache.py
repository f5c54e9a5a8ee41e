import dataclasses
import os
import pathlib
import time

import numpy as np
import pytest

from lleval_jax import data
from lleval_jax.data import cache
from lleval_jax.data.answers import Options, from_columns
from lleval_jax.data.formats import registry, table
from lleval_jax.errors import BadInput


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A cache of its own, for files of any size."""
    monkeypatch.setenv("LLEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SMALLEST", 0)
    return tmp_path / "cache"


def answers(path, score=1, older=0.0):
    path.write_text(f"model,item,score\na,i,{score}\na,j,0\n")
    if older:
        then = time.time() - older
        os.utime(path, (then, then))
    return path


def entries(place):
    return sorted((place / "answers").iterdir()) if (place / "answers").is_dir() else []


def forbid(monkeypatch):
    def never(path: pathlib.Path, options: Options):
        raise AssertionError("parsed again")

    own = dataclasses.replace(table.FORMAT, read=never)
    monkeypatch.setattr(registry, "FORMATS", [own])
    monkeypatch.setattr(registry, "OWN", (own,))


def test_the_second_read_is_from_the_cache(place, tmp_path, monkeypatch):
    path = answers(tmp_path / "a.csv")
    one = data.read(path)
    assert len(entries(place)) == 1
    kept = cache.load(place, cache.key(cache.content_hash(path, None), path, table.FORMAT.name, Options(), ()))
    forbid(monkeypatch)
    assert kept is not None
    two = data.read(path)
    assert two.scores.tolist() == one.scores.tolist() == [[1, 0]]
    assert two.origin("a", "j") == "a.csv:3"
    assert len(entries(place)) == 1


def test_other_options_other_names_other_entries(place, tmp_path):
    data.read(answers(tmp_path / "a.csv"))
    data.read(tmp_path / "a.csv", scale=(0, 2))
    data.read(answers(tmp_path / "b.csv"))
    assert len(entries(place)) == 3
    assert data.read(tmp_path / "a.csv", scale=(0, 2)).scores.tolist() == [[0.5, 0]]


def test_a_changed_file_is_never_served_stale(place, tmp_path):
    path = answers(tmp_path / "a.csv", 1)
    for score in (0, 1, 0, 1):  # same size, at once, so perhaps within one tick of the clock; time set back too
        then = path.stat().st_mtime_ns
        answers(path, score)
        os.utime(path, ns=(then, then))
        assert data.read(path).scores[0, 0] == score


def test_a_file_left_alone_is_not_hashed_again(place, tmp_path, monkeypatch):
    path = answers(tmp_path / "a.csv")
    monkeypatch.setattr(cache, "SETTLED", -1e6)  # as if it had been left alone
    first = cache.content_hash(path, place)
    monkeypatch.setattr(cache, "_hashed", lambda path: "hashed")
    assert cache.content_hash(path, place) == first
    monkeypatch.setattr(cache, "SETTLED", 3.0)
    assert cache.content_hash(path, place) == "hashed"


@pytest.mark.parametrize("damage", [b"", b"x" * 100, None])
def test_a_damaged_entry_is_parsed_anew(place, tmp_path, damage):
    path = answers(tmp_path / "a.csv")
    data.read(path)
    [entry] = entries(place)
    whole = entry.read_bytes()
    entry.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if damage is None else damage)
    assert data.read(path).scores.tolist() == [[1, 0]]
    assert entry.read_bytes() == whole


def test_off(place, tmp_path, monkeypatch):
    data.read(answers(tmp_path / "a.csv"), cache=False)
    assert not entries(place)
    monkeypatch.setenv("LLEVAL_CACHE", "off")
    data.read(tmp_path / "a.csv")
    assert cache.folder() is None
    monkeypatch.delenv("LLEVAL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == tmp_path / "xdg" / "lleval"


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LLEVAL_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(cache, "SMALLEST", 0)
    assert data.read(answers(tmp_path / "a.csv")).scores.tolist() == [[1, 0]]


def test_the_oldest_go_first(place, tmp_path, monkeypatch):
    data.read(answers(tmp_path / "a.csv"))
    [first] = entries(place)
    os.utime(first, (1, 1))
    monkeypatch.setattr(cache, "LARGEST", first.stat().st_size + 10)
    data.read(answers(tmp_path / "b.csv"))
    assert len(entries(place)) == 1
    assert not first.exists()


def test_packed_is_whole():
    answers = from_columns("f", row=["a", "ö"], item=["i", "é"], score=[1, 0], group=["g", "h"], line=[1, 2])
    found = cache.unpacked(cache.packed(answers))
    assert found is not None
    assert found.rows.tolist() == ["a", "ö"]
    assert found.group.tolist() == ["g", "h"]
    np.testing.assert_array_equal(found.line, [1, 2])
    assert cache.unpacked(b"") is None


def test_errors_are_not_kept(place, tmp_path):
    path = answers(tmp_path / "a.csv", 7)
    for _ in range(2):
        with pytest.raises(BadInput, match="score 7 lies outside"):
            data.read(path)
    assert not entries(place)
