"""pass@k and pass^k: against all ways to draw k tries, and what is refused."""

import itertools

import numpy as np
import pytest

import lleval_jax as ll
from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT, OK


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_scores_are_shares_of_all_ways_to_draw_k_tries(k):
    n = 5
    answers = ll.Responses.build(np.arange(n + 1)[None] / n, weight=np.full((1, n + 1), n))
    for right in range(n + 1):
        ways = list(itertools.combinations(np.arange(n) < right, k))
        for need, want in (("one", np.mean([any(way) for way in ways])), ("all", np.mean([all(way) for way in ways]))):
            found = ll.plain.tries(answers, k=k, need=need)
            assert found.scores[0, right] == pytest.approx(want, abs=1e-12)
            assert found.weight[0, right] == 1


def test_one_try_is_the_score_itself_and_what_was_not_answered_stays_so():
    answers = ll.Responses.build([[0.25, np.nan, 1.0]], weight=[[4, 1, 2]])
    for need in ("one", "all"):
        found = ll.plain.tries(answers, k=1, need=need)
        np.testing.assert_allclose(found.scores, answers.scores, atol=1e-7)
        np.testing.assert_array_equal(found.seen, answers.seen)
    sparse = ll.SparseResponses(*map(np.array, ([0], [0], [0.5], [2.0])), ("a",), ("q",), np.zeros(1, int), ("all",))
    assert ll.plain.tries(sparse, k=2).scores[0, 0] == 1


def test_what_is_wrong_is_said():
    answers = ll.Responses.build([[0.5, 1.0]], weight=[[4, 2]], rows=["agent"], items=["q", "r"])
    with pytest.raises(ll.BadInput, match="'agent' on question 'r' has 2 tries; 3 are needed"):
        ll.plain.tries(answers, k=3)
    graded = ll.Responses.build([[0.3]], rows=["agent"], items=["q"])
    with pytest.raises(ll.BadInput, match="'agent' on question 'q' has a score of 0.3; tries must be right or wrong"):
        ll.plain.tries(graded, k=1)
    with pytest.raises(ll.BadInput, match="k is 0"):
        ll.plain.tries(answers, k=0)
    with pytest.raises(ll.BadInput, match="need 'some' is not known"):
        ll.plain.tries(answers, k=1, need="some")


def test_the_shell_says_what_was_estimated(tmp_path, capsys):
    lines = [f"agent,q{i},{int(i % 3 == 0 or repeat == 0)},{repeat}" for i in range(30) for repeat in range(4)]
    (tmp_path / "a.csv").write_text("model,item,score,repeat\n" + "\n".join(lines) + "\n")
    words = ["estimate", f"{tmp_path}/a.csv"]
    for option, name, value in (("--pass-at", "pass@2", "0.667"), ("--pass-all", "pass^2", "0.333")):
        assert run([*words, option, "2"]) == OK
        out = capsys.readouterr().out
        assert f"estimated {name}, 95% intervals" in out
        assert value in out
    assert run([*words, "--pass-at", "2", "--pass-all", "2"]) == BAD_INPUT
    assert run([*words, "--pass-at", "2", "--bank", "livexiv-vqa"]) == BAD_INPUT
    assert "--pass-at is for plain scores" in capsys.readouterr().err
    assert run([*words, "--pass-at", "9"]) == BAD_INPUT
    assert "has 4 tries; 9 are needed" in capsys.readouterr().err
