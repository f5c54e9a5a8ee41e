"""The same answers in every layout that people use give the same matrix."""

import json
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lleval_jax import data
from lleval_jax.data import cache
from lleval_jax.errors import BadInput, DataWarning, GuessWarning
from lleval_jax.values import Responses

MODELS, ITEMS = ("gpt-4", "llama-3", "qwen-2"), ("item1", "item2", "item3", "item4")


class Stream:
    """A frame of another library: all that is known of it is how to hand its columns over."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.table = pa.Table.from_pandas(frame, preserve_index=False)
        self.columns = self.table.column_names

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def answers(seed: int) -> pd.DataFrame:
    """Models by items, right or wrong, NaN where not answered; every model and item has an answer."""
    rng = np.random.default_rng(seed)
    grid = rng.integers(0, 2, (len(MODELS), len(ITEMS))).astype(float)
    grid[rng.random(grid.shape) < 0.3] = np.nan
    grid[:, 0], grid[0] = 1.0, [1, 0, 1, 0]
    return pd.DataFrame(grid, index=list(MODELS), columns=list(ITEMS))


def long(wide: pd.DataFrame) -> pd.DataFrame:
    grid = wide.to_numpy()
    row, item = np.nonzero(~np.isnan(grid))
    names = {"model": wide.index.to_numpy()[row], "item": wide.columns.to_numpy()[item]}
    return pd.DataFrame(names | {"score": grid[row, item].astype(int)})


def columns(wide: pd.DataFrame):
    return long(wide).to_dict("list").items()


def csv(frame: pd.DataFrame, path, **words):
    frame.to_csv(path, index=False, **words)
    return path


def said_as(right: object, wrong: object, **names):
    """A file where scores are said in these words, and perhaps columns have other names."""

    def write(wide: pd.DataFrame, folder):
        frame = long(wide)
        return csv(frame.assign(score=np.where(frame.score == 1, right, wrong)).rename(columns=names), folder / "a.csv")

    return write


def jsonl(wide: pd.DataFrame, folder):
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in long(wide).to_dict(orient="records")))
    return folder / "a.jsonl"


def json_list(wide: pd.DataFrame, folder):
    (folder / "a.json").write_text(json.dumps(long(wide).to_dict(orient="records"), indent=1))
    return folder / "a.json"


def wide_jsonl(wide: pd.DataFrame, folder):
    rows = [{"model": name} | row.dropna().to_dict() for name, row in wide.iterrows()]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "a.jsonl"


def wide_parquet(wide: pd.DataFrame, folder):
    wide.to_parquet(folder / "a.parquet")  # the index is a column "__index_level_0__", the last one
    return folder / "a.parquet"


def each_model_a_file(wide: pd.DataFrame, folder):
    for name, part in long(wide).groupby("model", sort=False):
        csv(part.drop(columns="model").rename(columns={"item": "question_id"}), folder / f"{name}.csv")
    return [folder / f"{name}.csv" for name in MODELS]


LAYOUTS = {
    "long": said_as(1, 0),
    "numbers": said_as("1.0", "0.0"),
    "capitals": said_as(1, 0, model="Model", item="Item", score="SCORE"),
    "usual": said_as(1, 0, model="model_name", item="question_id", score="correct"),
    "blanks": said_as(1, 0, model="Model Name", item="question id", score="Is Correct"),
    "irt": said_as(1, 0, model="id", score="resp"),
    "measured": said_as(1, 0, model="subject_id", item="item_id", score="response"),
    "booleans": said_as(True, False),
    "words": said_as("correct", "Incorrect"),
    "inspect": said_as("C", "I"),
    "passes": said_as("pass", "FAIL"),
    "yes": said_as("y", "n"),
    "semicolons": lambda wide, folder: csv(long(wide), folder / "a.csv", sep=";"),
    "bars": lambda wide, folder: csv(long(wide), folder / "a.csv", sep="|"),
    "jsonl": jsonl,
    "json": json_list,
    "model a file": each_model_a_file,
    "wide": lambda wide, folder: csv(wide.rename_axis("model").reset_index(), folder / "a.csv", na_rep="NA"),
    "wide id": lambda wide, folder: csv(wide.rename_axis("id").reset_index(), folder / "a.csv"),
    "wide no name": lambda wide, folder: csv(wide.rename_axis("").reset_index(), folder / "a.csv"),
    "turned": lambda wide, folder: csv(wide.T.rename_axis("question").reset_index(), folder / "a.csv"),
    "turned no name": lambda wide, folder: csv(wide.T.rename_axis("").reset_index(), folder / "a.csv"),
    "wide words": lambda wide, folder: csv(
        wide.replace({1: "C", 0: "I"}).rename_axis("model").reset_index(), folder / "a.csv"
    ),
    "wide jsonl": wide_jsonl,
    "wide parquet": wide_parquet,
    "frame": lambda wide, folder: long(wide),
    "frame of booleans": lambda wide, folder: long(wide).assign(score=long(wide).score == 1),
    "frame of objects": lambda wide, folder: long(wide).astype(object),
    "categories": lambda wide, folder: long(wide).astype("category"),
    "filtered frame": lambda wide, folder: long(pd.concat([wide, wide.set_axis(["a", "b", "c"])])).query("model > 'd'"),
    "index": lambda wide, folder: long(wide).set_index(["model", "item"]),
    "wide frame": lambda wide, folder: wide,
    "wide frame turned": lambda wide, folder: wide.T.rename_axis("item"),
    "arrow": lambda wide, folder: pa.Table.from_pandas(long(wide)),
    "batch": lambda wide, folder: pa.RecordBatch.from_pandas(long(wide)),
    "string views": lambda wide, folder: pa.table(
        {n: pa.array(v, pa.string_view() if n != "score" else None) for n, v in columns(wide)}
    ),
    "enums": lambda wide, folder: pa.table(
        {
            n: pa.array(v).dictionary_encode().cast(pa.dictionary(pa.uint32(), pa.array(v).type))
            for n, v in columns(wide)
        }
    ),
    "stream": lambda wide, folder: Stream(long(wide)),
    "dict": lambda wide, folder: long(wide).to_dict(orient="list"),
    "dict of arrays": lambda wide, folder: {name: column.to_numpy() for name, column in long(wide).items()},
    "dict of dicts": lambda wide, folder: {name: row.dropna().to_dict() for name, row in wide.iterrows()},
    "rows": lambda wide, folder: long(wide).to_dict(orient="records"),
    "records": lambda wide, folder: long(wide).to_records(index=False),
    "frames": lambda wide, folder: [part for _, part in long(wide).groupby("model", sort=False)],
}


def same(found: Responses, wide: pd.DataFrame) -> None:
    assert sorted(found.rows) == sorted(MODELS)
    assert sorted(found.items) == sorted(ITEMS)
    found = found.select(ITEMS).take([found.rows.index(name) for name in MODELS])
    np.testing.assert_array_equal(np.where(found.seen, found.scores, np.nan), wide.to_numpy())


def read(given, **words):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GuessWarning)
        return data.read(given, strict=True, **words)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_matrix(layout, tmp_path):
    for seed in range(3):
        wide = answers(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        same(read(LAYOUTS[layout](wide, folder)), wide)


@pytest.mark.parametrize("array", [np.asarray, np.ma.masked_invalid])
def test_an_array(array):
    wide = answers(0)
    same(read(array(wide.to_numpy()), models=MODELS, items=ITEMS), wide)
    whole = wide.fillna(-1).to_numpy().astype(int)
    same(read(whole, models=MODELS, items=ITEMS), wide)  # as in an .npz, -1 among whole numbers is not answered


def test_a_matrix_without_names(tmp_path):
    wide = answers(0)
    for name, words in {"a.csv": {"na_rep": "NA"}, "a.txt": {"sep": " ", "na_rep": "nan"}}.items():
        wide.to_csv(tmp_path / name, header=False, index=False, **words)
        with pytest.warns(GuessWarning, match="'model-1' to 'model-3' and 'item-1' to 'item-4'"):
            found = data.read(tmp_path / name, matrix=True)
        np.testing.assert_array_equal(np.where(found.seen, found.scores, np.nan), wide.to_numpy())
        with pytest.raises(BadInput, match=r"begins with scores .* Pass matrix=True|not in a format"):
            data.read(tmp_path / name)
    with pytest.raises(BadInput, match="2 matrices without names cannot be joined"):
        data.read(tmp_path, matrix=True)
    (tmp_path / "b.csv").write_text("id,a\nx,1\n")
    with pytest.raises(BadInput, match=r"b.csv:1: item-2 is 'a'.* leave out matrix=True"):
        data.read(tmp_path / "b.csv", matrix=True)


def test_percent_needs_the_scale(tmp_path):
    path = tmp_path / "a.csv"
    for text in ("50", "50%"):
        path.write_text(f"model,item,score\na,i,{text}\na,j,0\n")
        with pytest.raises(BadInput, match=r"a.csv:2: score .*50.*Pass scale="):
            data.read(path)
        assert data.read(path, scale=(0, 100)).scores.tolist() == [[0.5, 0]]
    path.write_text("model,item,score\na,i,true\na,j,25\n")
    assert data.read(path, scale=(0, 100)).scores.tolist() == [[1, 0.25]]  # a word is an end of the scale


def test_letters_mean_what_the_others_make_of_them(tmp_path):
    path = tmp_path / "a.csv"

    def scores(*letters, **words):
        path.write_text("model,item,score\n" + "".join(f"a,{at},{each}\n" for at, each in enumerate(letters)))
        return data.read(path, **words).scores[0].tolist()

    assert scores("C", "I", "P", "N") == [1, 0, 0.5, 0]
    with pytest.warns(DataWarning, match="1 of 4 answers was not scored"):
        found = data.read(path, no_answer="missing")
    assert found.seen.tolist() == [[True, True, True, False]]
    assert scores("P", "F") == [1, 0]
    assert scores("T", "F") == [1, 0]
    assert scores("Y", "N") == [1, 0]
    for unclear in (("P", "P"), ("N",), ("P", "N"), ("A", "C"), ("C", "F")):
        with pytest.raises(BadInput, match=r"a.csv:2: score is '.'"):
            scores(*unclear)


def test_repeats_are_numbered(tmp_path):
    rows = [("a", "q0", (0, 1, 0)), ("a", "q1", (0, 0, 0)), ("b", "q0", (1, 1, 1)), ("b", "q1", (1, 0, 1))]
    lines = [f"{m},{i},{each[k]},{number}\n" for k, number in enumerate((2, 10, 1)) for m, i, each in rows]
    for name in ("repeat", "Repeat", "epoch", "trial", "attempt"):
        path = tmp_path / f"{name}.csv"
        path.write_text(f"model,item,score,{name}\n" + "".join(lines))
        found = read(path)
        np.testing.assert_allclose(found.scores, [[1 / 3, 0], [1, 2 / 3]], rtol=1e-6)
        assert found.weight.tolist() == [[3, 3], [3, 3]]
        assert read(path, repeats="first").scores.tolist() == [[0, 0], [1, 1]]  # number 1, wherever it stands
        with pytest.raises(BadInput, match="8 repeats"):
            read(path, repeats="error")
    path.write_text("model,item,score,repeat\na,q,1,1\na,q,0,1\n")
    with pytest.raises(BadInput, match=r"two different answers in one repeat: 1 .*:2\) and 0 .*:3\)"):
        read(path)
    path.write_text("model,item,score,epoch\na,q,1,7\nb,q,0,9\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert data.read(path).scores.tolist() == [[1], [0]]  # an epoch that numbers nothing is not spoken of


def test_columns_beside_the_scores(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("model,subject,question_id,correct\na,math,q,1\na,bio,r,0\n")
    with pytest.warns(GuessWarning, match=r"a.csv: read 'correct' as score, 'question_id' as item\. Pass columns="):
        assert data.read(path).groups == ("all",)
    assert read(path, columns={"group": "subject"}).groups == ("bio", "math")
    path.write_text("question,group,gpt-4,o1\nwhat?,g,1,0\nwho?,h,0,1\n")
    assert read(path).groups == ("g", "h")
    path.write_text("model,family,q1,q2\na,x,1,0\nb,y,0,1\n")
    with (
        pytest.warns(GuessWarning, match="a matrix"),
        pytest.warns(DataWarning, match="columns without scores were left out: 'family'"),
    ):
        assert data.read(path).scores.tolist() == [[1, 0], [0, 1]]
    path.write_text("model,repeat,q1,q2\na,1,1,0\na,2,0,0\n")
    assert read(path).scores.tolist() == [[0.5, 0]]


def test_prompts_in_rows(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("prompt,q1,q2\np1,1,0\np2,0,1\n")
    assert read(path, rows="prompt").rows == ("p1", "p2")
    path.write_text("model,template,q1,q2\na,p1,1,0\na,p2,0,1\nb,p1,1,1\n")
    assert read(path, rows="prompt").rows == ("a/p1", "a/p2", "b/p1")
    path.write_text("item,p1,p2\nq1,1,0\nq2,0,1\n")
    assert read(path, rows="prompt").scores.tolist() == [[1, 0], [0, 1]]


def test_a_file_without_models_is_one(tmp_path):
    for folder, score in (("one", 1), ("two", 0)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "results.v2.csv").write_text(f"question_id,correct\nq,{score}\n")
    called = r"no column is the model; it is called 'results.v2'"
    with pytest.warns(GuessWarning, match="read 'correct'"), pytest.warns(GuessWarning, match=called):
        assert data.read(tmp_path / "one" / "results.v2.csv").rows == ("results.v2",)
    assert read(tmp_path).rows == ("one/results.v2", "two/results.v2")  # one name in two folders is two models
    frame = pd.DataFrame({"item": [1, 2], "score": [1, 0]})
    assert read(frame, models=["gpt-4"]).rows == ("gpt-4",)
    assert read([frame, frame.assign(score=1)]).rows == ("model-1", "model-2")


def test_a_guess_is_said_again_by_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "SMALLEST", 0)
    monkeypatch.setenv("LLEVAL_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.csv"
    path.write_text("model,q1,q2\na,1,0\n")
    for _ in range(2):
        with pytest.warns(GuessWarning, match="a.csv: read as a matrix of 1 models by 2 items"):
            assert data.read(path).scores.tolist() == [[1, 0]]
    for _ in range(2):
        assert data.read(path, columns={"item": "model"}).rows == ("q1", "q2")


def test_guesses_are_no_error_and_go_with_columns(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("who,what,points\na,q,1\nb,q,0\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = data.read(path, columns={"model": "who", "item": "What", "score": "points"}, strict=True)
    assert found.scores.tolist() == [[1], [0]]
    path.write_text(",x,y\na,1,0\nb,0,1\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert data.read(path, columns={"model": ""}).rows == ("a", "b")
        assert data.read(path, columns={"item": ""}).rows == ("x", "y")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (
            "foo,bar,baz\nx,y,z\n",
            r"no columns 'model', 'item', 'score'; it has 'foo', 'bar', 'baz'.*columns={",
        ),
        ("model,item,points\na,i,1\n", r"no column 'score'; it has 'model', 'item', 'points'.*Pass columns={\"score\""),
        ("model,qid,correct,acc\na,q,1,1\n", r"'correct', 'acc' could each be the score.*columns={\"score\": \"acc\"}"),
        ("Model,MODEL,item,score\na,b,q,1\n", r"'Model', 'MODEL' could each be the model"),
        ("subject,question_id,correct\nmath,1,1\nbio,2,1\n", r"'subject' can be the model .*or the group of an item"),
        ("id,item,correct\n1,a,1\n2,b,1\n3,a,0\n", r"read 'id' as model, each model has one answer"),
        ("person,item,resp\na,i,1\na,j,0\nb,k,1\nb,l,1\n", r"read 'person' as model, no two models share an item"),
        (",x,y\na,1,0\nb,0,1\n", r"is a row a model or an item\? Pass columns={\"model\": \"\"} or"),
        ("x,y,z\n1,0,1\n0,1,1\n", r"no column names its rows"),
        ("model,q1,q2\na,1,0\nb,0,maybe\n", r"a.csv:3: q2 is 'maybe'"),
        ("model,q1,params\na,1,7e9\n", r"a.csv:2: column 'params' has 7e\+09, outside \[0, 1\]"),
        ("model,q1,q1\na,1,0\n", r"2 columns named 'q1'"),
    ],
)
def test_what_is_unclear_is_an_error_with_a_way_out(tmp_path, text, match):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=match) as caught:
        data.read(path)
    assert "columns={" not in caught.value.in_shell()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("given", "words", "match"),
    [
        (
            pd.DataFrame({"model": ["a", "b"], "item": [1, 2], "score": [1, 2]}),
            {},
            r"the DataFrame, row 2: score 2 lies",
        ),
        (
            pd.DataFrame({"model": ["a", None], "item": [1, 2], "score": [1, 1]}),
            {},
            r"the DataFrame, row 2 has an empty",
        ),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), {}, r"the DataFrame has no columns 'model', 'item', 'score'"),
        ({"model": ["a"], "item": ["x", "y"], "score": [1]}, {}, r"the dict: columns of different lengths"),
        ({"model": "a", "item": ["x"]}, {}, r"the dict: 'model' is no column"),
        (pd.Series([1, 2]), {}, r"the Series is one column"),
        (None, {}, r"neither a path nor a table"),
        ([[1, 0], [0, 1]], {}, r"list '\[1, 0\]' is neither a path nor a table"),
        (np.zeros((2, 2, 2)), {}, r"an array of 3 axes"),
        (pd.DataFrame(), {}, r"no columns 'model', 'item', 'score'; it has no columns"),
        ({"model": ["a"], "item": [["x"]], "score": [1]}, {}, r"the dict: column 'item' holds list<item: string>"),
        ({"model": [b"\xff"], "item": ["x"], "score": [1]}, {}, r"column 'model' holds binary; .* texts in UTF-8"),
        (np.eye(3)[:2], {"models": "abc", "items": "de"}, r"3 models are named .* Turn it round"),
        (np.eye(2), {"models": "aa"}, r"model 'a' is named twice"),
        (np.array([["x", "y"]]), {}, r"holds <U1; it must hold numbers"),
        ({"model": ["a"], "item": ["x"], "score": [1]}, {"models": ["b"]}, r"has its own names"),
        (
            {"model": ["a"], "item": ["x"], "score": [1]},
            {"metric": "acc"},
            r"the dict.*reader of table does not use",
        ),
    ],
)
def test_tables_in_memory_name_themselves_and_the_row(given, words, match):
    with pytest.raises(BadInput, match=match):
        data.read(given, **words)


def test_wide_tables_of_a_folder_are_not_read_unasked(tmp_path):
    (tmp_path / "a.csv").write_text("model,item,score\na,i,1\n")
    (tmp_path / "b.csv").write_text("model,mmlu,gsm8k\nx,0.5,0.7\n")
    with pytest.warns(DataWarning, match="b.csv: is not a file of answers"):
        assert data.read(tmp_path).rows == ("a",)
    assert read(str(tmp_path / "b*.csv")).rows == ("x",)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_large_tables_tell_how_far_they_are(tmp_path, name):
    row = "a,i{},1\n" if name == "a.csv" else '{{"model": "a", "item": "i{}", "score": 1}}\n'
    head = "model,item,score\n" if name == "a.csv" else ""
    (tmp_path / name).write_text(head + "".join(row.format(at) for at in range(150_000)))
    told = []
    data.read(tmp_path / name, tell=told.append)
    size = (tmp_path / name).stat().st_size
    assert {progress.total for progress in told} == {size}
    assert any(0 < progress.done < size for progress in told)
    assert told[-1].done == size
