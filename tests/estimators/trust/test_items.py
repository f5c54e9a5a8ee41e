"""Item diagnostics: planted faults are found, sound items are left alone at the stated rate, closed forms hold."""

import numpy as np
import pytest
from scipy import optimize, special, stats

from lleval_jax.data import simulate
from lleval_jax.errors import BadInput
from lleval_jax.estimators import irt
from lleval_jax.estimators.trust import dependence, items, keys, residuals
from lleval_jax.values import Responses

FALSE_ALARM = 1e-5  # of this file


@pytest.fixture(scope="module")
def sound(fitted):
    """120 items of which nothing is wrong, answered by 400 models, a tenth of the cells missing."""
    responses, truth = simulate(400, 120, seed=1, missing=0.1)
    return responses, fitted("trust", lambda: irt.fit(responses)), truth


@pytest.fixture(scope="module")
def faulty():
    """Planted: wrong keys, one item nobody answered, one all right, a copy, a family that was taught two items."""
    responses, _ = simulate(400, 120, seed=2)
    scores, seen = np.array(responses.scores), np.array(responses.seen)
    scores[:, [3, 50]] = 1 - scores[:, [3, 50]]
    seen[:, 7], scores[:, 8], scores[:, 20] = False, 1, scores[:, 21]
    rng = np.random.default_rng(0)
    scores[:100, 30:32] = np.maximum(scores[:100, 30:32], rng.random((100, 2)) < 0.6)
    family = {row: "taught" if i < 100 else f"f{i % 3}" for i, row in enumerate(responses.rows)}
    responses = Responses.build(scores, seen=seen)
    return responses, irt.fit(responses, standard_errors=False), family


def test_sound_items_are_left_alone(sound) -> None:
    responses, fit, _ = sound
    found = items.examine(fit, responses=responses, family={row: f"f{i % 4}" for i, row in enumerate(responses.rows)})
    assert sum(map(bool, found.items.flags)) <= 3
    most = stats.binom.isf(FALSE_ALARM / 4, 120, 0.05)
    assert (found.items.misfit < 0.05).sum() <= most
    assert (found.items.family < 0.05).sum() <= most
    assert stats.kstest(found.items.misfit, "uniform").pvalue > FALSE_ALARM / 4
    assert abs(found.reliability[0] - found.split_half) < 0.05
    assert found.dependence.beyond == 0
    assert found.dependence.spread == pytest.approx(found.dependence.chance, rel=0.1)


def test_planted_faults_are_named(faulty) -> None:
    responses, fit, family = faulty
    found = items.examine(fit, responses=responses, family=family)
    flags = dict(zip(found.items.items, found.items.flags, strict=True))
    for i in (3, 50):
        assert flags[f"item-{i}"][:2] == ("key likely wrong", "negative slope")
    assert flags["item-7"] == ("never answered",)
    assert flags["item-8"] == ("all right",)
    assert all("depends on another item" in flags[f"item-{i}"] for i in (20, 21))
    assert set(found.dependence.pairs[0][:2]) == {"item-20", "item-21"}
    assert all("differs between families" in flags[f"item-{i}"] for i in (30, 31))
    assert found.items.family_name[30] == "taught"
    assert found.items.shift[30] > 1
    assert found.items.count()["key likely wrong"] == 2
    assert [found.items.items[i] for i in found.items.flagged[:2]] in (["item-3", "item-50"], ["item-50", "item-3"])


@pytest.mark.slow
def test_a_curve_of_another_shape_does_not_fit() -> None:
    """One answer in three is a guess on ten items: a floor that the 2PL does not have."""
    responses, truth = simulate(1500, 60, seed=3)
    scores, rng = np.array(responses.scores), np.random.default_rng(0)
    hard = np.argsort(truth.intercept)[:10]
    scores[:, hard] = np.maximum(scores[:, hard], rng.random((1500, 10)) < 0.35)
    fit = irt.fit(Responses.build(scores), standard_errors=False)
    found = items.examine(fit, responses=Responses.build(scores)).items
    assert set(np.flatnonzero(found.misfit < 0.05 / 60)) <= set(hard)
    assert (found.misfit[hard] < 0.05).sum() >= stats.binom.isf(FALSE_ALARM, 10, 0.05)


def test_leaving_an_answer_out_is_what_quadrature_says(sound) -> None:
    """P(x_i | the other answers) against a fine grid over ability, items known."""
    responses, fit, _ = sound
    p = fit.params
    theta = np.linspace(-6, 6, 2001)
    prob = special.expit(theta[:, None] * p.slope[:, 0] + p.intercept)
    found = residuals.chunk(fit, residuals.aligned(fit, responses), np.arange(120))
    for row in (0, 17, 203):
        seen, x = responses.seen[row], responses.scores[row]
        each = np.where(seen, x * np.log(prob) + (1 - x) * np.log1p(-prob), 0)
        total = each.sum(1) - theta**2 / 2
        rest = np.exp((total[:, None] - each) - (total[:, None] - each).max(0))
        want = (rest * prob).sum(0) / rest.sum(0)
        np.testing.assert_allclose(found.expected[row], want, atol=0.01)  # normal posterior and MacKay's formula


def test_the_shape_test_is_the_score_test_of_a_regression() -> None:
    """Against the textbook: S' I^-1 S of the full model at the maximum of the straight one."""
    rng = np.random.default_rng(4)
    m = rng.standard_normal(800)
    x = (rng.random(800) < special.expit(0.7 * m + 0.3 - 0.25 * m**2)).astype(float)
    m = (m - m.mean()) / m.std()
    line = optimize.minimize(lambda b: np.logaddexp(0, b[0] + b[1] * m).sum() - (x * (b[0] + b[1] * m)).sum(), [0, 0]).x
    p = special.expit(line[0] + line[1] * m)
    u = 2 * stats.norm.cdf(m) - 1
    design = np.stack([np.ones(800), m, (3 * u**2 - 1) / 2, (5 * u**3 - 3 * u) / 2], 1)
    score, info = design.T @ (x - p), design.T @ (design * (p * (1 - p))[:, None])
    one = [a[:, None] for a in (x, np.ones(800), m, m, p, p)]
    found, _ = items.shape(residuals.Chunk(np.zeros(1, int), *one))
    assert found[0] == pytest.approx(score @ np.linalg.solve(info, score), rel=1e-3)


def test_a_shift_between_families_is_measured(sound) -> None:
    rng = np.random.default_rng(5)
    m = rng.standard_normal((4000, 1))
    member = (np.arange(4000) < 1000)[:, None]
    p = special.expit(m)
    x = (rng.random((4000, 1)) < special.expit(m + 0.3 * member)).astype(float)
    both = np.concatenate([member, ~member], 1).astype(float)
    z, shift = items.between(residuals.Chunk(np.zeros(1, int), x, np.ones_like(x), m, m, p, p), both)
    assert shift[0, 0] == pytest.approx(0.3, abs=4.5 / np.sqrt(4000 * 0.2 * 0.25 * 0.75))
    assert z[0, 0] == pytest.approx(-z[0, 1], rel=1e-4)  # two families: one contrast


def test_discoveries_are_benjamini_and_hochbergs() -> None:
    p = np.random.default_rng(6).random(200) ** 3
    np.testing.assert_array_equal(items.discoveries(p, 0.05), stats.false_discovery_control(p) <= 0.05)


@pytest.mark.parametrize("rows", [25, 400])
def test_flipped_keys_are_found_and_others_left(rows: int) -> None:
    """Answers drawn from the mixture: nearly all flips are named where there are many models, few others ever."""
    rng = np.random.default_rng(rows)
    hits = total = 0
    for _ in range(5):
        truth = np.stack([1.5 + 0.4 * rng.standard_normal(300), 0.5 + rng.standard_normal(300)], 1)
        bad = rng.random(300) < 0.03
        slope, intercept = np.where(bad[:, None], -truth, truth).T
        t = np.broadcast_to(rng.standard_normal((rows, 1)), (rows, 300))
        x = (rng.random((rows, 300)) < special.expit(slope * t + intercept)).astype(float)
        found = keys.flipped(*keys.tally(residuals.Chunk(np.arange(300), x, np.ones_like(x), t, t, x, x)))
        assert (found[~bad] > 0.5).mean() < 0.02
        hits, total = hits + (found[bad] > 0.5).sum(), total + bad.sum()
    assert hits / total > (0.4 if rows < 100 else 0.9)


def test_regression_is_the_penalised_maximum() -> None:
    rng = np.random.default_rng(7)
    t = rng.standard_normal((60, 1))
    x = (rng.random((60, 1)) < special.expit(t)).astype(float)
    one = residuals.Chunk(np.zeros(1, int), x, np.ones_like(x), t, t, x, x)

    def loss(b):
        z = b[0] * t + b[1]
        return (np.logaddexp(0, z) - x * z).sum() + 0.5 * keys.WEAK * (b**2).sum()

    np.testing.assert_allclose(keys.regress(one).mean[0], optimize.minimize(loss, np.zeros(2)).x, atol=1e-4)


def test_q3_is_the_correlation_of_residuals(sound) -> None:
    responses, fit, _ = sound
    here = residuals.aligned(fit, responses)
    part = residuals.chunk(fit, here, np.arange(120))
    seen = part.weight > 0
    gap = np.where(seen, part.scores - part.fitted, np.nan)
    gap = gap - np.nanmean(gap, 0)
    both = seen[:, 0] & seen[:, 1]
    a, b = gap[both, 0], gap[both, 1]
    want = (a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum())
    found = dependence.measure(fit, here)
    i = np.clip(np.searchsorted(found.edges, want, side="right") - 1, 0, 99)
    assert found.histogram[i] > 0
    assert found.compared == found.histogram.sum() == 120 * 119 // 2


def test_families_by_name() -> None:
    names = ["meta-llama/Llama-2-7b", "Qwen2-VL", "qwen1.5_72b"]
    assert list(items.families(names).values()) == ["meta-llama", "qwen2", "qwen1.5"]


def test_other_answers_are_refused(sound) -> None:
    _, fit, _ = sound
    with pytest.raises(BadInput, match="280 models of the fit have no answers here"):
        items.examine(fit, responses=simulate(120, 120, seed=1)[0])


@pytest.mark.slow
def test_two_abilities_are_examined_too() -> None:
    responses, _ = simulate(500, 60, seed=8, dims=2)
    scores = np.array(responses.scores)
    scores[:, 5] = 1 - scores[:, 5]
    responses = Responses.build(scores)
    found = items.examine(irt.fit(responses, dims=2, standard_errors=False), responses=responses)
    assert [i for i, f in enumerate(found.items.flags) if "key likely wrong" in f] == [5]
    assert found.reliability.shape == (2,)
