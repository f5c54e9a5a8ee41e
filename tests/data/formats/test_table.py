import gzip
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lleval_jax import data
from lleval_jax.errors import BadInput, DataWarning
from lleval_jax.values import SparseResponses

NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=6)


@st.composite
def tables(draw):
    models = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    items = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    cells = [(m, i) for m in models for i in items]
    kept = draw(st.lists(st.sampled_from(cells), min_size=1, unique=True))
    scores = draw(st.lists(st.floats(0, 1, width=32), min_size=len(kept), max_size=len(kept)))
    return pd.DataFrame({"model": [m for m, _ in kept], "item": [i for _, i in kept], "score": scores})


def write(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        lines = "".join(json.dumps(row) + "\n" for row in frame.to_dict(orient="records")).encode()
        path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return path


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl", "a.jsonl.gz"])
def test_what_was_written_is_read(tmp_path_factory, name):
    path = tmp_path_factory.mktemp("table") / name

    @settings(deadline=None, max_examples=25, database=None)
    @given(tables())
    def check(frame):
        found = data.read(write(frame, path)).to_frame()[["model", "item", "score"]]
        want = frame.astype({"score": np.float32}).sort_values(["model", "item"], ignore_index=True)
        found = found.sort_values(["model", "item"], ignore_index=True)
        pd.testing.assert_frame_equal(found, want, check_dtype=False, rtol=1e-6)

    check()


def test_groups_weights_and_missing_rows(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("score,item,model,group,weight\n0.5,i,a,g1,4\n1,j,a,g2,\n0,j,b,g2,2\n")
    found = data.read(path)
    assert found.rows == ("a", "b")
    assert found.groups == ("g1", "g2")
    assert found.seen.tolist() == [[True, True], [False, True]]
    assert found.weight.tolist() == [[4, 1], [1, 2]]
    assert list(found.source.files) == ["a.csv"]
    assert found.source.files["a.csv"].startswith("sha256:")


def test_prompts_are_rows(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("prompt,item,score\np1,i,1\np2,i,0\n")
    assert data.read(path, rows="prompt").rows == ("p1", "p2")
    path.write_text("model,prompt,item,score\na,p1,i,1\na,p2,i,0\nb,p1,i,0\n")
    assert data.read(path, rows="prompt").rows == ("a/p1", "a/p2", "b/p1")
    with pytest.raises(BadInput, match="rows='prompt'"):
        data.read(path)


def test_the_same_answer_twice_is_kept_once(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("model,item,score\na,i,1\na,i,1\n")
    with pytest.warns(DataWarning, match="1 answers stand twice"):
        assert data.read(path).scores.tolist() == [[1.0]]
    with pytest.raises(BadInput, match="stand twice"):
        data.read(path, strict=True)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("model,item,score\na,i,1\na,i,0\n", r"model 'a' .* item 'i': 1 \(a.csv:2.* and 0 \(a.csv:3"),
        ("model,item,points\na,i,1\n", r"no column 'score'; it has 'model', 'item', 'points'"),
        ("model,item,score\na,i,2\n", r"a.csv:2: score 2 lies outside"),
        ("model,item,score\na,i,inf\n", r"a.csv:2: score inf lies outside"),
        ("model,item,score\na,i,1\nb,i,good\n", r"a.csv:3: score is 'good'"),
        ("model,item,score\n,i,1\n", r"a.csv:2 has an empty model"),
        ("model,item,score\na,i\n", r"not a whole CSV"),
        ("model,item,score\n", r"no answer"),
        ("model,item,score,weight\na,i,1,0\n", r"a.csv:2: weight is 0"),
        ("model,item,score,group\na,i,1,g\nb,i,1,h\n", r"item 'i' stands in two groups"),
        ("model,item,score,score\na,i,1,1\n", r"2 columns named 'score'"),
        ('{"model": "a", "item": "i", "score": 1}\n{"model": "a"', r"a.csv:2 is cut short"),
        ('{"model": "a", "item": "i", "score": 1}\nnothing\n', r"a.csv:2 is not JSON.*nothing"),
        ('{"model": "a", "item": "i", "score": 1}\n{"model": "b", "score": 1}\n', r"a.csv:2 has an empty item"),
        ('{"model": "a", "item": "i", "score": [1]}\n', r"a.csv:1: score is '\[1\]'"),
        ("", "is empty"),
    ],
)
def test_errors_say_where(tmp_path, text, match):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=match):
        data.read(path)


def test_a_row_without_score_is_missing(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("model,item,score\na,i,1\nb,i,\n")
    with pytest.warns(DataWarning) as told:
        assert data.read(path).rows == ("a",)
    assert any("answers was not scored and was left out" in str(w.message) for w in told)
    assert any("1 rows have no answer and were left out: 'b'" in str(w.message) for w in told)


def test_scale(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("model,item,score\na,i,1\nb,i,10\n")
    assert data.read(path, scale=(1, 10)).scores.tolist() == [[0.0], [1.0]]
    with pytest.raises(BadInput, match="scale is"):
        data.read(path, scale=(1, 1))


def test_few_cells_of_a_large_matrix_stay_sparse(tmp_path):
    n = 1100
    frame = pd.DataFrame({"model": [f"m{i}" for i in range(n)], "item": [f"i{i}" for i in range(n)], "score": 1.0})
    found = data.read(write(frame, tmp_path / "a.parquet"))
    assert isinstance(found, SparseResponses)
    assert len(found.row) == n


def test_cut_parquet(tmp_path):
    path = write(pd.DataFrame({"model": ["a"], "item": ["i"], "score": [1.0]}), tmp_path / "a.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadInput, match="damaged or cut short"):
        data.read(path)


def test_read_scores(tmp_path):
    path = tmp_path / "full.csv"
    path.write_text("model,score\na,0.5\nb,0.25\nb,0.25\n")
    found = data.read_scores(path)
    assert found.to_dict(orient="list") == {
        "model": ["a", "b"],
        "score": [0.5, 0.25],
        "group": ["all", "all"],
    }
    path.write_text("model,score,group\na,0.5,g\na,0.6,g\n")
    with pytest.raises(BadInput, match=r"two scores on 'g': 0.5 \(full.csv:2\) and 0.6 \(full.csv:3\)"):
        data.read_scores(path)
    path.write_text("model,score\na,50\n")
    with pytest.raises(BadInput, match="full.csv:2: score 50"):
        data.read_scores(path)
    with pytest.raises(BadInput, match="no file"):
        data.read_scores(tmp_path / "nothing.csv")


def test_scores_of_a_frame():
    frame = pd.DataFrame({"Model": ["a", "b"], "accuracy": [0.5, 0.25]})
    found = data.read_scores(frame, columns={"score": "accuracy"})
    assert found.to_dict(orient="list") == {"model": ["a", "b"], "score": [0.5, 0.25], "group": ["all", "all"]}
    with pytest.raises(BadInput, match="the DataFrame has no column 'score'; it has 'Model', 'accuracy'"):
        data.read_scores(frame)
    with pytest.raises(BadInput, match="the DataFrame, row 2: score 25 is not"):
        data.read_scores(frame.assign(score=[0.5, 25]))
