"""What sharing bases does to adapters that were trained: error, score against the uncompressed ones, agreement.

Sixty-four adapters of SmolLM2-135M-Instruct (`bench.compress.train_adapters`) answer held-out questions of their tasks,
uncompressed and out of shared bases. All run through one program: factors are padded to one rank. Scores are of answers
that are shown to the model up to each token. Sizes are written one by one; a study that was stopped goes on.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import pathlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bench.compress import tasks, train_adapters
from bench.compress.answers import Answers, scored_parts
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax import lm
from lleval_jax.training.compress import clusters as clustering
from lleval_jax.training.compress import joint
from lleval_jax.training.compress import stack as stacks
from lleval_jax.training.compress.fit import Search, compress
from lleval_jax.training.compress.folders import Collection, read_adapters
from lleval_jax.training.compress.stack import Stack
from lleval_jax.training.low_rank import adapter_names, lora
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run.batches import Packed
from lleval_jax.values.shared_adapters import Shared, core_values

RANK = train_adapters.RANK
Factors = Mapping[str, tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is compressed, and into what."""

    model: str = setting("smollm2", "whose adapters they are")
    made: int = setting(0, "adapters that are made first, of one step each; 0: those of LLEVAL_ADAPTERS")
    full: tuple[int, ...] = setting((4, 16, 32, 64, 8, 2), "ranks with full cores")
    svd: tuple[int, ...] = setting((1, 2, 4, 8), "ranks that each adapter is cut to by itself")
    two: tuple[int, ...] = setting((16, 8, 32, 4), "ranks with two clusters")
    four: tuple[int, ...] = setting((16, 8, 4), "ranks with four clusters")
    diag: tuple[int, ...] = setting((16, 4, 64), "ranks with diagonal cores")
    sweeps: int = setting(40, "of a search, at most")
    random: bool = setting(True, "compare with random adapters")
    many: tuple[int, ...] = setting((64, 256, 1024), "modules of one shape taken for adapters of one module")
    bases: tuple[int, ...] = setting((2, 4), "clusters of these")
    longest: float = setting(1e9, "seconds after which no further size is begun")


class Forward:
    """The model with room for one adapter of any rank up to `rank`: one program for all."""

    def __init__(self, model: lm.LanguageModel, rank: int) -> None:
        self.rank = rank
        self.layers = model.config.layers
        self.model = lora.attach(model.decoder, Lora(rank=rank, alpha=float(rank)))
        self.names = adapter_names.paths(model.decoder)

    def __call__(self, factors: Factors, batch: Packed) -> Answers:
        """The answers of a batch with an adapter; scales are in B."""
        for path, adapter in lora.adapters(self.model):
            pattern = self.names[lora.name_of(path)]
            pairs = [factors[pattern.format(layer=layer)] for layer in range(self.layers)]
            more = self.rank - len(pairs[0][0])
            adapter.a[...] = jnp.asarray(np.stack([np.pad(a, ((0, more), (0, 0))) for a, _ in pairs]))
            adapter.b[...] = jnp.asarray(np.stack([np.pad(b, ((0, 0), (0, more))) for _, b in pairs]))
        return scored_parts(*nnx.split(self.model), batch)


def study(settings: Settings, record: Record) -> None:
    """Base and uncompressed adapters, then one size after another; bases of random adapters, and of many modules."""
    model = lm.load(settings.model)
    with tempfile.TemporaryDirectory() as temporary:
        found = read_adapters(_folder(settings, model, pathlib.Path(temporary)))
        names = [name for name in tasks.NAMES if tasks.folder_of(name) in found.names]
        if list(record.content.get("tasks", {}).get("rows", {})) != names:
            record.content.clear()  # it is of other adapters
        asked = {name: train_adapters.held_out(model, name) for name in names}
        forward = Forward(model, max(RANK, *settings.full, *settings.diag))
        whole = _uncompressed(found, forward, asked, settings, record)
        _compared(found, settings, record)
        _sizes(found, forward, asked, whole, settings, record)
        if "many" not in record.content:
            record.part("many", {"rows": many(found, settings)})


def _folder(settings: Settings, model: lm.LanguageModel, temporary: pathlib.Path) -> pathlib.Path:
    if not settings.made:
        return train_adapters.folder()
    schedule = dataclasses.replace(train_adapters.SCHEDULE, steps=1, warmup=0.0)
    for number in range(settings.made):
        train_adapters.train(model, number, temporary / tasks.folder_of(tasks.NAMES[number]), schedule)
    return temporary


def _own(found: Collection, name: str) -> Factors:
    """An adapter's own factors."""
    adapter = found.adapters[found.names.index(tasks.folder_of(name))]
    return {module: adapter.factors(module) for module in adapter.shapes}


def _uncompressed(
    found: Collection, forward: Forward, asked: Mapping[str, Packed], settings: Settings, record: Record
) -> dict[str, Answers]:
    """The answers of each adapter on its own task."""
    nothing = {name: (a * 0, b * 0) for name, (a, b) in _own(found, next(iter(asked))).items()}
    base = {name: forward(nothing, batch) for name, batch in asked.items()}
    whole = {name: forward(_own(found, name), batch) for name, batch in asked.items()}
    rows = {name: {"base": base[name].summary(), "adapter": whole[name].summary()} for name in asked}
    record.part("tasks", {"settings": dataclasses.asdict(settings), "rows": rows})
    return whole


def _sizes(
    found: Collection,
    forward: Forward,
    asked: Mapping[str, Packed],
    whole: Mapping[str, Answers],
    settings: Settings,
    record: Record,
) -> None:
    """Each size that is not there yet: first one of each method, so that a short study has seen all."""
    kinds = [("full", 1, settings.full), ("svd", 1, settings.svd), ("full", 2, settings.two)]
    kinds += [("diag", 1, settings.diag), ("full", 4, settings.four)]
    turns = itertools.zip_longest(*([(method, count, rank) for rank in ranks] for method, count, ranks in kinds))
    began = time.perf_counter()
    for method, count, rank in (each for turn in turns for each in turn if each is not None):
        name = f"{method} {count} {rank}"
        there = record.content.get("sizes", {}).get("rows", {})
        if name in there or count > len(found.names) // 2 or time.perf_counter() - began > settings.longest:
            continue
        first = time.perf_counter()
        search = Search(starts=1, most=settings.sweeps, memory=3e7 * len(found.names) / 64)
        shared = compress(found, rank, method=method, clusters=count, search=search)  # pyright: ignore[reportArgumentType]
        seconds = time.perf_counter() - first
        rows = _row(shared, forward, asked, whole) | {"method": method, "clusters": count, "rank": rank}
        rows |= {"seconds": round(seconds, 1), "settled": bool(shared.settled)}
        record.part("sizes", {"rows": there | {name: rows}})
        print(name, f"{np.mean(rows['error']):.3f}", f"{seconds:.0f} s", flush=True)


def _row(shared: Shared, forward: Forward, asked: Mapping[str, Packed], whole: Mapping[str, Answers]) -> dict[str, Any]:
    """Of each task error and scores, in the order of tasks."""
    columns: dict[str, list[float]] = {name: [] for name in ("error", "logprob", "tokens", "answers", "agreement")}
    for name, batch in asked.items():
        now = forward(shared.factors(tasks.folder_of(name)), batch)
        columns["error"].append(round(float(shared.error[shared.names.index(tasks.folder_of(name))].mean()), 5))
        for key, value in now.summary().items():
            if key in columns:
                columns[key].append(value)
        columns["agreement"].append(round(float((now.greedy == whole[name].greedy).mean()), 5))
    return columns | {"share": shared.after / int(shared.before.sum())}


def _compared(found: Collection, settings: Settings, record: Record) -> None:
    """Error of the middle modules of trained adapters, and of random ones with the same norms, or singular values."""
    if not settings.random or "random" in record.content:
        return
    rows = []
    for shape, modules in found.groups().items():
        middle = modules[len(modules) // 2]
        trained = stacks.unit(found.stack([middle]))
        kinds = {"trained": trained, "same singular values": _turned(trained), "same norms": _drawn(trained)}
        for rank, (kind, stack) in itertools.product(sorted(settings.full), kinds.items()):
            if rank > min(shape):
                continue
            kept = _cores_of(stack, rank, settings.sweeps)
            rows.append({"module": middle, "rank": rank, "kind": kind, "error": np.round(1 - kept, 5).tolist()})
    record.part("random", {"rows": rows})


def _cores_of(stack: Stack, rank: int, sweeps: int) -> np.ndarray:
    """(n,) energy that each adapter of one module keeps."""
    basis = joint.best(lambda: (stack,), rank, jax.random.key(0), starts=1, most=sweeps)
    return np.square(np.asarray(joint.cores(stack, basis.u, basis.v))).sum((0, 2, 3))


def _turned(stack: Stack) -> Stack:
    """Adapters with the same singular values and random directions."""
    turned = []
    for side, seed in zip(stack, (1, 2), strict=True):
        d, rng = side.shape[-1], np.random.default_rng(seed)
        turns = [np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(side.shape[1])]
        turned.append(jnp.asarray(np.einsum("mnrd,nde->mnre", np.asarray(side), np.stack(turns)), jnp.float32))
    return Stack(*turned)


def _drawn(stack: Stack) -> Stack:
    """Adapters of normal numbers, of the same rank and norm."""
    rng = np.random.default_rng(3)
    return stacks.unit(Stack(*(jnp.asarray(rng.standard_normal(side.shape), jnp.float32) for side in stack)))


def many(found: Collection, settings: Settings) -> list[dict[str, Any]]:
    """One basis against clusters at equal memory, by how many there are.

    Sixty-four adapters are fewer than a hundred: the key and value modules of all layers are taken for adapters of one
    module, which they are not. All have one shape; which layer comes first is drawn.
    """
    shape, modules = min(found.groups().items(), key=lambda each: min(each[0]))
    picks = np.random.default_rng(0).permutation([(i, k) for i in range(len(found.names)) for k in range(len(modules))])
    rows = []
    for n in settings.many:
        if n > len(picks):
            continue
        some = [found.stack([modules[k]], [i]) for i, k in picks[:n]]
        stack = stacks.unit(Stack(*(jnp.concatenate(side, 1) for side in zip(*some, strict=True))))
        for count in settings.bases:
            solved = clustering.solve([stack], RANK, count, jax.random.key(0), starts=1, most=8)
            wide = _matching(shape, n, _held(shape, n, count, RANK))
            one = _cores_of(stack, wide, settings.sweeps)
            row = {"n": n, "clusters": count, "rank": RANK, "error": float(1 - solved.kept.mean())}
            rows.append(row | {"one_rank": wide, "one_error": float(1 - one.mean())})
            print("many", json.dumps(rows[-1]), flush=True)
    return rows


def _held(shape: Sequence[int], n: int, clusters: int, rank: int) -> int:
    """Values of bases and cores of one module."""
    return clusters * rank * sum(shape) + n * core_values(rank, RANK, "full")


def _matching(shape: Sequence[int], n: int, values: int) -> int:
    """The largest rank of one basis that holds no more values."""
    return max(rank for rank in range(1, min(shape) + 1) if _held(shape, n, 1, rank) <= values)
