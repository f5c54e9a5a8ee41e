"""Intervals of scores and of pass@k foretold from skills, in worlds with laws, slopes and families of their own."""

import dataclasses

import numpy as np
from scipy import special

import lleval_jax as ll
from bench.sloth import worlds as made
from lleval_jax.estimators.sloth import units as law_skills

KS = (1, 10, 100)
TRIES = 100


def scores(law, skill, slope=(0.8, 0.5), seed: int = 0, group: float = 0.0) -> np.ndarray:
    """(models,) true scores of a law's models, from skills in the units in which they are regressed."""
    random = np.random.default_rng(seed)
    units, _, _ = law_skills.of_models(law)
    own = group * random.normal(size=len(law.axes["families"]))
    family = law.params.family
    share = special.expit((skill - units.middle) @ units.turn.T @ np.array(slope) - 0.7 + own[family])
    return np.clip(share + 0.02 * random.standard_t(4, len(share)), 0, 1)


def known(law, score) -> dict[str, float]:
    """The scores of the models that the law knows, by name."""
    return {law.rows[i]: float(score[i]) for i in np.flatnonzero(law.params.seen.any(1))}


def tried(seed: int, questions: int = 30, tries: int = TRIES, known_models: int = 14):
    """A law, where the models that tried stand in it, successes of those, and true chances of all models."""
    law, skill = made.law(seed)
    random = np.random.default_rng(seed + 1000)
    units, _, _ = law_skills.of_models(law)
    item = random.normal([-2, 0.8, 0.4], [1.5, 0.4, 0.4], (questions, 3))
    chance = special.expit((skill - units.middle) @ units.turn.T @ item[:, 1:].T + item[:, 0])
    at = np.flatnonzero(law.params.seen.any(1))[::2][:known_models]
    return law, at, random.binomial(tries, chance[at]), chance


def downstream(seed: int) -> bool:
    """Whether the 95% interval of the first hidden model's score holds it."""
    law, skill = made.law(seed + 100)
    random = np.random.default_rng(seed)
    score = scores(law, skill, random.normal([0.8, 0], 0.6), seed, group=0.3)
    found = ll.downstream.estimate(ll.downstream.fit(law, scores=known(law, score)), family=made.targets(law)[:1])
    truth = score[~law.params.seen.any(1)][0]
    return bool(found.low[0] <= truth <= found.high[0])


def passk(seed: int) -> bool:
    """Whether the 95% interval of the first hidden model's pass@k holds it; k in turn."""
    law, at, successes, chance = tried(seed + 200)
    k = KS[seed % 3]
    fit = ll.passk.fit(law, successes=successes, tries=TRIES, models=[law.rows[i] for i in at])
    found = ll.passk.estimate(fit, family=made.targets(law)[:1], k=k, draws=500)
    truth = (1 - (1 - chance[~law.params.seen.any(1)][0]) ** k).mean()
    return bool(found.low[0] <= truth <= found.high[0])


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    worlds: int = dataclasses.field(default=160, metadata={"help": "of either kind"})


def study(settings: Settings, record) -> None:
    """How often the interval of a world's first hidden model holds."""
    held = {part.__name__: [part(seed) for seed in range(settings.worlds)] for part in (downstream, passk)}
    record.keep({"worlds": settings.worlds, "level": 0.95, "held": {k: float(np.mean(v)) for k, v in held.items()}})
