"""`ll.plain.gate`: Tango's test, its rates, repeats and clusters."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import ndtri
from scipy.stats import binom

import lleval_jax as ll
from lleval_jax.estimators.plain import margin as margins

PAIRS, QUESTIONS, MARGIN = 4000, 400, 0.03
# The score test is approximate: the bar is a rate of .06. A larger share of false verdicts than this among 4,000 pairs
# would have chance 1e-6 were the rate .06.
ALLOWED = binom.isf(1e-6, PAIRS, 0.06) / PAIRS


def drawn(rng: np.random.Generator, gap: float, apart: float, pairs: int, questions: int) -> np.ndarray:
    """Differences of right or wrong answers, `apart` of which are not 0."""
    return rng.choice([1.0, -1.0, 0.0], (pairs, questions), p=[(apart + gap) / 2, (apart - gap) / 2, 1 - apart])


def test_z_is_the_score_test() -> None:
    """The chance under the hypothesis by maximising the likelihood, not by its closed form."""
    won, lost, n, shift = 12, 25, 300, -0.02

    def minus(q: float) -> float:
        return -(won * np.log(q + shift) + lost * np.log(q) + (n - won - lost) * np.log(1 - 2 * q - shift))

    q = minimize_scalar(
        minus, bounds=(-shift + 1e-9, (1 - shift) / 2 - 1e-9), method="bounded", options={"xatol": 1e-12}
    ).x
    want = (won - lost - n * shift) / np.sqrt(n * (2 * q + shift - shift**2))
    d = np.repeat([1.0, -1.0, 0.0], [won, lost, n - won - lost])[None]
    found = margins.counts(d, None, -shift)
    assert margins.z(found, shift)[0] == pytest.approx(want, abs=1e-6)
    low, high = margins.bounds(found, 0.95)
    assert margins.z(found, low)[0] == pytest.approx(ndtri(0.95), abs=1e-6)
    assert margins.z(found, high)[0] == pytest.approx(-ndtri(0.95), abs=1e-6)


@pytest.mark.parametrize("kind", ["independent", "repeats", "clusters"])
def test_false_verdicts_keep_their_rate_at_the_margin(kind: str) -> None:
    rng, label = np.random.default_rng(5), None
    d = drawn(rng, -MARGIN, 0.2, PAIRS, QUESTIONS)
    if kind == "repeats":
        d = np.mean([drawn(rng, -MARGIN, 0.2, PAIRS, QUESTIONS) for _ in range(4)], 0)
    if kind == "clusters":  # ten questions of a cluster: half of them go together
        label = np.arange(QUESTIONS) // 10
        together = drawn(rng, -MARGIN, 0.2, PAIRS, QUESTIONS // 10)[:, label]
        d = np.where(rng.random(d.shape) < 0.5, together, d)
    low, high = margins.bounds(margins.counts(d, label, MARGIN), 0.95)
    assert np.mean(low > -MARGIN) < ALLOWED
    assert np.mean(high < -MARGIN) < ALLOWED
    if kind == "clusters":  # without them there are too many: the test can fail
        low, high = margins.bounds(margins.counts(d, None, MARGIN), 0.95)
        assert np.mean(low > -MARGIN) > ALLOWED


def test_so_many_more_give_a_verdict() -> None:
    """In about 80 of 100 cases; 2,000 pairs, so the share is known to .02 (two standard errors)."""
    rng, gap, few = np.random.default_rng(2), 0.0, 300
    d = np.repeat([1.0, -1.0, 0.0], [30, 30, 240])[None]
    total = int(margins.needed(margins.counts(d, None, MARGIN), -MARGIN, 0.95)[0])
    low, _ = margins.bounds(margins.counts(drawn(rng, gap, 0.2, 2000, total), None, MARGIN), 0.95)
    assert total > few
    assert 0.75 < np.mean(low > -MARGIN) < 0.85


def test_repeats_are_the_noise_on_these_questions() -> None:
    scores = np.tile([0.5, 0.75, 1.0, 0.25], 25)[None].repeat(2, 0)
    scores[0, ::2] -= 0.25
    weight = np.full(scores.shape, 4.0)
    answers = ll.Responses.build(scores, weight=weight, rows=["new", "old"])
    these = ll.plain.gate(answers, new="new", baseline="old", margin=0.1, population="all")
    assert (these.verdict, these.unit, these.repeats) == ("inconclusive", "repeats of each question", (4.0, 4.0))
    assert these.low < these.difference < these.high
    assert these.more is not None
