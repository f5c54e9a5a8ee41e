"""Which models to run again, so that the scores of all the others are known best: greedy, then exchanged one by one."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import norm

from lleval_jax.estimators.refresh.outlook import Outlook, run, told_by

Loss = Callable[[Outlook], tuple[float, np.ndarray]]  # as things stand, and (models,) once each has been run too
SURE = 1e-9  # share of a loss that an exchange must save
FEW = 300  # possible sets that are all tried


def variance(now: Outlook, target: int = 0) -> tuple[float, np.ndarray]:
    """Summed variance of the scores on one target."""
    cross, certain = told_by(now, target)
    alone = now.std_error[:, target] ** 2
    cross = np.swapaxes(cross, 0, 1)
    saved = np.sum(cross @ certain * cross, 2).T
    np.fill_diagonal(saved, alone)  # a model that has been run is known
    return float(alone.sum()), alone.sum() - saved.sum(0)


def disorder(now: Outlook) -> tuple[float, np.ndarray]:
    """Expected number of pairs of models in the wrong order on the whole version."""
    cross, certain = told_by(now, 0)
    cov, mean = now.covariance(), now.mean[:, 0]
    pairs = np.triu_indices(len(mean), 1)
    apart = np.abs(mean[:, None] - mean[None, :])[pairs]

    def wrong(cov: np.ndarray) -> float:
        alone = np.diag(cov)
        spread = (alone[:, None] + alone[None, :] - 2 * cov)[pairs]
        return float(norm.cdf(-apart / np.sqrt(np.maximum(spread, 1e-18))).sum())

    after = np.empty(len(mean))
    for model in range(len(mean)):
        left = cov - cross[:, model] @ certain[model] @ cross[:, model].T
        left[model], left[:, model] = 0, 0
        after[model] = wrong(left)
    return wrong(cov), after


def search(
    now: Outlook, loss: Loss, *, pool: Sequence[int], price: np.ndarray, budget: float
) -> tuple[list[int], list[float]]:
    """Models of `pool` to run within a budget, best first, and the loss before any and after each.

    Of few possible sets the best of all; of many greedy by what is saved for the price, then single exchanges until
    none helps, which need not be the best.
    """
    sets = _all_sets(pool, price, budget)
    if sets is not None:
        return _ordered(now, loss, min(sets, key=lambda chosen: loss(_after(now, chosen))[0]))
    chosen: list[int] = []
    then = now
    while True:
        standing, after = loss(then)
        room = budget - price[chosen].sum() + SURE
        left = [j for j in pool if j not in chosen and price[j] <= room]
        if not left:
            break
        chosen.append(max(left, key=lambda j: (standing - after[j]) / price[j]))
        then = run(then, chosen[-1])
    moved = True
    while moved:
        moved = False
        for place in range(len(chosen)):
            others = chosen[:place] + chosen[place + 1 :]
            _, after = loss(_after(now, others))
            room = budget - price[others].sum() + SURE
            other = min((j for j in pool if j not in others and price[j] <= room), key=lambda j: after[j])
            if after[other] < after[chosen[place]] * (1 - SURE):
                chosen[place], moved = other, True
    return _ordered(now, loss, chosen)


def _all_sets(pool: Sequence[int], price: np.ndarray, budget: float) -> list[tuple[int, ...]] | None:
    """Every set within the budget (the largest ones where prices are alike), or None if there are too many."""
    most = 0
    while most < len(pool) and np.sort(price[list(pool)])[: most + 1].sum() <= budget + SURE:
        most += 1
    alike = len(set(price[list(pool)].tolist())) == 1
    sizes = [most] if alike else range(1, most + 1)
    if sum(math.comb(len(pool), size) for size in sizes) > FEW:
        return None
    sets = (chosen for size in sizes for chosen in itertools.combinations(pool, size))
    return [chosen for chosen in sets if price[list(chosen)].sum() <= budget + SURE]


def _ordered(now: Outlook, loss: Loss, chosen: Sequence[int]) -> tuple[list[int], list[float]]:
    """The same models, each time the one that saves most, and the loss before any and after each."""
    done: list[int] = []
    standing, after = loss(now)
    losses = [standing]
    while len(done) < len(chosen):
        done.append(min((j for j in chosen if j not in done), key=lambda j: after[j]))
        now = run(now, done[-1])
        standing, after = loss(now)
        losses.append(standing)
    return done, losses


def _after(now: Outlook, chosen: Sequence[int]) -> Outlook:
    for model in chosen:
        now = run(now, model)
    return now
