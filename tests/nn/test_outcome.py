"""What alignment has done: shares, quantiles and their intervals, against counts and against simulated truths."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from lleval_jax.training.losses import Sides
from lleval_jax.training.outcome import MEASURES, outcome

FALSE_ALARM = 1e-6


def sides(n: int, m: int, shift: float, seed: int) -> tuple[Sides, Sides]:
    rng = np.random.default_rng(seed)
    reference = Sides(*(jnp.asarray(rng.normal(-80, 9, k)) for k in (n, m)))
    moved = Sides(*(r + rng.normal(s, 1, len(r)) for r, s in zip(reference, (shift, 0.0), strict=True)))
    return moved, reference


@pytest.mark.parametrize("paired", [True, False])
def test_measures_are_as_counted(paired: bool) -> None:
    policy, reference = sides(40, 40 if paired else 25, 0.4, 0)
    found = outcome(policy, reference, paired=paired, draws=50)
    u, v = (np.asarray(p - r) for p, r in zip(policy, reference, strict=True))
    won = np.mean(u > v) if paired else stats.mannwhitneyu(u, v).statistic / (len(u) * len(v))
    np.testing.assert_allclose(found.value[0], won, rtol=1e-5)
    np.testing.assert_allclose(found.value[3], u.mean() - v.mean(), atol=1e-4)
    np.testing.assert_allclose(found.value[4], np.r_[u, v].mean(), atol=1e-4)
    assert found.group == MEASURES
    if paired:
        np.testing.assert_allclose(found.value[1], np.mean(np.sort(u) < np.sort(v)), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("paired", [True, False])
def test_intervals_contain_the_truth_as_often_as_they_say(paired: bool) -> None:
    """Rewards N(.4, 1) and N(0, 1): P(won) = Phi(.4 / sqrt 2), margin .4. Of 60 answers percentiles may cover 92%."""
    truth, worlds, inside = [stats.norm.cdf(0.4 / np.sqrt(2)), 0.4], 200, np.zeros(2)
    for seed in range(worlds):
        found = outcome(*sides(60, 60 if paired else 45, 0.4, seed), paired=paired, draws=300, seed=seed)
        inside += [found.low[i] <= t <= found.high[i] for i, t in zip((0, 3), truth, strict=True)]
    assert (inside >= stats.binom.ppf(FALSE_ALARM, worlds, 0.92)).all()
