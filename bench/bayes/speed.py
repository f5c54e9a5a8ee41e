"""Seconds and effective sample size of NUTS on a 2PL, ours and the model written the obvious way in NumPyro.

Both have the same priors, answers and number of draws after the warm-up; each runs once cold, compilation included,
and then warm with other keys. Ours includes the maximum likelihood fit and Laplace's approximation that it starts
from. Effective sample sizes are of the bulk, the smallest over all abilities, slopes and intercepts; the ratio is
of effective draws a warm second.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from bench.bayes import plain, worlds
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax import bayes

BARS = {"seconds": 90.0, "effective": 400.0, "ratio": 3.0}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    models: int = setting(40, "models")
    items: int = setting(805, "questions")
    chains: int = setting(4, "chains of both")
    draws: int = setting(1000, "of each chain")
    warmup: int = setting(300, "of ours")
    plain_warmup: int = setting(1000, "of the plain model: NumPyro's users take as many as draws")
    chain_method: str = setting("sequential", "of the plain model: NumPyro's word; sequential on a CPU of one device")
    repeats: int = setting(3, "warm runs")


def timed(run: Callable[[int], dict[str, np.ndarray]], repeats: int) -> dict[str, object]:
    """Cold and warm seconds, and the least effective sample size of each warm run."""
    seconds, effective = [], []
    for seed in range(repeats + 1):
        began = time.perf_counter()
        draws = run(seed)
        seconds.append(time.perf_counter() - began)
        effective.append(worlds.least_effective(draws))
    rate = [n / s for n, s in zip(effective[1:], seconds[1:], strict=True)]
    return {"cold": seconds[0], "warm": seconds[1:], "effective": effective[1:], "effective_a_second": rate}


def study(settings: Settings, record: Record) -> None:
    """Ours, then the plain model."""
    responses, _ = worlds.two_parameter(0, settings.models, settings.items)
    engine = bayes.NUTS(chains=settings.chains, draws=settings.draws, warmup=settings.warmup)
    divergences = []

    def ours(seed: int) -> dict[str, np.ndarray]:
        posterior = bayes.sample(bayes.irt("2pl"), responses, engine=engine, key=seed)
        divergences.append(posterior.diagnostics.divergences)
        return dict(posterior.draws)

    content: dict[str, object] = {"bars": BARS, "ours": timed(ours, settings.repeats)}
    content["divergences"] = sum(divergences[1:])
    print("ours", content["ours"], flush=True)
    record.keep(content)
    mcmc = plain.sampler(settings.chains, settings.plain_warmup, settings.draws, settings.chain_method)
    content["plain"] = timed(lambda seed: plain.draws(mcmc, responses.scores, seed), settings.repeats)
    print("plain", content["plain"], flush=True)
    mine, theirs = (np.median(content[who]["effective_a_second"]) for who in ("ours", "plain"))  # type: ignore[index]
    record.keep(content | {"ratio": float(mine / theirs)})
