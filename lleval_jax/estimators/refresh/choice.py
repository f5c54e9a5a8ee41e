"""Which models to run again, so that all scores are known best: greedy, then exchanged one by one."""

import functools
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import norm

from lleval_jax.estimators.refresh.outlook import Outlook, conditioned, of_one_run

Loss = Callable[[Outlook], tuple[float, np.ndarray]]  # with no further run, and (models,) once each has been run too
SURE = 1e-9  # share of a loss that an exchange must save; rounding of a budget
FEW = 300  # possible sets that are all tried


def variance(outlook: Outlook, target: int = 0) -> tuple[float, np.ndarray]:
    """Summed variance of the scores on one target."""
    cross, precision = of_one_run(outlook, target)
    alone = outlook.std_error[:, target] ** 2
    cross = np.swapaxes(cross, 0, 1)
    saved = np.sum(cross @ precision * cross, 2).T
    np.fill_diagonal(saved, alone)  # a model that has been run is known
    return float(alone.sum()), alone.sum() - saved.sum(0)


def disorder(outlook: Outlook) -> tuple[float, np.ndarray]:
    """Expected number of pairs of models in the wrong order on the whole version."""
    cross, precision = of_one_run(outlook, 0)
    cov, mean = outlook.covariance(), outlook.mean[:, 0]
    pairs = np.triu_indices(len(mean), 1)
    apart = np.abs(mean[:, None] - mean[None, :])[pairs]

    def wrong(cov: np.ndarray) -> float:
        alone = np.diag(cov)
        spread = (alone[:, None] + alone[None, :] - 2 * cov)[pairs]
        return float(norm.cdf(-apart / np.sqrt(np.maximum(spread, 1e-18))).sum())

    after = np.empty(len(mean))
    for model in range(len(mean)):
        left = cov - cross[:, model] @ precision[model] @ cross[:, model].T
        left[model], left[:, model] = 0, 0
        after[model] = wrong(left)
    return wrong(cov), after


def search(
    outlook: Outlook, loss: Loss, *, among: Sequence[int], price: np.ndarray, budget: float
) -> tuple[list[int], list[float]]:
    """Models of `among` to run within a budget, best first, and the loss before any and after each.

    Of few possible sets the best of all; of many greedy by what is saved for the price, then single exchanges until
    none helps, which need not be the best.
    """
    sets = _all_sets(among, price, budget)
    if sets is not None:
        return _ordered(outlook, loss, min(sets, key=lambda chosen: loss(_after(outlook, chosen))[0]))
    chosen = _greedy(outlook, loss, among, price, budget)
    while _exchanged(chosen, outlook, loss, among, price, budget):
        pass
    return _ordered(outlook, loss, chosen)


def _greedy(outlook: Outlook, loss: Loss, among: Sequence[int], price: np.ndarray, budget: float) -> list[int]:
    """One model after the other, each time the one that saves most for its price."""
    chosen: list[int] = []
    while left := _within(chosen, among, price, budget):
        before, after = loss(outlook)
        chosen.append(max(left, key=lambda j: (before - after[j]) / price[j]))
        outlook = conditioned(outlook, chosen[-1])
    return chosen


def _exchanged(
    chosen: list[int], outlook: Outlook, loss: Loss, among: Sequence[int], price: np.ndarray, budget: float
) -> bool:
    """Replace each of the chosen in turn by the model that saves most in its place; whether any was replaced."""
    moved = False
    for place in range(len(chosen)):
        others = chosen[:place] + chosen[place + 1 :]
        _, after = loss(_after(outlook, others))
        best = min(_within(others, among, price, budget), key=lambda j: after[j])
        if after[best] < after[chosen[place]] * (1 - SURE):
            chosen[place], moved = best, True
    return moved


def _within(chosen: Sequence[int], among: Sequence[int], price: np.ndarray, budget: float) -> list[int]:
    """Models that can still be run besides those chosen."""
    room = budget - price[list(chosen)].sum() + SURE
    return [j for j in among if j not in chosen and price[j] <= room]


def _all_sets(among: Sequence[int], price: np.ndarray, budget: float) -> list[tuple[int, ...]] | None:
    """Every set within the budget (the largest ones where prices are alike), or None if there are too many."""
    most = 0
    while most < len(among) and np.sort(price[list(among)])[: most + 1].sum() <= budget + SURE:
        most += 1
    alike = len(set(price[list(among)].tolist())) == 1
    sizes = [most] if alike else range(1, most + 1)
    if sum(math.comb(len(among), size) for size in sizes) > FEW:
        return None
    sets = (chosen for size in sizes for chosen in itertools.combinations(among, size))
    return [chosen for chosen in sets if price[list(chosen)].sum() <= budget + SURE]


def _ordered(outlook: Outlook, loss: Loss, chosen: Sequence[int]) -> tuple[list[int], list[float]]:
    """The same models, each time the one that saves most, and the loss before any and after each."""
    done: list[int] = []
    before, after = loss(outlook)
    losses = [before]
    while len(done) < len(chosen):
        done.append(min((j for j in chosen if j not in done), key=lambda j: after[j]))
        outlook = conditioned(outlook, done[-1])
        before, after = loss(outlook)
        losses.append(before)
    return done, losses


def _after(outlook: Outlook, chosen: Sequence[int]) -> Outlook:
    return functools.reduce(conditioned, chosen, outlook)
