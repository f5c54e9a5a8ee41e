"""The search for a chain's law: arrays alone, side by side as one by one, and an end that is said."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lleval_jax.core.laws import panel
from lleval_jax.estimators import contract
from lleval_jax.estimators.refresh.kernel import Search
from lleval_jax.layout.chain import PAD, Chain, Named, lay_out, with_loadings
from lleval_jax.types import Status

MODELS, ITEMS, DIMS = 8, 60, 2
KEY = jax.random.key(0)
SEARCH = Search(DIMS)


def chain(seed: int, versions: int) -> Named:
    """Counts of two domains a version, models a line in ability; half of them were run on the last one."""
    random, cells = np.random.default_rng(seed), 2 * versions
    version = np.repeat(np.arange(versions), 2)
    logit = np.linspace(-1, 1, MODELS)[:, None] + random.normal(0, 0.3, cells) + random.normal(0, 0.1, (MODELS, cells))
    run = (version < versions - 1) | (np.arange(MODELS)[:, None] % 2 == 0)
    asked = np.where(run, float(ITEMS), 0)
    right = random.binomial(asked.astype(int), 1 / (1 + np.exp(-logit))).astype(float)
    loading = random.uniform(0.6, 1.4, MODELS)
    common = asked @ (asked > 0).T
    counts = Chain(
        right,
        asked,
        np.full(cells, float(ITEMS)),
        version,
        np.arange(cells) % 2,
        0.1 * common * np.outer(loading, loading),
        common,
    )
    models = tuple(f"model-{i}" for i in range(MODELS))
    return Named(counts, models, ("bio", "law"), tuple(f"v{i}" for i in range(versions)))


@pytest.fixture(scope="module")
def chains():
    """Of two and of three versions, padded to one shape, and the first drawn again, as a bootstrap does."""
    first, second = chain(0, 2), chain(1, 3)
    right, asked = first.chain.right, first.chain.asked
    drawn = np.random.default_rng(3).binomial(asked.astype(int), right / np.maximum(asked, 1)).astype(float)
    again = first._replace(chain=first.chain._replace(right=drawn))
    return [lay_out(one)[0] for one in (first, second, again)]


@pytest.fixture(scope="module")
def alone(chains):
    return [contract.solve(SEARCH, data, KEY) for data in chains]


@pytest.mark.slow  # `test_registry_properties.py` asks the same of one small world
def test_refits_in_one_call_are_single_fits(chains, alone):
    """Side by side, chains of different lengths among them: lanes take steps of their own."""
    lanes = contract.solve_many(SEARCH, jax.tree.map(lambda *part: jnp.stack(part), *chains), jnp.stack([KEY] * 3))
    assert np.asarray(lanes.status).tolist() == [Status.CONVERGED] * 3
    assert len({int(one.steps) for one in alone}) > 1
    for lane, one in enumerate(alone):
        for found, expected in zip(jax.tree.leaves(lanes), jax.tree.leaves(one), strict=True):
            np.testing.assert_allclose(found[lane], expected, atol=1e-6)


def test_no_size_near_the_mode_is_better(chains, alone):
    """The log posterior falls in every direction, by about half a unit one posterior standard deviation away."""
    found, prior = alone[0], panel.before(MODELS, 2 + DIMS)
    known = with_loadings(chains[0].panel, found.loading)

    @jax.jit
    def density(sizes):
        return panel.log_evidence(sizes, known) + panel.log_prior(sizes, prior)

    best = float(density(found.sizes))
    assert best == pytest.approx(float(found.value), abs=1e-9)
    step = np.sqrt(np.asarray(found.model_var))
    for part in range(len(step)):
        for side in (-1, 1):
            moved = found.sizes.model + side * step[part] * jnp.eye(len(step))[part]
            assert best - float(density(found.sizes._replace(model=moved))) > 0.1


def test_a_search_that_may_not_go_on_says_so(chains):
    end = contract.solve(dataclasses.replace(SEARCH, steps=1), chains[0], KEY)
    assert int(end.status) == Status.MAX_STEPS
    assert int(end.steps) == 1


def test_a_chain_is_laid_out_with_its_names():
    named = chain(0, 2)
    data, axes = lay_out(named)
    assert axes["cells"] == ("v0/bio", "v0/law", "v1/bio", "v1/law")
    assert (axes["models"], axes["domains"], axes["versions"]) == named[1:]
    assert data.panel.logit.shape == (MODELS, PAD)
    assert data.panel.seen.sum() == (named.chain.asked > 0).sum()
    assert len(set(np.asarray(data.panel.version).tolist())) == 2 + PAD - 4  # padding is apart from all else
    assert data.panel.basis.shape == (MODELS, 2)
    assert lay_out(named, "float32")[0].panel.logit.dtype == jnp.float32


def test_a_search_in_float32_ends_near(alone):
    """Where doubles are slow: the number type is that of the data, from the first to the last number."""
    with jax.enable_x64(False):
        found = contract.solve(SEARCH, lay_out(chain(0, 2), "float32")[0], KEY)
    assert {x.dtype.name for x in jax.tree.leaves(found)} <= {"float32", "int32", "bool"}
    assert int(found.status) == Status.CONVERGED
    np.testing.assert_allclose(found.sizes.model, alone[0].sizes.model, atol=5e-3)
    np.testing.assert_allclose(found.model_var, alone[0].model_var, rtol=1e-2)
