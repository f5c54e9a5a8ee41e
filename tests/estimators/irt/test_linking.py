"""Two banks on one scale: exact recovery, closed forms, brute force, coverage, and one fit of all answers."""

import dataclasses

import numpy as np
import pytest
from scipy import optimize, special, stats

from lleval_jax.data import simulate
from lleval_jax.errors import BadInput
from lleval_jax.estimators import irt
from lleval_jax.estimators.irt import ability, linking
from lleval_jax.values import ItemBank, Responses

FALSE_ALARM = 1e-5  # of this file
NAMES = tuple(f"m{i}" for i in range(30))
COMMON_ITEMS = ("stocking-lord", "haebara", "mean-sigma", "mean-mean")


def bank(slope, intercept, *, error: float = 0.0, name: str = "old", items=None) -> ItemBank:
    n = len(slope)
    return ItemBank(
        name=name,
        version="1",
        items=tuple(items or (f"i{k}" for k in range(n))),
        slope=np.asarray(slope)[:, None],
        intercept=np.asarray(intercept),
        floor=np.zeros(n),
        ceiling=np.ones(n),
        weight=np.full(n, 1 / n),
        group=np.zeros(n, int),
        groups=("all",),
        covariance=np.broadcast_to(error**2 * np.eye(2), (n, 2, 2)).copy(),
        prior_mean=np.zeros(1),
        prior_cov=np.eye(1),
    )


def items(seed: int, n: int = 40):
    rng = np.random.default_rng(seed)
    return np.exp(0.3 * rng.standard_normal(n)), rng.standard_normal(n)


@pytest.mark.parametrize("by", COMMON_ITEMS)
def test_a_bank_moved_is_moved_back(by: str) -> None:
    old = bank(*items(0), error=0.1)
    new = linking.transform(old, 1 / 1.3, -0.4 / 1.3)
    found = linking.link(old, new, by=by)
    assert found.scale == pytest.approx(1.3, abs=1e-6)
    assert found.shift == pytest.approx(0.4, abs=1e-6)
    assert found.drift == 0
    for name in ("slope", "intercept", "covariance", "prior_mean", "prior_cov"):
        np.testing.assert_allclose(getattr(found.bank, name), getattr(old, name), atol=1e-6)


def drifted(seed: int, n: int = 40, drift: float = 0.2):
    """The old bank, and the same items with errors and drift on a scale of its own."""
    rng = np.random.default_rng(seed + 1000)
    slope, intercept = items(seed, n)
    old = bank(slope + 0.05 * rng.standard_normal(n), intercept + 0.1 * rng.standard_normal(n), error=0.1)
    slope = slope * np.exp(0.1 * rng.standard_normal(n)) + 0.05 * rng.standard_normal(n)
    intercept = intercept + drift * rng.standard_normal(n) + 0.1 * rng.standard_normal(n)
    return old, linking.transform(bank(slope, intercept, error=0.1, name="new"), 1 / 1.25, 0.3 / 1.25)


def test_mean_sigma_is_the_textbooks() -> None:
    old, new = drifted(1)
    found = linking.link(old, new, by="mean-sigma")
    b = [-part.intercept / part.slope[:, 0] for part in (old, new)]
    assert found.scale == pytest.approx(b[0].std() / b[1].std())
    assert found.shift == pytest.approx(b[0].mean() - found.scale * b[1].mean())
    found = linking.link(old, new, by="mean-mean")
    assert found.scale == pytest.approx(new.slope.mean() / old.slope.mean())


@pytest.mark.parametrize(("by", "summed"), [("stocking-lord", True), ("haebara", False)])
def test_curves_are_as_near_as_brute_force_brings_them(by: str, summed: bool) -> None:
    old, new = drifted(2)
    theta = np.linspace(-4, 4, 41)
    weight = np.exp(-(theta**2) / 2)

    def loss(x):
        p = special.expit((theta[:, None] - x[1]) / x[0] * new.slope[:, 0] + new.intercept)
        gap = p - special.expit(theta[:, None] * old.slope[:, 0] + old.intercept)
        return (weight * (gap.sum(1) ** 2 if summed else (gap**2).sum(1))).sum()

    want = optimize.minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14}).x
    np.testing.assert_allclose(linking.link(old, new, by=by).estimate.value, want, atol=1e-6)


def test_the_step_without_an_item_is_a_fit_without_it() -> None:
    old, new = drifted(3)
    nodes = linking._nodes(old)
    names = old.items[1:]
    for by, fit in linking.CURVES.items():
        _, left = fit(linking._part(old, old.items), linking._part(new, old.items), nodes)
        again, _ = fit(linking._part(old, names), linking._part(new, names), nodes)
        np.testing.assert_allclose(left[0], again, atol=2e-3, err_msg=by)


@pytest.mark.parametrize("by", COMMON_ITEMS)
def test_intervals_hold_where_items_drift(by: str) -> None:
    """Intervals of 90% for scale and shift, items that move three times their standard error."""
    inside = np.zeros(2)
    for seed in range(150):
        found = linking.link(*drifted(seed, 25, drift=0.3), by=by, level=0.9).estimate
        inside += (found.low <= [1.25, -0.3]) & (found.high >= [1.25, -0.3])
    low, high = stats.binom.ppf(FALSE_ALARM / 2, 150, 0.9), stats.binom.isf(FALSE_ALARM / 2, 150, 0.9)
    assert np.all((inside >= low) & (inside <= high)), inside


def test_drift_is_measured() -> None:
    found = [linking.link(*drifted(seed, 100, drift=0.3)).drift for seed in range(20)]
    assert np.mean(found) == pytest.approx(0.3, abs=0.05)


@pytest.fixture(scope="module")
def calibrated():
    """Two versions without a common item, taken by 200 models each of which 60 took both."""
    answers, _ = simulate(340, 120, seed=5)
    names = [f"m{i}" for i in range(340)]
    answers = dataclasses.replace(answers, rows=tuple(names))
    one = answers.take(range(200)).select(answers.items[:70])
    two = answers.take(range(140, 340)).select(answers.items[50:])
    banks = []
    for part, name in ((one, "old"), (two, "new")):
        fit = irt.fit(part)
        banks.append(bank(fit.params.slope[:, 0], fit.params.intercept, error=0.1, name=name, items=part.items))
    return banks, one, two


@pytest.mark.slow
def test_common_items_common_models_and_one_fit_agree(calibrated) -> None:
    (old, new), one, two = calibrated
    by_items = linking.link(old, new)
    joint = linking.link(old, new, answers_old=one, answers_new=two, by="concurrent")
    np.testing.assert_array_equal(joint.covariance, by_items.covariance)
    alone = one.items[:50], two.items[20:]
    parts = {"answers_old": one.select(alone[0]), "answers_new": two.select(alone[1])}
    split = [_only(b, names) for b, names in zip((old, new), alone, strict=True)]
    by_models = linking.link(*split, **parts)
    assert (by_items.kind, joint.kind, by_models.kind) == ("items", "items", "models")
    assert len(by_models.common) == 60
    far = stats.norm.isf(FALSE_ALARM / 8)
    for other in (joint, by_models):
        error = np.hypot(by_items.estimate.std_error, other.estimate.std_error)
        assert np.all(np.abs(by_items.estimate.value - other.estimate.value) < far * error), str(other)
    joint = linking.link(*split, **parts, by="concurrent")
    error = np.hypot(by_models.estimate.std_error, joint.estimate.std_error)
    assert np.all(np.abs(by_models.estimate.value - joint.estimate.value) < far * error), str(joint)


def _only(whole: ItemBank, names) -> ItemBank:
    at = [whole.items.index(name) for name in names]
    return bank(whole.slope[at, 0], whole.intercept[at], error=0.1, name=whole.name, items=names)


def test_common_models_link_banks_without_common_items() -> None:
    """Items as they are: what is left is the error of 30 abilities on either side."""
    answers, truth = simulate(30, 400, seed=9)
    old = bank(truth.slope[:200, 0], truth.intercept[:200], items=answers.items[:200])
    new = linking.transform(bank(truth.slope[200:, 0], truth.intercept[200:], items=answers.items[200:]), 0.8, 0.3)
    found = linking.link(old, new, answers_old=answers.select(old.items), answers_new=answers.select(new.items))
    assert found.kind == "models"
    assert len(found.common) == 30
    far = stats.t.isf(FALSE_ALARM / 4, 28)
    assert np.all(np.abs(found.estimate.value - [1 / 0.8, -0.3 / 0.8]) < far * found.estimate.std_error)
    assert found.drift < 0.2


def test_the_line_through_models_holds_its_interval() -> None:
    """Known abilities with errors on both axes and drift; the truth is in 90% of the intervals."""
    rng, inside, far = np.random.default_rng(8), np.zeros(2), 400
    for _ in range(far):
        truth = rng.standard_normal(17)
        y = 1.2 * truth + 0.5 + 0.1 * rng.standard_normal(17) + 0.05 * rng.standard_normal(17)
        x = truth + 0.1 * rng.standard_normal(17) + 0.05 * rng.standard_normal(17)
        found, left = linking._jackknife(linking._line, y, np.full(17, 0.01), x, np.full(17, 0.01))
        one = linking._linked(found, left, 0.0, NAMES[:17], "models", "", bank(*items(0)), 0.9).estimate
        inside += (one.low <= [1.2, 0.5]) & (one.high >= [1.2, 0.5])
    assert np.all(inside >= stats.binom.ppf(FALSE_ALARM, far, 0.9)), inside


def test_items_that_do_not_rise_are_not_counted_as_used() -> None:
    old, new = drifted(5)
    flat = dataclasses.replace(new, slope=np.where(np.arange(40)[:, None] < 3, 0.01, new.slope))
    found = linking.link(old, flat, by="mean-mean")
    assert found.common == old.items[3:]
    assert found.estimate.n_seen.tolist() == [37, 37]


def test_models_without_an_answer_to_a_bank_are_not_common() -> None:
    answers, truth = simulate(30, 80, seed=9)
    old = bank(truth.slope[:40, 0], truth.intercept[:40], items=answers.items[:40])
    new = bank(truth.slope[40:, 0], truth.intercept[40:], items=answers.items[40:], name="new")
    seen = np.ones(answers.scores.shape, bool)
    seen[:10, :40], seen[10:20, 40:] = False, False
    partly = Responses.build(answers.scores, seen=seen, rows=answers.rows, items=answers.items)
    assert linking.link(old, new, answers_old=partly, answers_new=partly).common == answers.rows[20:]
    with pytest.raises(BadInput, match="0 common items and 0 common models"):
        linking.link(old, new, answers_old=partly.take(range(20)), answers_new=partly.take(range(20)))


def test_models_that_do_not_differ_link_nothing() -> None:
    old, new = bank(*items(0)), bank(*items(1), items=[f"j{k}" for k in range(40)], name="new")
    alike = np.tile([0.0, 1.0], (5, 40))
    answers = Responses.build(alike, rows=NAMES[:5], items=[*old.items, *new.items])
    with pytest.raises(BadInput, match="the common models do not differ"):
        linking.link(old, new, answers_old=answers, answers_new=answers)
    flat, other = bank(np.ones(40), np.zeros(40)), bank(*items(0))
    for pair in ((flat, flat), (flat, other), (other, flat)):
        with pytest.raises(BadInput, match="the common items do not differ"):
            linking.link(*pair, by="mean-sigma")


def test_a_moved_bank_gives_the_same_model_its_moved_ability() -> None:
    answers, _ = simulate(50, 60, seed=6)
    old = bank(*items(6, 60), items=answers.items)
    there = linking.transform(old, 0.7, -0.2)
    one, two = (ability.estimate(answers, bank=b).value for b in (old, there))
    np.testing.assert_allclose(
        two, 0.7 * one - 0.2, atol=7e-3
    )  # the solver's gradient, 0.035, over an information of 5


def test_a_link_speaks() -> None:
    found = linking.link(*drifted(4))
    assert "40 common items" in str(found)
    assert found.to_dict()["common"] == 40


def test_what_cannot_be_linked_is_refused() -> None:
    old = bank(*items(0))
    other = bank(*items(1), items=[f"j{k}" for k in range(40)], name="new")
    with pytest.raises(BadInput, match="0 common items and 0 common models"):
        linking.link(old, other)
    with pytest.raises(BadInput, match="takes the answers to both"):
        linking.link(old, old, by="concurrent")
    two = {"slope": np.ones((40, 2)), "covariance": np.zeros((40, 3, 3)), "prior_mean": np.zeros(2)}
    flat = dataclasses.replace(old, prior_cov=np.eye(2), **two)
    with pytest.raises(BadInput, match="has 2 abilities"):
        linking.link(old, flat)
    with pytest.raises(BadInput, match="is not known"):
        linking.link(old, old, by="equipercentile")  # type: ignore[arg-type]
