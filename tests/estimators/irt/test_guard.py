"""The guard: each kind of trouble is found and named, sound answers pass, the threshold is what its formula says."""

import numpy as np
import pytest
from scipy import special

from lleval_jax.data import simulate
from lleval_jax.errors import BadInput, DataWarning
from lleval_jax.estimators import irt
from lleval_jax.estimators.irt import copies, guard
from lleval_jax.values import Responses, SparseResponses


def names(found) -> set[str]:
    return {one.name for one in found.warnings}


def sparse(dense: Responses) -> SparseResponses:
    row, item = np.nonzero(dense.seen)
    parts = dense.scores[row, item], dense.weight[row, item], dense.rows, dense.items, dense.group, dense.groups
    return SparseResponses(row.astype(np.int32), item.astype(np.int32), *parts)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_sound_answers_pass(missing: float) -> None:
    responses, _ = simulate(150, 60, seed=1, missing=missing)
    found = guard.check(responses)
    assert found.ok, str(found)
    assert (found.safe, found.models, found.items, found.distinct) == ("2pl", 150, 60, 150)


def test_few_models_get_rasch() -> None:
    found = guard.check(simulate(16, 200, seed=2)[0])
    assert names(found) == {"too few models"}
    assert found.safe == "rasch"
    assert "discriminations of a 2PL model are not identifiable from 16 models" in str(found)
    assert "fit Rasch, or add models" in str(found)


def test_four_models_teach_nothing() -> None:
    found = guard.check(simulate(4, 50, seed=2)[0], model="rasch")
    assert "4 models cannot be calibrated; at least 5 are needed" in str(found)
    with pytest.raises(BadInput, match="^4 models cannot be calibrated; at least 5 are needed$"):
        guard.verdict(found)


def test_copies_are_no_models() -> None:
    scores = np.repeat(simulate(3, 200, seed=2)[0].scores, 4, axis=0)
    with pytest.raises(BadInput, match=r"^12 models \(3 distinct\) cannot be calibrated; at least 5 are needed$"):
        guard.verdict(guard.check(Responses.build(scores)))


def test_a_verdict_says_what_intervals_depend_on() -> None:
    assert guard.verdict(guard.check(simulate(150, 60, seed=1)[0])).caveats == ()
    few = guard.verdict(guard.check(simulate(29, 60, seed=1)[0], model="rasch"))
    assert few.caveats == ("only 29 models for calibration; at least 30 are advised",)
    chance = np.random.default_rng(0).integers(0, 2, (50, 2)).astype(float)
    said = "\n".join(guard.verdict(guard.check(Responses.build(chance))).caveats)
    assert "scores are no more consistent than chance" in said
    assert "2 items cannot identify 1 ability" in said


def test_copies_count_once() -> None:
    base, _ = simulate(15, 300, seed=3)
    rng = np.random.default_rng(0)
    pick = np.concatenate([np.arange(15), rng.integers(15, size=60)])
    scores = base.scores[pick]
    scores = np.where(rng.random(scores.shape) < 0.01, 1 - scores, scores)
    found = guard.check(Responses.build(scores))
    assert found.distinct == 15
    assert names(found) == {"copies", "too few models"}
    assert {name for cluster in found.clusters for name in cluster} >= {f"row-{i}" for i in range(15, 75)}


def test_strangers_are_no_copies_even_on_easy_items() -> None:
    rng = np.random.default_rng(5)  # many all but perfect rows, which share their few mistakes by chance
    scores = rng.random((400, 80)) < special.expit(3 + rng.standard_normal((400, 1)) - rng.standard_normal(80))
    assert copies.find(scores.astype(np.float32), np.ones((400, 80), bool)).distinct == 400


def test_the_additive_model_reproduces_the_margins() -> None:
    rng = np.random.default_rng(0)
    seen = rng.random((60, 40)) < 0.8
    scores = ((rng.random((60, 40)) < 0.6) & seen).astype(np.float32)
    p = copies.additive(scores, seen.astype(np.float32)) * seen
    np.testing.assert_allclose(p.sum(1), scores.sum(1), atol=0.6)  # half an answer of penalty
    np.testing.assert_allclose(p.sum(0), scores.sum(0), atol=0.6)


def apart(link: int = 0) -> Responses:
    """Two blocks of 70 models x 40 items; `link` models answer both."""
    responses, _ = simulate(140, 80, seed=4)
    seen = np.zeros((140, 80), bool)
    seen[:70, :40] = seen[70:, 40:] = True
    seen[:link] = True
    return Responses.build(responses.scores, seen=seen)


@pytest.mark.parametrize("form", [lambda x: x, sparse], ids=["dense", "sparse"])
def test_blocks_apart_are_found(form) -> None:
    found = guard.check(form(apart()))
    assert "disconnected" in names(found)
    assert "2 blocks" in str(found)
    assert "disconnected" not in names(guard.check(form(apart(link=5))))


def test_a_perfect_order_is_separable() -> None:
    rng = np.random.default_rng(6)
    scores = rng.standard_normal((100, 1)) > rng.standard_normal((1, 50))
    assert "separable models" in names(guard.check(Responses.build(scores.astype(float))))


def test_fischers_condition_against_brute_force() -> None:
    """Finite exactly if, however the items are split in two, some model is right on one side and wrong on the other."""
    rng = np.random.default_rng(7)
    checked = {True: 0, False: 0}
    for draw in range(400):
        scores = rng.random((6, 4)) < 0.5
        if draw % 2:  # upper models are right on all easy items, lower ones wrong on all hard items
            scores[:3, :2], scores[3:, 2:] = True, False
        if scores.all(0).any() or (~scores).all(0).any() or scores.all(1).any() or (~scores).all(1).any():
            continue
        subsets = [[j for j in range(4) if k >> j & 1] for k in range(1, 15)]
        split = any(
            not any(scores[r, s].any() and not scores[r, [j for j in range(4) if j not in s]].all() for r in range(6))
            for s in subsets
        )
        found = guard.check(Responses.build(scores.astype(float)))
        assert split == ("separable models" in {one.name for one in found.findings})
        checked[split] += 1
    assert min(checked.values()) >= 5


def test_constant_items_and_rows_are_counted() -> None:
    responses, _ = simulate(100, 50, seed=8)
    scores = np.array(responses.scores)
    scores[:, :10], scores[0] = 1, 1
    found = {one.name: one for one in guard.check(Responses.build(scores)).findings}
    assert found["constant items"].count == 10
    assert found["constant items"].severity == "warning"
    assert found["constant items"].names[:2] == ("item-0", "item-1")
    assert (found["constant models"].count, found["constant models"].severity) == (1, "note")


def test_models_that_do_not_differ_are_found() -> None:
    scores = (np.random.default_rng(9).random((120, 80)) < 0.5).astype(float)
    assert "nothing in common" in names(guard.check(Responses.build(scores)))


def test_reliability_is_kr20_on_complete_answers() -> None:
    scores = np.asarray(simulate(200, 30, seed=10, model="rasch")[0].scores, float)
    total, variance = scores.sum(1), scores.var(0, ddof=1).sum()
    kr = 1 - variance / total.var(ddof=1)  # KR-20 is this times n / (n - 1)
    assert guard.reliability(scores, np.ones(scores.shape, bool)) == pytest.approx(kr, abs=1e-6)


def test_the_threshold_is_what_the_formula_says() -> None:
    """Against a sum over a fine grid: slope and intercept at slope 1, easiness 0, prior N(1, 0.5) and N(0, 2)."""
    theta = np.linspace(-8, 8, 4001)
    weight = np.exp(-(theta**2) / 2) / np.exp(-(theta**2) / 2).sum()
    v = weight * special.expit(theta) * special.expit(-theta)
    info = np.array([[(v * theta**2).sum(), (v * theta).sum()], [(v * theta).sum(), v.sum()]])
    for n in (10, 24, 40, 200):
        want = 1 - np.diag(np.linalg.inv(n * info + np.diag([4, 0.25]))) / [0.25, 4]
        assert guard.teaches("2pl", 1, np.full(5, 0.5), np.full(5, n)) == pytest.approx(want.min(), abs=1e-4)
    assert guard.teaches("2pl", 1, np.full(5, 0.5), np.full(5, 24)) < 0.5
    assert guard.teaches("2pl", 1, np.full(5, 0.5), np.full(5, 40)) > 0.5


def test_more_parameters_take_more_models() -> None:
    mean = np.full(5, 0.6)
    need = [min(n for n in 2.0 ** np.arange(3, 18) if guard.teaches(m, 1, mean, np.full(5, n)) > 0.5)
            for m in guard.LADDER]  # fmt: skip
    assert need == sorted(need)
    assert guard.teaches("2pl", 3, mean, np.full(5, 50)) < guard.teaches("2pl", 1, mean, np.full(5, 50))


def test_auto_fits_what_is_safe() -> None:
    with pytest.warns(
        DataWarning, match="falls back to rasch: discriminations of a 2PL model are not identifiable from 17 models"
    ):
        fit = irt.fit(simulate(17, 80, seed=11)[0], model="auto", standard_errors=False)
    assert fit.settings["model"] == "rasch"
    assert fit.settings["asked_model"] == "auto"
    assert "too few models" in fit.settings["guard"][0]


@pytest.mark.slow
def test_auto_fits_slopes_where_it_can() -> None:
    fit = irt.fit(simulate(120, 40, seed=11)[0], model="auto", standard_errors=False)
    assert (fit.settings["model"], fit.settings["guard"]) == ("2pl", [])


def test_blocks_are_merged_and_nothing_is_refused() -> None:
    part = simulate(90, 40, seed=12)[0]
    blocks = [part.select(part.items[:20]), part.select(part.items[20:])]
    assert guard.check(blocks).ok
    with pytest.raises(BadInput, match="model '5pl' is not known"):
        guard.check(part, model="5pl")
    with pytest.raises(BadInput, match="no answers to check"):
        guard.check(Responses.build(np.full((3, 4), np.nan)))


@pytest.mark.slow
def test_false_alarms_on_sound_answers() -> None:
    """At most 5% of sound designs warn: 60 draws, and the binomial bound of one failure in 1e-5."""
    warned = sum(not guard.check(simulate(100, 60, seed=100 + s, missing=0.2)[0]).ok for s in range(60))
    assert warned <= 13
