"""Fits side by side are what each is alone."""

import jax
import numpy as np
import pytest

from lleval_jax.core.precision import precise
from lleval_jax.data import simulate_logprobs
from lleval_jax.estimators import contract
from lleval_jax.estimators.pepr import kernel
from lleval_jax.layout import texts
from lleval_jax.values.logprobs import LogProbs

TRUE = {"a": 0.5, "b": 0.3, "c": 0.2}
LANES = 3


@pytest.mark.parametrize("pairs", [False, True])
def test_fits_side_by_side_are_those_of_a_loop(pairs):
    data, host = texts.lay_out(LogProbs.from_frame(simulate_logprobs(TRUE, 30, pairs=pairs, seed=0)), "text")
    weight = data.fitted * np.random.default_rng(0).standard_exponential((LANES, len(data.fitted)))
    many = data._replace(weight=weight, penalty=np.array([0.0, 0.1, 1.0]), scale=np.full(LANES, 1.0))
    solver = kernel.Weights(host.kind)
    with precise("float64"):
        keys = jax.random.split(jax.random.key(0), LANES)
        found = contract.solve_many(solver, many, keys, axes=texts.SAME_TEXTS)
        for lane in range(LANES):
            own = {name: getattr(many, name)[lane] for name in ("weight", "penalty", "scale")}
            one = contract.solve(solver, many._replace(**own), keys[lane])
            np.testing.assert_allclose(found.x[lane], one.x, atol=1e-9)
            assert (int(found.steps[lane]), int(found.status[lane])) == (int(one.steps), int(one.status))


def test_the_best_of_many_draws_is_that_of_each():
    rng = np.random.default_rng(0)
    data = kernel.Elements(rng.random((LANES, 6)), -rng.random((LANES, 6)), np.asarray(2))
    with precise("float64"):
        keys = jax.random.split(jax.random.key(0), LANES)
        found = contract.solve_many(kernel.BestOfSize(), data, keys, axes=kernel.SAME_SIZE)
    pairs = [(i, j) for i in range(6) for j in range(i)]
    for lane, (weight, value) in enumerate(zip(data.weight, data.value, strict=True)):
        best = max((weight[[*p]] @ value[[*p]]) / weight[[*p]].sum() for p in pairs)
        np.testing.assert_allclose(found.value[lane], best, rtol=1e-12)
        assert found.x[lane].sum() == 2
