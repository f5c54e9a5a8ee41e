"""What a decoder keeps of the tokens it has read: keys and values of every layer, and where they belong."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.lm.config import Config

Stored: TypeAlias = jax.Array | tuple[jax.Array, ...]  # stacked by layer, or a tuple of layers


class Cache(NamedTuple):
    """Room for `length` tokens of each row. Rows fill up on their own: padding takes no room.

    Attributes:
        keys: "layers rows kv_heads head_dim length", rotated; a tuple of layers for an unrolled decoder.
        values: "layers rows kv_heads length head_dim", likewise. Both lie as the products of one new token with all old
            ones read them: with 8 rows on a CPU that takes a third to a quarter of the time that it takes from
            "rows length kv_heads head_dim".
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
        heads, size = config.kv_heads, config.head_dim

        def room(*shape: int) -> Stored:
            if by_layer:
                return tuple(jnp.zeros(shape, dtype) for _ in range(config.layers))
            return jnp.zeros((config.layers, *shape), dtype)

        keys, values = room(rows, heads, size, length), room(rows, heads, length, size)
        flat = (rows, length)
        return cls(keys, values, jnp.zeros(flat, jnp.int32), jnp.zeros(flat, bool), jnp.zeros(rows, jnp.int32))

    def repeat(self, times: int) -> "Cache":
        """Each row `times` times in a row: a shared beginning, computed once."""
        return self._changed(lambda part, rows, length: jnp.repeat(part, times, rows))

    def take(self, rows: jax.Array, more: int) -> "Cache":
        """Some rows, by number and as often as they are named, with room for `more` tokens each."""
        return self._changed(lambda part, axis, length: grown(jnp.take(part, rows, axis), length, more))

    def longer(self, length: int) -> "Cache":
        """With room for `length` tokens a row."""
        return self._changed(lambda part, rows, axis: grown(part, axis, length - self.length))

    def _changed(self, change: Callable[[jax.Array, int, int | None], jax.Array]) -> "Cache":
        """Each part changed, knowing which of its axes are the rows and the length, from behind."""
        keys = jax.tree.map(lambda part: change(part, -4, -1), self.keys)
        values = jax.tree.map(lambda part: change(part, -4, -2), self.values)
        return Cache(keys, values, change(self.positions, 0, 1), change(self.seen, 0, 1), change(self.filled, 0, None))

    @property
    def length(self) -> int:
        """Tokens that a row has room for."""
        return self.seen.shape[1]


class Places(NamedTuple):
    """Where the tokens of a call go in the cache, and who may look at what there.

    Attributes:
        slots: "rows tokens": the place of each token; padding goes nowhere (`length`).
        sources: "rows length": the token of this call that goes to each place, -1 if none does.
        owners: "rows length": the segment of each place in this call, EARLIER for what was there before, 0 if empty.
    """

    slots: jax.Array
    sources: jax.Array
    owners: jax.Array


EARLIER = -1
"""The owner of what a cache held before a call: all segments of the call see it."""


def take_in(cache: Cache, positions: jax.Array, segments: jax.Array) -> tuple[Cache, Places]:
    """The cache with room taken for a call's tokens (keys and values are written layer by layer), and their places."""
    real = segments != 0
    counts = jnp.cumsum(real, 1, dtype=jnp.int32)
    slots = jnp.where(real, cache.filled[:, None] + counts - 1, cache.length)
    rank = jnp.arange(cache.length, dtype=jnp.int32) - cache.filled[:, None]  # of the token that goes to each place
    first = jax.vmap(jnp.searchsorted)(counts, rank + 1).astype(jnp.int32)
    sources = jnp.where((rank >= 0) & (rank < counts[:, -1:]), first, -1)
    earlier = jnp.where(cache.seen, jnp.int32(EARLIER), 0)
    owners = chosen(segments, earlier, sources)
    after = cache._replace(
        positions=chosen(positions, cache.positions, sources), seen=owners != 0, filled=cache.filled + counts[:, -1]
    )
    return after, Places(slots, sources, owners)


def write(
    stored: tuple[jax.Array, jax.Array],
    key: jax.Array,
    value: jax.Array,
    places: Places,
    layer: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array, tuple[jax.Array, jax.Array]]:
    """One layer's keys and values with those of a call's tokens put in, and what is stored then.

    One token a row is scattered, in place. Many are gathered by each place: on a CPU a scatter is a loop over tokens.

    Args:
        stored: Keys and values of the layer; or of all, with `layer` its number.
        key: Of the call's tokens, "rows tokens kv_heads head_dim".
        value: As `key`.
        places: Where they go.
        layer: The number of the layer, from 0.
    """
    keys, values = stored
    key, value = key.astype(keys.dtype), value.astype(values.dtype)
    if key.shape[1] == 1:
        where = (np.arange(key.shape[0])[:, None],) if layer is None else (layer, np.arange(key.shape[0])[:, None])
        keys = keys.at[*where, :, :, places.slots].set(key, mode="drop")
        values = values.at[*where, :, places.slots].set(value, mode="drop")
        return (keys, values, (keys, values)) if layer is None else (keys[layer], values[layer], (keys, values))
    sources = places.sources[:, None, None]
    own = stored if layer is None else (keys[layer], values[layer])
    own = (
        chosen(jnp.transpose(key, (0, 2, 3, 1)), own[0], sources),
        chosen(jnp.swapaxes(value, 1, 2), own[1], jnp.swapaxes(sources, 2, 3), -2),
    )
    if layer is None:
        return *own, own
    put = jax.lax.dynamic_update_index_in_dim
    return *own, (put(keys, own[0], layer, 0), put(values, own[1], layer, 0))


def chosen(new: jax.Array, old: jax.Array, sources: jax.Array, axis: int = -1) -> jax.Array:
    """`old`, with the entry of `new` that a place's source names where there is one."""
    return jnp.where(sources >= 0, jnp.take_along_axis(new, jnp.maximum(sources, 0), axis), old)


def grown(part: jax.Array, axis: int | None, more: int) -> jax.Array:
    """Zeros added at the end of an axis, if there is one."""
    if axis is None:
        return part
    widths = [(0, 0)] * part.ndim
    widths[axis] = (0, more)
    return jnp.pad(part, widths)
