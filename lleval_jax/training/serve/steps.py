"""The compiled part of serving: prompts are read into a cache of their own, put into free rows, written on together.

Rows differ in adapter, temperature, how many tokens they may still write, and when they began.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from lleval_jax.lm.cache import Cache
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.decoding import NONE
from lleval_jax.lm.sampling import Numbers, Steps, pick
from lleval_jax.training.serve.adapted_layers import with_places
from lleval_jax.types import Array


class Rows(NamedTuple):
    """What the next token of each row needs; (rows,) each but for the cache.

    cache    prompt and what was written, but for the last token
    token    int32, the last token written
    count    int32, how many were written
    left     int32, how many may still be written; 0: the row has ended, or is free
    place    int32, of the row's adapter
    keys     random keys
    numbers  of the sampling; temperature 0 takes the most probable token
    """

    cache: Cache
    token: Array
    count: Array
    left: Array
    place: Array
    keys: Array
    numbers: Numbers


@functools.partial(jax.jit, static_argnums=(0, 3))
def fresh(
    shape: Any, tables: Any, fixed: Any, length: int, left: Array, place: Array, keys: Array, numbers: Numbers
) -> Rows:
    """Rows that hold nothing yet, with room for `length` tokens each; `keys` is (rows, 2), uint32."""
    cache = nnx.merge(shape.graph, tables, fixed).cache(len(left), length)
    zero = jnp.zeros_like(left)
    return Rows(cache, zero, zero, left, place, jax.random.wrap_key_data(keys, impl="threefry2x32"), numbers)


@functools.partial(jax.jit, static_argnums=(0, 6), donate_argnums=3)
def begun(
    shape: Any, tables: Any, fixed: Any, rows: Rows, tokens: Array, segments: Array, steps: Steps, ends: Array
) -> Rows:
    """Rows whose prompts, (rows, tokens) and 0 where padded, are read, with their first token written."""
    model = with_places(nnx.merge(shape.graph, tables, fixed), rows.place)
    hidden, cache = model.extend(tokens, rows.cache, segments=segments)
    return _next(model, hidden[:, -1], rows._replace(cache=cache), steps, ends)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=3)
def read(shape: Any, tables: Any, fixed: Any, rows: Rows, tokens: Array, segments: Array) -> Rows:
    """Rows with a piece of their prompts read, none the last."""
    model = with_places(nnx.merge(shape.graph, tables, fixed), rows.place)
    return rows._replace(cache=model.extend(tokens, rows.cache, segments=segments)[1])


@functools.partial(jax.jit, static_argnums=(0, 4, 6), donate_argnums=3)
def written(
    shape: Any, tables: Any, fixed: Any, rows: Rows, steps: Steps, ends: Array, chunk: int
) -> tuple[Rows, Array]:
    """Up to `chunk` tokens more in each row; and those, (rows, chunk), `NONE` where none was written."""
    model = with_places(nnx.merge(shape.graph, tables, fixed), rows.place)

    def goes_on(carry: tuple) -> Array:
        done, rows, _ = carry
        return (done < chunk) & (rows.left > 0).any()

    def step(carry: tuple) -> tuple:
        done, rows, out = carry
        live = rows.left > 0
        hidden, cache = model.extend(rows.token[:, None], rows.cache, segments=live[:, None].astype(jnp.int32))
        rows = _next(model, hidden[:, 0], rows._replace(cache=cache), steps, ends)
        return done + 1, rows, out.at[:, done].set(jnp.where(live, rows.token, NONE))

    none = jnp.full((len(rows.token), chunk), NONE, jnp.int32)
    _, rows, out = jax.lax.while_loop(goes_on, step, (jnp.int32(0), rows, none))
    return rows, out


@functools.partial(jax.jit, donate_argnums=0)
def joined(rows: Rows, new: Rows, where: Array) -> Rows:
    """`rows` with `new` ones at these numbers; a number past the last is nowhere."""
    cache = new.cache.longer(rows.cache.length)
    keys, values = (
        jax.tree.map(lambda old, own: _put(old, own, where, -4), getattr(rows.cache, side), getattr(cache, side))
        for side in ("keys", "values")
    )
    flat = {name: _put(getattr(rows.cache, name), getattr(cache, name), where, 0) for name in Cache._fields[2:]}
    others = {
        name: jax.tree.map(lambda old, own: _put(old, own, where, 0), getattr(rows, name), getattr(new, name))
        for name in Rows._fields[1:]
    }
    return Rows(Cache(keys, values, **flat), **others)


def _put(old: Array, new: Array, where: Array, axis: int) -> Array:
    """`new` rows at their numbers along an axis."""
    place = (slice(None),) * (axis % old.ndim) + (where,)
    return old.at[place].set(new, mode="drop")


def _next(model: Decoder, hidden: Array, rows: Rows, steps: Steps, ends: Array) -> Rows:
    """The rows with their next token."""
    keys = jax.vmap(jax.random.fold_in)(rows.keys, rows.count)
    live = rows.left > 0
    token = jnp.where(
        live, jax.vmap(functools.partial(_token, steps=steps))(model.logits(hidden), keys, rows.numbers), 0
    )
    left = jnp.where((token[:, None] == ends).any(1), 0, jnp.maximum(rows.left - 1, 0))
    return rows._replace(token=token, count=rows.count + live, left=left)


def _token(logits: Array, key: Array, numbers: Numbers, steps: Steps) -> Array:
    """The next token of one row: drawn, or the most probable where its temperature is 0."""
    if not steps.drawn:
        return jnp.argmax(logits).astype(jnp.int32)
    temperature = jnp.asarray(numbers.temperature)
    warm = temperature > 0
    drawn = pick(logits, logits, key, numbers._replace(temperature=jnp.where(warm, temperature, 1.0)), steps)
    return jnp.where(warm, drawn, jnp.argmax(logits).astype(jnp.int32))
