"""A table that grows: whole rows whatever happens, one writer, and none of another's rows lost."""

import csv
import errno
import os
import pathlib

import pytest

from lleval_jax.data import read_logprobs
from lleval_jax.data.growing import growing
from lleval_jax.errors import BadInput

COLUMNS = ("name", "value", "said")
ROWS = [
    {"name": "a", "value": "1", "said": 'he said "no", and left'},
    {"name": "b, c", "value": "2.50", "said": ""},
    {"name": " é ", "value": "", "said": "12"},
]


def read(path: pathlib.Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_rows_come_back(tmp_path):
    path = tmp_path / "t.csv"
    with growing(path, COLUMNS, ours=True) as table:
        table.add(ROWS[:1])
        table.add(ROWS[1:])
    assert read(path) == ROWS
    with growing(path, COLUMNS, ours=True) as table:
        assert list(table.rows) == ROWS
        assert table.cut == ""


def test_a_file_cut_anywhere_goes_on_with_whole_rows(tmp_path):
    path = tmp_path / "t.csv"
    with growing(path, COLUMNS, ours=True) as table:
        table.add(ROWS)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with growing(path, COLUMNS, ours=True) as table:
            have = list(table.rows)
            assert have == ROWS[: len(have)]
            assert (table.cut == "") == (size == 0 or whole[size - 1 : size] == b"\n")
            table.add(ROWS[len(have) :])
        assert path.read_bytes() == whole


@pytest.mark.parametrize("size", range(1, 15))
def test_readers_take_a_row_cut_short_only_with_all_that_is_needed(tmp_path, size):
    path = tmp_path / "t.csv"
    with growing(path, ("text", "element", "logprob", "said"), ours=True) as table:
        table.add([{"text": "a", "element": one, "logprob": -1.25, "said": "123"} for one in ("x", "full")])
    path.write_bytes(path.read_bytes()[:-size])
    if size > 4:  # more than the last cell and its line break
        with pytest.raises(BadInput, match="t.csv is not a whole CSV"):
            read_logprobs(path)
    else:
        assert read_logprobs(path).joint.tolist() == [[[-1.25]]]


def test_the_last_line_of_another_program_is_whole(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('\ufeffvalue,name\r\n1,a\r\n2,"b\nc"', encoding="utf-8")
    with growing(path, COLUMNS, ours=False, needed=("name", "value")) as table:
        assert table.columns == ("value", "name")
        assert table.rows[1] == {"value": "2", "name": "b\nc"}
        table.add([{"name": "d", "value": 3, "said": "left out"}])
    assert path.read_text(encoding="utf-8-sig").splitlines()[-2:] == ['c"', "3,d"]


def test_a_full_disk_leaves_no_half_row(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    with growing(path, COLUMNS, ours=True) as table:
        table.add(ROWS[:1])
        whole, write = path.read_bytes(), os.write

        def full(handle, content):
            write(handle, bytes(content)[:5])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left.*t.csv"):
            table.add(ROWS[1:])
    assert path.read_bytes() == whole


def test_there_is_one_writer(tmp_path):
    path = tmp_path / "t.csv"
    with growing(path, COLUMNS, ours=True), pytest.raises(BadInput, match="another process is writing to"):
        with growing(path, COLUMNS, ours=True):
            pass


def test_nothing_is_left_where_nothing_was_added(tmp_path):
    with growing(tmp_path / "t.csv", COLUMNS, ours=True):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "t.csv has columns a, b; it needs name, value, said"),
        ("name,value,said\na,1\n", "t.csv:2 has 2 cells; the header has 3"),
        ('name,value,said\na,1,"x"y\n', "t.csv is not a CSV in UTF-8"),
    ],
)
def test_what_is_no_such_table_is_one_line(tmp_path, content, message):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(BadInput, match=message), growing(tmp_path / "t.csv", COLUMNS, ours=True):
        pass
    assert (tmp_path / "t.csv").read_text() == content


def test_a_row_is_one_line(tmp_path):
    path = tmp_path / "t.csv"
    with growing(path, COLUMNS, ours=True) as table, pytest.raises(BadInput, match="is not on one line"):
        table.add([{"name": "a\nb"}])
    assert not path.exists()
