"""LiveXiv's re-evaluation as published: its search, its choice, its estimates, its masks, its figures, bad input."""

import dataclasses
import functools
import json

import jax
import numpy as np
import pytest
from scipy import special, stats

import lleval_jax as ll
from bench.refresh import coverage_published
from bench.refresh.coverage_published import world
from lleval_jax.estimators import contract
from lleval_jax.estimators.refresh import published
from lleval_jax.estimators.refresh.published_kernel import Answers, PlateauAdam, Search, start

FALSE_ALARM = 1e-6  # of the statistical test


@functools.cache
def whole() -> list[ll.Responses]:
    return world()[0]


@functools.cache
def fitted() -> ll.FitResult:
    """All six models on the first version, models 0, 2 and 5 on the second."""
    return published.fit([whole()[0], whole()[1].take([0, 2, 5])])


def searched(scores, seen, beta, theta, epochs=10_000) -> tuple[np.ndarray, np.ndarray, int]:
    """The published search, in plain numpy and float64: difficulties, abilities, epochs."""
    x = np.concatenate([beta, theta]).astype(float)
    mean, square, rate = np.zeros_like(x), np.zeros_like(x), 0.01
    lowest = least = np.inf
    flat = idle = 0
    for epoch in range(1, epochs + 1):
        beta, theta = x[: len(beta)], x[len(beta) :]
        p = special.expit(theta[:, None] - beta)
        terms = scores * np.log(p + 1e-5) + (1 - scores) * np.log(1 - p + 1e-5)
        loss = -terms[seen].mean()
        pull = p * (1 - p) * (scores / (p + 1e-5) - (1 - scores) / (1 - p + 1e-5))
        pull = np.where(seen, pull, 0) / seen.sum()
        gradient = np.concatenate([pull.sum(0), -pull.sum(1)])
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        x = x - rate * mean / (1 - 0.9**epoch) / (np.sqrt(square / (1 - 0.999**epoch)) + 1e-8)
        if loss < lowest * (1 - 1e-4):
            lowest, flat = loss, 0
        else:
            flat += 1
        if flat > 10:
            rate, flat = rate * 0.1, 0
        if loss < least - 1e-5:
            least, idle = loss, 0
        else:
            idle += 1
            if idle >= 50:
                break
    return x[: len(beta)], x[len(beta) :], epoch


def laid_out(p, key=0) -> Answers:
    """The answers of a fit, and a start by a key."""
    return published._lay_out(p.scores, p.seen, [40, 30], jax.random.key(key))


def search(data, epochs, dtype) -> tuple[np.ndarray, np.ndarray, int]:
    """The search of `fit` in another type: difficulties, abilities, epochs."""
    data = jax.tree.map(lambda x: x.astype(dtype) if x.dtype == np.float32 else x, data)
    end = contract.solve(Search(epochs), data, jax.random.key(0))
    return np.asarray(end.beta), np.asarray(end.theta), int(end.steps)


@pytest.mark.parametrize("epochs", [1, 7, 300, 10_000])
def test_the_search_is_the_published_one(epochs):
    """The same iterates and the same last epoch; in float32 as far as rounding does not move a fall of the rate."""
    p, data = fitted().params, laid_out(fitted().params)
    beta, theta, last = searched(p.scores, p.seen, np.asarray(data.start.beta), np.asarray(data.start.theta), epochs)
    found = search(data, epochs, "float64")
    assert found[2] == last
    np.testing.assert_allclose(found[0], beta, atol=1e-9)
    np.testing.assert_allclose(found[1], theta, atol=1e-9)
    if epochs <= 300:
        found = search(data, epochs, "float32")
        assert found[0].dtype == found[1].dtype == np.float32
        np.testing.assert_allclose(found[0], beta, atol=2e-4)
        np.testing.assert_allclose(found[1], theta, atol=2e-4)
    else:
        assert 300 < last < 5000


def test_the_rate_falls_where_the_loss_stays():
    """A loss that never moves: ten times less after 11 flat epochs each, until less than 1e-8 would change."""
    solver = PlateauAdam()
    now = solver.init(jax.numpy.sum, start(3, 2, jax.random.key(0)))
    rates, left = [], []
    step = jax.jit(lambda now: solver.step(lambda x: 0 * x.beta.sum() + 1, now))
    for _ in range(90):
        now = step(now)
        rates.append(float(now.memory.rate))
        left.append(int(now.error))
    expected = 0.01 * 0.1 ** np.minimum(np.arange(90) // 11, 6)
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    assert left.index(0) == 50  # the first epoch is the best one, then fifty without a better


def test_lanes_are_single_fits():
    """Two sets of answers and two starts side by side: each the fit that it is alone."""
    p, kernel, key = fitted().params, Search(300), jax.random.key(0)
    parts = [laid_out(p), laid_out(p._replace(scores=1 - p.scores), key=1)]
    lanes = contract.solve_many(
        kernel, jax.tree.map(lambda *part: jax.numpy.stack(part), *parts), jax.numpy.stack([key] * 2)
    )
    for lane, data in enumerate(parts):
        alone = contract.solve(kernel, data, key)
        for one, other in zip(jax.tree.leaves(lanes), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(one[lane], other, atol=1e-6)


def brute_force(theta, beta, k) -> set[int]:
    """The published rule, word by word."""
    chosen = set()
    for percentile in np.linspace(5, 95, k):
        centre = np.percentile(beta, percentile)
        item = min(range(len(beta)), key=lambda i: abs(beta[i] - centre))
        p = [1 / (1 + np.exp(beta[item] - t)) for t in theta]
        chosen.add(max(range(len(theta)), key=lambda m: p[m] * (1 - p[m])))
    while len(chosen) < k:
        rest = [m for m in range(len(theta)) if m not in chosen]
        chosen.add(max(rest, key=lambda m: sum(abs(theta[m] - theta[c]) for c in chosen)))
    return chosen


def made(theta, beta) -> ll.FitResult:
    """A fit with these abilities and difficulties."""
    rows, items = (tuple(f"{word}{i}" for i in range(len(part))) for word, part in (("m", theta), ("q", beta)))
    known, cells = fitted().params, np.zeros((len(rows), len(items)))
    one_each = {name: np.resize(getattr(known, name), len(items)) for name in ("version", "domain", "beta_var")}
    params = known._replace(theta=np.float32(theta), beta=np.float32(beta), scores=cells, seen=cells > 0, **one_each)
    axes = fitted().axes
    return dataclasses.replace(fitted(), params=params, axes=axes | {"models": rows, list(axes)[1]: items})


@pytest.mark.parametrize("seed", range(10))
def test_the_choice_is_the_published_one(seed):
    random = np.random.default_rng(seed)
    theta, beta = np.float32(random.normal(size=12)), np.float32(random.normal(0, 2, size=200))
    for k in (1, 3, 5, 8, 12):
        choice = published.choose(made(theta, beta), k=k)
        assert {int(name[1:]) for name in choice.rows} == brute_force(theta.astype(float), beta.astype(float), k)
        assert len(choice.rows) == len(set(choice.rows)) == len(choice.items) == len(choice.why) == k


def test_coreset_takes_models_at_percentiles_of_ability():
    theta = np.array([0.0, 3.0, 1.0, 1.01, 2.0])
    fit = made(theta, np.zeros(3))
    assert published.choose(fit, k=2, by="coreset").rows == ("m0", "m1")
    assert published.choose(fit, k=3, by="coreset").rows == ("m0", "m1", "m3")
    crowd = made([0.0, 0.01, 0.02, 5.0], np.zeros(3))
    assert published.choose(crowd, k=4, by="coreset").rows == ("m0", "m1", "m2", "m3")
    gap = made([0.0, 0.0, 0.0, 0.0, 5.0], np.zeros(3))
    assert published.choose(gap, k=3, by="coreset").rows == ("m0", "m4")  # as published: fewer than k


@pytest.mark.parametrize("by", ["fisher", "coreset"])
def test_forced_models_come_besides(by):
    random = np.random.default_rng(1)
    theta, beta = random.normal(size=8), random.normal(size=50)
    forced = published.choose(made(theta, beta), k=3, force=["m4", "m1", "m4"], by=by)
    assert forced.rows[-2:] == ("m4", "m1")
    assert forced.why[-2:] == ("forced", "forced")
    rest = [0, 2, 3, 5, 6, 7]
    without = published.choose(made(theta[rest], beta), k=3, by=by)
    assert [f"m{rest[int(name[1:])]}" for name in without.rows] == list(forced.rows[:-2])


def entries(found) -> dict[tuple[str, str], dict]:
    """Of an estimate, by row and group."""
    return {(entry["row"], entry["group"]): entry for entry in found.to_dict()["estimates"]}


def test_models_that_ran_again_have_their_scores():
    found = entries(published.estimate(fitted()))
    truth = whole()[1]
    assert [group for _, group in found][:3] == ["all", "domain-0", "domain-1"]
    for i in (0, 2, 5):
        for group, columns in {"all": slice(None), "domain-0": truth.group == 0, "domain-1": truth.group == 1}.items():
            entry = found[f"m{i}", group]
            score = truth.scores[i, columns].mean()
            np.testing.assert_allclose(entry["value"], score, atol=1e-7)
            assert entry["low"] == entry["value"] == entry["high"]
            assert entry["std_error"] == 0
            assert entry["n_seen"] == truth.scores[i, columns].size
    for i in (1, 3, 4):
        entry = found[f"m{i}", "all"]
        p = special.expit(fitted().params.theta.astype(float)[i] - fitted().params.beta.astype(float)[40:])
        np.testing.assert_allclose(entry["value"], p.mean(), rtol=1e-12)
        assert entry["low"] < entry["value"] < entry["high"]
        assert entry["n_seen"] == 0
    first = published.estimate(fitted(), version=0)
    np.testing.assert_array_equal(first.low, first.high)
    np.testing.assert_array_equal(first.value, published.estimate(fitted(), version=-2).value)


def test_the_interval_is_the_delta_method():
    """Against the whole information matrix, inverted at once, for models that answered none or some of a version."""
    first, second = whole()
    part = np.array(second.seen)
    part[[1, 3, 4]], part[5, ::3] = False, False
    some = ll.Responses.build(second.scores, seen=part, rows=second.rows, group=[f"g{g}" for g in second.group])
    fit = published.fit([first, some])
    p = fit.params
    chance = special.expit(p.theta.astype(float)[:, None] - p.beta.astype(float))
    slope = chance * (1 - chance)
    seen = np.where(p.seen, slope, 0)
    information = np.block([[np.diag(seen.sum(1)), -seen], [-seen.T, np.diag(seen.sum(0))]])
    inverse = np.linalg.pinv(information, rcond=1e-10, hermitian=True)
    found = entries(published.estimate(fit, level=0.9))
    for i, g in [(1, None), (1, 0), (3, 1), (5, None), (5, 1)]:
        inside = np.arange(70) >= 40
        inside[40:] &= True if g is None else second.group == g
        left = np.where(inside & ~p.seen[i], slope[i], 0) / inside.sum()
        gradient = np.concatenate([np.eye(6)[i] * left.sum(), -left])
        variance = gradient @ inverse @ gradient + left.sum() / inside.sum()
        entry = found[f"m{i}", "all" if g is None else f"g{g}"]
        np.testing.assert_allclose(entry["std_error"], np.sqrt(variance), rtol=1e-6)
        np.testing.assert_allclose(entry["high"] - entry["value"], stats.norm.ppf(0.95) * np.sqrt(variance), rtol=1e-6)


def test_cells_that_are_not_seen_change_nothing():
    """A model that did not run, with any scores; left out of the version's rows; or the rows in another order."""
    first, second = whole()
    seen = np.zeros(second.scores.shape, bool)
    seen[[0, 2, 5]] = True
    for scores in (second.scores, 1 - second.scores):
        masked = ll.Responses.build(scores * ~seen + second.scores * seen, seen=seen, rows=second.rows)
        found = published.fit([first, masked])
        np.testing.assert_array_equal(found.params.beta, fitted().params.beta)
        np.testing.assert_array_equal(found.params.theta, fitted().params.theta)
    turned = published.fit([first, second.take([5, 0, 2])])
    np.testing.assert_allclose(turned.params.beta, fitted().params.beta, atol=1e-4)
    assert turned.rows == fitted().rows


def test_names_and_groups_of_versions():
    assert fitted().items[:1] == ("v1/item-0",)
    assert fitted().items[40:41] == ("v2/item-0",)
    assert fitted().axes["domains"] == ("domain-0", "domain-1")
    np.testing.assert_array_equal(fitted().params.version, np.repeat([0, 1], [40, 30]))
    np.testing.assert_array_equal(fitted().params.seen.sum(1), [70, 40, 70, 40, 40, 70])
    scores = whole()[1].scores[:3]
    other = ll.Responses.build(scores, rows=whole()[1].rows[:3], items=[f"new-{i}" for i in range(30)])
    apart = published.fit([whole()[0], other])
    assert apart.items[39:41] == ("item-39", "new-0")
    assert apart.axes["domains"] == ("all", "domain-0", "domain-1")
    assert set(published.estimate(apart).group) == {"all"}


def test_it_needs_no_switch_and_leaves_none():
    with jax.enable_x64(False):
        found = published.fit([whole()[0], whole()[1].take([0, 2, 5])])
        assert jax.numpy.zeros(1).dtype == np.float32
    np.testing.assert_array_equal(found.params.theta, fitted().params.theta)


def test_kept_and_loaded_it_says_the_same(tmp_path):
    ll.save(fitted(), tmp_path / "fit")
    again = ll.load(tmp_path / "fit")
    assert isinstance(again, ll.FitResult)
    np.testing.assert_array_equal(published.estimate(again).low, published.estimate(fitted()).low)
    assert published.choose(again, k=3).rows == published.choose(fitted(), k=3).rows


def test_a_search_that_does_not_end_is_said(monkeypatch):
    monkeypatch.setattr(published, "MAX_EPOCHS", 5)
    versions = [whole()[0], whole()[1].take([0, 2, 5])]
    with pytest.raises(ll.NotConverged, match="not converged after 5 epochs"):
        published.fit(versions, strict=True)
    with pytest.warns(RuntimeWarning, match="not converged after 5 epochs"):
        assert published.fit(versions).status == "not converged"


def test_bad_versions():
    first, second = whole()
    with pytest.raises(ll.BadInput, match="there is no version"):
        published.fit([])
    strangers = ll.Responses.build(second.scores, rows=[f"new-{i}" for i in range(6)])
    with pytest.raises(ll.BadInput, match="version 2 has no evaluated model in common with version 1"):
        published.fit([first, strangers])
    bridge = ll.Responses.build(second.scores[:2], rows=["m0", "new-1"], items=[f"b{i}" for i in range(30)])
    published._require_fit([first, strangers, bridge])
    nobody = ll.Responses.build(second.scores, seen=np.zeros(second.scores.shape, bool), rows=second.rows)
    with pytest.raises(ll.BadInput, match=r"item 'item-0' of version 2 has no answer \(30 such\); leave it out"):
        published.fit([first, nobody])
    with pytest.raises(ll.BadInput, match="version 2 has no answer; evaluate some models"):
        published.fit([first, second.select([])])
    silent = ll.Responses.build(
        np.vstack([first.scores, first.scores[:1]]), seen=np.arange(7)[:, None] + 0 * first.seen[:1] < 6
    )
    with pytest.raises(ll.BadInput, match="model 'row-6' has no answer in any version"):
        published.fit([silent])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"k": 7}, "k is 7; there are 6 models to choose from"),
        ({"k": 0}, "k is 0; there are 6 models to choose from"),
        ({"k": 5, "force": ["m1", "m2"]}, "k is 5; there are 4 models to choose from"),
        ({"k": 2, "force": ["m9"]}, "there is no model 'm9' to force; there are 6, such as"),
        ({"k": 2, "by": "random"}, "by 'random' is not known; there are fisher, coreset"),
    ],
)
def test_bad_choices(words, message):
    with pytest.raises(ll.BadInput, match=message):
        published.choose(fitted(), **words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"version": 2}, "version is 2; the fit has 2, numbered from 0"),
        ({"version": -3}, "version is -3; the fit has 2"),
        ({"level": 1.0}, "level is 1.0; it must lie strictly between 0 and 1"),
    ],
)
def test_bad_estimates(words, message):
    with pytest.raises(ll.BadInput, match=message):
        published.estimate(fitted(), **words)


@pytest.mark.slow
def test_intervals_hold_where_the_model_does():
    """One model that did not run in each of 40 worlds: held intervals are binomial.

    Fewer than 18 have a probability below FALSE_ALARM / 2 at the stated 80%; intervals that hold in 31% of worlds are
    found out 19 times of 20. The study proper, `bench/refresh/coverage_published.py`, has 200 worlds, and finds
    intervals that are too wide too.
    """
    held = sum(map(coverage_published.held, range(40)))
    assert held >= stats.binom.ppf(FALSE_ALARM / 2, 40, coverage_published.LEVEL)


def authors(shared, version) -> ll.Responses:
    """Rows of the figures data as the authors number them; the first version is stored in another order."""
    with np.load(shared / "data" / "livexiv" / f"vqa_{version}.npz", allow_pickle=False) as z:
        scores, items, group = z["responses"], z["items"], z["groups"]
    with np.load(shared / "data" / "livexiv" / "vqa_v2.npz", allow_pickle=False) as z:
        place = z["source_row"][: len(scores)]
    theirs = np.empty_like(scores)
    theirs[place] = scores
    return ll.Responses.build(theirs, rows=list(map(str, range(len(theirs)))), items=items, group=group)


@pytest.mark.slow
def test_figures_of_the_original(shared):
    """The first step of the figures chain: losses, epochs and choices of the unmodified code, and its error.

    The start's random numbers are others: the loss agrees to what the end of the search leaves open, 1e-4, and the
    error to 0.3 points.
    """
    stored = json.loads((shared / "reference" / "baselines.json").read_text())["livexiv"]
    row = next(row for row in stored["rows"] if (row["name"], row["ver"], row["m"]) == ("vqa", "v2", 5))
    first, second = authors(shared, "v1"), authors(shared, "v2")
    fit = published.fit([first])
    assert abs(-fit.ended.value / fit.params.seen.sum() - stored["fits_vqa"][0]["final_train_loss"]) < 1e-4
    assert abs(fit.steps - stored["fits_vqa"][0]["epochs"]) < 100
    rows = [int(name) for name in published.choose(fit, k=5).rows] + [17, 18]
    assert sorted(rows) == sorted(row["evaluated"])
    found = published.estimate(published.fit([first, second.take(rows)])).to_frame()
    value = found[found.group == "all"].set_index("row").value[list(second.rows)].to_numpy()
    unseen = np.setdiff1d(np.arange(19), rows)
    error = 100 * np.abs(value - second.scores.mean(1))[unseen].mean()
    assert abs(error - row["mae_overall_unseen"]) < 0.3
