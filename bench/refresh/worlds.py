"""Worlds of known truth for `refresh`; see `refresh.py`, part simulation.

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
from scipy.stats import beta

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


def chain(versions: Sequence[Responses]) -> list[dict[str, object]]:
    """Intervals of models not run, one entry each."""
    known, found = [versions[0]], []
    fit = refresh.fit(known)
    for v, truth in enumerate(versions[1:], 1):
        items = {truth.groups[g]: int(n) for g, n in enumerate(np.bincount(truth.group))}
        run = refresh.choose(fit, RERUN, items=items).rows
        known.append(truth.take([truth.rows.index(row) for row in run]))
        fit = refresh.fit(known)
        real = {"all": truth.scores.mean(1)}
        real |= {name: truth.scores[:, truth.group == g].mean(1) for g, name in enumerate(truth.groups)}
        told = [refresh.estimate(fit, level=level) for level in LEVELS]
        for i, (row, group) in enumerate(zip(told[0].rows, told[0].group, strict=True)):
            if row in run:
                continue
            at = truth.rows.index(row)
            target = "all" if group == "all" else "new domain" if group == f"domain {DOMAINS}" else "old domains"
            who = "family" if at >= MODELS - FAMILY else "others"
            true = float(real[group][at])
            held = [bool(e.low[i] <= true <= e.high[i]) for e in told]
            wide = [float(100 * (e.high[i] - e.low[i])) for e in told]
            error = 100 * abs(float(told[0].value[i]) - true)
            found.append({"version": v + 1, "target": target, "who": who, "held": held, "wide": wide, "error": error})
    return found


def coverage(worlds: Sequence[Sequence[dict]], **only: object) -> dict[str, object]:
    """Of the entries that are as asked: coverage, its standard error over worlds, binomial bounds and mean width."""
    kept = [[e for e in entries if all(e[k] == v for k, v in only.items())] for entries in worlds]
    of = np.array([len(entries) for entries in kept])
    out: dict[str, object] = {
        "of": int(of.sum()),
        "mae": round(float(np.mean([e["error"] for es in kept for e in es])), 3),
    }
    for at, level in enumerate(LEVELS):
        inside = np.array([sum(e["held"][at] for e in entries) for entries in kept])
        held, count = int(inside.sum()), int(of.sum())
        share = held / count
        error = float(np.sqrt(np.sum((inside - share * of) ** 2)) / count)
        bounds = [float(beta.ppf(0.025, held, count - held + 1)), float(beta.ppf(0.975, held + 1, count - held))]
        width = float(np.mean([e["wide"][at] for entries in kept for e in entries]))
        figures = {"share": share, "error": error, "width": width}
        out[f"{level:.0%}"] = {k: round(v, 4) for k, v in figures.items()} | {"binomial": np.round(bounds, 4).tolist()}
    return out


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
    flagged = refresh.suspects(versions, family, on=on).flagged
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
    entries = [chain(world(seed, kind == "contaminated")) for seed in range(worlds)]
    table: dict[str, object] = {"worlds": worlds, "seconds": round(time.perf_counter() - began, 1)}
    for who in ("others", "family"):
        for version, target in ((2, "all"), (2, "old domains"), (3, "all"), (3, "old domains"), (3, "new domain")):
            key = f"v{version} {target}, {who}"
            table[key] = coverage(entries, version=version, target=target, who=who)
            print(kind, key, table[key], flush=True)
    return table


def study(save: Callable[[dict[str, object]], None]) -> dict[str, object]:
    """Both, saved as they come."""
    found: dict[str, object] = {"suspects": suspicion()}
    for kind in KINDS:
        save(found)
        found[kind] = covered(kind)
    return found
