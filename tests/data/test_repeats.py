import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lleval_jax import data
from lleval_jax.data.answers import from_columns
from lleval_jax.data.repeats import reduced
from lleval_jax.errors import BadInput, DataWarning


def table(path, scores, items="ijk"):
    frame = pd.DataFrame({"model": "a", "item": list(items), "score": scores})
    frame.to_csv(path, index=False)
    return path


def test_files_that_disagree_are_runs(tmp_path):
    table(tmp_path / "one.csv", [1, 0, 1])
    table(tmp_path / "two.csv", [1, 1, 0])
    with pytest.warns(DataWarning, match="read as repeats of different runs, k of n"):
        found = data.read(tmp_path)
    assert found.scores.tolist() == [[1, 0.5, 0.5]]
    assert found.weight.tolist() == [[2, 2, 2]]
    assert found.origin("a", "j") == "one.csv:3"
    with pytest.warns(DataWarning, match="The first was read"):
        first = data.read(tmp_path, repeats="first")
    assert first.scores.tolist() == [[1, 0, 1]]
    assert (first.weight == 1).all()
    with pytest.raises(BadInput, match=r"0 \(one.csv:3, weight 1\) and 1 \(two.csv:3, weight 1\); 3 such answers"):
        data.read(tmp_path, repeats="error")


def test_files_that_agree_are_copies(tmp_path):
    table(tmp_path / "one.csv", [1, 0, 1])
    table(tmp_path / "two.csv", [0, 1], items="jk")
    with pytest.warns(DataWarning, match="2 answers stand twice, with the same score"):
        found = data.read(tmp_path)
    assert (found.weight == 1).all()


def test_a_copy_of_a_run_is_no_third_run(tmp_path):
    for name, scores in (("one", [1, 0, 1]), ("two", [1, 1, 0]), ("three", [1, 0, 1]), ("four", [1, 1, 0])):
        table(tmp_path / f"{name}.csv", scores)
    with pytest.warns(DataWarning) as told:
        found = data.read(tmp_path)
    assert found.weight.tolist() == [[2, 2, 2]]
    assert found.scores.tolist() == [[1, 0.5, 0.5]]
    assert any("6 answers stand twice" in str(w.message) for w in told)


def test_a_file_that_agrees_with_half_of_a_run_is_a_run_of_its_own(tmp_path):
    table(tmp_path / "1.csv", [1, 0], items="ij")
    table(tmp_path / "2.csv", [0, 1], items="jk")  # a copy of 1, and more
    table(tmp_path / "3.csv", [1, 0], items="ik")  # agrees with 1, not with 2
    with pytest.warns(DataWarning):
        found = data.read(tmp_path)
    assert dict(zip(found.items, found.weight[0].tolist(), strict=True)) == {"i": 2, "j": 1, "k": 2}


def test_weights_add_up(tmp_path):
    (tmp_path / "one.csv").write_text("model,item,score,weight\na,i,0.5,4\n")
    (tmp_path / "two.csv").write_text("model,item,score,weight\na,i,1,1\n")
    with pytest.warns(DataWarning, match="k of n"):
        found = data.read(tmp_path)
    assert found.weight.tolist() == [[5]]
    np.testing.assert_allclose(found.scores, 0.6, rtol=1e-6)


def test_one_file_that_disagrees_with_itself_is_an_error(tmp_path):
    table(tmp_path / "one.csv", [1, 0], items="ii")
    with pytest.raises(BadInput, match=r"1 \(one.csv:2, weight 1\) and 0 \(one.csv:3"):
        data.read(tmp_path)


@settings(deadline=None, max_examples=60, database=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.booleans()), min_size=1, max_size=30))
def test_numbered_repeats_are_k_of_n(cells):
    once = {(item, repeat): score for item, repeat, score in cells}
    item, repeat, score = zip(*[(f"i{i}", r, float(s)) for (i, r), s in once.items()], strict=True)
    answers = from_columns("f", row=["a"] * len(item), item=item, score=score)
    found = reduced(answers, np.asarray(repeat), "count", None)
    for at, name in enumerate(found.items[found.item]):
        mine = [s for i, s in zip(item, score, strict=True) if i == name]
        assert found.weight is not None
        assert found.weight[at] == len(mine)
        assert found.score[at] == pytest.approx(np.mean(mine))


def test_two_answers_in_one_repeat(tmp_path):
    answers = from_columns("f", row=["a", "a"], item=["i", "i"], score=[1, 0], line=[1, 2])
    with pytest.raises(BadInput, match=r"two different answers in one repeat: 1 \(f:1\) and 0 \(f:2\)"):
        reduced(answers, np.zeros(2), "count", None)
    found = reduced(answers, np.arange(2), "count", None)
    assert found.score.tolist() == [0.5]
