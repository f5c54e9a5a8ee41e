"""Linear layers that hold tables of adapters, of which each row of a batch uses one."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx

from lleval_jax.lm.decoder import Decoder
from lleval_jax.training.serve import batched
from lleval_jax.types import Array


class Table(nnx.Variable):
    """Numbers of all adapters, or bases; stacked layers in front."""


class Place(nnx.Variable):
    """The place of each row's adapter, (rows,); stacked layers in front."""


class Apart(nnx.Module):
    """A linear layer with uncompressed adapters."""

    def __init__(self, base: nnx.Module, a: Array, b: Array) -> None:
        self.base, self.a, self.b = base, Table(a), Table(b)
        self.place = Place(jnp.zeros((*a.shape[:-3], 1), jnp.int32))

    def __call__(self, x: jax.Array) -> jax.Array:
        """From "... in" to "... out", the rows of the batch first."""
        more = batched.apart(_by_row(x, self.place), self.a[...], self.b[...], self.place[...])
        return _plus(self.base(x), more)  # type: ignore[operator]


class Bases(nnx.Module):
    """A linear layer with adapters in shared bases; their cores in one table, or in two of thin factors."""

    def __init__(self, base: nnx.Module, u: Array, v: Array, cluster: Array, cores: Mapping[str, Array]) -> None:
        self.base, self.parts = base, tuple(cores)
        self.u, self.v, self.cluster = Table(u), Table(v), Table(cluster)
        for part, values in cores.items():
            setattr(self, part, Table(values))
        self.place = Place(jnp.zeros((*u.shape[:-3], 1), jnp.int32))

    def __call__(self, x: jax.Array) -> jax.Array:
        """From "... in" to "... out", the rows of the batch first."""
        cores = [getattr(self, part)[...] for part in self.parts]
        tables = (self.u[...], self.v[...], cores[0] if len(cores) == 1 else tuple(cores), self.cluster[...])
        return _plus(self.base(x), batched.shared(_by_row(x, self.place), *tables, self.place[...]))  # type: ignore[operator]


def _by_row(x: jax.Array, place: Place) -> jax.Array:
    """(rows, tokens, in), however the decoder has put rows and tokens together."""
    return x.reshape(place[...].shape[-1], -1, x.shape[-1])


def _plus(y: jax.Array, more: jax.Array) -> jax.Array:
    return y + more.reshape(y.shape)


def with_places(model: Decoder, places: jax.Array) -> Decoder:
    """The model for a batch whose rows have adapters at these places, (rows,); within a compiled program."""
    for _, module in nnx.iter_modules(model):
        if isinstance(module, Apart | Bases):
            module.place = Place(jnp.broadcast_to(places, (*module.place[...].shape[:-1], *places.shape)))
    return model
