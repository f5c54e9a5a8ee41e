"""What a decoder keeps of the tokens it has read: keys and values of every layer, and where they belong."""

from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.lm.config import Config

Stored: TypeAlias = jax.Array | tuple[jax.Array, ...]  # "layers rows length kv_heads head_dim", or a tuple by layer


class Cache(NamedTuple):
    """Room for `length` tokens of each row. Rows fill up on their own: padding takes no room.

    Attributes:
        keys, values: "layers rows length kv_heads head_dim", keys rotated; a tuple of layers for an unrolled decoder.
        positions: "rows length", int32.
        seen: "rows length", bool: where a token is.
        filled: "rows", int32: how many tokens each row holds; they lie in front.

    Writing past `length` is lost: whoever extends a cache makes it long enough.
    """

    keys: Stored
    values: Stored
    positions: jax.Array
    seen: jax.Array
    filled: jax.Array

    @classmethod
    def empty(
        cls, config: Config, rows: int, length: int, dtype: jax.typing.DTypeLike = jnp.float32, by_layer: bool = False
    ) -> "Cache":
        """A cache without tokens; `by_layer` for an unrolled decoder (`Decoder.cache` knows which)."""
        shape = (rows, length, config.kv_heads, config.head_dim)

        def room() -> Stored:
            if by_layer:
                return tuple(jnp.zeros(shape, dtype) for _ in range(config.layers))
            return jnp.zeros((config.layers, *shape), dtype)

        flat = (rows, length)
        return cls(room(), room(), jnp.zeros(flat, jnp.int32), jnp.zeros(flat, bool), jnp.zeros(rows, jnp.int32))

    def repeat(self, times: int) -> "Cache":
        """Each row `times` times in a row: a shared beginning, computed once."""
        axis = 0 if isinstance(self.keys, tuple) else 1
        stored = (jax.tree.map(lambda a: jnp.repeat(a, times, axis), part) for part in (self.keys, self.values))
        return Cache(*stored, *(jnp.repeat(a, times, 0) for a in (self.positions, self.seen, self.filled)))

    def take(self, rows: jax.Array, more: int) -> "Cache":
        """Some rows, by number and as often as they are named, with room for `more` tokens each."""
        axis = 0 if isinstance(self.keys, tuple) else 1

        def some(stored: jax.Array, axis: int) -> jax.Array:
            room = [(0, more if i == axis + 1 else 0) for i in range(stored.ndim)]
            return jnp.pad(jnp.take(stored, rows, axis), room)

        keys, values = (jax.tree.map(lambda a: some(a, axis), part) for part in (self.keys, self.values))
        return Cache(keys, values, some(self.positions, 0), some(self.seen, 0), self.filled[rows])

    @property
    def length(self) -> int:
        """Tokens that a row has room for."""
        return self.seen.shape[1]


class Places(NamedTuple):
    """Where the tokens of a call go in the cache, and who may look at what there.

    Attributes:
        slots: "rows tokens": the place of each token; padding goes nowhere (`length`).
        owners: "rows length": the segment of each place in this call, EARLIER for what was there before, 0 if empty.
    """

    slots: jax.Array
    owners: jax.Array


EARLIER = -1
"""The owner of what a cache held before a call: all segments of the call see it."""


def take_in(cache: Cache, positions: jax.Array, segments: jax.Array) -> tuple[Cache, Places]:
    """The cache with room taken for a call's tokens (keys and values are written layer by layer), and their places."""
    real = segments != 0
    rows = np.arange(segments.shape[0])[:, None]
    slots = jnp.where(real, cache.filled[:, None] + jnp.cumsum(real, 1) - 1, cache.length)
    owners = jnp.where(cache.seen, jnp.int32(EARLIER), 0).at[rows, slots].set(segments, mode="drop")
    after = cache._replace(
        positions=cache.positions.at[rows, slots].set(positions, mode="drop"),
        seen=owners != 0,
        filled=cache.filled + real.sum(1, dtype=jnp.int32),
    )
    return after, Places(slots, owners)
