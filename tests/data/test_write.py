import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lleval_jax import data, writing
from lleval_jax.errors import BadInput
from lleval_jax.values import Responses

NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=6)


@st.composite
def matrices(draw):
    rows = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    items = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    scores = np.array(draw(st.lists(st.floats(0, 1, width=32), min_size=12, max_size=12)), np.float32)
    weight = np.array(draw(st.lists(st.integers(1, 5), min_size=12, max_size=12)), np.float32)
    cut = len(rows) * len(items)
    shape = len(rows), len(items)
    group = draw(st.lists(st.sampled_from(["g", "h"]), min_size=len(items), max_size=len(items)))
    return Responses.build(
        scores[:cut].reshape(shape), weight=weight[:cut].reshape(shape), rows=rows, items=items, group=group
    )


@pytest.mark.filterwarnings("ignore:.*names differ only in Unicode form")  # some do, and stay apart
@pytest.mark.parametrize("format", ["parquet", "eee"])
def test_what_is_written_is_read(format, tmp_path_factory):  # noqa: A002
    count = iter(range(1000))

    @settings(deadline=None, max_examples=25, database=None)
    @given(matrices())
    @example(Responses.build([[0.0], [0.0]], rows=["\u00c2", "\u00e2"], items=["0"]))
    def check(responses):
        path = tmp_path_factory.getbasetemp() / f"{format}-{next(count)}"
        data.write(responses, path, format=format)
        found = data.read(path)
        found = found.take([found.rows.index(row) for row in responses.rows]).select(responses.items)
        np.testing.assert_array_equal(found.scores, responses.scores)
        np.testing.assert_array_equal(found.weight, responses.weight)
        if len(set(responses.group.tolist())) > 1:
            groups = [[part.groups[i] for i in part.group] for part in (found, responses)]
            assert groups[0] == groups[1]

    check()


def test_every_eval_ever_files(tmp_path):
    responses = data.read(tmp_path_log(tmp_path))
    data.write(responses, tmp_path / "out", format="eee")
    [totals] = (tmp_path / "out").rglob("*-*-*.json")
    assert totals.relative_to(tmp_path / "out").parts[:4] == ("data", "lleval", "org", "m")
    about = json.loads(totals.read_bytes())
    line = json.loads(totals.with_name(f"{totals.stem}_samples.jsonl").read_text().splitlines()[0])
    assert about["detailed_evaluation_results"]["total_rows"] == 2
    assert line["evaluation_id"] == about["evaluation_id"]
    assert line["metadata"] == {"item": "i", "origin": "a.csv:2"}
    assert line["evaluation"] == {"score": 1.0, "is_correct": True}


def tmp_path_log(tmp_path):
    (tmp_path / "a.csv").write_text("model,item,score\norg/m,i,1\norg/m,j,0.5\n")
    return tmp_path / "a.csv"


def test_places(tmp_path):
    responses = data.read(tmp_path_log(tmp_path))
    with pytest.raises(BadInput, match="is a folder"):
        data.write(responses, tmp_path)
    with pytest.raises(BadInput, match="is not empty"):
        data.write(responses, tmp_path, format="eee")
    with pytest.raises(BadInput, match="format is 'csv'"):
        data.write(responses, tmp_path / "a", format="csv")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="would be parquet in spite of its name; call it new.parquet"):
        data.write(responses, tmp_path / "new.csv")
    assert not (tmp_path / "new.csv").exists()
    with pytest.raises(BadInput, match="there is no folder"):
        data.write(responses, tmp_path / "no" / "a.parquet")


def test_origins_are_written(tmp_path):
    data.write(data.read(tmp_path_log(tmp_path)), tmp_path / "b.parquet")
    import pandas as pd

    frame = pd.read_parquet(tmp_path / "b.parquet")
    assert frame["file"].tolist() == ["a.csv", "a.csv"]
    assert frame["line"].tolist() == [2, 3]


def test_a_file_is_put_whole_or_not_at_all(tmp_path):
    writing.put(tmp_path / "a.txt", b"old")
    with pytest.raises(TypeError, match="bytes-like"):
        writing.put(tmp_path / "a.txt", "no bytes")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
    writing.put(tmp_path / "a.txt", b"new", lasting=True)
    writing.put(tmp_path / "b.txt", b"", private=True)
    assert (tmp_path / "a.txt").read_bytes() == b"new"
    plain, private = ((tmp_path / name).stat().st_mode & 0o777 for name in ("a.txt", "b.txt"))
    assert (plain & ~0o666, private) == (0, 0o600)
    assert plain & 0o600 == 0o600
