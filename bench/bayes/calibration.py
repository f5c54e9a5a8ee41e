"""Simulation-based calibration (Talts et al. 2018) of each model and engine, in worlds drawn from its prior.

True abilities have uniform ranks among draws of their posterior, if the draws are right. Draws are thinned to be nearly
independent. Each ability is tested by itself, ranks in bins against the chi-squared distribution, at the false-alarm
rate over all of them; `covered` is the share of true abilities inside 95% intervals.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.stats import chi2

from bench.bayes import worlds
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax import bayes

BINS = 10
FALSE_ALARM = 0.001


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    curves: tuple[str, ...] = setting(("rasch", "2pl"), "models")
    engines: tuple[str, ...] = setting(("nuts", "svi", "laplace"), "how posteriors are found")
    worlds: int = setting(400, "drawn from the prior")
    models: int = setting(4, "of a world")
    items: int = setting(10, "of a world")
    draws: int = setting(499, "kept of each posterior")
    thin: int = setting(4, "NUTS takes so many times as many")


def engine_of(name: str, settings: Settings) -> bayes.NUTS | bayes.SVI | bayes.Laplace:
    """One chain; NUTS takes more draws, of which each `thin`-th is kept."""
    if name == "nuts":
        return bayes.NUTS(chains=1, draws=settings.draws * settings.thin, chains_by="vectorised")
    return bayes.engine(name, None, chains=1, draws=settings.draws)


def calibrated(curve: str, name: str, settings: Settings) -> dict[str, object]:
    """Ranks in bins, their p, and coverage."""
    model = bayes.rasch() if curve == "rasch" else bayes.irt(curve)
    engine, thin = engine_of(name, settings), settings.thin if name == "nuts" else 1
    counts, covered, approximate = np.zeros((settings.models, BINS), int), [], 0
    for seed in range(settings.worlds):
        responses, ability = worlds.WORLDS[curve](seed, settings.models, settings.items)
        posterior = bayes.sample(model, responses, engine=engine, key=seed)
        draws = posterior.draws["ability"][0, ::thin, :, 0]
        rank = (draws < ability).sum(0) / (len(draws) + 1)
        counts[np.arange(settings.models), (rank * BINS).astype(int)] += 1
        covered.append((rank > 0.025) & (rank < 0.975))
        approximate += posterior.diagnostics.approximate
    expected = settings.worlds / BINS
    p = chi2.sf(((counts - expected) ** 2 / expected).sum(1), BINS - 1)
    uniform = bool((p > FALSE_ALARM / settings.models).all())
    return {
        "counts": counts.sum(0).tolist(),
        "p": p.tolist(),
        "uniform": uniform,
        "covered": float(np.mean(covered)),
        "approximate": approximate / settings.worlds,
    }


def study(settings: Settings, record: Record) -> None:
    """Every model by every engine."""
    content: dict[str, object] = {"false_alarm": FALSE_ALARM}
    for curve in settings.curves:
        for name in settings.engines:
            content[f"{curve}, {name}"] = found = calibrated(curve, name, settings)
            print(curve, name, found, flush=True)
            record.keep(content)
