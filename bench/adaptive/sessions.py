"""10,000 adaptive sessions of 40 answers over a bank of 10,000 items in 5 dimensions: `python bench/sessions.py`.

Bar: under 60 s on 2 cores. Prints and stores the seconds of the first call (compilation included) and the medians of
the next ones, by the clock and by the processor (which others at work disturb less), the error of the score reached
and the coverage of nominal intervals, and the nanoseconds that one look at one item of one session takes.
"""

import argparse
import json
import pathlib
import time

import numpy as np

import lleval_jax as ll
from bench.kit import machine
from lleval_jax.estimators.adaptive import replay

RESULTS = pathlib.Path(__file__).resolve().parent / "results"


def problem(rows: int, items: int, dims: int) -> tuple[ll.ItemBank, ll.Responses]:
    """A bank with known parameters and answers drawn from it."""
    rng = np.random.default_rng(0)
    slope = rng.normal(0.6, 0.5, (items, dims)).astype(np.float32)
    intercept, ability = rng.normal(0, 1.5, items).astype(np.float32), rng.normal(size=(rows, dims))
    answers = np.empty((rows, items), np.int8)
    for start in range(0, rows, 500):
        z = ability[start : start + 500].astype(np.float32) @ slope.T + intercept
        answers[start : start + 500] = rng.random(z.shape, dtype=np.float32) < 1 / (1 + np.exp(-z))
    bank = ll.ItemBank(
        name="simulated",
        version="1",
        items=tuple(f"item-{i}" for i in range(items)),
        slope=slope,
        intercept=intercept,
        floor=np.zeros(items, np.float32),
        ceiling=np.ones(items, np.float32),
        weight=np.full(items, 1 / items),
        group=np.zeros(items, int),
        groups=("all",),
        covariance=np.zeros((items, dims + 1, dims + 1), np.float32),
        prior_mean=np.zeros(dims),
        prior_cov=np.eye(dims),
    )
    return bank, ll.Responses.build(answers, items=bank.items)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--dims", type=int, default=5)
    parser.add_argument("--budget", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "sessions.json")
    wanted = parser.parse_args()
    bank, responses = problem(wanted.rows, wanted.items, wanted.dims)
    truth, record = responses.scores.mean(1), {"settings": {k: v for k, v in vars(wanted).items() if k != "out"}}
    for rule in ("score", "information", "random"):
        seconds, processor = [], []
        for _ in range(1 + (0 if rule == "random" else wanted.repeats)):
            begun, used = time.perf_counter(), time.process_time()
            ran = replay.replay(responses, bank, budget=wanted.budget, rule=rule)
            seconds.append(time.perf_counter() - begun)
            processor.append(time.process_time() - used)
        miss = ran.value[:, -1] - truth
        held = np.abs(miss) <= 1.96 * np.sqrt(ran.variance[:, -1])
        record[rule] = {
            "cold_seconds": seconds[0],
            "warm_seconds": float(np.median(seconds[1:])) if seconds[1:] else None,
            "warm_processor_seconds": float(np.median(processor[1:])) if processor[1:] else None,
            "rmse": float(np.sqrt((miss**2).mean())),
            "coverage": float(held.mean()),
        }
        print(rule, record[rule], flush=True)
    looks = wanted.rows * wanted.items * wanted.budget
    record["nanoseconds_an_item_looked_at"] = 1e9 * record["score"]["warm_seconds"] / looks
    record["machine"] = machine.describe("jax", "numpy")
    wanted.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
