"""How rows with adapters of their own meet the bases of their clusters: each way, by shapes, and the one that is taken.

One linear layer of d x d; the seconds are those of the update alone. "apart" is what uncompressed adapters cost,
"layer" the product with the own weight of the layer, without which no row gets anywhere.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.training.serve import batched

WAYS: tuple[batched.Ways, ...] = ("gathered", "all", "sorted")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is timed."""

    width: tuple[int, ...] = setting((576, 2048), "sides of the layer")
    clusters: tuple[int, ...] = setting((4, 25, 64), "bases")
    rows: tuple[int, ...] = setting((8, 32, 64), "rows of a batch")
    tokens: tuple[int, ...] = setting((1, 64), "of a row: decoding, reading a prompt")
    rank: int = setting(16, "of bases and of uncompressed adapters")
    adapters: int = setting(1024, "that there are; uncompressed, 256")
    repeats: int = setting(7, "of each; the median counts")


def study(settings: Settings, record: Record) -> None:
    """All shapes, one after another."""
    found = []
    for width, rows, tokens, clusters in itertools.product(
        settings.width, settings.rows, settings.tokens, settings.clusters
    ):
        found.append(shape(settings, width, clusters, rows, tokens))
        print({key: value for key, value in found[-1].items() if key != "spread"}, flush=True)
        record.part("ways", {"rank": settings.rank, "adapters": settings.adapters, "shapes": found})


def shape(settings: Settings, width: int, clusters: int, rows: int, tokens: int) -> dict:
    """Median milliseconds of every way, and the way that `way_of` takes."""
    rng = np.random.default_rng(0)
    x, weight = _drawn(rng, rows, tokens, width), _drawn(rng, width, width)
    bases = _drawn(rng, clusters, width, settings.rank), _drawn(rng, clusters, width, settings.rank)
    cores = _drawn(rng, settings.adapters, settings.rank, settings.rank)
    cluster = jnp.asarray(rng.integers(clusters, size=settings.adapters))
    few = min(256, settings.adapters)
    factors = _drawn(rng, few, settings.rank, width), _drawn(rng, few, width, settings.rank)
    ids = jnp.asarray(rng.integers(few, size=rows))
    calls: dict[str, Callable[[], jax.Array]] = {
        way: _bound(
            lambda x, u, v, c, z, i, way=way: batched.shared(x, u, v, c, z, i, way), x, *bases, cores, cluster, ids
        )
        for way in WAYS
    }
    calls["apart"] = _bound(batched.apart, x, *factors, ids)
    calls["layer"] = _bound(lambda x, w: x @ w, x, weight)
    times = timed(calls, settings.repeats)
    return {
        "width": width,
        "clusters": clusters,
        "rows": rows,
        "tokens": tokens,
        "taken": batched.way_of(clusters, rows, tokens),
        "milliseconds": {name: 1e3 * statistics.median(each) for name, each in times.items()},
        "spread": {name: [1e3 * min(each), 1e3 * max(each)] for name, each in times.items()},
    }


def timed(calls: dict[str, Callable[[], jax.Array]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each call, by turns; a time is that of as many calls as take about 5 ms."""
    counts = {name: max(1, round(5e-3 / _seconds(call, 3))) for name, call in calls.items()}
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            found[name].append(_seconds(call, counts[name]))
    return found


def _seconds(call: Callable[[], jax.Array], count: int) -> float:
    jax.block_until_ready(call())
    began = time.perf_counter()
    for _ in range(count):
        found = call()
    jax.block_until_ready(found)
    return (time.perf_counter() - began) / count


def _bound(call: Callable[..., jax.Array], *arrays: jax.Array) -> Callable[[], jax.Array]:
    compiled = jax.jit(call)
    return lambda: compiled(*arrays)


def _drawn(rng: np.random.Generator, *shape: int) -> jax.Array:
    return jnp.asarray(rng.normal(size=shape) / shape[-1] ** 0.5, jnp.float32)
