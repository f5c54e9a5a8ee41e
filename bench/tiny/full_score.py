"""Full score from one form's answers (open_llm_irt, duplicate rows removed).

Two protocols. `folds`: 5-fold over models through the public calls (irt.fit, anchors.choose with full scores,
tiny.estimate). `strangers`: 150 targets, each left out by its fold, and every calibration model within 10% Hamming
distance of it taken out of the regression exactly (rows and columns of the inverse removed); kernel and error table
stay those of the fold's fit, which has not seen the target. Prints and stores MAE in points, coverage with
Clopper-Pearson bounds, mean width, CPU seconds.
"""

from __future__ import annotations

import dataclasses
import time

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import lleval_jax as ll
from bench.kit.coverage import bounds
from bench.kit.problems import form
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.core import gp
from lleval_jax.estimators.tiny import regression

SETS = ("arc_A", "arc_B", "gsm8k_A", "gsm8k_B", "truthfulqa_B")
BARS = {"arc_A": 0.90, "arc_B": 1.22, "gsm8k_A": 1.25, "gsm8k_B": 1.21, "truthfulqa_B": 0.92}
STRANGER_BARS = {"arc_A": 1.17, "arc_B": 1.48, "gsm8k_A": 1.44, "gsm8k_B": 1.40, "truthfulqa_B": 1.39}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    sets: tuple[str, ...] = setting(SETS, "forms of open_llm_irt")
    targets: int = setting(150, "models of `strangers`")


def estimate(answers: np.ndarray, full: np.ndarray, out: np.ndarray) -> ll.Estimate:
    """Full scores of the models in `out`, everything learned from the others, by the public calls."""
    responses = ll.Responses.build(answers)
    known = responses.take(np.flatnonzero(~out))
    scores = pd.DataFrame({"model": known.rows, "score": full[~out], "group": "all"})
    fit = ll.irt.fit(known, standard_errors=False)
    bank = ll.anchors.choose(fit, responses=known, k=None, full_scores=scores)
    return ll.tiny.estimate(responses.take(np.flatnonzero(out)), bank=bank)


def stranger(fitted: regression.Regression, answers: np.ndarray) -> tuple[float, float, float]:
    """Estimate, low and high of one model with all known models within 10% of its answers taken out."""
    x = jnp.asarray(answers, float)[None]
    gap = gp.distance(x, fitted.known)[0]
    near = np.flatnonzero(np.asarray(gap) <= 0.10)
    known = fitted.posterior
    inverse, cross = known.drop, gp.gram(fitted.kernel, x, known.support)[0]
    block, columns = inverse[np.ix_(near, near)], inverse[:, near]
    alpha = known.alpha - columns @ jnp.linalg.solve(block, known.alpha[near])
    lost = jnp.linalg.solve(block, columns.T @ cross)
    drop = cross @ (inverse @ cross) - (columns.T @ cross) @ lost
    noise = gp.noise(fitted.kernel)
    sd = jnp.sqrt(jnp.maximum(gp.variance(fitted.kernel, x)[0] + noise - drop, noise))
    away = jnp.min(jnp.where(jnp.isin(jnp.arange(len(gap)), near), jnp.inf, gap))
    half = regression.multiplier(fitted.radii, fitted.errors, away[None], 0.95)[0] * sd
    ends = [float(np.clip(fitted.location + fitted.scale * (cross @ alpha + s * half), 0, 1)) for s in (0, -1, 1)]
    return ends[0], ends[1], ends[2]


def summary(value, low, high, truth) -> dict[str, float]:
    """MAE and width in points, coverage with its 95% Clopper-Pearson bounds."""
    inside, n = int(np.sum((low <= truth) & (truth <= high))), len(truth)
    share = bounds(inside, n)
    return {
        "mae": 100 * float(np.mean(np.abs(value - truth))),
        "coverage": inside / n,
        "coverage_low": share[0],
        "coverage_high": share[1],
        "width": 100 * float(np.mean(high - low)),
        "models": n,
    }


def run(name: str, targets: int, folds: int = 5, seed: int = 0) -> dict:
    """Both protocols on one set."""
    answers, full = form(name)
    rng = np.random.default_rng(seed)
    fold = rng.permutation(len(full)) % folds
    wanted = rng.permutation(len(full))[:targets]
    ends, strangers, cpu = np.empty((3, len(full))), np.full((3, len(full)), np.nan), []
    for f in range(folds):
        out, started = fold == f, time.process_time()
        found = estimate(answers, full, out)
        cpu.append(time.process_time() - started)
        ends[:, out] = found.value, found.low, found.high
        with jax.enable_x64(True):
            fitted = regression.fit(answers[~out].astype(float), full[~out])
            for i in wanted[out[wanted]]:
                strangers[:, i] = stranger(fitted, answers[i])
    value, low, high = ends
    row = {
        "folds": summary(value, low, high, full) | {"bar": BARS.get(name), "cpu_seconds_a_fold": float(np.median(cpu))}
    }
    row["strangers"] = summary(strangers[0, wanted], strangers[1, wanted], strangers[2, wanted], full[wanted]) | {
        "bar": STRANGER_BARS.get(name)
    }
    for protocol, r in row.items():
        print(
            f"{name:13} {protocol:10} MAE {r['mae']:.3f} (bar {r['bar']})  coverage {r['coverage']:.3f} "
            f"[{r['coverage_low']:.3f}, {r['coverage_high']:.3f}]  width {r['width']:.2f}",
            flush=True,
        )
    return row


def study(settings: Settings, record: Record) -> None:
    """All sets, one after the other; rows of others stay."""
    for name in settings.sets:
        record.keep({"rows": record.content.get("rows", {}) | {name: run(name, settings.targets)}})
