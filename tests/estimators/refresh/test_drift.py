"""A contaminated family is flagged, honest drift is not: simulated versions, closed forms, LiveXiv as it is."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy import special, stats

from lleval_jax.errors import BadInput
from lleval_jax.estimators.refresh import drift
from lleval_jax.values import Responses
from lleval_jax.values.results import Source

FALSE_ALARM = 1e-5  # of this file
PAIR = ("a", "a", *"bcdefghijklmnop")  # 17 models, of which two are one family
SEVERAL = (*"aaabbbccdd", *"efghijk")


def suspected(versions, families, **how):
    return drift.suspects(versions, families=families, **how)


def world(seed: int, families, *, excess: float = 0.0, cheat: str = "", shared: float = 0.5, versions: int = 3):
    """Versions that shift in level and tilt; models that drift by 1.2 points, in part with their family.

    `cheat` gains `excess` points on version 0. Each version has 8000 answers a model, as 8 items of 1000 repeats.
    """
    rng = np.random.default_rng(seed)
    family, kinds = np.array(families), sorted(set(families))
    theta, out = rng.normal(0, 0.7, len(family)), []
    for v in range(versions):
        common = dict(zip(kinds, rng.standard_normal(len(kinds)), strict=True))
        noise = np.sqrt(shared) * np.array([common[f] for f in family])
        noise += np.sqrt(1 - shared) * rng.standard_normal(len(family))
        p = special.expit(rng.normal(0, 0.2) + (1 + 0.05 * rng.standard_normal()) * theta + 0.012 / 0.225 * noise)
        p = np.clip(p + excess / 100 * ((family == cheat) & (v == 0)), 0.01, 0.99)
        scores = rng.binomial(1000, np.repeat(p[:, None], 8, 1)) / np.float32(1000)
        out.append(
            Responses.build(
                scores.astype(np.float32),
                weight=np.full(scores.shape, 1000, np.float32),
                rows=[f"m{i}" for i in range(len(family))],
                items=[f"{v}-{i}" for i in range(8)],
                group=["old" if i < 4 else "new" for i in range(8)],
            )
        )
    return out, {f"m{i}": str(f) for i, f in enumerate(families)}


@pytest.mark.parametrize("families", [PAIR, SEVERAL, tuple("abcdef")])
@pytest.mark.parametrize("versions", [2, 4])
def test_honest_drift_is_left_alone(families, versions: int) -> None:
    alarms = sum(len(suspected(*world(s, families, versions=versions)).flagged) > 0 for s in range(100))
    assert alarms <= stats.binom.isf(FALSE_ALARM, 100, 0.05)


@pytest.mark.parametrize(("excess", "on"), [(8, None), (7, [0])])
def test_a_contaminated_family_is_flagged(excess: float, on) -> None:
    """Two of 17 models gain on the first of three versions, drift of 1.2 points: power 0.8 and 5% false alarms."""
    found = [suspected(*world(s, PAIR, excess=excess, cheat="a"), on=on) for s in range(60)]
    assert sum("a" in one.flagged for one in found) >= stats.binom.ppf(FALSE_ALARM, 60, 0.8)
    assert sum(len(set(one.flagged) - {"a"}) > 0 for one in found) <= stats.binom.isf(FALSE_ALARM, 60, 0.05)
    value = np.mean([one.estimate.value[0] for one in found])
    assert (found[0].estimate.rows[0], found[0].estimate.group[0]) == ("a", "version 0")
    assert value == pytest.approx(excess / 100, abs=0.01)


def test_the_residual_is_the_textbooks() -> None:
    """Externally studentised residual of a regression, against the formula with all rows (Cook & Weisberg 2.2.10)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(12)
    y = 0.2 + 1.1 * x + 0.05 * rng.standard_normal(12)
    (value, _), (scale, _), free = drift._excess(x, y, np.arange(12), np.ones(12), np.zeros(12))
    design = np.stack([np.ones(12), x], 1)
    hat = design @ np.linalg.solve(design.T @ design, design.T)
    rest = y - hat @ y
    left = ((rest**2).sum() - rest**2 / (1 - np.diag(hat))) / (12 - 3)
    np.testing.assert_allclose(value / scale, rest / np.sqrt(left * (1 - np.diag(hat))), rtol=1e-9)
    assert free == 9


def honest(seed: int, law: str, *, spread: float = 1.8, seen=None, answers: ArrayLike = 8000) -> list[Responses]:
    """Four versions and 16 models that drift by 1.2 points (at a score of one half), all alike in `law`."""
    rng = np.random.default_rng(seed)
    level = spread * rng.normal(size=(16, 1)) + np.array([0.0, 0.4, -0.3, 0.2])
    move = 0.012 * rng.normal(size=(16, 4))
    true = np.clip(special.expit(level) + move if law == "points" else special.expit(level + 4 * move), 0.005, 0.995)
    weight = np.broadcast_to(np.asarray(answers), (16, 4))
    scores = rng.binomial(weight, true) / weight
    seen = np.ones((16, 4), bool) if seen is None else seen
    rows = [f"m{i}" for i in range(16)]
    return [
        Responses.build(
            scores[:, [v]], seen=seen[:, [v]], weight=weight[:, [v]].astype(float), rows=rows, items=[f"{v}"]
        )
        for v in range(4)
    ]


@pytest.mark.parametrize("law", ["points", "logits"])
def test_false_alarms_hold_whichever_scale_drift_is_alike_on(law: str) -> None:
    alarms = sum(len(drift.suspects(honest(s, law)).flagged) > 0 for s in range(100))
    assert alarms <= stats.binom.isf(FALSE_ALARM, 100, 0.05)


def test_a_model_with_few_answers_is_granted_their_error() -> None:
    answers = np.full((16, 4), 8000)
    answers[3, 0] = 100
    alarms = sum("m3" in drift.suspects(honest(s, "logits", answers=answers)).flagged for s in range(60))
    assert alarms <= stats.binom.isf(FALSE_ALARM, 60, 0.05)


def test_models_may_be_seen_on_other_versions_each() -> None:
    """The odd ones on the second version, the even ones on the third, which is harder: none of that is a gain."""
    seen = np.ones((16, 4), bool)
    seen[::2, 1], seen[1::2, 2] = False, False
    found = [drift.suspects(honest(s, "logits", spread=0.5, seen=seen)[:3], on=[0]) for s in range(60)]
    assert sum(len(one.flagged) > 0 for one in found) <= stats.binom.isf(FALSE_ALARM, 60, 0.05)
    error = np.mean([np.asarray(one.estimate.std_error).mean() for one in found])
    assert error == pytest.approx(0.012 * np.sqrt(2), rel=0.3)


@pytest.mark.parametrize("side", ["higher", "both"])
def test_intervals_say_what_p_values_say(side) -> None:
    """Before Holm's step: an interval leaves out zero where p is at most the alarm's share."""
    found = [suspected(*world(s, PAIR, excess=7, cheat="a"), side=side) for s in range(10)]
    for one in found:
        clear = one.estimate.low > 0 if side == "higher" else (one.estimate.low > 0) | (one.estimate.high < 0)
        order = np.argsort(one.p_values, kind="stable")
        raw = one.p_values[order] / (len(order) - np.arange(len(order)))
        assert clear[order[0]] == (raw[0] <= one.alarm / len(order))
        assert np.all(one.p_values[clear] <= one.alarm)
        assert np.all((one.estimate.low <= one.estimate.value) & (one.estimate.value <= one.estimate.high))
    assert any((one.estimate.low > 0).any() for one in found)


def test_versions_without_any_difference_are_taken() -> None:
    """The same answers twice, and models that all score alike: nothing to tell, nothing to divide by."""
    (version, *_), family = world(4, PAIR)
    again = Responses.build(version.scores, weight=version.weight, rows=version.rows)
    alike = Responses.build(np.tile([0.0, 1.0], (17, 4)), rows=version.rows)
    for versions in ([version, again], [alike, alike], [alike, version]):
        found = drift.suspects(versions, families=family)
        assert np.isfinite(found.p_values).all()
        assert found.flagged == ()


def test_families_in_the_order_of_rows_may_lack_answers() -> None:
    """A model without an answer to the first version keeps its place among the families."""
    versions, family = world(5, PAIR, excess=12, cheat="a")
    seen = np.ones(versions[0].scores.shape, bool)
    seen[5] = False
    first = Responses.build(versions[0].scores, seen=seen, weight=versions[0].weight, rows=versions[0].rows)
    in_order = drift.suspects([first, *versions[1:]], families=[family[row] for row in first.rows])
    by_name = drift.suspects([first, *versions[1:]], families=family)
    np.testing.assert_array_equal(in_order.p_values, by_name.p_values)


def test_p_values_are_holms() -> None:
    np.testing.assert_allclose(drift._holm(np.array([0.04, 0.01, 0.03])), [0.06, 0.03, 0.06])


def test_losses_are_looked_for_when_asked() -> None:
    versions, family = world(1, PAIR, excess=-12, cheat="a", versions=3)
    both = drift.suspects(versions, families=family, side="both")
    assert both.flagged[0] == "a"
    assert both.estimate.level == pytest.approx(0.95)
    assert str(both).startswith("gain or lose more than expected (family-wise error 5%): a")
    one = drift.suspects(versions, families=family)
    assert str(one).startswith("gain more than expected")
    assert ("a", "version 0") not in {
        (r, g) for r, g, p in zip(one.estimate.rows, one.estimate.group, one.p_values, strict=True) if p < 0.05
    }


def test_domains_and_new_models_are_taken() -> None:
    versions, family = world(2, PAIR, excess=12, cheat="a")
    versions[0] = versions[0].take(range(16))
    found = drift.suspects(versions, families=family, by="domain", names=["v1", "v2", "v3"])
    assert "a" in found.flagged
    assert set(found.estimate.group) == {f"v{i}/{g}" for i in (1, 2, 3) for g in ("old", "new")}
    assert "gain more than expected (family-wise error 5%)" in str(found)
    assert "gain more than expected (family-wise error 0.5%)" in str(
        drift.suspects(versions, families=family, alarm=0.005)
    )
    assert found.to_dict()["flagged"] == list(found.flagged)


def test_all_versions_are_its_source() -> None:
    versions, family = world(2, PAIR)
    versions = [dataclasses.replace(v, source=Source(files={f"{t}.csv": f"{t}"})) for t, v in enumerate(versions)]
    assert list(drift.suspects(versions, families=family, on=[2]).estimate.source.files) == ["0.csv", "1.csv", "2.csv"]


def test_the_order_of_models_does_not_matter() -> None:
    versions, family = world(3, PAIR)
    turned = [v.take(np.random.default_rng(t).permutation(17)) for t, v in enumerate(versions)]
    one, two = drift.suspects(versions, families=family), drift.suspects(turned, families=family)
    np.testing.assert_allclose(one.estimate.value, two.estimate.value, atol=1e-9)
    np.testing.assert_allclose(one.p_values, two.p_values, rtol=1e-6)


def test_what_cannot_be_told_is_refused() -> None:
    versions, family = world(0, PAIR)
    with pytest.raises(BadInput, match="a change needs two"):
        drift.suspects(versions[:1])
    with pytest.raises(BadInput, match="versions are 0 to 2"):
        drift.suspects(versions, on=[3])
    with pytest.raises(BadInput, match="looked at once"):
        drift.suspects(versions, on=[0, 0])
    with pytest.raises(BadInput, match="names of their own; these are a, a, b"):
        drift.suspects(versions, names=["a", "a", "b"])
    with pytest.raises(BadInput, match="side 'lower' is not known"):
        drift.suspects(versions, side="lower")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="by 'domains' is not known"):
        drift.suspects(versions, by="domains")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="models have no family"):
        drift.suspects(versions, families={"m0": "a"})
    with pytest.raises(BadInput, match="takes 5 to tell drift"):
        drift.suspects([v.take(range(4)) for v in versions])


def test_the_unsteady_model_of_livexiv_is_named(shared) -> None:
    """One of Qwen2-VL and GPT-4o moves by up to 14 points between versions; all others keep within what drift does."""
    versions = []
    for name in ("vqa_v1", "vqa_v2", "vqa_v3", "vqa_v4"):
        with np.load(shared / "data" / "livexiv" / f"{name}.npz", allow_pickle=False) as z:
            versions.append(Responses.build(z["responses"], rows=z["models"].tolist(), items=z["items"].tolist()))
    found = drift.suspects(versions)
    assert found.flagged == ("Qwen2-VL_or_GPT-4o_B",)
    assert found.estimate.group[int(found.p_values.argmin())] == "version 3"
