"""What a device holds of a model of Llama 3.2 1B's shape on eight devices, and what they send each other.

Nothing is allocated: the programs are compiled for shapes alone, and the numbers are read from what the compiler made.
`score` is the log-probabilities of all tokens of a batch, `step` one more token of each row, the cache full, greedy.

Weights are bfloat16. The compiler for CPUs widens them to float32 before it multiplies, so that what is sent counts
double, and the room for passing arrays is no guide to an accelerator's; what a program takes in is as on any device.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh, NamedSharding

from bench.kit.results import Record
from bench.kit.settings import setting
from bench.lm.collectives import Sent, collectives, counted
from lleval_jax.lm import Cache, Config, Decoder, answer_logprobs
from lleval_jax.lm.mesh import CACHE, abstract, mesh, spec

MESHES = {"1": (1, 1, 1), "data 8": (8, 1, 1), "fsdp 8": (1, 8, 1), "tensor 8": (1, 1, 8), "2 x 2 x 2": (2, 2, 2)}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is compiled; the defaults are Llama 3.2 1B."""

    layers: int = setting(16, "layers")
    width: int = setting(2048, "width")
    heads: int = setting(32, "query heads")
    kv_heads: int = setting(8, "key and value heads")
    hidden: int = setting(8192, "hidden numbers of the MLP")
    vocab: int = setting(128256, "tokens of the vocabulary")
    rows: int = setting(8, "rows of a batch")
    tokens: int = setting(1024, "tokens of a row")


def shape(settings: Settings) -> Config:
    """The decoder's."""
    names = ("layers", "width", "heads", "kv_heads", "hidden", "vocab")
    sizes: dict[str, Any] = {name: getattr(settings, name) for name in names}
    head_dim = settings.width // settings.heads
    return Config(**sizes, head_dim=head_dim, context=131_072, tied=True, norm_eps=1e-5)


def score(config: Config, on: Mesh, rows: int, tokens: int) -> jax.stages.Compiled:
    """Log-probabilities of all tokens, compiled for a mesh."""
    graph, weights = _decoder(config, on)

    def scored(weights: nnx.State, texts: jax.Array) -> jax.Array:
        places = jnp.arange(texts.size, dtype=jnp.int32)
        return answer_logprobs(nnx.merge(graph, weights), texts, places)

    return jax.jit(scored).lower(weights, _laid(on, (rows, tokens), jnp.int32)).compile()


def step(config: Config, on: Mesh, rows: int, tokens: int) -> jax.stages.Compiled:
    """One more token of each row after so many, greedy, compiled for a mesh."""
    graph, weights = _decoder(config, on)
    shapes = jax.eval_shape(lambda: nnx.merge(graph, weights).cache(rows, tokens))
    cache = jax.tree.map(lambda part: _laid(on, part.shape, part.dtype), shapes)

    def stepped(weights: nnx.State, last: jax.Array, cache: Cache) -> tuple[jax.Array, Cache]:
        model = nnx.merge(graph, weights)
        hidden, cache = model.extend(last, cache)
        return model.logits(hidden[:, -1]).argmax(-1), cache

    return jax.jit(stepped, donate_argnums=2).lower(weights, _laid(on, (rows, 1), jnp.int32), cache).compile()


def _decoder(config: Config, on: Mesh) -> tuple[nnx.GraphDef, nnx.State]:
    """A decoder without a byte of weights."""
    made = nnx.eval_shape(lambda: Decoder(config, dtype=jnp.bfloat16, mesh=on))
    return nnx.split(made)[0], abstract(made, on)


def _laid(on: Mesh, shape: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
    where = NamedSharding(on, spec(CACHE[len(shape)], shape, on))
    return jax.ShapeDtypeStruct(shape, dtype, sharding=where)


PROGRAMS = {"score": score, "step": step}


def described(program: jax.stages.Compiled, layers: int) -> dict[str, Any]:
    """What one device takes in, and what is sent in one run."""
    memory, sent = program.memory_analysis(), collectives(program.as_text())
    assert memory is not None
    inner = [each for each in sent if each.times == layers]
    return {
        "bytes_in": memory.argument_size_in_bytes,
        "bytes_passing": memory.temp_size_in_bytes,
        "sent": counted(sent),
        "in_each_layer": counted([each._replace(times=1) for each in inner]),
        "list": [_words(each) for each in sent],
    }


def _words(each: Sent) -> str:
    return f"{each.times} x {each.kind} {each.shape} over {each.devices or 'named'} devices"


def study(settings: Settings, record: Record) -> None:
    """All meshes."""
    jax.config.update("jax_num_cpu_devices", 8)  # before JAX starts
    config, content = shape(settings), {}
    for name, sizes in MESHES.items():
        began, on = time.perf_counter(), mesh(*sizes)
        made = {verb: compiled(config, on, settings.rows, settings.tokens) for verb, compiled in PROGRAMS.items()}
        content[name] = {verb: described(program, config.layers) for verb, program in made.items()}
        print(name, f"{time.perf_counter() - began:.0f} s", content[name], flush=True)
        record.keep({"settings": dataclasses.asdict(settings), "parameters": _parameters(config), "meshes": content})


def _parameters(config: Config) -> int:
    weights = nnx.state(nnx.eval_shape(lambda: Decoder(config)), nnx.Param)
    return sum(leaf.size for leaf in jax.tree.leaves(weights))
