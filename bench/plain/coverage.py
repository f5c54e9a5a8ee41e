"""How often do the intervals of `ll.plain` contain the true score, and the true difference of two models?

Right or wrong answers are counted exactly, over all numbers of right answers, also where a sample of a finite
benchmark was asked; everything else is simulated. True scores from 0.02 to 0.98 (`worlds.RATES`); the bar is on the
mean over them.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.stats import binom, hypergeom

from bench.kit.results import Record
from bench.kit.settings import setting
from bench.plain import worlds
from lleval_jax.estimators import plain
from lleval_jax.values import Responses

BARS = 0.93, 0.97
GAPS = ((0.0, 0.05), (0.0, 0.2), (0.05, 0.1), (0.1, 0.3), (0.3, 0.4))  # difference of two models, share they differ on
FEW, MANY = (5, 20, 100, 1000), (20, 100, 1000)
DESIGNS = {
    "4 repeats, questions alike": (worlds.repeats(20), FEW),
    "4 repeats, questions differ": (worlds.repeats(4), FEW),
    "4 repeats, questions differ much": (worlds.repeats(1), FEW),
    "fractions, wide": (worlds.fractions(2), FEW),
    "fractions, near 0 and 1": (worlds.fractions(0.5), FEW),
    "5 equal clusters, correlation .1": (worlds.clusters("equal", 5, 0.1), MANY),
    "5 equal clusters, correlation .7": (worlds.clusters("equal", 5, 0.7), MANY),
    "10 equal clusters, correlation .3": (worlds.clusters("equal", 10, 0.3), MANY),
    "20 skewed clusters, correlation .3": (worlds.clusters("skewed", 20, 0.3), (100, 1000)),
    "20 skewed clusters, correlation .7": (worlds.clusters("skewed", 20, 0.7), (100, 1000)),
    "50 equal clusters, correlation .1": (worlds.clusters("equal", 50, 0.1), (1000,)),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    models: int = setting(300, "simulated models of each design, size and true score")
    largest: int = setting(1000, "questions at most")


def inside(found, truth: float) -> float:
    """Share of the intervals that contain the truth."""
    return float(np.mean((found.low <= truth + 1e-12) & (truth <= found.high + 1e-12)))


def counted(n: int, by: str) -> dict[str, float]:
    """Right or wrong, all numbers of right answers with their probability."""
    right = np.tri(n + 1, n, -1)
    found = plain.estimate(Responses.build(right), by=by)
    shares = [float(binom.pmf(np.arange(n + 1), n, p) @ ((found.low <= p) & (p <= found.high))) for p in worlds.RATES]
    return summary(shares) | {"width": float((found.high - found.low).mean())}


def sampled(n: int, size: int) -> dict[str, float]:
    """The same for n of `size` questions, over all true scores there can be."""
    found = plain.estimate(Responses.build(np.tri(n + 1, n, -1)), population=size)
    shares = []
    for right in range(size + 1):
        held = (found.low <= right / size + 1e-12) & (right / size <= found.high + 1e-12)
        shares.append(float(hypergeom.pmf(np.arange(n + 1), size, right, n) @ held))
    return summary(shares)


def simulated(draw: worlds.Draw, n: int, models: int, by: str, *, clustered: bool, seed: int = 0) -> dict[str, float]:
    """One design and size, over all true scores."""
    shares = []
    for i, rate in enumerate(worlds.RATES):
        answers = draw(np.random.default_rng([seed, n, i]), models, n, rate)
        shares.append(inside(plain.estimate(answers, by=by, cluster="group" if clustered else None), rate))
    return summary(shares)


def paired(n: int, models: int, times: int, by: str) -> dict[str, float]:
    """Differences of pairs of models, over gaps and shares on which they differ."""
    shares = []
    for i, (gap, apart) in enumerate(GAPS):
        answers = worlds.pairs(np.random.default_rng([n, i, times]), models, n, gap, apart, times)
        held = [
            inside(
                plain.compare(answers, first=answers.rows[2 * k], second=answers.rows[2 * k + 1], by=by).difference, gap
            )
            for k in range(models)
        ]
        shares.append(float(np.mean(held)))
    return summary(shares)


def summary(shares: list[float]) -> dict[str, float]:
    """Mean, least and most."""
    return {"mean": float(np.mean(shares)), "least": float(np.min(shares)), "most": float(np.max(shares))}


def study(settings: Settings, record: Record) -> None:
    """All designs; the textbook's interval beside ours."""
    few = tuple(n for n in FEW if n <= settings.largest)
    record.keep({"bars": BARS, "models": settings.models})
    record.keep({"counted": {by: {n: counted(n, by) for n in few} for by in ("wilson", "t")}})
    record.keep({"sampled": {f"{n} of {size}": sampled(n, size) for n, size in ((5, 10), (20, 40), (100, 150))}})
    found = {}
    for name, (draw, ns) in DESIGNS.items():
        here = {"models": settings.models, "clustered": "cluster" in name}
        found[name] = {
            n: {by: simulated(draw, n, by=by, **here) for by in ("wilson", "t")} for n in ns if n <= settings.largest
        }
        print(name, {n: r["wilson"] for n, r in found[name].items()}, flush=True)
        record.keep({"simulated": found})
    pairs = {}
    for times, name in ((1, "right or wrong"), (4, "4 repeats")):
        pairs[name] = {
            n: {by: paired(n, max(1, settings.models // 2), times, by) for by in ("adjusted", "t")} for n in few
        }
        print(name, pairs[name], flush=True)
        record.keep({"paired": pairs})
