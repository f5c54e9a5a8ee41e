"""Simulation-based calibration (Talts et al. 2018) of each model and engine, in worlds drawn from its prior.

True values have uniform ranks among draws of their posterior, if the draws are right. Draws of NUTS are thinned to be
nearly independent; approximations are corrected by their importance weights where these can be used, as for a user, and
`approximate` is the share of worlds where they cannot. Each entry (such as one model's ability) is tested by itself,
ranks in bins against the chi-squared distribution, at the false-alarm rate over all entries of one name. `covered` are
the shares of true values inside 95% and 50% intervals.

Not among them: `refresh` and `sloth`, whose priors lie where the answers do (means over the leaderboard, sampling
variances from the shares), so that no world is drawn from them; tests compare these with integration.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.stats import chi2

from bench.bayes import drawn
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax import bayes

BINS = 10
FALSE_ALARM = 0.001
LEVELS = {"95": 0.95, "50": 0.5}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    models: tuple[str, ...] = setting(tuple(drawn.WORLDS), "models")
    engines: tuple[str, ...] = setting(("nuts", "svi", "laplace"), "how posteriors are found")
    worlds: int = setting(200, "drawn from the prior")
    kept: int = setting(199, "draws of NUTS whose ranks are taken")
    thin: int = setting(5, "NUTS takes so many times as many")
    approximate: int = setting(999, "draws of the other engines")


def engine_of(name: str, settings: Settings) -> tuple[bayes.NUTS | bayes.SVI | bayes.Laplace, int]:
    """One chain, and each which draw is kept."""
    if name == "nuts":
        return bayes.NUTS(chains=1, draws=settings.kept * settings.thin, chains_by="vectorised"), settings.thin
    return bayes.engine(name, None, chains=1, draws=settings.approximate), 1


def calibrated(model: str, name: str, settings: Settings) -> dict[str, object]:
    """Of each quantity: ranks in bins, whether they are uniform, and coverage."""
    world, (engine, thin) = drawn.WORLDS[model], engine_of(name, settings)
    answers, truth = drawn.drawn(world, settings.worlds, 1)
    found = bayes.sample_many(world.model, {str(i): one for i, one in enumerate(answers)}, engine=engine, key=2)
    content: dict[str, object] = {
        "approximate": float(np.mean([each.diagnostics.approximate for each in found.values()])),
        "divergences": int(sum(each.diagnostics.divergences for each in found.values())),
    }
    for what, of in world.ranked.items():
        true = of(truth)
        draws = [of({site: x[0, ::thin] for site, x in each.draws.items()}) for each in found.values()]
        rank = np.array([(np.asarray(mine) < at).mean(0) for mine, at in zip(draws, true, strict=True)])
        content[what] = _judged(rank, len(draws[0]))
    return content


def _judged(share: np.ndarray, count: int) -> dict[str, object]:
    """Of (worlds, entries) shares of `count` draws that lie below the truth."""
    rank = (np.round(share * count) + 0.5) / (count + 1)
    bins = (rank * BINS).astype(int)
    counts = np.stack([np.bincount(column, minlength=BINS) for column in bins.T])
    expected = len(rank) / BINS
    p = chi2.sf(((counts - expected) ** 2 / expected).sum(1), BINS - 1)
    return {
        "counts": counts.sum(0).tolist(),
        "p": p.tolist(),
        "uniform": bool((p > FALSE_ALARM / len(p)).all()),
        "covered": {name: float((np.abs(rank - 0.5) < level / 2).mean()) for name, level in LEVELS.items()},
    }


def study(settings: Settings, record: Record) -> None:
    """Every model by every engine; each is a part of the record, so that some can be run alone."""
    for model in settings.models:
        for name in settings.engines:
            found = calibrated(model, name, settings)
            print(model, name, found, flush=True)
            record.part(f"{model}, {name}", found | {"worlds": settings.worlds, "false_alarm": FALSE_ALARM})
