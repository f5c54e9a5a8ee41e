"""SVI of items drawn for each step: its estimate of the density, where it begins, and what it finds."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lleval_jax as ll
from lleval_jax import bayes
from lleval_jax.bayes import sketch, space
from lleval_jax.bayes.numbers import numbers
from lleval_jax.bayes.svi import _inference
from lleval_jax.core.linalg import arrow
from lleval_jax.data.simulate import simulate
from lleval_jax.errors import BadInput


def placed(model, responses):
    """Laid out in float64, one task: space, data and the fit's point."""
    fit = model.maximum(responses)
    laid = model.lay_out(responses, fit, "float64")
    start = {name: jnp.asarray(x, "float64")[None] for name, x in model.start(laid, fit).items()}
    where, at = space.placed(model, jax.tree.map(lambda x: np.asarray(x)[None], laid.data), start)
    return where, laid.data, jax.tree.map(lambda x: x[0], at)


sketched = jax.jit(sketch.normal, static_argnums=(0, 1))


def moved(at: space.Point, seed: int) -> space.Point:
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda x: x + 0.3 * random.normal(size=x.shape), at)


@pytest.mark.parametrize("model", [bayes.irt("2pl"), bayes.irt("rasch", groups=True)], ids=lambda m: m.name)
def test_the_density_of_drawn_items_is_unbiased(model) -> None:
    """A theorem: the mean over all ways to draw two of five items is the density itself; and so for its gradient."""
    responses = simulate(3, 5, seed=1, groups=2, missing=0.2)[0]
    with numbers("float64"):
        where, data, at = placed(model, responses)
        at = moved(at, 0)

        def drawn(at, units):
            return space.subsampled(model, where, data, at._replace(own=at.own[units]), units)

        both = jax.jit(jax.value_and_grad(drawn))
        found = [both(at, jnp.asarray(units)) for units in itertools.combinations(range(5), 2)]
        whole = jax.jit(jax.value_and_grad(lambda at: space.potential(model, where, data, at)))(at)
    mean = jax.tree.map(lambda *x: np.mean(x, 0), *found)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-9), mean, whole)
    assert np.std([value for value, _ in found]) > 0.1, "all draws of items alike"


def test_the_bound_of_drawn_items_is_unbiased() -> None:
    """SVI's own loss, guide included, at one draw of the guide: the mean over many keys is that of all items."""
    model, responses, count = bayes.irt("2pl"), simulate(3, 6, seed=2)[0], 4000
    with numbers("float64"):
        where, data, at = placed(model, responses)
        normal = sketched(model, where, data, at, jnp.arange(6))

        def losses(settings):
            inference = _inference(model, where, settings, data, normal)
            state = inference.init(jax.random.key(0))
            keys = jax.random.split(jax.random.key(1), count)
            return np.asarray(jax.jit(jax.vmap(lambda key: inference.evaluate(state._replace(rng_key=key))))(keys))

        some, whole = losses(bayes.SVI(units=2, points=1)), losses(bayes.SVI(points=1))
    error = np.hypot(some.std(), whole.std()) / np.sqrt(count)
    assert abs(some.mean() - whole.mean()) < 4.42 * error  # false alarms: one in 100,000
    assert some.std() > whole.std()


def test_a_sketch_of_all_items_is_laplaces_normal() -> None:
    """With every item among those drawn the root is that of the whole curvature."""
    model, responses = bayes.irt("2pl"), simulate(5, 7, seed=3)[0]
    with numbers("float64"):
        where, data, at = placed(model, responses)
        found = sketched(model, where, data, at, jnp.asarray([3, 0, 1, 2, 6, 5, 4]))
        minus = lambda x: space.potential(model, where, data, x)  # noqa: E731
        root = jax.jit(lambda at: arrow.root(space.curvature(minus, at)))(at)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-9), found.root, root)


@pytest.mark.slow
def test_drawn_items_find_the_guide_of_all_items() -> None:
    """Means within a fifth of a standard error and widths within 10%: what the last steps' noise leaves."""
    responses = simulate(20, 200, seed=4)[0]
    engines = (bayes.SVI(units=units, steps=1500) for units in (50, None))
    some, whole = (bayes.sample(bayes.irt("2pl"), responses, engine=engine, key=1) for engine in engines)
    assert some.diagnostics.status == "approximate"
    assert "not checked" in str(some.diagnostics)
    here, there = (p.draws["ability"].reshape(-1, 20) for p in (some, whole))
    assert (np.abs(here.mean(0) - there.mean(0)) / there.std(0)).max() < 0.2
    np.testing.assert_allclose(here.std(0), there.std(0), rtol=0.1)


def test_what_cannot_be_taken_in_parts_says_so() -> None:
    responses = simulate(4, 8, seed=0)[0]
    by = bayes.SVI(units=3, steps=100, draws=5)
    with pytest.raises(BadInput, match="cannot be taken in parts"):
        bayes.sample(bayes.irt("2pl", dims=2), responses, engine=by)
    with pytest.raises(BadInput, match="low-rank"):
        bayes.sample(bayes.rasch(), responses, engine=bayes.SVI(guide="low-rank", units=3))
    assert isinstance(bayes.engine("auto", ll.Responses.build(np.ones((2, 2)))), bayes.NUTS)
