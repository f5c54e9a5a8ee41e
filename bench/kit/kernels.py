"""The calls that `pair` times: `python -P kernels.py NAME CHECKOUT`, with the checkout first on the path.

Public names alone, so that it runs on old and new layouts of the package. Prints JSON: by call, the seconds of the
first and of five more.
"""

from __future__ import annotations

import importlib
import json
import pathlib
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import lleval_jax as ll

WARM = 5
Calls = dict[str, Callable[[], object]]


def answers(random: np.random.Generator, rows: int, items: int) -> np.ndarray:
    """Answers of a 2PL."""
    slope = np.exp(0.3 * random.normal(size=items))
    logit = random.normal(size=(rows, 1)) * slope + random.normal(size=items)
    return (random.random((rows, items)) < 1 / (1 + np.exp(-logit))).astype(np.int8)


def engine() -> Calls:
    """Fits of the 2PL, by both engines."""
    random = np.random.default_rng(0)
    wide, small = (ll.Responses.build(answers(random, *shape)) for shape in ((400, 2000), (200, 300)))
    return {
        "2PL of 400 x 2,000": lambda: ll.irt.fit(wide),
        "2PL of 200 x 300, 2 dims": lambda: ll.irt.fit(small, dims=2),
    }


def prompts() -> Calls:
    """One grid, and many of its size."""
    random = np.random.default_rng(1)
    grids = np.stack([answers(random, 20, 60) for _ in range(16)]).astype(np.float32)
    seen = random.random(grids.shape) < 0.3
    one = ll.Responses.build(np.where(seen[0], grids[0], np.nan))
    many = fit_many()
    return {
        "one grid of 20 x 60": lambda: ll.prompts.fit(one, seed=0),
        "16 grids of 20 x 60": lambda: many(grids, seen),
    }


def fit_many() -> Callable[[np.ndarray, np.ndarray], Any]:
    """The fit of many grids, which has had several places."""
    if hasattr(ll.prompts, "fit_many"):
        return ll.prompts.fit_many
    for place in ("prompts.many", "prompts_many"):
        try:
            return importlib.import_module(f"lleval_jax.estimators.{place}").fit_many
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError("this checkout has no fit_many that is known; name its module in bench/kit/kernels.py")


def sloth() -> Calls:
    """The law of the leaderboard that ships, and of a small one."""
    board = ll.read_leaderboard("sloth-open-llm")
    small = board.select(board.benchmarks[:3]).take(range(24))
    return {
        "the shipped leaderboard": lambda: ll.sloth.fit(board),
        "24 models, 3 benchmarks": lambda: ll.sloth.fit(small, skills=2),
    }


def refresh() -> Calls:
    """A fit of three versions, an estimate of the last, a choice for the next."""
    random = np.random.default_rng(2)
    rows, parts = [f"model {i}" for i in range(17)], [f"domain {i % 4}" for i in range(200)]
    versions = {}
    for v in range(3):
        items = [f"v{v} {i}" for i in range(200)]
        whole = ll.Responses.build(answers(random, 17, 200), rows=rows, items=items, group=parts)
        versions[f"v{v}"] = whole if v == 0 else whole.take(range(0, 17, 3))

    def chain() -> None:
        fit = ll.refresh.fit(versions)
        ll.refresh.estimate(fit)
        ll.refresh.choose(fit, k=5)

    return {"fit, estimate, choose": chain}


KERNELS: dict[str, Callable[[], Calls]] = {
    "engine": engine,
    "prompts": prompts,
    "sloth": sloth,
    "refresh": refresh,
}


def timed(call: Callable[[], object]) -> dict[str, Any]:
    """Seconds of the first call, and of the warm ones, by the clock and by the processor."""
    wall, cpu = [], []
    for _ in range(1 + WARM):
        began, used = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    return {"cold": wall[0], "wall": wall[1:], "cpu": cpu[1:]}


def main(name: str, checkout: str) -> None:
    """Time a group of calls, if it is the checkout's package that was imported."""
    if not pathlib.Path(ll.__file__).is_relative_to(checkout):
        sys.exit(f"{checkout} holds no lleval_jax: another one would be timed; name the root of a checkout")
    warnings.simplefilter("ignore")
    print(json.dumps({words: timed(call) for words, call in KERNELS[name]().items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
