"""Many small IRT fits in one call against a Python loop over the same compiled fit; and lanes that are left when ended.

The skewed batch: maximum likelihood, of which most fits end in five steps, and one in sixteen, of answers by chance,
takes four times as many.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import jax
import numpy as np

import lleval_jax as ll
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.data import simulate
from lleval_jax.estimators.contract import solve_many
from lleval_jax.estimators.irt import calibration
from lleval_jax.estimators.irt.marginal import Marginal
from lleval_jax.estimators.lanes import solve_in_turn


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    rasch: int = setting(500, "fits of 100 models x 250 items; 0: none")
    bootstrap: int = setting(100, "fits of 40 models x 805 items, 2PL, of rows drawn again; 0: none")
    loop: int = setting(10, "fits that the loop does, from which its time is scaled")
    skewed: int = setting(256, "fits of which one in sixteen takes long")
    chunk: int = setting(8, "lanes")
    wide: int = setting(32, "lanes of the skewed batch")


def study(settings: Settings, record: Record) -> None:
    """A part for each batch."""
    if settings.rasch:
        sets = [simulate(100, 250, seed=seed)[0] for seed in range(16)]
        record.part("rasch", against_loop([sets[n % 16] for n in range(settings.rasch)], None, "rasch", settings))
    if settings.bootstrap:
        whole = simulate(40, 805, seed=0)[0]
        counts = np.random.default_rng(0).multinomial(40, np.full(40, 1 / 40), settings.bootstrap)
        record.part("2pl bootstrap", against_loop([whole], counts, "2pl", settings))
    record.part("skewed", skewed(settings))


def against_loop(sets: list[ll.Responses], counts: np.ndarray | None, model: str, settings: Settings) -> dict[str, Any]:
    """Seconds a fit: in a loop, side by side, and in turns; all compiled before."""
    kernel, data, keys, axes = asked(sets, counts, model)
    one = [jax.tree.map(lambda x: x[:1], keys) for _ in range(settings.loop)]
    first = lanes_of(data, axes, 1)

    def loop() -> None:
        for key in one:
            jax.block_until_ready(solve_many(kernel, first, key, axes=axes))

    alone = timed(loop) / settings.loop
    together = timed(lambda: jax.block_until_ready(solve_many(kernel, data, keys, axes=axes))) / len(keys)
    turns = timed(lambda: solve_in_turn(kernel, data, keys, axes=axes, chunk=settings.chunk)) / len(keys)
    found = {"fits": len(keys), "chunk": settings.chunk, "a fit in a loop": alone, "side by side": together}
    found |= {"in turns": turns, "times faster": alone / min(together, turns)}
    print(model, found, flush=True)
    return found


def skewed(settings: Settings) -> dict[str, Any]:
    """Side by side in batches of as many lanes, where each waits for its slowest, against turns."""
    easy = [simulate(200, 30, seed=seed)[0] for seed in range(15)]
    hard = simulate(200, 30, seed=99)[0]
    scores = (np.random.default_rng(0).random(hard.scores.shape) < 0.5).astype(np.float32)
    hard = dataclasses.replace(hard, scores=scores)  # by chance: there is no slope to find
    sets = [(easy + [hard])[n % 16] for n in range(settings.skewed)]
    kernel, data, keys, axes = asked(sets, None, "2pl", None)
    width = settings.wide

    def batches() -> list[Any]:
        parts = range(0, len(keys), width)
        return [solve_many(kernel, lanes_of(data, axes, width, at), keys[at : at + width], axes=axes) for at in parts]

    waiting = timed(lambda: jax.block_until_ready(batches()))
    turns = timed(lambda: solve_in_turn(kernel, data, keys, axes=axes, chunk=width))
    steps = np.concatenate([np.asarray(each.steps) for each in batches()])
    found = {"fits": len(keys), "chunk": width, "median steps": int(np.median(steps)), "most steps": int(steps.max())}
    found |= {"waiting": waiting, "in turns": turns, "times faster": waiting / turns}
    print("skewed", found, flush=True)
    return found


def asked(
    sets: list[ll.Responses], counts: np.ndarray | None, model: str, prior: Any = "auto"
) -> tuple[Any, Any, Any, Any]:
    """As `ll.irt.fit_many` does: kernel, data, keys, axes."""
    curve = ll.irt.Curve() if model == "2pl" else calibration.curve_of("rasch")
    prior = calibration._prior(prior, len(sets[0].rows), curve, "marginal")
    kernel = Marginal(calibration._task(curve, prior, moments=True), standard_errors=False)
    parts, data, axes = calibration._lanes(sets, counts, "float32")
    return kernel, data, jax.random.split(jax.random.key(0), len(parts)), axes


def lanes_of(data: Any, axes: Any, count: int, first: int = 0) -> Any:
    """Some of the fits."""
    if axes == 0:
        return jax.tree.map(lambda x: x[first : first + count], data)
    return data._replace(row_weight=data.row_weight[first : first + count])


def timed(call: Any) -> float:
    """Seconds of the second of two calls."""
    call()
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
