"""Posteriors of many tasks at once (`bayes.sample_many`) against the same one after the other (`bayes.sample`).

Both are warm: each way has drawn once before it is timed. One after the other is what a loop over subjects does: the
program is compiled once, for all tasks have one shape. Draws are of the same model, settings and keys; how far their
means differ, in standard errors of the simulation, says that they are of the same posteriors.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping

import jax
import numpy as np

import lleval_jax as ll
from bench.bayes import worlds
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax import bayes

BAR = 10.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    tasks: int = setting(57, "posteriors, as many as MMLU has subjects")
    models: int = setting(100, "of each")
    items: int = setting(250, "of each")
    chains: int = setting(2, "of each posterior")
    draws: int = setting(250, "of each chain")
    warmup: int = setting(150, "of each chain")
    alone: int = setting(57, "tasks that are also drawn one after the other; their seconds are scaled up to all")
    repeats: int = setting(3, "warm runs")


def timed(run: Callable[[int], Mapping[str, bayes.Posterior]], repeats: int) -> tuple[list[float], object]:
    """Warm seconds, and what the last run found."""
    seconds = []
    found = run(0)
    for seed in range(1, repeats + 1):
        began = time.perf_counter()
        found = run(seed)
        seconds.append(time.perf_counter() - began)
    return seconds, found


def study(settings: Settings, record: Record) -> None:
    """At once, then one after the other, by NUTS and by Laplace's method."""
    values = {f"task-{i}": worlds.two_parameter(i, settings.models, settings.items)[0] for i in range(settings.tasks)}
    some = dict(list(values.items())[: settings.alone])
    engines = {
        "nuts": bayes.NUTS(chains=settings.chains, draws=settings.draws, warmup=settings.warmup),
        "laplace": bayes.Laplace(chains=settings.chains, draws=settings.draws),
    }
    for name, engine in engines.items():

        def at_once(seed: int, engine: bayes.NUTS | bayes.Laplace = engine) -> dict[str, bayes.Posterior]:
            return bayes.sample_many(bayes.irt("2pl"), values, engine=engine, key=seed)

        def in_turn(seed: int, engine: bayes.NUTS | bayes.Laplace = engine) -> dict[str, bayes.Posterior]:
            return {name: alone(value, engine, seed, i) for i, (name, value) in enumerate(some.items())}

        together, one = timed(at_once, settings.repeats)
        content: dict[str, object] = {"bar": BAR, "at_once": together}
        print(name, content, flush=True)
        record.part(name, content)
        apart, other = timed(in_turn, settings.repeats)
        scaled = [seconds * len(values) / len(some) for seconds in apart]
        content |= {"in_turn": scaled, "ratio": float(np.median(scaled) / np.median(together))}
        content["moved"] = moved(one, other)  # type: ignore[arg-type]
        print(name, content, flush=True)
        record.part(name, content)


def alone(value: ll.Responses, engine: bayes.NUTS | bayes.Laplace, seed: int, number: int) -> bayes.Posterior:
    """One task with the key that it has among all."""
    return bayes.sample(bayes.irt("2pl"), value, engine=engine, key=jax.random.fold_in(jax.random.key(seed), number))


def moved(one: Mapping[str, bayes.Posterior], other: Mapping[str, bayes.Posterior]) -> float:
    """Root mean square of the differences of posterior mean abilities, in their simulation's standard errors: about 1,
    or 0 where the draws are the same.
    """
    gaps = []
    for name, there in other.items():
        a, b = (each.draws["ability"] for each in (one[name], there))
        error = [x.std((0, 1)) / np.sqrt(worlds.effective(x)) for x in (a, b)]
        gaps.append((a.mean((0, 1)) - b.mean((0, 1))) / np.hypot(*error))
    return float(np.sqrt(np.mean(np.square(gaps))))
