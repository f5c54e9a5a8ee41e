"""Items needed to tell two neighbours of a leaderboard apart.

Pairs of left-out models of open_llm_irt, 1 to 20 places apart among the left-out ones. Both are asked the same items,
those best for their difference or random ones, until the interval of the difference leaves zero: one that holds at
every look at once (what `adaptive.choose(compare=)` does), a plain one, or a plain one of the two models' own errors
taken as independent. Says how many items were asked, and how often the wrong model won.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

import lleval_jax as ll
from bench.adaptive.items import folds
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.estimators import adaptive
from lleval_jax.estimators.adaptive import replay as sessions

SETS = ("arc_A", "arc_B", "gsm8k_A", "gsm8k_B", "truthfulqa_B")
FAR, PAIRS = 20, 500


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    sets: tuple[str, ...] = setting(SETS, "forms of open_llm_irt")
    known: int | None = setting(None, "calibration models at most; all if none")
    far: int = setting(FAR, "places apart at most")
    pairs: int = setting(PAIRS, "of models")


def pairs_of(truth: np.ndarray, far: int, count: int) -> np.ndarray:
    """(2 count,) rows, pair after pair, in random order."""
    rng, order = np.random.default_rng(0), np.argsort(truth)
    low = rng.integers(0, len(order) - far, count)
    pairs = np.stack([order[low], order[low + rng.integers(1, far + 1, count)]], axis=1)
    return np.take_along_axis(pairs, rng.permuted(np.tile([0, 1], (count, 1)), axis=1), axis=1).ravel()


def judged(gap: np.ndarray, error: np.ndarray, length: np.ndarray, reach: float, truth: np.ndarray) -> dict[str, float]:
    """When each pair is decided, if it is, and whether rightly."""
    sure = np.abs(gap) > reach * error
    sure[:, 0] = False
    decided = sure.any(1)
    at = np.where(decided, sure.argmax(1), len(length) - 1)
    wrong = decided & (np.sign(gap[np.arange(len(at)), at]) != np.sign(truth)) & (truth != 0)
    return {"items": float(length[at].mean()), "decided": float(decided.mean()), "wrong": float(wrong.mean())}


def run(name: str, settings: Settings) -> dict[str, dict[str, float]]:
    """All ways on one set."""
    ((known, new),) = folds(name, known=settings.known)
    fit = ll.irt.fit(known, dims="auto")
    bank = ll.anchors.choose(fit, responses=None, k=None)
    budget = len(bank.items) - 1
    ready = sessions.prepare(bank, fit=fit, responses=known, budget=budget)
    score = new.scores.astype(float) @ bank.target_weight[0]
    rows = pairs_of(score, settings.far, settings.pairs)
    gap = score[rows[::2]] - score[rows[1::2]]
    two = ll.Responses.build(new.scores[rows], items=new.items)
    replay = functools.partial(sessions.replay, two, bank=ready, budget=budget, together=2)
    found = {}
    always = adaptive.always_reach(ready, 0.95, "always_pair")
    for rule in ("score", "random"):
        ran = replay(by=rule)
        value, variance = ran.value[::2] - ran.value[1::2], np.maximum(ran.variance[::2] + ran.variance[1::2], 0)
        ways = [
            ("difference, at every look", "pair", always),
            ("difference, plain", "pair", adaptive.reach_of(ready, 0.95, "pair")),
        ]
        ways.append(("independent, at every look", "widen", adaptive.always_reach(ready, 0.95)))
        ways.append(("independent, plain", "widen", adaptive.reach_of(ready, 0.95)))
        for word, what, reach in ways:
            error = np.sqrt(variance) * adaptive.widen_of(ready, ran.length, what)[None, :]
            found[f"{rule}: {word}"] = judged(value, error, ran.length, reach, gap)
    return found


def study(settings: Settings, record: Record) -> None:
    """All sets, one after the other; others stay as stored."""
    for name in settings.sets:
        found = run(name, settings)
        for word, r in found.items():
            print(
                f"{name:<13} {word:<34} {r['items']:6.1f} items, {r['decided']:.0%} decided, {r['wrong']:.1%} wrong",
                flush=True,
            )
        record.keep({"sets": record.content.get("sets", {}) | {name: found}})
