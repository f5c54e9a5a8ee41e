"""Weighted K-means and its medoids: a few items that stand for all (Lloyd 1982; Arthur & Vassilvitskii 2007).

On the host: a few thousand items and a few dozen centres cost less here than a compilation.
"""

import numpy as np

STARTS, SWEEPS = 5, 25
SAMPLE = 8192  # centres come from at most so many random rows, or 20 a centre
UNTIE = 1e-7


def squared_distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, d), (m, d) -> (n, m)."""
    return np.maximum((x**2).sum(1)[:, None] - 2 * x @ y.T + (y**2).sum(1), 0.0)


def untied(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same places, moved too little to matter but for rows that are equal: chance, not rounding, picks among them.

    Else the first of them always is, and a benchmark's first part stands for all parts; or another machine's rounding
    picks another one.
    """
    return x + UNTIE * rng.standard_normal(x.shape)


def medoids(x: np.ndarray, weight: np.ndarray, k: int, rng: np.random.Generator, starts: int = STARTS) -> np.ndarray:
    """K different rows of x (n, d), each nearest to a centre of the best of `starts` runs.  -> (k,)."""
    most = max(SAMPLE, 20 * k)
    some = rng.choice(len(x), most, replace=False) if len(x) > most else slice(None)
    runs = [_kmeans(x[some], weight[some], k, rng) for _ in range(starts)]
    centres = min(runs, key=lambda run: run[1])[0]
    index, free = np.empty(k, int), np.ones(len(x), bool)
    for j, centre in enumerate(centres):  # not by `squared_distance`: its rounding is as large as what `untied` adds
        index[j] = np.where(free, ((x - centre) ** 2).sum(1), np.inf).argmin()
        free[index[j]] = False
    return index


def shares(x: np.ndarray, weight: np.ndarray, index: np.ndarray) -> np.ndarray:
    """(k,) weight of the rows of x nearest to each of the chosen; sums to weight.sum()."""
    near = squared_distance(x, x[index])
    near[index, np.arange(len(index))] = -1
    return np.bincount(near.argmin(1), weight, len(index))


def _kmeans(x: np.ndarray, weight: np.ndarray, k: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Centres (k, d) and cost of one run."""
    centre = _spread_start(x, weight, k, rng)
    label = np.full(len(x), -1)
    for _ in range(SWEEPS):
        before, label = label, squared_distance(x, centre).argmin(1)
        if (label == before).all():
            break
        order = np.argsort(label, kind="stable")
        used, start = np.unique(label[order], return_index=True)
        mass = np.add.reduceat(weight[order], start)
        total = np.add.reduceat(weight[order, None] * x[order], start)
        kept = mass > 0
        centre[used[kept]] = total[kept] / mass[kept, None]
    return centre, float(weight @ squared_distance(x, centre).min(1))


def _spread_start(x: np.ndarray, weight: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """K-means++: each next centre with probability proportional to weight times squared distance."""
    centre, distance = np.empty((k, x.shape[1])), np.ones(len(x))
    for j in range(k):
        mass = np.cumsum(weight * distance)
        mass = mass if mass[-1] > 0 else np.cumsum(weight)
        centre[j] = x[min(np.searchsorted(mass, rng.random() * mass[-1], side="right"), len(x) - 1)]
        new = ((x - centre[j]) ** 2).sum(1)
        distance = np.minimum(distance, new) if j else new
    return centre
