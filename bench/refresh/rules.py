"""What `refresh` has to beat: rules that need no model of answers, and a Rasch model with a prior over all versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from lleval_jax import Responses

ITEM_SD, ABILITY_SD = 4.0, 3.0  # of the Rasch model's prior
PULL = 0.5  # toward a slope of 1, in squared logits
ALL = "all"
Scores = dict[str, dict[str, float]]  # target, model
Rule = Callable[[NDArray, NDArray, NDArray], NDArray]  # before and now, of models run again; before, of others


def _shift(x: NDArray, y: NDArray, of: NDArray) -> NDArray:
    return of + np.mean(y - x)


def _line(x: NDArray, y: NDArray, of: NDArray) -> NDArray:
    slope, level = np.polyfit(x, y, 1) if np.ptp(x) > 0 else (1.0, np.mean(y - x))
    return slope * of + level


def _shrunk(x: NDArray, y: NDArray, of: NDArray) -> NDArray:
    x, y, of = (logit(np.clip(part, 0.005, 0.995)) for part in (x, y, of))
    away = x - x.mean()
    slope = (away @ (y - y.mean()) + PULL) / (away @ away + PULL)
    return expit(y.mean() + slope * (of - x.mean()))


RULES: Mapping[str, Rule] = {
    "no change": lambda _x, _y, of: of,
    "mean shift": _shift,
    "line": _line,
    "logit line": _shrunk,
}


def scored(truth: Responses) -> Scores:
    """True scores by target and model."""
    parts = {ALL: truth.scores.mean(1)}
    if len(truth.groups) > 1:
        parts |= {name: truth.scores[:, truth.group == g].mean(1) for g, name in enumerate(truth.groups)}
    return {target: dict(zip(truth.rows, values.tolist(), strict=True)) for target, values in parts.items()}


class Rolling:
    """A rule along a chain: of what was not measured it keeps its own last word, also by domain."""

    def __init__(self, rule: Rule, first: Responses) -> None:
        self.rule, self.last = rule, scored(first)

    def __call__(self, truth: Responses, run: Sequence[str]) -> Scores:
        """Scores of all models of a version of which the models `run` are known."""
        real, found = scored(truth), {}
        for target, values in real.items():
            known = {row: self._before(target, row) for row in truth.rows}
            both = [row for row in run if known[row] is not None]
            others = [row for row in truth.rows if row not in run and known[row] is not None]
            x, y, of = (
                np.array(part, float)
                for part in ([known[r] for r in both], [values[r] for r in both], [known[r] for r in others])
            )
            predicted = np.clip(self.rule(x, y, of), 0, 1).tolist()
            found[target] = {row: values[row] for row in run} | dict(zip(others, predicted, strict=True))
        for target, values in found.items():
            self.last[target] = self.last.get(target, {}) | values
        return found

    def _before(self, target: str, row: str) -> float | None:
        return self.last.get(target, {}).get(row, self.last[ALL].get(row))


class Rasch:
    """Ridge-MAP Rasch model of all versions: items normal around their version's mean, abilities around 0.

    A version's items with the same answers have the same difficulty, so patterns of answers are fitted and not items.
    """

    def __init__(self, first: Responses) -> None:
        self.rows: list[str] = []
        self.blocks: list[tuple[NDArray, NDArray, NDArray, NDArray]] = []  # patterns, counts, place of items, rows
        self.easy: list[NDArray] = []
        self.ability = np.zeros(0)
        self.append(first)

    def append(self, answers: Responses) -> None:
        """One more version of complete answers; fitted anew from where it was."""
        self.rows += [row for row in answers.rows if row not in self.rows]
        self.ability = np.pad(self.ability, (0, len(self.rows) - len(self.ability)))
        scores = np.ascontiguousarray(answers.scores.T, float)
        patterns, place, counts = np.unique(scores, axis=0, return_inverse=True, return_counts=True)
        rows = np.array([self.rows.index(row) for row in answers.rows])
        self.blocks.append((patterns.T, counts, place.ravel(), rows))
        self.easy.append(np.zeros(len(patterns)))
        self._fit()

    def _fit(self) -> None:
        for _ in range(100):
            slope, steep = -self.ability / ABILITY_SD**2, np.full(len(self.rows), 1 / ABILITY_SD**2)
            for k, (patterns, counts, _, rows) in enumerate(self.blocks):
                for _ in range(2):
                    mean = np.average(self.easy[k], weights=counts)
                    rate = expit(self.ability[rows][:, None] + self.easy[k])
                    up = (patterns - rate).sum(0) - (self.easy[k] - mean) / ITEM_SD**2
                    self.easy[k] += np.clip(up / ((rate * (1 - rate)).sum(0) + 1 / ITEM_SD**2), -1, 1)
                rate = expit(self.ability[rows][:, None] + self.easy[k])
                slope[rows] += (patterns - rate) @ counts
                steep[rows] += (rate * (1 - rate)) @ counts
            step = slope / steep
            self.ability += np.clip(step, -0.5, 0.5)
            if np.abs(step).max() < 1e-4:
                break

    def spread(self, m: int) -> list[str]:
        """Models evenly spread over the order of abilities."""
        order = np.argsort(self.ability, kind="stable")
        return [self.rows[order[round(at)]] for at in np.linspace(0, len(order) - 1, m)]

    def __call__(self, truth: Responses, run: Sequence[str]) -> Scores:
        """Scores of all models on the newest version; those of `run` are known."""
        _, _, place, _ = self.blocks[-1]
        easy, real = self.easy[-1][place], scored(truth)
        others = [row for row in truth.rows if row in self.rows and row not in run]
        rate = expit(self.ability[[self.rows.index(row) for row in others]][:, None] + easy)
        use = {ALL: np.ones(len(place), bool)} | {name: truth.group == g for g, name in enumerate(truth.groups)}
        return {
            target: {row: values[row] for row in run}
            | dict(zip(others, rate[:, use[target]].mean(1).tolist(), strict=True))
            for target, values in real.items()
        }
