"""Sites as NumPyro samples them, as arrays for type checkers too."""

import jax.numpy as jnp
import numpyro
from numpyro import distributions as dist

from lleval_jax.types import Array


def site(name: str, distribution: dist.Distribution) -> Array:
    """The value of a site."""
    return jnp.asarray(numpyro.sample(name, distribution))


def standard(name: str, *shape: int) -> Array:
    """Independent standard normals: what a non-centred model draws."""
    return site(name, dist.Normal(0, 1).expand(list(shape)).to_event(len(shape)))


def half_normal(name: str, scale: float) -> Array:
    """The size of an effect."""
    return site(name, dist.HalfNormal(scale))


def shown(name: str, value: Array) -> Array:
    """A value that follows from sites and is kept with the draws."""
    return jnp.asarray(numpyro.deterministic(name, value))
