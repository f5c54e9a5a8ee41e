"""Posteriors side by side against the same one by one."""

import jax
import numpy as np
import pytest

import lleval_jax as ll
from lleval_jax import bayes
from lleval_jax.bayes import space
from lleval_jax.bayes.numbers import numbers
from lleval_jax.bayes.padding import padded
from lleval_jax.data.simulate import simulate
from lleval_jax.errors import BadInput

SHORT = bayes.NUTS(chains=2, draws=3, warmup=2, chains_by="vectorised")


def alone(model, value, engine, key: int, number: int) -> bayes.Posterior:
    return bayes.sample(model, value, engine=engine, key=jax.random.fold_in(jax.random.key(key), number))


ENGINES = pytest.param(SHORT, marks=pytest.mark.slow), bayes.SVI(steps=100, draws=30)  # both begin with Laplace


@pytest.mark.parametrize("engine", ENGINES, ids=["nuts", "svi"])
def test_each_task_has_the_draws_of_its_own_key(engine) -> None:
    """Tasks of one shape: the same numbers but for rounding, as long as a chain is short."""
    values = {f"world {seed}": simulate(3, 6, seed=seed)[0] for seed in range(3)}
    found = bayes.sample_many(bayes.rasch(), values, engine=engine, key=5)
    assert list(found) == list(values)
    for number, name in ((0, "world 0"), (2, "world 2")):
        one = alone(bayes.rasch(), values[name], engine, 5, number)
        for site, draws in one.draws.items():
            np.testing.assert_allclose(found[name].draws[site], draws, atol=2e-3, err_msg=site)
        np.testing.assert_array_equal(found[name].laid.data.scores, values[name].scores)


def placed(model, value: ll.Responses):
    """Space, data and the fit's point of one task, in float64."""
    fit = model.maximum(value)
    laid = model.lay_out(value, fit, "float64")
    where, at = space.placed(model, *jax.tree.map(lambda x: np.asarray(x)[None], (laid.data, model.start(laid, fit))))
    return where, laid.data, jax.tree.map(lambda x: np.asarray(x[0]), at)


@pytest.mark.parametrize("model", [bayes.rasch(), bayes.irt("3pl")], ids=lambda m: m.name)
def test_padding_adds_standard_normals_that_nothing_hangs_on(model) -> None:
    """A theorem: the density of padded answers is that of the answers, times those of the unanswered items' sites."""
    small, large = simulate(3, 5, seed=1, missing=0.2)[0], simulate(3, 8, seed=2)[0]
    wide = padded([small, large])[0]
    assert wide.scores.shape == (3, 8)
    random, gaps = np.random.default_rng(0), []
    with numbers("float64"):
        (where, data, at), (wide_where, wide_data, _) = (placed(model, value) for value in (small, wide))
        for _ in range(3):
            shared, own = (x + random.normal(size=x.shape) for x in at)
            more = random.normal(size=(3, own.shape[1]))
            here = space.potential(model, where, data, space.Point(shared, own))
            there = space.potential(model, wide_where, wide_data, space.Point(shared, np.concatenate([own, more])))
            gaps.append(float(there - here) - 0.5 * np.sum(more**2))
    np.testing.assert_allclose(gaps, more.size * 0.5 * np.log(2 * np.pi), atol=1e-9)


def test_tasks_may_differ_in_items_groups_and_models() -> None:
    """Draws are cut back to a task's own; two shapes for three tasks."""
    values = {
        "three groups": simulate(3, 8, seed=1, groups=3)[0],
        "two groups": simulate(3, 5, seed=2, groups=2)[0],
        "four models": simulate(4, 8, seed=3, groups=3)[0],
    }
    found = bayes.sample_many(bayes.irt("rasch", groups=True), values, engine=bayes.Laplace(draws=20))
    for name, value in values.items():
        one = found[name]
        assert one.draws["ability"].shape == (4, 20, len(value.rows), 1)
        assert one.draws["intercept"].shape == (4, 20, len(value.items))
        assert one.draws["apart"].shape[2:] == (len(value.rows), len(value.groups))
        assert one.laid.axes["items"] == value.items
        assert set(one.estimate("score").group) == {"all", *value.groups}
        np.testing.assert_array_equal(one.laid.targets["score"].n_seen[:, 0], value.n_seen)
        assert one.estimate("rate").rows == ll.plain.estimate(value, groups=True).rows


def same(one, other, within: float) -> None:
    assert list(one) == list(other)
    for name in one:
        for site, draws in one[name].draws.items():
            np.testing.assert_allclose(other[name].draws[site], draws, atol=within, err_msg=site)


def test_a_plan_changes_no_draw_and_what_was_drawn_is_kept(tmp_path, monkeypatch) -> None:
    values = {f"world {seed}": simulate(3, 6, seed=seed)[0] for seed in range(3)}
    how = {"engine": bayes.Laplace(draws=30), "key": 5}
    here = bayes.sample_many(bayes.rasch(), values, **how)
    mesh = ll.mesh(jax.devices()[:4])
    same(here, bayes.sample_many(bayes.rasch(), values, **how, plan=ll.Plan(mesh=mesh)), 2e-3)  # 4 lanes for 3 tasks
    plan, drawn, draw = ll.Plan(chunk=1, out=tmp_path), [], bayes.Laplace.draw

    def counted(self, problem, keys, tell):
        drawn.append(len(keys))
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return draw(self, problem, keys, tell)

    monkeypatch.setattr(bayes.Laplace, "draw", counted)
    with pytest.raises(KeyboardInterrupt):
        bayes.sample_many(bayes.rasch(), values, **how, plan=plan)
    again = bayes.sample_many(bayes.rasch(), values, **how, plan=plan)
    assert drawn == [1, 1, 1, 1]  # the third one, which was stopped, and no other
    same(here, again, 2e-3)
    kept = bayes.sample_many(bayes.rasch(), values, **how, plan=plan)
    assert len(drawn) == 4
    same(again, kept, 0)
    assert kept["world 1"].diagnostics == again["world 1"].diagnostics
    with pytest.raises(BadInput, match="holds another run: key is 5 there and 6 here"):
        bayes.sample_many(bayes.rasch(), values, **{**how, "key": 6}, plan=plan)
    with pytest.raises(BadInput, match="bayes.sample is one fit, and chunk is of many"):
        bayes.sample(bayes.rasch(), values["world 0"], plan=plan)


def test_nothing_to_sample_is_said() -> None:
    with pytest.raises(BadInput, match="no values"):
        bayes.sample_many(bayes.rasch(), {})
