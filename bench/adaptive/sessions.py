"""10,000 adaptive sessions of 40 answers over a bank of 10,000 items in 5 dimensions.

Bar: under 60 s on 2 cores. Prints and stores the seconds of the first call (compilation included) and the medians of
the next ones, by the clock and by the processor (which others at work disturb less), the error of the score reached
and the coverage of nominal intervals, and the nanoseconds that one look at one item of one session takes.
"""

from __future__ import annotations

import dataclasses
import time

import numpy as np

import lleval_jax as ll
from bench.kit.problems import bank_of
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.estimators.adaptive import replay


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    rows: int = setting(10_000, "sessions")
    items: int = setting(10_000, "of the bank")
    dims: int = setting(5, "of abilities")
    budget: int = setting(40, "answers of a session")
    repeats: int = setting(5, "warm runs")


def problem(rows: int, items: int, dims: int) -> tuple[ll.ItemBank, ll.Responses]:
    """A bank with known parameters and answers drawn from it."""
    rng = np.random.default_rng(0)
    slope = rng.normal(0.6, 0.5, (items, dims)).astype(np.float32)
    intercept, ability = rng.normal(0, 1.5, items).astype(np.float32), rng.normal(size=(rows, dims))
    answers = np.empty((rows, items), np.int8)
    for start in range(0, rows, 500):
        z = ability[start : start + 500].astype(np.float32) @ slope.T + intercept
        answers[start : start + 500] = rng.random(z.shape, dtype=np.float32) < 1 / (1 + np.exp(-z))
    bank = bank_of(slope, intercept, np.float32)
    return bank, ll.Responses.build(answers, items=bank.items)


def study(settings: Settings, record: Record) -> None:
    """Sessions by three rules."""
    bank, responses = problem(settings.rows, settings.items, settings.dims)
    truth, found = responses.scores.mean(1), {"settings": dataclasses.asdict(settings)}
    for rule in ("score", "information", "random"):
        seconds, processor = [], []
        for _ in range(1 + (0 if rule == "random" else settings.repeats)):
            begun, used = time.perf_counter(), time.process_time()
            ran = replay.replay(responses, bank=bank, budget=settings.budget, by=rule)
            seconds.append(time.perf_counter() - begun)
            processor.append(time.process_time() - used)
        miss = ran.value[:, -1] - truth
        held = np.abs(miss) <= 1.96 * np.sqrt(ran.variance[:, -1])
        found[rule] = {
            "cold_seconds": seconds[0],
            "warm_seconds": float(np.median(seconds[1:])) if seconds[1:] else None,
            "warm_processor_seconds": float(np.median(processor[1:])) if processor[1:] else None,
            "rmse": float(np.sqrt((miss**2).mean())),
            "coverage": float(held.mean()),
        }
        print(rule, found[rule], flush=True)
    looks = settings.rows * settings.items * settings.budget
    found["nanoseconds_an_item_looked_at"] = 1e9 * found["score"]["warm_seconds"] / looks
    record.keep(found)
