"""`ll.audit`: tests of all pairs at once, and what a board can tell."""

import os
import pathlib

import numpy as np
import pytest
from scipy.stats import binom, binomtest

import lleval_jax as ll
from lleval_jax.estimators.audit import pairs, splits

SHARED = pathlib.Path(os.environ.get("LLEVAL_SHARED", pathlib.Path(__file__).parents[4] / "shared"))
VERIFIED = SHARED / "data/new_models/swebench_verified.npz"
BOARDS = 300
ALLOWED = binom.isf(1e-6, BOARDS, 0.05)  # boards with a false pair; more have chance 1e-6 at a rate of 5%


def board(right: np.ndarray, label: np.ndarray | None = None, seen: np.ndarray | None = None) -> pairs.Board:
    seen = np.ones(right.shape, bool) if seen is None else seen
    return pairs.Board(right * seen.astype(float), seen, np.arange(right.shape[1]) if label is None else label)


def adjusted(one: pairs.Board, draws: int = 200, seed: int = 0) -> np.ndarray:
    return pairs.p_values(one, pairs.gaps(one), draws, np.random.default_rng(seed))[0]


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("missing", [False, True])
def test_step_down_by_hand(clustered: bool, missing: bool) -> None:
    """The same signs, pair by pair and step by step."""
    rng = np.random.default_rng(3)
    right, label = rng.random((5, 40)) < np.linspace(0.4, 0.8, 5)[:, None], np.arange(40)
    label = label // 4 if clustered else label
    seen = rng.random(right.shape) < 0.8 if missing else np.ones(right.shape, bool)
    one, draws = board(right, label, seen), 100
    signs = pairs._signs(np.random.default_rng(0), (draws, label.max() + 1))
    t, drawn = {}, {}
    for i in range(5):
        for j in range(i):
            d = np.where(seen[i] & seen[j], one.scores[i] - one.scores[j], 0)
            units = np.bincount(label, d)
            size = np.sqrt(units @ units)
            t[i, j], drawn[i, j] = abs(units.sum()) / size, np.abs(signs @ units) / size
    found, p = adjusted(one, draws), 0.0
    for pair in sorted(t, key=lambda pair: -t[pair]):
        largest = np.max([drawn[other] for other in t if t[other] <= t[pair] + 1e-9], 0)
        p = max(p, (1 + np.sum(largest >= t[pair] - 1e-4)) / (draws + 1))
        assert found[pair] == pytest.approx(p)


def test_a_pair_alone_is_mcnemar() -> None:
    right = np.array([[1] * 14 + [0] * 5 + [1] * 30, [0] * 14 + [1] * 5 + [1] * 30])
    exact = binomtest(5, 19).pvalue
    assert adjusted(board(right), 20_000)[0, 1] == pytest.approx(exact, abs=5 * np.sqrt(exact / 20_000))


@pytest.mark.parametrize("clustered", [False, True])
def test_equal_models_are_separated_on_one_board_in_twenty(clustered: bool) -> None:
    """Eight models, five of them equal, on questions of many difficulties; with and without clusters."""
    rng, false = np.random.default_rng(1), 0
    label = np.repeat(np.arange(20), 4) if clustered else None
    for i in range(BOARDS):
        ease = rng.normal(0, 1.5, 80) + np.array([0, 0, 0, 0, 0, 1, 2, -1])[:, None]
        if clustered:  # a model is good or bad at a whole cluster
            ease = ease + rng.normal(0, 1, (8, 20)).repeat(4, 1)
        p = adjusted(board(rng.random((8, 80)) < 1 / (1 + np.exp(-ease)), label), seed=i)
        false += bool((p[:5, :5] <= 0.05).any())
    assert false <= ALLOWED


def test_clusters_that_are_not_named_are_found_too_often() -> None:
    """So that the test above can fail: the same world with questions as independent."""
    rng, false = np.random.default_rng(1), 0
    for i in range(100):
        ease = rng.normal(0, 1.5, 80) + rng.normal(0, 2, (8, 8)).repeat(10, 1)
        false += bool((adjusted(board(rng.random((8, 80)) < 1 / (1 + np.exp(-ease))), seed=i) <= 0.05).any())
    assert false > binom.isf(1e-6, 100, 0.05)


def test_reliability_and_shares() -> None:
    right = (np.random.default_rng(0).random((30, 50)) < np.linspace(0.2, 0.8, 30)[:, None]).astype(float)
    p, total = right.mean(0), right.sum(1)
    kr20 = 50 / 49 * (1 - (p * (1 - p)).sum() / total.var())
    assert splits.reliability(board(right)) == pytest.approx(kr20)
    share = splits.shares(board(right))
    assert share.sum() == pytest.approx(1)
    assert share[3] == pytest.approx(np.cov(right[:, 3], total)[0, 1] / total.var(ddof=1))


def test_what_an_audit_says() -> None:
    rng = np.random.default_rng(0)
    right = (rng.random((6, 200)) < np.array([0.9, 0.88, 0.5, 0.5, 0.2, 0.2])[:, None]).astype(float)
    right[5] = right[4]
    right[:, 7] = 1
    found = ll.audit(ll.Responses.build(right, rows=list("abcdef")), draws=400)
    assert sorted(found.rows[:2]) == ["a", "b"]
    assert found.tied.tolist() == [False, True, False, False, False, False]
    assert (found.best[2], found.worst[2]) == (3, 4)
    assert found.tier.tolist() == [1, 1, 2, 2, 3, 3]
    assert found.constant[7]
    assert ("e", "f") in found.copies
    assert found.splits.correlation > 0.5
    assert found.needed(0.01) == pytest.approx(4 * (found.needed(0.02) or 0), rel=0.01)
    assert found.to_dict()["neighbours"]["pairs"] == 5


@pytest.mark.skipif(not VERIFIED.exists(), reason="the shared data is not there (LLEVAL_SHARED)")
def test_swebench_verified_has_eight_first_systems() -> None:
    """By paired tests of each against the first; 18 others tie where all pairs are judged at once."""
    data = np.load(VERIFIED)
    found = ll.audit(ll.Responses.build(data["responses"], rows=data["models"]), draws=400)
    assert (found.tied_alone.sum(), found.neighbours_alone.sum()) == (7, 4)
    assert found.constant.sum() == 32
    assert (found.neighbours <= found.neighbours_alone).all()
    assert found.tied.sum() >= 7
    assert found.neighbours.sum() == 0


@pytest.mark.parametrize(
    ("scores", "words", "message"),
    [
        ([[1, 0, 1]], {}, "there are answers of 1"),
        ([[1, 0, np.nan], [np.nan, np.nan, 1]], {}, "share no question with another, such as 'row-1'"),
        ([[1, 0, 1], [1, 1, 1]], {"cluster": {"item-0": "a", "item-1": "b", "item-2": "c"}}, "a cluster of its own"),
        ([[1, 0, 1], [1, 1, 1]], {"cluster": "group"}, "which is then one cluster"),
        ([[1, 0, 1], [1, 1, 1]], {"draws": 10}, "10 draws are too few"),
        ([[1, 0, 1], [1, 1, 1]], {"level": 95}, "level is 95"),
    ],
)
def test_bad_input_is_one_line(scores, words, message) -> None:
    with pytest.raises(ll.BadInput, match=message):
        ll.audit(ll.Responses.build(np.array(scores, float)), **words)
