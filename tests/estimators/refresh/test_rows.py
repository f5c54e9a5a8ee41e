"""Rows of another meaning are found, sound rows are left alone; the exchanged rows of LiveXiv's source are named."""

import numpy as np
import pytest
from scipy import special, stats

from lleval_jax.errors import BadInput
from lleval_jax.estimators.refresh import rows as row_check
from lleval_jax.values import Responses

FALSE_ALARM = 1e-5  # of this file
ROWS = 12


def panel(seed: int, items: int = 2500, order=None, drift: float = 0.05, versions: int = 2):
    """Models with four skills that drift; no item is in two versions. `order` lays the rows of version 1 anew."""
    rng = np.random.default_rng(seed)
    skill = rng.standard_normal((ROWS, 4))
    skill[1] = skill[0]  # two models that are alike: no exchange of them can be told
    out = []
    for v in range(versions):
        now = skill + drift * rng.standard_normal(skill.shape)
        load = np.concatenate([np.exp(0.3 * rng.standard_normal((items, 1))), rng.standard_normal((items, 3))], 1)
        p = special.expit(now @ load.T + rng.standard_normal(items))
        scores = (rng.random(p.shape) < p).astype(np.float32)
        scores = scores[order] if v == 1 and order is not None else scores
        out.append(
            Responses.build(scores, rows=[f"m{i}" for i in range(ROWS)], items=[f"{v}-{i}" for i in range(items)])
        )
    return out


def exchanged(*pairs):
    order = np.arange(ROWS)
    for i, j in pairs:
        order[[i, j]] = order[[j, i]]
    return order


def test_an_exchange_is_found() -> None:
    hits = 0
    for seed in range(8):
        found = row_check.check(panel(seed, order=exchanged((5, 8)))).of("exchanged")
        hits += {one.rows for one in found} >= {("m5", "m8"), ("m8", "m5")}
    assert hits >= stats.binom.ppf(FALSE_ALARM, 8, 0.9)


def test_sound_rows_are_left_alone() -> None:
    alarms = sum(len(row_check.check(panel(seed, items=600, drift=0.1))) > 0 for seed in range(20))
    assert alarms <= stats.binom.isf(FALSE_ALARM, 20, 0.05)


def test_a_whole_file_in_another_order_is_put_right() -> None:
    order = np.roll(np.arange(ROWS), 3)
    found = row_check.check(panel(3, order=order))
    fits = dict(one.rows for one in found.of("exchanged"))
    assert len(fits) >= ROWS - 2
    alike = {"m0", "m1"}
    assert all(fit == f"m{order[int(row[1:])]}" or fit in alike for row, fit in fits.items())


def test_a_stranger_fits_no_row() -> None:
    one, two = panel(4)
    scores = np.array(two.scores)
    scores[6] = panel(99)[1].scores[6] * (np.random.default_rng(0).random(2500) < 0.7)
    found = row_check.check([one, Responses.build(scores, rows=two.rows, items=two.items)])
    assert [f.rows for f in found.of("fits no row")] == [("m6",)]


def test_answers_to_common_items_tell_at_once() -> None:
    rng = np.random.default_rng(5)
    (one,) = panel(5, items=200, versions=1)
    again = np.where(rng.random(one.scores.shape) < 0.1, 1 - one.scores, one.scores)[exchanged((2, 3))]
    two = Responses.build(again, rows=one.rows, items=one.items)
    found = row_check.check([one, two])
    assert {f.rows for f in found.findings} == {("m2", "m3"), ("m3", "m2")}
    assert len(row_check.check([one, one])) == 0


def test_sound_rows_that_answer_anew_are_left_alone() -> None:
    """Weak models side with strong ones where both are mostly right; that is no exchange."""
    rng = np.random.default_rng(8)
    p = np.linspace(0.6, 0.95, ROWS)[:, None]
    one, two = (Responses.build((rng.random((ROWS, 1000)) < p).astype(np.float32)) for _ in range(2))
    assert row_check.check([one, two]).of("exchanged") == ()
    turned = Responses.build(two.scores[exchanged((2, 9))])
    found = row_check.check([one, turned]).of("exchanged")
    assert {("row-2", "row-9"), ("row-9", "row-2")} >= {one.rows for one in found} > set()


def test_rows_turned_in_a_ring_are_told_whose_they_are() -> None:
    rng = np.random.default_rng(9)
    (one,) = panel(9, items=300, versions=1)
    order = np.arange(ROWS)
    order[[4, 5, 6]] = [5, 6, 4]
    again = np.where(rng.random(one.scores.shape) < 0.1, 1 - one.scores, one.scores)[order]
    found = row_check.check([one, Responses.build(again, rows=one.rows, items=one.items)])
    assert {one.rows for one in found.findings} == {("m4", "m5"), ("m5", "m6"), ("m6", "m4")}


def test_versions_with_too_little_in_common_are_named() -> None:
    one, two, three = panel(10, items=200, versions=3)
    found = row_check.check([one.take(range(8)), two.take(range(5, 12)), three])
    (left,) = found.skipped
    assert (left.versions, left.rows, left.items) == ((0, 1), ("m5", "m6", "m7"), 0)
    assert str(found).endswith(
        "version 1: 3 models and 0 items in common (it takes 5 models, or 2 and 20 items): not compared with version 0"
    )
    assert found.to_dict()["skipped"][0]["versions"] == (0, 1)
    assert row_check.check([one, two]).skipped == ()


def test_items_that_nobody_else_was_asked_are_no_block() -> None:
    (one,) = panel(11, items=400, versions=1)
    seen = np.ones(one.scores.shape, bool)
    seen[1:, 300:] = False
    scores = np.array(one.scores)
    scores[0, 300:] = 0
    assert row_check.check([Responses.build(scores, seen=seen)]).findings == ()


def test_constant_blocks_and_copies_are_found() -> None:
    (one,) = panel(6, items=400, versions=1)
    scores = np.array(one.scores)
    scores[7, 100:160], scores[9] = 0, scores[8]
    found = row_check.check([Responses.build(scores, rows=one.rows)])
    assert [(f.kind, f.rows) for f in found.findings] == [("constant block", ("m7",)), ("same answers", ("m9", "m8"))]
    assert found.findings[0].found.startswith("version 0: 'm7' scores 0 on 6")
    group = np.where(np.arange(400) % 5 == 0, "a", "b").tolist()
    scores = np.array(one.scores)
    scores[4, ::5] = 0
    found = row_check.check([Responses.build(scores, rows=one.rows, group=group)])
    assert [(f.kind, f.rows) for f in found.findings] == [("constant block", ("m4",))]


def test_the_pattern_is_a_correlation_of_residuals() -> None:
    (one,) = panel(7, items=300, versions=1)
    want = np.corrcoef(one.scores - one.scores.mean(0))
    np.testing.assert_allclose(row_check.pattern(one) + np.eye(ROWS), want, atol=1e-6)


def test_arrangements_are_counted() -> None:
    """Derangements of 2, 3, 4, 5 things: 1, 2, 9, 44."""
    count = [
        np.exp(row_check._arrangements(9, k))
        / np.exp(special.gammaln(10) - special.gammaln(10 - k) - special.gammaln(k + 1))
        for k in (2, 3, 4, 5)
    ]
    np.testing.assert_allclose(count, [1, 2, 9, 44], rtol=0.11)


def test_a_check_speaks() -> None:
    found = row_check.check(panel(3, order=exchanged((5, 8))))
    assert "version 1: the answers of 'm5' are those of 'm8' in version 0" in str(found)
    assert found.to_dict()["findings"][0]["kind"] == "exchanged"
    assert "nothing found" in str(row_check.check(panel(0)))


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int8, np.float32])
def test_scores_of_any_kind_are_compared(kind) -> None:
    rng = np.random.default_rng(12)
    (one,) = panel(12, items=200, versions=1)
    again = np.where(rng.random(one.scores.shape) < 0.1, 1 - one.scores, one.scores)[exchanged((2, 3))]
    versions = [Responses.build(scores.astype(kind), rows=one.rows) for scores in (one.scores, again)]
    assert {f.rows for f in row_check.check(versions).findings} == {("m2", "m3"), ("m3", "m2")}


def test_what_cannot_be_checked_is_refused() -> None:
    with pytest.raises(BadInput, match="there are no versions"):
        row_check.check([])
    with pytest.raises(BadInput, match="takes 3 models"):
        row_check.check([panel(0)[0].take([0, 1])])
    with pytest.raises(BadInput, match="strictly between"):
        row_check.check(panel(0), alarm=0)


def livexiv(shared, name, *, source: bool = False, by: str = "groups") -> Responses:
    """One version; `source`: rows in the order of the authors' file, named by their place in it."""
    with np.load(shared / "data" / "livexiv" / f"{name}.npz", allow_pickle=False) as z:
        scores, rows, items, group = (z[key] for key in ("responses", "models", "items", by))
        order = np.argsort(z["source_row"]) if source else np.arange(len(rows))
    rows = [f"row-{i}" for i in range(len(rows))] if source else rows.tolist()
    return Responses.build(scores[order].astype(np.float32), rows=rows, items=items.tolist(), group=group.tolist())


@pytest.mark.slow
@pytest.mark.parametrize("names", [["vqa_v1", "vqa_v2", "vqa_v3", "vqa_v4"], ["tqa_old", "tqa_v1", "tqa_v2", "tqa_v3"]])
def test_livexiv_as_corrected_is_sound(shared, names) -> None:
    found = row_check.check([livexiv(shared, name) for name in names])
    assert found.findings == ()


def test_the_exchange_in_livexivs_source_is_found(shared) -> None:
    names = ["tqa_old", "tqa_v1", "tqa_v2", "tqa_v3"]
    found = row_check.check([livexiv(shared, name, source=True) for name in names])
    want = {(t, pair) for t in (0, 1) for pair in (("row-14", "row-15"), ("row-15", "row-14"))}
    assert {(one.versions[0], one.rows) for one in found.findings} == want


def test_the_other_order_of_livexivs_demo_file_is_found(shared) -> None:
    """Rows 2 to 12 are turned by one place and 14 and 15 are exchanged."""
    found = row_check.check([livexiv(shared, name, source=True) for name in ("vqa_v1", "vqa_v2")])
    want = {f"row-{i}": f"row-{i + 1 if i < 12 else 2}" for i in range(2, 13)} | {
        "row-14": "row-15",
        "row-15": "row-14",
    }
    assert dict(one.rows for one in found.findings) == want


@pytest.mark.parametrize("by", ["groups", "subsets"])
def test_the_zeros_in_livexivs_joined_file_are_found(shared, by) -> None:
    sound, subset = livexiv(shared, "tqa_v3", by=by), livexiv(shared, "tqa_v3", by="subsets")
    scores = np.array(sound.scores)
    scores[17:, subset.group == subset.groups.index("s2")] = 0
    names = [sound.groups[g] for g in sound.group]
    found = row_check.check([Responses.build(scores, rows=sound.rows, items=sound.items, group=names)])
    assert {one.rows for one in found.findings} == {("NewModel1",), ("NewModel2",)}
    assert {one.kind for one in found.findings} == {"constant block"}
