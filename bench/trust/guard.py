"""Does the guard warn where it should? 200 unidentifiable designs and 200 sound ones.

All are drawn from seeds, sizes and difficulties at random. Unidentifiable: too few models for slopes (6 to 20), items
seen by too few models each, near-copies that leave 8 to 20 distinct models, disconnected blocks, answers in one perfect
order, a fifth or more of the items constant, no common ability at all. Sound: 80 to 600 models on 40 to 400 items,
2PL, Rasch, 3PL or two abilities, up to 40% of the answers missing, some with two copies and up to 3% constant items.
`first` moves the seeds: the thresholds were settled on seeds from 1000, the stored figures are on seeds from 0.
"""

from __future__ import annotations

import dataclasses
import json

import numpy as np

from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.data import simulate
from lleval_jax.estimators.irt import guard
from lleval_jax.values import Responses

WARNS, FALSE = 0.95, 0.05  # bars: of the unidentifiable at least, of the sound at most


def few(rng):
    """Too few models for slopes of their own."""
    return draw(rng, int(rng.integers(6, 21)), int(rng.integers(30, 400)))


def thin(rng):
    """Enough models, but each item seen by few."""
    rows = int(rng.integers(100, 400))
    return draw(rng, rows, int(rng.integers(100, 400)), missing=1 - rng.uniform(8, 16) / rows)


def copied(rng):
    """Many models, few distinct: 2% of a copy's answers differ."""
    base = draw(rng, int(rng.integers(8, 21)), int(rng.integers(80, 400)))
    pick = np.concatenate([np.arange(len(base.rows)), rng.integers(len(base.rows), size=int(rng.integers(60, 200)))])
    scores = base.scores[pick]
    return Responses.build(np.where(rng.random(scores.shape) < 0.02, 1 - scores, scores))


def apart(rng):
    """Two or three blocks without a common model or item."""
    parts = [draw(rng, int(rng.integers(60, 200)), int(rng.integers(30, 120))) for _ in range(int(rng.integers(2, 4)))]
    rows, items = (np.cumsum([0] + [len(getattr(p, axis)) for p in parts]) for axis in ("rows", "items"))
    scores = np.full((rows[-1], items[-1]), np.nan)
    for p, r, i in zip(parts, rows, items, strict=False):
        scores[r : r + len(p.rows), i : i + len(p.items)] = p.scores
    return Responses.build(scores)


def ordered(rng):
    """Answers in one perfect order (Guttman): slopes have no finite estimate."""
    rows, items = int(rng.integers(60, 300)), int(rng.integers(30, 200))
    return Responses.build((rng.standard_normal((rows, 1)) > rng.standard_normal((1, items))).astype(float))


def constant(rng):
    """A fifth or more of the items without variance."""
    base = draw(rng, int(rng.integers(80, 300)), int(rng.integers(40, 200)))
    still = rng.random(len(base.items)) < rng.uniform(0.2, 0.5)
    still[0] = True
    return Responses.build(np.where(still, rng.integers(0, 2, len(base.items)), base.scores))


def nothing(rng):
    """Items differ, models do not."""
    chance = rng.beta(2, 2, int(rng.integers(40, 200)))
    return Responses.build((rng.random((int(rng.integers(80, 300)), len(chance))) < chance).astype(float))


def draw(rng, rows, items, **more):
    return simulate(rows, items, seed=int(rng.integers(2**31)), **more)[0]


def sound(rng):
    """Answers that teach the 2PL."""
    rows, items = int(rng.integers(80, 600)), int(rng.integers(40, 400))
    model = str(rng.choice(["2pl", "2pl", "rasch", "3pl"]))
    dims = int(rng.choice([1, 1, 2])) if model == "2pl" else 1
    missing = float(rng.choice([0, rng.uniform(0, min(0.4, 1 - 60 / rows))]))
    base = draw(rng, rows, items, model=model, dims=dims, missing=missing)
    scores, seen = np.array(base.scores), np.array(base.seen)
    if rng.random() < 0.5:
        scores[:, : int(0.03 * items)] = 1
        scores[1], seen[1] = scores[0], seen[0]
    return Responses.build(scores, seen=seen)


def boundary(models: int, first: int, draws: int) -> float:
    """How often the 2PL is refused to so many models (200 items): between the designs above, what is right is open."""
    rngs = [np.random.default_rng([first, models, k]) for k in range(draws)]
    return float(np.mean([guard.check(draw(rng, models, 200)).safe != "2pl" for rng in rngs]))


UNSOUND = (few, thin, copied, apart, ordered, constant, nothing)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    first: int = setting(0, "first seed")
    designs: int = setting(200, "of either kind")
    boundary: int = setting(10, "draws of each number of models in between")


def study(settings: Settings, record: Record) -> None:
    """All designs, and the numbers of models in between."""
    seeds, rows = range(settings.first, settings.first + settings.designs), []
    for seed in seeds:
        for make in (UNSOUND[seed % len(UNSOUND)], sound):
            answers = make(np.random.default_rng([seed, make is sound]))
            found = guard.check(answers, model="2pl")
            names = [one.name for one in found.warnings]
            rows.append({"design": make.__name__, "seed": seed, "warned": not found.ok, "safe": found.safe})
            rows[-1] |= {"warnings": names, "models": found.models, "items": found.items}
            if found.ok != (make is sound):
                print(rows[-1], found, flush=True)
    rate = {
        name: float(np.mean([r["warned"] for r in rows if r["design"] == name]))
        for name in [make.__name__ for make in (*UNSOUND, sound)]
    }
    warned = float(np.mean([r["warned"] for r in rows if r["design"] != "sound"]))
    summary = {"warned_unidentifiable": warned, "warned_sound": rate["sound"], "by_design": rate}
    summary["too_few_by_models"] = {
        n: boundary(n, settings.first, settings.boundary) for n in (16, 20, 24, 28, 32, 36, 40, 50, 60, 80)
    }
    summary |= {"bars": [WARNS, FALSE], "first_seed": settings.first, "designs_of_each": settings.designs}
    print(json.dumps(summary, indent=1))
    record.keep(summary | {"rows": rows})
