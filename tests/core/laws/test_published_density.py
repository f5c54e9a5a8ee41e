"""The joint density of a published law: its losses integrate to one, and its fall is the fit's objective."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from lleval_jax.core.laws import published
from lleval_jax.core.laws.published import Form, Table

KEY = jax.random.key(3)
FORMS = (Form(), Form(skills=1, loss="gaussian"), Form(link="monotone", floors="learned", loss="binomial"))


def table(rows=6, benchmarks=3, seed=0):
    random = np.random.default_rng(seed)
    seen = (random.random((rows, benchmarks)) < 0.8).astype(float)
    scores, inputs = random.random((rows, benchmarks)), random.normal(size=(rows, 3))
    chance, items = np.full(benchmarks, 0.2), np.full(benchmarks, 50.0)
    return Table(*map(jnp.asarray, (inputs, np.eye(2)[np.arange(rows) % 2], scores, seen, chance, items)))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.loss)
def test_it_is_minus_the_objective_up_to_a_constant(form):
    known = table()
    first, second = (published.start(form, known, key) for key in jax.random.split(KEY))

    @jax.jit
    def both(x):
        law = published.unpack(form, known, x)
        return published.log_joint(law, known, form=form) + published.objective(form, known)(x).value

    np.testing.assert_allclose(both(first), both(second), rtol=1e-11)


@pytest.mark.parametrize("form", [Form(), Form(noise=0.05, delta=0.2), Form(loss="gaussian")])
def test_a_cell_has_a_density_that_integrates_to_one(form):
    known = jax.tree.map(lambda x: x[:1], table())._replace(
        scores=jnp.zeros((1, 1)), seen=jnp.ones((1, 1)), inputs=jnp.zeros((1, 3)), intercept=jnp.ones((1, 1))
    )
    law = published.unpack(form, known, published.start(form, known, KEY))
    none = known._replace(seen=jnp.zeros((1, 1)))
    value = jax.jit(lambda score, seen: published.log_joint(law, known._replace(scores=score, seen=seen), form=form))
    prior = float(value(none.scores, none.seen))

    def density(score):
        return np.exp(float(value(jnp.full((1, 1), score), known.seen)) - prior)

    middle = float(published.predict(form, law, known.inputs, known.intercept)[0, 0])
    parts = [quad(density, middle + low, middle + high, limit=200)[0] for low, high in ((-12, 0), (0, 12))]
    np.testing.assert_allclose(sum(parts), 1, atol=1e-8)


def test_its_prior_is_normal_in_each_unknown():
    """Without scores, and with all unknowns at zero: the height of a normal density in each."""
    form = Form(link="monotone", floors="learned")
    known = table()
    none = known._replace(seen=jnp.zeros_like(known.seen))
    size = len(published.start(form, known, KEY))
    law = published.unpack(form, none, jnp.zeros(size))
    sd = np.concatenate([np.ones(5 * 2), np.tile(np.asarray(form.column_spread), 3)])
    expected = -np.log(sd).sum() - 0.5 * size * np.log(2 * np.pi)
    np.testing.assert_allclose(jax.jit(lambda law: published.log_joint(law, none, form=form))(law), expected)
