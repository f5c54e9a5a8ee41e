"""A judge corrected by labels: closed forms at the ends, intervals that hold, labels drawn at random."""

import numpy as np
import pytest
from scipy.stats import binom, norm

import lleval_jax as ll
from bench.judged import coverage
from lleval_jax.estimators.judged.pooled import PRIOR

FALSE_ALARM = 1e-4


def some(seed: int = 0, models: int = 3, items: int = 80, labels: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a judge, and labels of some answers."""
    rng = np.random.default_rng(seed)
    quality = rng.random((models, items))
    right = (rng.random(quality.shape) < quality).astype(float)
    chosen = rng.permuted(np.tile(np.arange(items) < labels, (models, 1)), axis=1)
    return quality, np.where(chosen, right, np.nan)


def build(scores: np.ndarray) -> ll.Responses:
    return ll.Responses.build(scores)


def test_a_judge_that_says_nothing_leaves_the_mean_of_the_labels():
    quality, labels = some()
    found = ll.judged.estimate(build(np.full_like(quality, 0.5)), human=build(labels))
    np.testing.assert_allclose(found.value, np.nanmean(labels, 1))
    spread = np.nanvar(labels, 1) * 30
    p = (np.nansum(labels) + 1) / (90 + 2)
    np.testing.assert_allclose(found.std_error, np.sqrt((spread + PRIOR * p * (1 - p)) / (29 + PRIOR) / 30))


def test_all_answers_labelled_is_the_mean_of_the_labels_and_exact_on_these_questions():
    quality, labels = some(labels=80)
    found = ll.judged.estimate(build(quality), human=build(labels), population="all")
    np.testing.assert_allclose(found.value, labels.mean(1))
    np.testing.assert_array_equal(found.low, found.high)


def test_a_perfect_judge_is_worth_as_many_labels_as_it_scored():
    _, labels = some()
    rng = np.random.default_rng(1)
    scores = np.where(np.isnan(labels), rng.random(labels.shape) < 0.6, labels)
    worth = ll.judged.worth(build(scores), human=build(labels))
    assert worth.correlation == pytest.approx(1)
    assert worth.effective == pytest.approx(worth.scored, rel=0.01)
    assert worth.helps
    assert "The judge helps: 90 labels with it are worth 240" in str(worth)


def test_the_correlation_has_fishers_interval_and_a_useless_judge_is_said_to_be_one():
    quality, labels = some(3)
    scores = np.random.default_rng(2).random(quality.shape)
    worth = ll.judged.worth(build(scores), human=build(labels))
    half = norm.ppf(0.975) / np.sqrt(90 - 3 - 2)
    np.testing.assert_allclose(np.arctanh([worth.low, worth.high]), np.arctanh(worth.correlation) + [-half, half])
    assert (worth.helps, "is not shown to help" in worth.reason) == (worth.low > 0, worth.low <= 0)


@pytest.mark.parametrize("judge", ["biased", "useless"])
def test_intervals_hold_for_bad_judges(judge):
    inside = []
    for seed in range(40):
        scores, labels, truth = coverage.world(judge, 200, 30, seed)
        found = ll.judged.estimate(scores, human=labels)
        inside.append((found.low <= truth) & (truth <= found.high))
    assert np.sum(inside) >= binom.ppf(FALSE_ALARM, np.size(inside), 0.92)  # models of a world share one line


def test_the_order_of_models_does_not_matter_and_a_wider_level_holds_the_narrower():
    quality, labels = some()
    judge, human = build(quality), build(labels)
    found = ll.judged.estimate(judge, human=human)
    again = ll.judged.estimate(judge.take([2, 0, 1]), human=human.take([1, 2, 0]))
    for row in found.rows:
        assert again[row].value == pytest.approx(found[row].value)
    wide = ll.judged.estimate(judge, human=human, level=0.99)
    assert ((wide.low <= found.low) & (found.high <= wide.high)).all()


def test_labels_are_asked_at_random_of_models_that_have_fewest():
    quality, labels = some()
    labels[2] = np.nan
    judge, human = build(quality), build(labels)
    chosen = ll.judged.choose(judge, human=human, k=7, seed=1)
    assert len(chosen.items[2]) >= 5
    assert sum(map(len, chosen.items)) == 7
    for row, items in enumerate(chosen.items):
        assert all(np.isnan(labels[row, judge.items.index(item)]) for item in items)
    assert ll.judged.choose(judge, human=human, k=7, seed=1).items == chosen.items
    assert ll.judged.choose(judge, human=human, k=7, seed=2).items != chosen.items
    assert sum(map(len, ll.judged.choose(judge, k=10_000).items)) == quality.size


def test_what_is_wrong_is_said():
    quality, labels = some()
    judge, human = build(quality), build(labels)
    unscored = np.where(np.isnan(labels), quality, np.nan)
    with pytest.raises(ll.BadInput, match=r"the answer of 'row-0' to 'item-\d+' has a label and no score of the judge"):
        ll.judged.estimate(build(unscored), human=human)
    with pytest.raises(ll.BadInput, match="model .*other.* has labels, and no score"):
        ll.judged.estimate(judge, human=ll.Responses.build(labels[:1], rows=["other"]))
    with pytest.raises(ll.BadInput, match="no model has 5 human labels or more"):
        ll.judged.estimate(judge, human=ll.Responses.build(labels[:, :0]))
    with pytest.raises(ll.BadInput, match="k is 0"):
        ll.judged.choose(judge, k=0)
    with pytest.raises(ll.BadInput, match="population is 'some'"):
        ll.judged.estimate(judge, human=human, population="some")
    labels[1] = np.nan
    with pytest.warns(ll.DataWarning, match=r"models with fewer than 5 labels are left out: 'row-1' \(0\)"):
        assert ll.judged.estimate(judge, human=build(labels)).rows == ("row-0", "row-2")
