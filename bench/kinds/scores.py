"""Grades and continuous scores fitted as what they are, and as shares of right answers: WildBench and AlpacaEval 2.0.

Held-out log predictive density: a tenth of the cells is hidden. Treating scores as right or wrong gives no density; it
is normalised over the scores that there can be, the ten grades or all of [0, 1], so that all kinds are on one measure.
On WildBench a normal's mass around each grade is counted.

Full scores: models are left out in folds, a bank is made from the others, and each is estimated by p-IRT (`pirt`) from
answers to random items, the same for all kinds; the intervals are nominal ones, not widened by a check. The plain mean
of the same answers is the rival.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
from scipy.special import log_expit, logsumexp
from scipy.stats import norm

import lleval_jax as ll
from bench.kit.coverage import bounds
from bench.kit.problems import shared, two_parameter
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.estimators.tiny.score import WIDEN_DF
from lleval_jax.values.bank import Misfit

GRADES = {"wildbench": 10, "simulated": 6}  # where scores are grades
KINDS = {
    "wildbench": ("bernoulli", "graded", "gpcm", "normal"),
    "alpaca": ("bernoulli", "beta", "logit-normal", "normal"),
    "simulated": ("bernoulli", "graded"),
}
FOLDS = {"wildbench": 3, "alpaca": 4, "simulated": 2}
NODES, SHARE = np.polynomial.hermite_e.hermegauss(15)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    sets: tuple[str, ...] = setting(("wildbench", "alpaca"), "whose answers")
    items: int = setting(300, "items of the benchmark that is predicted, drawn from all")
    cells: int = setting(12_000, "most cells that the held-out density is measured on; items are drawn")
    steps: int = setting(150, "most steps of a fit")
    asked: tuple[int, ...] = setting((50, 100), "answers of a new model")
    draws: int = setting(3, "draws of the items that are asked")


def load(name: str) -> ll.Responses:
    """Scores in [0, 1]; of AlpacaEval the 12 that are exactly 0 are left out, which two of the kinds do not take."""
    if name == "simulated":
        return ll.Responses.build(
            np.round(two_parameter(24, 60).scores * 0.6 + 0.2 * two_parameter(24, 60, 1).scores, 1)
        )
    file = ("wildbench", "wildbench_v2.0522_gpt-4o.npz") if name == "wildbench" else ("alpaca_eval", "alpaca_eval2.npz")
    with np.load(shared("data", *file), allow_pickle=False) as stored:
        scores, models = stored["responses"].astype(float), stored["models"]
        items = [str(item) for item in stored["items"]]
        kept = stored["note"] == "" if "note" in stored else np.ones(len(models), bool)
    scores = (scores - 1) / (GRADES[name] - 1) if name == "wildbench" else np.where(scores == 0, np.nan, scores)
    return ll.Responses.build(scores[kept], rows=models[kept].tolist(), items=items)


def drawn(responses: ll.Responses, count: int, seed: int) -> ll.Responses:
    """A random part of the items."""
    part = np.sort(np.random.default_rng(seed).permutation(len(responses.items))[:count])
    return responses.select([responses.items[i] for i in part])


def hidden(responses: ll.Responses) -> tuple[ll.Responses, ll.Responses]:
    """Answers with a tenth of the cells hidden, and those."""
    away = responses.seen & (np.random.default_rng(0).random(responses.seen.shape) < 0.1)
    parts = (responses.seen & ~away, away)
    return tuple(  # type: ignore[return-value]
        dataclasses.replace(responses, seen=part, scores=np.where(part, responses.scores, 0)) for part in parts
    )


def at_nodes(fit: ll.FitResult) -> np.ndarray:
    """(rows, items, nodes) z at nodes of each row's posterior."""
    p = fit.params
    ability = p.ability + np.sqrt(p.ability_cov[:, 0]) * NODES
    return p.slope[:, 0][None, :, None] * ability[:, None, :] + p.intercept[None, :, None]


def log_density(fit: ll.FitResult, away: ll.Responses, grades: int) -> np.ndarray:
    """(answers,) log predictive density of what was hidden; log probability of the grade if there are any."""
    kinds, y = fit.params.answers, away.scores[..., None].astype(float)
    if kinds is None:
        z = at_nodes(fit)
        if grades:
            each = y * z - logsumexp(np.linspace(0, 1, grades) * z[..., None], axis=-1)
        else:
            size = np.maximum(np.abs(z), 1e-6)  # the integral of exp(y z) over [0, 1]
            each = y * z - (np.maximum(z, 0) + np.log(-np.expm1(-size)) - np.log(size))
    elif grades and kinds.names == ("normal",):
        z = at_nodes(fit)
        mean = np.exp(log_expit(z))
        sd = np.sqrt(np.exp(kinds.shape[:, 0])[None, :, None] * (mean * (1 - mean) + 0.01))
        half = 0.5 / (grades - 1)
        low, high = np.where(y < half, -np.inf, y - half), np.where(y > 1 - half, np.inf, y + half)
        each = np.log(np.maximum(norm.cdf((high - mean) / sd) - norm.cdf((low - mean) / sd), 1e-300))
    else:
        return ll.irt.log_density(fit, answers=away)[away.seen]
    return logsumexp(each, b=SHARE / SHARE.sum(), axis=-1)[away.seen]


def predicted(responses: ll.Responses, names: tuple[str, ...], grades: int, settings: Settings) -> dict[str, Any]:
    """Mean held-out log density of an answer under each kind, and of its gain over right and wrong."""
    known, away = hidden(drawn(responses, settings.cells // len(responses.rows), 0))
    found, table = {}, {}
    for name in names:
        fit = ll.irt.fit(known, answers=name, standard_errors=False, max_steps=settings.steps)
        found[name] = log_density(fit, away, grades)
        gain = found[name] - found["bernoulli"]
        table[name] = {
            "log_density": float(found[name].mean()),
            "gain": float(gain.mean()),
            "gain_se": float(gain.std(ddof=1) / np.sqrt(len(gain))),
            "answers": len(gain),
            "items": len(known.items),
            "status": fit.status,
            "steps": fit.steps,
        }
        print(f"  {name:13s} {table[name]['log_density']:8.3f}  {fit.status}, {fit.steps} steps", flush=True)
    return table


def full_scores(responses: ll.Responses, name: str, settings: Settings) -> dict[str, Any]:
    """Errors and coverage of full scores from few answers, for each kind and for the plain mean."""
    rng, responses = np.random.default_rng(1), drawn(responses, settings.items, 1)
    seen = responses.seen
    truth = (responses.scores * seen).sum(1) / seen.sum(1)
    fold = rng.permutation(len(responses.rows)) % FOLDS[name]
    asked = {(k, d): rng.permutation(len(responses.items))[:k] for k in settings.asked for d in range(settings.draws)}
    found: dict[tuple[str, int], list[np.ndarray]] = {}
    for f in range(FOLDS[name]):
        known, new = (responses.take(np.flatnonzero(which)) for which in (fold != f, fold == f))
        for kind in KINDS[name]:
            fit = ll.irt.fit(known, answers=kind, max_steps=settings.steps)
            bank = nominal(ll.anchors.choose(fit, responses=known, k=None))
            for (k, _), items in asked.items():
                few = new.select([responses.items[i] for i in items])
                estimate = ll.tiny.estimate(few, bank=bank, by="pirt")
                found.setdefault((kind, k), []).append(errors(estimate, truth[fold == f]))
        for (k, _), items in asked.items():
            few = new.select([responses.items[i] for i in items])
            estimate = ll.plain.estimate(few, population=len(responses.items))
            found.setdefault(("plain mean", k), []).append(errors(estimate, truth[fold == f]))
    table: dict[str, Any] = {}
    for (kind, k), parts in found.items():
        error, inside, width = np.concatenate(parts, axis=1)
        low, high = bounds(int(inside.sum()), len(inside))
        table.setdefault(kind, {})[str(k)] = {
            "mae": float(np.abs(error).mean()),
            "bias": float(error.mean()),
            "coverage": float(inside.mean()),
            "coverage_low": low,
            "coverage_high": high,
            "width": float(width.mean()),
            "estimates": len(inside),
        }
        print(f"  {kind:13s} {k:4d}  MAE {np.abs(error).mean():.4f}  coverage {inside.mean():.3f}", flush=True)
    return table


def nominal(bank: ll.ItemBank) -> ll.ItemBank:
    """The bank as if a check on models left out had found its intervals right, so that it is them that are measured."""
    df = WIDEN_DF + len(bank.calibration.rows if bank.calibration else ())
    return dataclasses.replace(bank, misfit=Misfit(np.zeros(len(bank.targets)), {}, np.asarray(df)))


def errors(estimate: ll.Estimate, truth: np.ndarray) -> np.ndarray:
    """(3, models) error, whether the interval contains the score, and its width."""
    inside = (estimate.low <= truth) & (truth <= estimate.high)
    return np.stack([estimate.value - truth, inside, estimate.high - estimate.low])


def study(settings: Settings, record: Record) -> None:
    """Both parts, for each set of answers."""
    for name in settings.sets:
        responses = load(name)
        print(f"{name}: {responses.brief()}", flush=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            part = {"density": predicted(responses, KINDS[name], GRADES.get(name, 0), settings)}
            record.part(name, part)
            record.part(name, part | {"full": full_scores(responses, name, settings)})
