"""Worlds of known truth for `refresh`; see `chains.py`, part simulation.

A chain: 17 models answer all of the first version, 5 that `choose` names the second and third. Versions have 4
domains of 300 items, the third a new one too. Answers follow a logistic model with three abilities: slopes on the first
are log-normal, those on the others, and the intercepts, are drawn around means that move with the version (intercepts
also with the domain). Models like some domains more than others, and drift by Student t with 4 degrees of freedom. In a
contaminated world two models of a family have leaked answers to the first version, worth 8 points there and nothing
later.

Suspects: 17 models, two of which are a family, on four versions of 8,000 answers. Scores drift by 1.2 points (sd), all
by as much or in logits (.048, 1.2 points at a score of one half), and the family gains on one version.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import expit

from bench.kit.coverage import Held, coverage
from lleval_jax import Responses, refresh

MODELS, RERUN, FAMILY, DOMAINS, ITEMS = 17, 5, 2, 4, 300
LEAK = 0.08  # share of answers
WORLDS, TRIALS = 200, 1000
LEVELS = (0.95, 0.8)
SCORE_DRIFT, ANSWERS, VERSIONS = 0.012, 8000, 4
KINDS = ("honest", "contaminated")


def world(seed: int, leaked: bool) -> list[Responses]:
    """Three versions; the last two models are the family that may have seen the first."""
    random = np.random.default_rng(seed)
    ability = random.normal(size=(MODELS, 3))
    taste = 0.15 * random.normal(size=(MODELS, DOMAINS + 1))
    level = 0.4 * random.normal(size=DOMAINS + 1)
    versions = []
    for v in range(3):
        count = DOMAINS + (v == 2)
        domain = np.repeat(np.arange(count), ITEMS)
        middle = 0.15 * random.normal(size=2)
        slopes = [
            np.exp(0.3 * random.normal(size=len(domain))),
            *(middle[:, None] + random.normal(0, 0.4, (2, len(domain)))),
        ]
        ease = 0.4 * random.normal() + level[domain] + 1.2 * random.normal(size=len(domain))
        drift = 0.08 * random.standard_t(4, (MODELS, 1))
        rate = expit(ability @ np.stack(slopes) + ease + taste[:, domain] + drift)
        if leaked and v == 0:
            rate[-FAMILY:] += LEAK * (1 - rate[-FAMILY:]) / (1 - rate[-FAMILY:]).mean(1, keepdims=True)
        scores = (random.random(rate.shape) < rate).astype(np.int8)
        items = [f"v{v} {i}" for i in range(len(domain))]
        rows = [f"model {i}" for i in range(MODELS)]
        versions.append(Responses.build(scores, rows=rows, items=items, group=[f"domain {d}" for d in domain]))
    return versions


def chain(versions: Sequence[Responses]) -> dict[str, Held]:
    """Intervals of models not run, by version, target and who the model is."""
    known, found = [versions[0]], {}
    fit = refresh.fit(known)
    for v, truth in enumerate(versions[1:], 1):
        items = {truth.groups[g]: int(n) for g, n in enumerate(np.bincount(truth.group))}
        run = refresh.choose(fit, k=RERUN, items=items).rows
        known.append(truth.take([truth.rows.index(row) for row in run]))
        fit = refresh.fit(known)
        real = {"all": truth.scores.mean(1)}
        real |= {name: truth.scores[:, truth.group == g].mean(1) for g, name in enumerate(truth.groups)}
        estimates = [refresh.estimate(fit, level=level) for level in LEVELS]
        for i, (row, group) in enumerate(zip(estimates[0].rows, estimates[0].group, strict=True)):
            if row not in run:
                at = truth.rows.index(row)
                target = "all" if group == "all" else "new domain" if group == f"domain {DOMAINS}" else "old domains"
                key = f"v{v + 1} {target}, {'family' if at >= MODELS - FAMILY else 'others'}"
                ends = [e.low[i] for e in estimates], [e.high[i] for e in estimates]
                found.setdefault(key, []).append((float(real[group][at]), float(estimates[0].value[i]), *ends))
    return {key: held_of(entries) for key, entries in found.items()}


def held_of(entries: Sequence[tuple]) -> Held:
    """Entries (truth, value, lows, highs) as arrays."""
    truth, value, low, high = (np.array(part) for part in zip(*entries, strict=True))
    return Held(truth, value, low.T, high.T)


def suspected(seed: int, gain: float, where: int, on: Sequence[int] | None, law: str) -> tuple[bool, bool]:
    """Whether the family is flagged, and whether anybody else is."""
    random = np.random.default_rng(seed)
    level = 0.6 * random.normal(size=(MODELS, 1)) + 0.12 * random.normal(size=VERSIONS)
    drift = SCORE_DRIFT * random.normal(size=(MODELS, VERSIONS))
    true = expit(level) + drift if law == "points" else expit(level + 4 * drift)
    true[-FAMILY:, where] += gain
    scores = random.binomial(ANSWERS, np.clip(true, 0.01, 0.99)) / ANSWERS
    rows = [f"model {i}" for i in range(MODELS)]
    weight = np.full((MODELS, 1), float(ANSWERS))
    versions = [Responses.build(scores[:, [v]], weight=weight, rows=rows, items=[f"v{v}"]) for v in range(VERSIONS)]
    family = {row: "family" if i >= MODELS - FAMILY else row for i, row in enumerate(rows)}
    flagged = refresh.suspects(versions, families=family, on=on).flagged
    return "family" in flagged, bool(set(flagged) - {"family"})


def suspicion(laws: Sequence[str] = ("points", "logits"), trials: int = TRIALS) -> list[dict[str, object]]:
    """How often a family that gains is flagged, and how often others are, drift being normal in points or in logits."""
    rows = []
    newest = VERSIONS - 1
    looks = (("oldest", 0, [0]), ("oldest", 0, None), ("newest", newest, [newest]), ("newest", newest, None))
    for law, (word, where, on), points in itertools.product(laws, looks, (0, 6, 8)):
        found = np.array([suspected(seed, points / 100, where, on, law) for seed in range(trials)])
        row = {"drift in": law, "gain on": word, "looked at": word if on else "all", "points": points}
        shares = {"family": found[:, 0], "others": found[:, 1], "anybody": found.any(1)}
        rows.append(row | {name: float(value.mean()) for name, value in shares.items()} | {"worlds": trials})
        print(rows[-1], flush=True)
    return rows


def covered(kind: str, worlds: int = WORLDS) -> dict[str, object]:
    """Coverage in worlds of one kind."""
    began = time.perf_counter()
    found = coverage(lambda seed: world(seed, kind == "contaminated"), chain, range(worlds), LEVELS)
    print(kind, found, flush=True)
    return {"worlds": worlds, "seconds": round(time.perf_counter() - began, 1), **found}


def study(worlds: int, trials: int, save: Callable[[dict[str, object]], None]) -> dict[str, object]:
    """Both, saved as they come."""
    found: dict[str, object] = {"suspects": suspicion(trials=trials)}
    for kind in KINDS:
        save(found)
        found[kind] = covered(kind, worlds)
    return found
