"""Seconds of many fits and of a plan."""

from __future__ import annotations

import resource
import time
from typing import Literal

import numpy as np

from bench.kit.results import read
from bench.prompts.published import BUDGETS
from bench.prompts.worlds import world
from lleval_jax.estimators.prompts import balanced, many

SHAPE = (100, 250)  # of the grids that are timed
TALL, WIDE, FITS = 57 * 5, 15 * 4, 256  # the study of the paper: tasks x seeds, models x budgets; fits that are timed
Method = Literal["mcmc", "ep"]


def speed() -> dict:
    """Seconds of many fits and of a plan."""
    shape, each = SHAPE, FITS // len(BUDGETS)
    answers = np.stack([world(np.random.default_rng([6, i]), None, shape) for i in range(FITS)])
    seen = np.zeros(answers.shape, bool)
    for i in range(FITS):
        seen[(i, *balanced.plan(seen[i], BUDGETS[i // each], seed=i))] = True
    methods: tuple[Method, ...] = ("ep", "mcmc")
    tries: dict[str, list[tuple[float, float]]] = {method: [] for method in methods}
    for method in methods:
        for _ in range(3):
            began = time.perf_counter(), time.process_time()
            many.fit_many(answers, seen=seen, by=method)
            tries[method].append((time.perf_counter() - began[0], time.process_time() - began[1]))
            print(f"{FITS} fits, {method}: {tries[method][-1][0]:.2f} s, {tries[method][-1][1]:.2f} CPU s", flush=True)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    fits, original = TALL * WIDE, read("prompts", "prompts_reference")
    began = time.perf_counter(), time.process_time()
    balanced.plan(np.zeros((100, 14_000), bool), 28_000, seed=0)
    plan = time.perf_counter() - began[0], time.process_time() - began[1]
    return {
        "shape": list(shape),
        "fits": fits,
        **{method: per_fit(tries[method], fits) for method in methods},
        "peak_gib": round(memory, 2),
        "reference_cpu_ms_a_fit": {
            m: round(1000 * s / 4, 2) for m, s in original["cpu_seconds_of_four_fits_median"].items()
        },
        "plan_100x14000_of_28000": {"seconds": round(plan[0], 3), "cpu_seconds": round(plan[1], 3)},
    }


def per_fit(tries: list[tuple[float, float]], fits: int) -> dict:
    """Of seconds and processor seconds of some calls, the first of which compiles."""
    wall, cpu = (min(column) for column in zip(*tries[1:], strict=True))
    return {
        "first_seconds": round(tries[0][0], 2),
        "seconds_of_256": round(wall, 3),
        "cpu_seconds_of_256": round(cpu, 3),
        "cpu_ms_a_fit": round(1000 * cpu / FITS, 3),
        "seconds_of_all": round(wall * fits / FITS, 1),
        "cpu_seconds_of_all": round(cpu * fits / FITS, 1),
    }
