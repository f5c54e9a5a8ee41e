"""Whether AOT gains with the batch, and whether it must be sorted whole: tiny-lm, all weights, solutions of GSM8K.

At an equal number of answers seen: batches of 2 to 64 pairs, AOT unpaired and DPO, the rate by the square root of the
batch. Then AOT sorted in the whole batch, as a step here does for any micro-batches, and within blocks only, as
trainers do that sort each micro-batch by itself: the value and the gradient of the loss, and what comes out.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bench.kit.results import Record, read
from bench.kit.settings import setting
from bench.training import alignment, pairs
from bench.training.aligning import Contestant, Ground, measures, rewards
from lleval_jax import lm
from lleval_jax.lm.load import LanguageModel
from lleval_jax.training import losses
from lleval_jax.training.losses import AOT, Loss, Sides
from lleval_jax.training.run import batches as batching
from lleval_jax.training.run import step
from lleval_jax.training.run.loop import WHOLE
from lleval_jax.training.run.schedule import Schedule
from lleval_jax.training.run.step import Parts
from lleval_jax.types import Array

MIDDLE = 16  # pairs of the batch whose rate is the searched one


@dataclasses.dataclass(frozen=True)
class Blocks:
    """A loss of blocks of a batch: the mean over blocks of so many answers of each side, one after another."""

    loss: Loss
    size: int

    def value(self, policy: Sides, reference: Sides, weights: Sides) -> Array:
        """The mean of the blocks' losses, which count alike."""
        cut = jax.tree.map(lambda side: side.reshape(-1, self.size), (policy, reference, weights))
        return jnp.mean(jax.vmap(self.loss.value)(*cut))


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    parts: tuple[str, ...] = setting(("sizes", "bias", "sorting"), "what to do")
    sizes: tuple[int, ...] = setting((2, 4, 8, 16, 32, 64), "pairs a step")
    seeds: tuple[int, ...] = setting((0, 1, 2), "of the order of pairs")
    pairs: int = setting(128, "that each run sees")
    who: tuple[str, ...] = setting(("AOT unpaired", "DPO"), "contestants")
    blocks: tuple[int, ...] = setting((2, 4, 8), "pairs that are sorted by themselves")
    sorted: int = setting(32, "pairs a step, of which blocks are cut")
    draws: int = setting(200, "batches by which values are compared")
    gradients: int = setting(3, "batches by which gradients are compared")
    longest: int = setting(160, "tokens of a row, at most")
    held: int = setting(96, "problems that are judged on")
    validation: int = setting(64, "problems that are left out, as `training.alignment` searched on them")
    rate: float | None = setting(None, "at 16 pairs a step; none: as `training.alignment` found")
    beta: float | None = setting(None, "of all losses; none: as `training.alignment` found")


def study(settings: Settings, record: Record) -> None:
    """The parts that are asked for; runs that are stored already are not done again."""
    model = lm.load("tiny-lm")
    data = pairs.short(model, pairs.solutions(), settings.longest)
    held, _, learned = pairs.parted(data, (settings.held, settings.validation), 0)
    ground = Ground(model, learned, held, settings.longest, room=256, tokens=alignment.MICRO)
    if "sizes" in settings.parts:
        sizes(ground, settings, record)
    if "bias" in settings.parts:
        record.part("bias", bias(ground, settings))
    if "sorting" in settings.parts:
        sorting(ground, settings, record)


def sizes(ground: Ground, settings: Settings, record: Record) -> None:
    """Each batch, seed by seed."""
    found = record.content.get("sizes", {}).get("runs", {})
    for seed in settings.seeds:
        for who in settings.who:
            for size in settings.sizes:
                key = f"{who}/{size}/{seed}"
                if key in found:
                    continue
                words = searched(settings, who)
                like = alignment.contestant(who, words["beta"])
                found[key] = _run(ground, like, size, words["rate"], settings, seed)
                record.part("sizes", {"runs": found})
                print(key, json.dumps(_told(found[key])), flush=True)


def sorting(ground: Ground, settings: Settings, record: Record) -> None:
    """AOT sorted in the whole batch, and in blocks: the rest is the same."""
    found = record.content.get("sorting", {}).get("runs", {})
    words = searched(settings, "AOT unpaired")
    for seed in settings.seeds:
        for size in (*settings.blocks, settings.sorted):
            key = f"{size}/{seed}"
            if key in found:
                continue
            like = Contestant(Blocks(AOT(beta=words["beta"]), size), paired=False)
            found[key] = _run(ground, like, settings.sorted, words["rate"], settings, seed)
            record.part("sorting", {"runs": found, "batch": settings.sorted})
            print("sorted in", key, json.dumps(_told(found[key])), flush=True)


def bias(ground: Ground, settings: Settings) -> dict[str, Any]:
    """The loss of blocks against that of the whole batch, and its gradient in all weights, after half a run."""
    words = searched(settings, "AOT unpaired")
    like = alignment.contestant("AOT unpaired", words["beta"])
    model, _ = ground.aligned(like, _schedule(MIDDLE, words["rate"], max(1, settings.pairs // MIDDLE // 2), 0))
    policy, rng = ground.sums(model, ground.rows), np.random.default_rng(0)
    counts = [len(side) for side in policy]
    draws = [[rng.choice(n, settings.sorted, replace=False) for n in counts] for _ in range(settings.draws)]
    rows: dict[str, dict[str, Any]] = {}
    sizes = (settings.sorted, *reversed(settings.blocks), 1)  # the whole first
    for size in sizes:
        loss = Blocks(AOT(beta=words["beta"]), size)
        pulled = [_pulled(loss, _taken(policy, each), _taken(ground.known, each)) for each in draws]
        slopes = [_gradient(ground, model, *one) for one in zip(draws[: settings.gradients], pulled, strict=False)]
        rows[str(size)] = {"values": [value for value, _ in pulled], "slopes": slopes}
    whole = rows[str(settings.sorted)]
    compared = {name: _against(row, whole) for name, row in rows.items()}
    about = {"batch": settings.sorted, "draws": settings.draws, "gradients": settings.gradients}
    return about | words | {"value": _spread(whole["values"]), "blocks": compared}


def _against(row: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """Excess of the loss, and cosine and ratio of norms of the gradients, one a batch."""
    pairs_of = list(zip(row["slopes"], whole["slopes"], strict=True))
    return {
        "excess": _spread(np.subtract(row["values"], whole["values"])),
        "cosine": [_short(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in pairs_of],
        "norm": [_short(np.linalg.norm(a) / np.linalg.norm(b)) for a, b in pairs_of],
        "difference": [_short(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in pairs_of],
    }


def _gradient(ground: Ground, model: LanguageModel, drawn: Sequence[np.ndarray], pulled: tuple) -> np.ndarray:
    """Of the loss in all weights, as one vector."""
    parts = Parts.of(model.decoder, WHOLE)
    rows = [side[i] for side, each in zip((ground.rows.chosen, ground.rows.rejected), drawn, strict=True) for i in each]
    found = step.nothing(parts.learned)
    for each in batching.packed(rows, batch=ground.tokens, length=ground.room):
        found = step.gradient(parts, each, jnp.concatenate(pulled[1]), found)
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(found[1])])


def searched(settings: Settings, who: str) -> dict[str, float]:
    """Rate and beta of a loss."""
    if settings.rate is not None and settings.beta is not None:
        return {"rate": settings.rate, "beta": settings.beta}
    return alignment.best(read("training", "alignment")["search"]["runs"], who)


def _run(ground: Ground, like: Contestant, size: int, rate: float, settings: Settings, seed: int) -> dict[str, Any]:
    steps = max(1, settings.pairs // size)
    rate = rate * (size / MIDDLE) ** 0.5
    model, took = ground.aligned(like, _schedule(size, rate, steps, seed))
    reward = rewards(ground.judge(model), ground.reference)
    rows = {name: alignment.rounded(side) for name, side in reward._asdict().items()}
    return {"steps": steps, "rate": rate, "seconds": took["seconds"], "tokens": took["tokens"]} | rows


def _schedule(batch: int, rate: float, steps: int, seed: int) -> Schedule:
    return Schedule(steps=steps, batch=batch, tokens=alignment.MICRO, rate=rate, seed=seed)


def _told(run: dict[str, Any]) -> dict[str, float]:
    both: Any = (np.array(run[side]) for side in ("chosen", "rejected"))
    found = measures(Sides(*both))
    return {name: round(value, 3) for name, value in found.items()} | {"seconds": run["seconds"]}


def _taken(sides: Sides, rows: Sequence[np.ndarray]) -> Sides:
    """Answers drawn for each side apart, as a step without pairs draws them."""
    return Sides(*(jnp.asarray(side[each]) for side, each in zip(sides, rows, strict=True)))


def _pulled(loss: Loss, policy: Sides, reference: Sides) -> tuple[float, Sides]:
    value, slope = losses.pull(loss, policy, reference, jax.tree.map(jnp.ones_like, reference))
    return float(value), slope


def _spread(values: Any) -> list[float]:
    """Mean, and its 95% interval by the standard error."""
    middle, error = np.mean(values), np.std(values, ddof=1) / len(values) ** 0.5
    return [_short(x) for x in (middle, middle - 1.96 * error, middle + 1.96 * error)]


def _short(value: Any) -> float:
    return float(f"{value:.5g}")
