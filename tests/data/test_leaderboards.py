"""Leaderboards: what ships, what a user's table becomes, and what is said of a bad one."""

import dataclasses
import pathlib
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lleval_jax as ll
from lleval_jax.data import list_leaderboards

SHARED = pathlib.Path(__file__).parents[3] / "shared" / "data" / "sloth" / "models.csv"


def frame(**changed) -> pd.DataFrame:
    columns = {
        "model": ["a-1b", "a-7b", "b-3b"],
        "family": ["a", "a", "b"],
        "params": [1e9, 7e9, 3e9],
        "tokens": [1e12, 2e12, 5e11],
        "MMLU": [0.3, 0.6, np.nan],
        "note": ["x", "y", "z"],
        "GSM8K": [0.0, 0.4, 0.1],
    }
    return pd.DataFrame(columns | changed)


def said(table: pd.DataFrame, **words) -> tuple[ll.Leaderboard, list[str]]:
    """The leaderboard and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = ll.Leaderboard.from_frame(table, **words)
    return made, [str(one.message) for one in caught]


def test_a_table_becomes_a_leaderboard():
    made, told = said(frame(), floors={"MMLU": 0.25})
    assert told == []
    assert made.benchmarks == ("MMLU", "GSM8K")  # a column of words is no benchmark
    assert made.lineages == made.families == ("a", "a", "b")
    np.testing.assert_array_equal(made.seen, [[1, 1], [1, 1], [0, 1]])
    np.testing.assert_array_equal(made.scores, [[0.3, 0], [0.6, 0.4], [0, 0.1]])
    np.testing.assert_array_equal(made.floor, [0.25, 0])
    again, _ = said(made.to_frame(), floors={"MMLU": 0.25})
    pd.testing.assert_frame_equal(again.to_frame(), made.to_frame())


def test_parts_of_a_leaderboard():
    made, _ = said(frame())
    assert made.take([2, 0]).models == ("b-3b", "a-1b")
    assert made.take([2, 0]).params.tolist() == [3e9, 1e9]
    cut = made.select(["MMLU"])
    assert (cut.models, cut.benchmarks) == (("a-1b", "a-7b"), ("MMLU",))
    hidden = made.hide(made.params > 5e9)
    assert not hidden.seen[1].any()
    assert hidden.seen[0].all()
    with pytest.raises(ll.BadInput, match="no benchmark 'ARC'; there are: MMLU, GSM8K"):
        made.select(["ARC"])


def test_units_are_put_right_and_said():
    made, told = said(frame(params=[1, 7, 3], tokens=[1, 2, 0.5], GSM8K=[0, 40, 10]))
    expected, _ = said(frame())
    pd.testing.assert_frame_equal(made.to_frame(), expected.to_frame())
    assert told == [
        "params from 1 to 7 are taken as billions; write counts, as 1e+09",
        "tokens from 0.5 to 2 are taken as trillions; write counts, as 1e+12",
        "scores of 'GSM8K' reach 40 and are taken as percent; write them in [0, 1]",
    ]
    with pytest.raises(ll.BadInput, match="params from 1 to 7 are taken as billions"):
        said(frame(params=[1, 7, 3]), strict=True)


def test_tokens_not_known_are_those_of_the_lineage():
    made, told = said(frame(tokens=[1e12, np.nan, 5e11]))
    assert made.tokens.tolist() == [1e12, 1e12, 5e11]
    assert told == ["1 models have no tokens; the median of their lineage stands in (first: 'a-7b')"]
    made, told = said(frame(tokens=[1e12, 2e12, np.nan]))
    assert made.models == ("a-1b", "a-7b")
    assert told == ["1 models lack params, tokens or all scores and were left out (first: 'b-3b')"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (frame().drop(columns="tokens"), "no column 'tokens'; it has model, family, params, MMLU, note, GSM8K"),
        (frame().head(0), "has no rows"),
        (frame().drop(columns=["MMLU", "GSM8K"]), "no column of scores"),
        (frame(model=["a", "b", "a"]), "row 2: model 'a' is listed twice"),
        (frame(family=["a", "", "b"]), "row 1: no family"),
        (frame(params=[1e9, -7e9, 3e9]), "row 1: params is -7e.09; it must be a positive number"),
        (frame(params=["1e9", "seven", "3e9"]), "row 1: params is 'seven'; it must be a number, as 7e9"),
        (frame(tokens=[1.4e13, 14, 5e11]), r"row 1: tokens is 14, .* in trillions\? then it is 1.4e.13"),
        (frame(GSM8K=[0, 1200, 900]), "row 1: GSM8K is 1200; a benchmark's scores lie in"),
        (frame(GSM8K=[0, 0.4, -0.1]), "row 2: GSM8K is -0.1"),
        (frame(MMLU=[np.nan] * 3), "'MMLU' has no scores"),
        (frame(instruct=["yes", "no", "perhaps"]), "row 2: instruct is 'perhaps'"),
        (frame(params=[np.nan] * 3), "no row has params, tokens and a score"),
    ],
)
def test_bad_tables_name_row_and_value(table, message):
    with pytest.raises(ll.BadInput, match=message):
        said(table)


def test_floors_must_leave_room():
    with pytest.raises(ll.BadInput, match="leaderboard: floor must be below 1; it reaches 1"):
        said(frame(), floors={"MMLU": 1.0})


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_files_of_all_formats_are_read(ending, tmp_path):
    path = tmp_path / f"board.{ending}"
    if ending == "csv":
        frame().to_csv(path, index=False)
    elif ending == "jsonl":
        frame().to_json(path, orient="records", lines=True)
    else:
        frame().to_parquet(path)
    made = ll.read_leaderboard(path)
    pd.testing.assert_frame_equal(made.to_frame(), said(frame())[0].to_frame())
    assert list(made.source.files) == [path.name]


def test_files_that_are_none_or_damaged(tmp_path):
    with pytest.raises(ll.BadInput, match="no file .*none.csv, and no leaderboard .* there are: sloth-open-llm"):
        ll.read_leaderboard(tmp_path / "none.csv")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(ll.BadInput, match="empty.csv is empty"):
        ll.read_leaderboard(tmp_path / "empty.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00model,family\x00\x01")
    with pytest.raises(ll.BadInput, match=r"bytes\.csv"):
        ll.read_leaderboard(tmp_path / "bytes.csv")
    frame(params=[1e9, -1, 3e9]).to_csv(tmp_path / "board.csv", index=False)
    with pytest.raises(ll.BadInput, match="board.csv:3: params is -1"):
        ll.read_leaderboard(tmp_path / "board.csv")


def test_corrections_are_made_where_they_fit(tmp_path):
    frame().to_csv(tmp_path / "board.csv", index=False)
    head = "model,column,published,corrected,why\n"
    (tmp_path / "corrections.csv").write_text(head + "a-7b,params,7e9,6.7e9,read from the name\n")
    (tmp_path / "floors.csv").write_text("benchmark,floor\nMMLU,0.25\n")
    made = ll.read_leaderboard(tmp_path / "board.csv")
    assert made.params.tolist() == [1e9, 6.7e9, 3e9]
    assert made.floor.tolist() == [0.25, 0]
    assert list(made.source.files) == ["board.csv", "corrections.csv", "floors.csv"]
    assert ll.read_leaderboard(tmp_path / "board.csv", corrected=False).params.tolist() == [1e9, 7e9, 3e9]
    (tmp_path / "corrections.csv").write_text(head + "a-7b,params,8e9,6.7e9,read from the name\n")
    with pytest.raises(ll.BadInput, match="params of 'a-7b' is 7e.09, where 8e.09 is to be corrected"):
        ll.read_leaderboard(tmp_path / "board.csv")
    (tmp_path / "corrections.csv").write_text(head + "c,params,8e9,6.7e9,read from the name\n")
    with pytest.raises(ll.BadInput, match="there is no 'params' of 'c'"):
        ll.read_leaderboard(tmp_path / "board.csv")


@pytest.mark.filterwarnings("error")
def test_the_leaderboard_that_ships():
    assert list(list_leaderboards()) == ["sloth-open-llm"]
    made = ll.read_leaderboard("sloth-open-llm")
    assert (len(made.models), len(made.benchmarks), len(set(made.families))) == (139, 12, 54)
    assert made.params[made.models.index("stablelm-2-1_6b")] == 1.644e9
    first, second = made.seen[:, :6].all(1), made.seen[:, 6:].all(1)
    assert (first.sum(), second.sum(), (first & second).sum()) == (120, 87, 68)  # as the card says
    assert (made.floor < np.where(made.seen, made.scores, 1).max(0)).all()


@pytest.mark.skipif(not SHARED.is_file(), reason="needs ../shared/data/sloth")
def test_what_ships_is_what_was_published():
    published = pd.read_csv(SHARED).query("data_version == 'v2'").set_index("model")
    table = pd.read_csv(list_leaderboards()["sloth-open-llm"] / "leaderboard.csv").set_index("model")
    there = published.loc[table.index]
    scores = list(table.columns[5:])
    np.testing.assert_allclose(table[scores], there[scores], atol=1e-9)
    np.testing.assert_allclose(table["params"], 1e9 * there["params_b"])
    np.testing.assert_allclose(table["tokens"], 1e12 * there["tokens_t"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"params": np.array([1e9, -1.0])}, "leaderboard: params must be above 0; at 1 it is -1"),
        ({"tokens": np.array([1e9, np.inf])}, "leaderboard: tokens must be finite; at 1 it is inf"),
        ({"params": np.ones(3)}, r"leaderboard: params has shape \(3,\); expected \(2,\)"),
        ({"instruct": np.zeros(2)}, "leaderboard: instruct must hold true or false; it holds float64"),
        ({"scores": np.full((2, 1), 7.0)}, r"leaderboard: scores must lie in \[0, 1\]; at \(0, 0\) it is 7"),
        ({"scores": np.full((2, 1), np.nan)}, "leaderboard: scores must be finite"),
        ({"seen": np.ones((2, 2), bool)}, r"leaderboard: seen has shape \(2, 2\); expected \(2, 1\)"),
        ({"floor": np.array([-0.1])}, r"leaderboard: floor must lie in \[0, 1\]; at 0 it is -0.1"),
        ({"models": ("a", "a")}, "leaderboard: models must be unique; 'a' is there twice"),
        ({"models": ("a", 7)}, "leaderboard: models must be texts; at 1 there is 7"),
    ],
)
def test_arrays_are_checked_wherever_a_leaderboard_is_made(change, words):
    good = ll.Leaderboard(
        models=("a", "b"), families=("f", "f"), lineages=("f", "f"), instruct=np.zeros(2, bool), params=np.ones(2),
        tokens=np.ones(2), benchmarks=("x",), scores=np.ones((2, 1)) / 2, seen=np.ones((2, 1), bool), floor=np.zeros(1),
    )  # fmt: skip
    with pytest.raises(ll.BadInput, match=words):
        dataclasses.replace(good, **change)


@pytest.mark.parametrize("kind", [lambda f: f, pa.Table.from_pandas, lambda f: f.to_dict(orient="list")])
def test_tables_in_memory(kind):
    table = frame().rename(columns={"model": "Model", "family": "FAMILY"})
    made = ll.read_leaderboard(kind(table), floors={"MMLU": 0.25})
    assert made.benchmarks == ("MMLU", "GSM8K")
    np.testing.assert_array_equal(made.seen, [[True, True], [True, True], [False, True]])
    with pytest.raises(ll.BadInput, match=", row 2: model 'a-1b' is listed twice"):
        ll.read_leaderboard(kind(table.assign(Model=["a-1b", "a-1b", "b"])))
