"""How often intervals hold: the loop over worlds of known truth, and the figures of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from scipy.stats import beta

World = TypeVar("World")


class Held(NamedTuple):
    """Estimates of one kind in one world.

    truth  (n,)
    value  (n,)
    low    (levels, n)
    high   (levels, n)
    """

    truth: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def bounds(held: float, count: int, level: float = 0.95) -> list[float]:
    """Clopper-Pearson bounds of the share `held` of `count`."""
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, held, count - held + 1)) if held else 0.0
    return [low, float(beta.ppf(1 - tail, held + 1, count - held)) if held < count else 1.0]


def coverage(
    world: Callable[[int], World],
    method: Callable[[World], Mapping[str, Held]],
    seeds: Iterable[int],
    levels: tuple[float, ...] = (0.95,),
) -> dict[str, dict[str, object]]:
    """Error, coverage and width of a method's estimates over the worlds of some seeds, by kind of estimate."""
    found: dict[str, list[Held]] = {}
    for seed in seeds:
        for kind, held in method(world(seed)).items():
            found.setdefault(kind, []).append(held)
    return {kind: figures(parts, levels) for kind, parts in found.items()}


def figures(worlds: list[Held], levels: tuple[float, ...]) -> dict[str, object]:
    """Of estimates of one kind: their number, mean absolute error in points, and by level how often intervals hold.

    `error` is the standard error of the share from world to world: estimates of one world hang together.
    """
    of = np.array([len(one.truth) for one in worlds])
    miss = np.concatenate([np.abs(one.value - one.truth) for one in worlds])
    out: dict[str, object] = {"of": int(of.sum()), "mae": round(100 * float(miss.mean()), 3)}
    for at, level in enumerate(levels):
        inside = np.array([np.sum((one.low[at] <= one.truth) & (one.truth <= one.high[at])) for one in worlds])
        share = inside.sum() / of.sum()
        error = np.sqrt(np.sum((inside - share * of) ** 2)) / of.sum()
        width = 100 * np.concatenate([one.high[at] - one.low[at] for one in worlds]).mean()
        numbers = {"share": share, "error": error, "width": width}
        out[f"{level:.0%}"] = {k: round(float(v), 4) for k, v in numbers.items()}
        out[f"{level:.0%}"] |= {"binomial": np.round(bounds(int(inside.sum()), int(of.sum())), 4).tolist()}  # pyright: ignore
    return out
