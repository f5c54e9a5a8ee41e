"""Scaling laws: what is predicted, how sure that is, and what is said of bad words."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import lleval_jax as ll
from bench.sloth import coverage_hidden
from bench.sloth.worlds import leaderboard
from lleval_jax.estimators import sloth


@pytest.fixture(scope="module")
def board() -> ll.Leaderboard:
    whole = leaderboard()
    return whole.hide(whole.params == whole.params[2])  # the largest model of the first family


@pytest.fixture(scope="module")
def law(board, fitted) -> ll.FitResult:
    return fitted("sloth-law", lambda: ll.sloth.fit(board, skills=1))


def test_a_hidden_model_is_foretold(law):
    truth = leaderboard()
    target = sloth.Target("family-0", float(truth.params[2]), float(truth.tokens[2]))
    found = ll.sloth.estimate(law, family=[target])
    assert law.status == "ok"
    assert found.group == truth.benchmarks
    assert (found.low <= truth.scores[2]).all()
    assert (truth.scores[2] <= found.high).all()
    assert np.abs(found.value - truth.scores[2]).max() < 0.15
    assert ((0 <= found.low) & (found.high <= 1)).all()
    assert found.source.cite == ("polo2024sloth",)


def test_targets_are_named_as_they_are_typed():
    assert str(sloth.Target("llama-3", 70e9, 15e12)) == "llama-3:7e10:1.5e13"
    assert str(sloth.Target("olmo", 7e9, 2.5e12)) == "olmo:7e9:2.5e12"


def test_less_known_is_less_sure(law):
    """In the family's own size, far beyond it, and a family that is new; and wider at a higher level."""

    def width(family, size, tokens, **more):
        found = ll.sloth.estimate(law, family=family, size=size, tokens=tokens, **more)
        return (found.high - found.low).mean()

    inside = width("family-3", 5e9, 2e12)
    assert inside < width("new", 5e9, 2e12)
    assert inside < width("family-3", 5e9, 2e12, level=0.99)
    assert inside > width("family-3", 5e9, 2e12, level=0.5)


def test_larger_and_longer_trained_scores_more(law):
    targets = [sloth.Target("new", size, 2e12) for size in (1e9, 7e9, 7e10)]
    by_size = ll.sloth.estimate(law, family=targets).value.reshape(3, -1)
    assert (np.diff(by_size, axis=0) > 0).all()
    targets = [sloth.Target("new", 7e9, tokens) for tokens in (5e11, 2e12, 8e12)]
    assert (np.diff(ll.sloth.estimate(law, family=targets).value.reshape(3, -1), axis=0) > 0).all()


def test_several_targets_are_as_one_at_a_time(law):
    targets = [sloth.Target("family-3", 5e9, 2e12), sloth.Target("new", 5e9, 2e12)]
    both = ll.sloth.estimate(law, family=targets)
    for i, target in enumerate(targets):
        alone = ll.sloth.estimate(law, family=[target])
        np.testing.assert_allclose(alone.value, both.value[3 * i : 3 * i + 3], atol=1e-6)
        np.testing.assert_allclose(alone.high, both.high[3 * i : 3 * i + 3], atol=1e-6)


def test_kept_and_loaded_it_says_the_same(law, tmp_path):
    ll.save(law, tmp_path / "law")
    again = ll.load(tmp_path / "law")
    assert isinstance(again, ll.FitResult)
    first, second = (ll.sloth.estimate(one, family="family-1", size=3e10, tokens=2e12) for one in (law, again))
    np.testing.assert_array_equal(first.value, second.value)
    np.testing.assert_array_equal(first.low, second.low)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("famly-3", 7e9, 2e12), "'famly-3' is not in the leaderboard; did you mean 'family-"),
        (("family-3", 7, 2e12), "size is 7; a count such as 7e9 is wanted"),
        (("family-3", 7e9, 15), "tokens is 15; a count such as 2e12 is wanted"),
        (("family-3", float("nan"), 2e12), "size is nan"),
        (([],), "nothing to predict"),
    ],
)
def test_bad_targets(law, words, message):
    with pytest.raises(ll.BadInput, match=message):
        ll.sloth.estimate(law, **dict(zip(("family", "size", "tokens"), words, strict=False)))


def test_a_lineage_must_be_known(law):
    with pytest.raises(ll.BadInput, match="lineage 'other' is not in the leaderboard"):
        ll.sloth.estimate(law, family="new", size=7e9, tokens=2e12, lineage="other")
    apart, related = (
        ll.sloth.estimate(law, family="new", size=5e9, tokens=2e12, lineage=name) for name in (None, "family-3")
    )
    assert (related.high - related.low).mean() < (apart.high - apart.low).mean()


def test_bad_leaderboards(board):
    flat = board.take(np.flatnonzero(board.seen.all(1)))
    same = ll.Leaderboard.from_frame(flat.to_frame().assign(**{"bench-1": 0.5}))
    with pytest.raises(ll.BadInput, match="'bench-1' has no two different scores"):
        ll.sloth.fit(same)
    with pytest.raises(ll.BadInput, match="all models have 7e.09 parameters"):
        ll.sloth.fit(ll.Leaderboard.from_frame(flat.to_frame().assign(params=7e9)))
    with pytest.raises(ll.BadInput, match="has 3 models; a law needs at least 4"):
        ll.sloth.fit(flat.take([0, 1, 2]))
    with pytest.raises(ll.BadInput, match="skills is 4; with 3 benchmarks"):
        ll.sloth.fit(flat, skills=4)
    with pytest.raises(ll.BadInput, match="link 'probit' is not known; there are .*logistic"):
        ll.sloth.fit(flat, link="probit")  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def foretold(board) -> ll.Estimate:
    return ll.sloth.left_out(board, skills=1, folds=2)


def test_left_out_are_the_larger_models_of_each_family_with_their_known_scores(board, foretold):
    sizes = {}
    for family, _, name in sorted(zip(board.families, board.params, board.models, strict=True)):
        if board.seen[board.models.index(name)].any():
            sizes.setdefault(family, []).append(name)
    expected = {(name, bench) for names in sizes.values() for name in names[1:] for bench in board.benchmarks}
    assert set(zip(foretold.rows, foretold.group, strict=True)) == expected
    assert len(foretold.rows) == len(expected)
    assert (foretold.low < foretold.high).all()


def test_left_out_knows_no_hidden_score(board, foretold):
    """Other scores of the models left out change nothing that is foretold of them in the same fold."""
    name = foretold.rows[0]
    lineage = board.lineages[board.models.index(name)]
    other = board.scores.copy()
    there = [i for i, model in enumerate(board.models) if board.lineages[i] == lineage and model in foretold.rows]
    other[there] = 1 - other[there]
    again = ll.sloth.left_out(dataclasses.replace(board, scores=other), skills=1, folds=2)
    at = [i for i, row in enumerate(foretold.rows) if row in {board.models[j] for j in there}]
    np.testing.assert_allclose(again.value[at], foretold.value[at], atol=1e-9)
    assert np.abs(np.delete(again.value, at) - np.delete(foretold.value, at)).max() > 1e-6


def test_the_law_is_chosen_that_errs_least(board, foretold):
    chosen = ll.sloth.choose(board, skills=[1], folds=2)
    other = ll.sloth.left_out(board, skills=1, link="logistic", folds=2)
    truth = {name: scores for name, scores in zip(board.models, board.scores, strict=True)}

    def error(found: ll.Estimate) -> float:
        off = pd.Series(
            [
                abs(value - truth[row][board.benchmarks.index(group)])
                for row, group, value in zip(found.rows, found.group, found.value, strict=True)
            ]
        )
        return off.groupby([board.families[board.models.index(row)] for row in found.rows]).mean().mean()

    best = "monotone" if error(foretold) < error(other) else "logistic"
    assert chosen.items == (("1", best),)
    assert f"skills 1, link {best}: {100 * min(error(foretold), error(other)):.2f} ±" in chosen.why[0]


def test_bad_words_of_leaving_out(board):
    with pytest.raises(ll.BadInput, match="folds is 40; it must lie in 2 to 9"):
        ll.sloth.left_out(board, skills=1, folds=40)
    with pytest.raises(ll.BadInput, match="known is 0"):
        ll.sloth.left_out(board, skills=1, known=0)
    with pytest.raises(ll.BadInput, match="nothing to choose from"):
        ll.sloth.choose(board, skills=[1], link=["logistic"])


@pytest.mark.slow
def test_intervals_hold_in_simulated_families():
    """Four families' largest models are hidden in each of twelve worlds of one shape.

    A family's model counts as one trial, as its benchmarks hang together: 48 trials. At the stated 95% fewer than 38
    of 48 hold whole two thirds of benchmarks with a probability below 1e-6, were they independent. The study proper,
    `bench/sloth/coverage_hidden.py`, has 96 worlds.
    """
    held = np.array([share for seed in range(12) for share in coverage_hidden.hidden(seed + 10)]) >= 2 / 3
    assert len(held) == 48
    assert held.sum() >= 38
