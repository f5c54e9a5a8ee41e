"""The 2PL in NumPyro as one writes it first: the rival of `bench.bayes.speed`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import distributions as dist
from numpyro.infer import MCMC, NUTS


def model(answers: jax.Array) -> None:
    """Priors as of `bayes.irt("2pl")`."""
    models, items = answers.shape
    with numpyro.plate("models", models):
        ability = numpyro.sample("ability", dist.Normal(0, 1))
    with numpyro.plate("items", items):
        slope = numpyro.sample("slope", dist.Normal(1, 0.6))
        intercept = numpyro.sample("intercept", dist.Normal(0, 2))
    numpyro.sample("answers", dist.Bernoulli(logits=ability[:, None] * slope + intercept), obs=answers)


def sampler(chains: int, warmup: int, draws: int, chain_method: str) -> MCMC:
    """NumPyro's own settings; run it again for warm seconds."""
    settings = {"num_chains": chains, "chain_method": chain_method, "progress_bar": False}
    return MCMC(NUTS(model), num_warmup=warmup, num_samples=draws, **settings)


def draws(mcmc: MCMC, answers: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """(chains, draws, ...) of each site."""
    mcmc.run(jax.random.key(seed), jnp.asarray(answers, "float32"))
    return {name: np.asarray(x) for name, x in mcmc.get_samples(group_by_chain=True).items()}
