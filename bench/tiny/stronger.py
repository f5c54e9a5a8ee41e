"""Models above all calibration models, and below: the public defaults, AIPW and the plain mean on the same answers.

Exact repeats of rows are removed and all-wrong rows dropped. `interp`: a random quarter of the models is left out.
`extrap`: the weaker half is known and the strongest 30% are asked about; `below` the other way round. All models of a
split answer the same random items. AIPW is BenchPred's (arXiv 2506.07673): for each model a ridge over the known
models' answers, fitted on the items asked, predicts the others; the mean residual corrects the mean.
"""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np

import lleval_jax as ll
from bench.kit.problems import SHARED
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.data.simulate import simulate

SETS = ("mmlu", "gsm", "med_qa", "commonsense", "ifeval")
PROTOCOLS = ("interp", "extrap", "below")
METHODS = ("auto", "kriged")
ALPHA = 10.0  # of AIPW's ridge


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    sets: tuple[str, ...] = setting(SETS, "matrices of new_models, or 'simulated'")
    protocols: tuple[str, ...] = setting(PROTOCOLS, "which models are asked about")
    splits: int = setting(5, "random splits, and choices of items")
    items: int = setting(50, "items asked")


def matrix(name: str) -> np.ndarray:
    """(models, items) answers without repeats of rows and without rows that are all wrong."""
    if name == "simulated":
        return np.asarray(simulate(40, 80, seed=1)[0].scores, float)
    answers = np.load(SHARED / "data" / "new_models" / f"{name}.npz")["responses"].astype(float)
    first = np.sort(np.unique(answers, axis=0, return_index=True)[1])
    return answers[first][answers[first].any(1)]


def split(answers: np.ndarray, protocol: str, seed: int, items: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions of the known models, of those asked about, and of the items asked."""
    models, rng = len(answers), np.random.default_rng((seed, PROTOCOLS.index(protocol)))
    if protocol == "interp":
        order = rng.permutation(models)
        out = round(models / 4)
        known, asked = np.sort(order[out:]), np.sort(order[:out])
    else:
        order = np.argsort(answers.mean(1), kind="stable")
        order = order if protocol == "extrap" else order[::-1]
        known, asked = order[: models // 2], order[models - round(0.3 * models) :]
    return known, asked, np.sort(rng.permutation(answers.shape[1])[:items])


def aipw(known: np.ndarray, answers: np.ndarray, items: int) -> np.ndarray:
    """Scores of models from their answers on some items.

    known (models, items) with the asked items first, answers (new models, asked), items how many there are in all.
    """
    asked = answers.shape[1]
    features = (known - known[:, :asked].mean(1, keepdims=True)).T
    level = answers.mean(1, keepdims=True)
    gram = features[:asked] @ features[:asked].T + ALPHA * np.eye(asked)
    predicted = level + np.linalg.solve(gram, (answers - level).T).T @ (features[:asked] @ features.T)
    return predicted.mean(1) + (answers - predicted[:, :asked]).mean(1) / (1 + asked / items)


def bank_of(answers: np.ndarray, items: int) -> ll.ItemBank:
    """By the public defaults."""
    known = ll.Responses.build(answers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ll.anchors.choose(ll.irt.fit(known), responses=known, k=min(items, answers.shape[1]))


def tried(name: str, protocol: str, settings: Settings) -> dict[str, list[np.ndarray]]:
    """Of each method and split, (4, models): value, low, high and the truth."""
    answers, found, banks = matrix(name), {}, {}
    for seed in range(settings.splits):
        known, out, index = split(answers, protocol, seed, settings.items)
        if known.tobytes() not in banks:  # the same half in all splits
            banks[known.tobytes()] = bank_of(answers[known], settings.items)
        bank, truth = banks[known.tobytes()], answers[out].mean(1)
        few = ll.Responses.build(answers[np.ix_(out, index)], items=[bank.items[i] for i in index])
        for method in METHODS:
            got = ll.tiny.estimate(few, bank=bank, by=method)
            found.setdefault(method, []).append(np.stack([got.value, got.low, got.high, truth]))
        order = np.concatenate([index, np.setdiff1d(np.arange(answers.shape[1]), index)])
        rivals = {"aipw": aipw(answers[known][:, order], answers[np.ix_(out, index)], answers.shape[1])}
        rivals["mean"] = answers[np.ix_(out, index)].mean(1)
        for rival, value in rivals.items():
            found.setdefault(rival, []).append(np.stack([value, np.full_like(value, np.nan), value, truth]))
    return found


def summary(found: dict[str, list[np.ndarray]]) -> dict[str, dict[str, float | list[float] | None]]:
    """Points of error, bias and width, share of intervals that contain the truth; errors of each split."""
    out = {}
    for method, parts in found.items():
        value, low, high, truth = np.concatenate(parts, axis=1)
        own = bool(np.isfinite(low).all())
        out[method] = {
            "mae": 100 * float(np.abs(value - truth).mean()),
            "bias": 100 * float((value - truth).mean()),
            "coverage": float(((low <= truth) & (truth <= high)).mean()) if own else None,
            "width": 100 * float((high - low).mean()) if own else None,
            "splits": [round(100 * float(np.abs(part[0] - part[3]).mean()), 4) for part in parts],
            "models": len(parts[0][0]),
        }
    return out


def study(settings: Settings, record: Record) -> None:
    """All sets, one after the other; rows of others stay."""
    for name in settings.sets:
        for protocol in settings.protocols:
            row = summary(tried(name, protocol, settings))
            words = (f"{m} {r['mae']:.2f} ({r['bias']:+.1f}) {r['coverage'] or 0:.3f}" for m, r in row.items())
            print(f"{name:12} {protocol:7} {'  '.join(words)}", flush=True)
            record.keep({"rows": record.content.get("rows", {}) | {f"{name} {protocol}": row}})
