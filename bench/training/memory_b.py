"""What learning B alone saves, on a decoder of SmolLM2's shape: optimiser's state, what the backward pass keeps, time.

Nothing is allocated but for the times: programs are compiled for shapes alone. `kept` are the arrays that reverse mode
carries from the forward to the backward pass and that have an axis of tokens, by shape; JAX says so before the compiler
sees the program. `passing` is the compiler's own figure for the whole step, on a CPU.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax import training as tr
from lleval_jax.lm import Config, Decoder, answer_logprobs
from lleval_jax.lm.decoder import Recompute

SHAPES = {  # vocab, layers, width, heads, kv_heads, head_dim, hidden
    "tiny": (64, 2, 32, 2, 1, 16, 64),
    "5M": (4096, 6, 256, 4, 2, 64, 640),
    "135M": (49_152, 30, 576, 9, 3, 64, 1536),
}
SIZES = ("vocab", "layers", "width", "heads", "kv_heads", "head_dim", "hidden")
TARGETS = {"query, key, value": ("query", "key", "value"), "all linear": ("attention.*", "mlp.*")}
LEARN = ("both", "B", "A")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is compiled, and timed."""

    size: str = setting("135M", "of the decoder")
    tokens: int = setting(1024, "of the one row of a batch")
    rank: int = setting(8, "of the adapters")
    targets: tuple[str, ...] = setting(tuple(TARGETS), "layers with adapters")
    learn: tuple[str, ...] = setting(LEARN, "which factor learns")
    recompute: tuple[str, ...] = setting(("nothing", "products"), "what the backward pass computes again")
    timed: str = setting("135M", "the decoder of the steps that are timed")
    repeats: int = setting(5, "timed steps of each, by turns; 0 for none")
    load: float = setting(2.5, "processes on the machine above which nothing is timed")
    patience: float = setting(1800.0, "seconds to wait for that")


def study(settings: Settings, record: Record) -> None:
    """Memory first, which needs no quiet machine."""
    rows = []
    for recompute in settings.recompute:
        for name in settings.targets:
            for learn in settings.learn:
                found = memory(settings, TARGETS[name], learn, recompute)
                rows.append({"targets": name, "learn": learn, "recompute": recompute, **found})
                print(rows[-1], flush=True)
                record.part("memory", {"size": settings.size, "tokens": settings.tokens, "rows": rows})
    if settings.repeats and quiet(settings):
        found = {name: times(settings, TARGETS[name]) for name in settings.targets}
        record.part("times", {"size": settings.timed, "tokens": settings.tokens, "seconds": found})
        print(found)


def memory(settings: Settings, targets: tuple[str, ...], learn: str, recompute: str) -> dict[str, Any]:
    """Bytes of what learns, of the optimiser's state, of what is kept by shape, and that the step takes in passing."""
    shape, learned, fixed = parts(settings.size, settings.rank, targets, learn, recompute, abstract=True)
    tokens = jax.ShapeDtypeStruct((1, settings.tokens), jnp.int32)
    optimizer = optax.adamw(1e-4)

    def held(learned: Any, fixed: Any, tokens: jax.Array) -> Any:
        return jax.vjp(lambda learned: _loss(shape, learned, fixed, tokens), learned)[1]

    def step(learned: Any, state: Any, fixed: Any, tokens: jax.Array) -> Any:
        value, slope = jax.value_and_grad(lambda learned: _loss(shape, learned, fixed, tokens))(learned)
        change, state = optimizer.update(slope, state, learned)
        return value, optax.apply_updates(learned, change), state

    kept = kept_of(jax.eval_shape(held, learned, fixed, tokens), settings.tokens)
    state = jax.eval_shape(optimizer.init, learned)
    analysis = jax.jit(step, donate_argnums=(0, 1)).lower(learned, state, fixed, tokens).compile().memory_analysis()
    assert analysis is not None
    return {
        "learned": _bytes(learned),
        "state": _bytes(state),
        "kept": sum(kept.values()),
        "kept_by_shape": dict(sorted(kept.items(), key=lambda each: -each[1])),
        "passing": analysis.temp_size_in_bytes,
    }


def kept_of(residuals: Any, tokens: int) -> dict[str, int]:
    """Bytes by shape and type of the arrays with an axis of tokens."""
    found: collections.Counter[str] = collections.Counter()
    for leaf in jax.tree.leaves(residuals):
        if tokens in leaf.shape:
            found[f"{leaf.dtype} {' x '.join(map(str, leaf.shape))}"] += leaf.size * leaf.dtype.itemsize
    return dict(found)


def parts(
    size: str, rank: int, targets: tuple[str, ...], learn: str, recompute: str, *, abstract: bool
) -> tuple[Any, Any, Any]:
    """A decoder with adapters, taken apart: its shape, what learns, and what does not."""
    config = Config(**dict(zip(SIZES, SHAPES[size], strict=True)), context=2048, tied=True, norm_eps=1e-5)
    lora = tr.Lora(rank, targets=targets, learn=learn, zero="A" if learn == "A" else "B")  # type: ignore[arg-type]
    again: Recompute = recompute  # type: ignore[assignment]

    def made() -> Decoder:
        return tr.attach(Decoder(config, rngs=nnx.Rngs(0), recompute=again), lora)

    shape, learned, fixed = nnx.split(nnx.eval_shape(made) if abstract else made(), tr.learned(lora.learn), ...)
    return shape, learned, fixed


def _loss(shape: Any, learned: Any, fixed: Any, tokens: jax.Array) -> jax.Array:
    places = jnp.arange(1, tokens.size, dtype=jnp.int32)
    model: Any = nnx.merge(shape, learned, fixed)
    return -answer_logprobs(model, tokens, places).mean()


def quiet(settings: Settings) -> bool:
    """Whether the machine became quiet in time."""
    until = time.monotonic() + settings.patience
    while os.getloadavg()[0] > settings.load:
        if time.monotonic() > until:
            return False
        time.sleep(5)
    return True


def times(settings: Settings, targets: tuple[str, ...]) -> dict[str, Any]:
    """Seconds of forward and backward passes, by turns: median, least and most."""
    tokens = np.random.default_rng(0).integers(1, 60, (1, settings.tokens)).astype(np.int32)
    calls = {}
    for learn in LEARN:
        shape, learned, fixed = parts(settings.timed, settings.rank, targets, learn, "nothing", abstract=False)
        run = jax.jit(
            jax.value_and_grad(lambda learned, fixed, tokens, shape=shape: _loss(shape, learned, fixed, tokens))
        )
        calls[learn] = (run, learned, fixed)
        jax.block_until_ready(run(learned, fixed, tokens))
    seconds: dict[str, list[float]] = {learn: [] for learn in LEARN}
    for _ in range(settings.repeats):
        for learn, (run, learned, fixed) in calls.items():
            began = time.perf_counter()
            jax.block_until_ready(run(learned, fixed, tokens))
            seconds[learn].append(time.perf_counter() - began)
    return {learn: {"median": statistics.median(each), "all": each} for learn, each in seconds.items()}


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
