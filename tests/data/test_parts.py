import numpy as np
import pytest

from lleval_jax import data
from lleval_jax.data.answers import from_columns, row_name
from lleval_jax.data.pivot import pivot
from lleval_jax.errors import BadInput
from lleval_jax.values import Responses, Source


@pytest.fixture
def grid(tmp_path):
    """Two models whose names, and whose prompts' names, hold a slash."""
    lines = [f"{m},{p},{i},1" for m in ("org/a", "org/a/b") for p in ("p/1", "p/2") for i in "xy"]
    (tmp_path / "a.csv").write_text("model,prompt,item,score\n" + "\n".join(lines) + "\n")
    return data.read(tmp_path / "a.csv", rows="prompt")


def test_rows_keep_their_parts(grid):
    assert grid.rows == ("org/a/p/1", "org/a/p/2", "org/a/b/p/1", "org/a/b/p/2")
    assert grid.parts == {"model": ("org/a",) * 2 + ("org/a/b",) * 2, "prompt": ("p/1", "p/2") * 2}
    assert grid.take([3, 0]).parts == {"model": ("org/a/b", "org/a"), "prompt": ("p/2", "p/1")}
    assert grid.select(("y",)).parts == grid.parts


def test_a_prompt_may_be_a_text_of_several_lines():
    prompt = "Answer.\nQ: "
    part = from_columns("f", row=[row_name("m", prompt, "prompt")], item=["i"], score=[1])
    found, _ = pivot([part], Source())
    assert found.parts == {"model": ("m",), "prompt": (prompt,)}


def test_rows_that_are_models_have_one_part(tmp_path):
    (tmp_path / "a.csv").write_text("model,item,score\na,i,1\nb,i,0\n")
    assert data.read(tmp_path / "a.csv").parts == {"model": ("a", "b")}


def test_parts_are_merged_by_row(grid):
    new = Responses.build(np.array([[1.0]]), rows=["c"], items=["x"])
    assert grid.merge(new).parts["prompt"] == ("p/1", "p/2", "p/1", "p/2", "")
    known = Responses.build(np.array([[1.0]]), rows=["c"], items=["x"], parts={"model": ["c"]})
    assert new.merge(known).parts == {"model": ("c",)}
    other = Responses.build(np.array([[1.0]]), rows=[grid.rows[0]], items=["z"], parts={"model": ["org"]})
    with pytest.raises(BadInput, match="row 'org/a/p/1' is of model 'org/a', and of model 'org' in what is merged"):
        grid.merge(other)


def test_a_part_has_a_name_a_row():
    with pytest.raises(BadInput, match="parts has 1 names of 'model'; there are 2 rows"):
        Responses.build(np.ones((2, 1)), parts={"model": ["a"]})


def test_few_cells_keep_them_too(monkeypatch):
    monkeypatch.setattr("lleval_jax.data.pivot.SPARSE_FROM", 0)
    names = [row_name("m", f"p{i}", "prompt") for i in range(20)]
    part = from_columns("f", row=names, item=[f"i{i}" for i in range(20)], score=np.ones(20))
    found, _ = pivot([part], Source())
    assert not isinstance(found, Responses)
    assert found.dense().parts == found.parts == {"model": ("m",) * 20, "prompt": tuple(f"p{i}" for i in range(20))}
    assert found.take([2]).parts == {"model": ("m",), "prompt": ("p2",)}
