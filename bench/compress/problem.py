"""Adapters that share something: a common subspace of falling weights, and noise of their own; NumPy only."""

from __future__ import annotations

import argparse
import json
import pathlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

COMMON = 64  # directions that all share, or as many as there are; the j-th of weight 1 / sqrt(j)


def made(n: int, size: int, rank: int, seed: int = 0, modules: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Transposed B and A, (modules, n, rank, size) each, float32."""
    rng = np.random.default_rng(seed)
    return _side(rng, n, size, rank, modules), _side(rng, n, size, rank, modules)


def _side(rng: np.random.Generator, n: int, size: int, rank: int, modules: int) -> np.ndarray:
    found = np.empty((modules, n, rank, size), np.float32)
    common = min(COMMON, size)
    weights = np.arange(1, common + 1, dtype=np.float32) ** -0.5
    for module in found:
        base = np.linalg.qr(rng.standard_normal((size, common), dtype=np.float32))[0] * weights
        for rows in np.array_split(np.arange(n), max(1, n // 50)):
            shared = rng.standard_normal((len(rows), rank, common), dtype=np.float32) @ base.T
            noise = rng.standard_normal(shared.shape, dtype=np.float32)
            module[rows] = shared + noise * np.float32(size**-0.5)
    return found


def norms(out: np.ndarray, inn: np.ndarray) -> np.ndarray:
    """(n,) Frobenius norms of the adapters of a module."""
    return np.sqrt(np.sum((out @ np.swapaxes(out, 1, 2)) * (inn @ np.swapaxes(inn, 1, 2)), (1, 2)))


def kept(out: np.ndarray, inn: np.ndarray, u: np.ndarray, v: np.ndarray) -> float:
    """Share of the energy of adapters of unit norm within orthonormal bases, found from them alone."""
    n, rank, _ = out.shape
    p, q = ((rows.reshape(n * rank, -1) @ side).reshape(n, rank, -1) for rows, side in ((out, u), (inn, v)))
    cores = np.swapaxes(p, 1, 2) @ q
    return float(np.mean(np.sum(np.square(cores, dtype=np.float64), (1, 2)) / norms(out, inn) ** 2))


def asked() -> argparse.Namespace:
    """What a script is told: where to write, what to do, how large, how often."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--variant", default="")
    for name in ("adapters", "size", "rank", "width", "repeats", "threads", "modules"):
        parser.add_argument(f"--{name}", type=int, default=1)
    return parser.parse_args()


def timed(wanted: argparse.Namespace, solve: Callable[[], Any], about: Callable[[Any], dict[str, Any]]) -> None:
    """Call once to compile and `repeats` times more; written after each, so that a time limit loses little."""
    seconds: list[float] = []
    for _ in range(wanted.repeats + 1):
        began = time.perf_counter()
        found = solve()
        seconds.append(time.perf_counter() - began)
        told = {"status": "ok", "cold_seconds": seconds[0], "seconds": seconds[1:], "repeats": len(seconds) - 1}
        wanted.out.write_text(json.dumps(told | about(found)))
