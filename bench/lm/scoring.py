"""Tokens scored a second, ours and transformers' on the CPU with the same weights and rows; and memory by the chunk.

Both are given rows of equal length, all of whose tokens are read and the last of which are scored, so that neither
packing nor shared beginnings help. Ours is the whole public call; theirs the fastest of three ways. They take turns.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time
import types

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bench.kit.measure import run_script
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax import lm
from lleval_jax.lm import families, safetensors_files, weights
from lleval_jax.lm.logprobs import Chunks, token_logprobs

SHAPES = {  # of Llamas: vocab, layers, width, heads, kv_heads, head_dim, hidden; and rows, and tokens of a row
    "tiny": ((512, 2, 32, 2, 1, 16, 64), 2, 64),
    "5M": ((4096, 6, 256, 4, 2, 64, 640), 32, 256),
    "135M": ((49_152, 30, 576, 9, 3, 64, 1536), 4, 256),
}
SIZES = ("vocab", "layers", "width", "heads", "kv_heads", "head_dim", "hidden")
RIVAL = pathlib.Path(__file__).parent / "rivals" / "transformers_scoring.py"
VOCAB, WIDTH, STATES = 262_144, 640, 4096  # of the memory study: Gemma 3 270M, two batches


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    sizes: tuple[str, ...] = setting(("5M", "135M"), "random models, by their parameters")
    repeats: int = setting(5, "timed calls of a turn")
    turns: int = setting(2, "of each side")
    rival: bool = setting(True, "time transformers too")
    ways: tuple[str, ...] = setting(("sdpa", "eager", "compiled"), "of transformers, of which the fastest counts")
    chunks: tuple[int, ...] = setting((1024, 4096, 16_384, 65_536), "tokens of a chunk whose memory is read")
    patience: float = setting(1800.0, "seconds that a turn of the rival may take")


def study(settings: Settings, record: Record) -> None:
    """Memory first, which needs no quiet machine."""
    record.part("memory", {"rows": memory(settings.chunks)})
    for size in settings.sizes:
        found = speed(size, settings)
        record.part(size, found)
        print(json.dumps({size: found}, indent=1))


def memory(chunks: tuple[int, ...]) -> list[dict]:
    """Bytes that the compiled program takes besides what goes in and comes out, by the size of a chunk."""
    shapes = (jax.ShapeDtypeStruct((n, WIDTH), jnp.float32) for n in (STATES, VOCAB))
    shapes = (*shapes, jax.ShapeDtypeStruct((STATES,), jnp.int32))
    rows = []
    for size in chunks:

        def value(hidden, head, targets, cut=Chunks(size)):  # noqa: B008
            return token_logprobs(hidden, head, targets, None, cut).sum()  # pyright: ignore[reportAttributeAccessIssue]

        both = {"forward": value, "with gradients": jax.grad(value, (0, 1))}
        rows.append({"chunk": size} | {name: _bytes(function, shapes) for name, function in both.items()})
    rows.append({"chunk": VOCAB} | {name: _bytes(f, shapes) for name, f in _whole().items()})
    return rows


def _whole() -> dict:
    def value(hidden, head, targets):
        logprobs = jax.nn.log_softmax(hidden @ head.T)
        return jnp.take_along_axis(logprobs, targets[:, None], 1).sum()

    return {"forward": value, "with gradients": jax.grad(value, (0, 1))}


def _bytes(function, shapes) -> int:
    return jax.jit(function).lower(*shapes).compile().memory_analysis().temp_size_in_bytes


def speed(size: str, settings: Settings) -> dict:
    """Seconds of both sides, in turn."""
    sizes, rows, length = SHAPES[size]
    config = lm.Config(**dict(zip(SIZES, sizes, strict=True)), context=2048, tied=True, norm_eps=1e-5)
    decoder = lm.Decoder(config, rngs=nnx.Rngs(0))
    model = types.SimpleNamespace(name=size, decoder=decoder, tokens=None, config=config)
    tokens = np.random.default_rng(0).integers(3, config.vocab, (rows, length)).astype(np.int32)
    answer = length // 4
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        np.save(folder / "tokens.npy", tokens)
        _write(decoder, folder)
        for _ in range(settings.turns):
            ours.append(_ours(model, tokens, answer, settings.repeats))
            if settings.rival:
                theirs.append(_theirs(folder, answer, settings))
    found = {
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(nnx.state(decoder))),
        "rows": rows,
        "length": length,
        "scored": answer,
        "ours": _pooled([turn["seconds"] for turn in ours], rows * length) | {"cold_seconds": ours[0]["cold_seconds"]},
    }
    return found | (_compared(ours, theirs, rows * length, found["ours"]) if theirs else {})


def _write(decoder: lm.Decoder, folder: pathlib.Path) -> None:
    """As Hugging Face publishes a model, but for a tokenizer."""
    family = families.FAMILIES[decoder.config.family]
    (folder / "config.json").write_text(json.dumps(families.write_config(decoder.config)))
    safetensors_files.write(folder, weights.stored(decoder, family.tensors(decoder.config)))


def _ours(model, tokens: np.ndarray, answer: int, repeats: int) -> dict:
    prompts, answers = list(tokens[:, :-answer]), list(tokens[:, -answer:])
    seconds, processor = [], []
    for _ in range(repeats + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        found = lm.score(model, prompts, answers)
        seconds.append(time.perf_counter() - wall)
        processor.append(time.process_time() - cpu)
    middle = statistics.median(processor[1:])
    return {"cold_seconds": seconds[0], "seconds": seconds[1:], "cpu_seconds": middle, "sums": found.sums}


def _theirs(folder: pathlib.Path, answer: int, settings: Settings) -> dict:
    out = folder / "theirs.json"
    words = [os.environ.get("LLEVAL_PARITY", sys.executable), str(RIVAL), str(folder), str(folder / "tokens.npy")]
    return run_script([*words, str(answer), str(settings.repeats), str(out), *settings.ways], out, settings.patience)


def _pooled(turns: list[list[float]], tokens: int) -> dict:
    every = [one for turn in turns for one in turn]
    middle = statistics.median(every)
    return {"warm_seconds": middle, "seconds": every, "tokens_a_second": tokens / middle}


def _compared(ours: list[dict], theirs: list[dict], tokens: int, mine: dict) -> dict:
    """Theirs by way, the fastest named, and how far sums differ."""
    done = [turn for turn in theirs if turn.get("ways")]
    if not done:
        return {"theirs": theirs[0]}
    ways = {
        way: _pooled([turn["ways"][way]["seconds"] for turn in done if way in turn["ways"]], tokens)
        | {"cpu_seconds": statistics.median(turn["ways"][way]["cpu_seconds"] for turn in done if way in turn["ways"])}
        for way in done[0]["ways"]
    }
    best = min(ways, key=lambda way: ways[way]["warm_seconds"])
    return {
        "ours": mine | {"cpu_seconds": statistics.median(turn["cpu_seconds"] for turn in ours)},
        "theirs": ways[best] | {"way": best, "versions": done[0]["versions"], "ways": ways},
        "times_as_fast": ways[best]["warm_seconds"] / mine["warm_seconds"],
        "times_as_fast_by_cpu": ways[best]["cpu_seconds"] / statistics.median(turn["cpu_seconds"] for turn in ours),
        "largest_difference_of_sums": float(np.abs(np.array(done[0]["sums"]) - ours[0]["sums"]).max()),
    }
