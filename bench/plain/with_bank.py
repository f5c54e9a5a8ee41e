"""The difference of two models with a bank, from 50 answers of each: is its interval right, and how wide?

Models left out of the calibration, all pairs of them: a random quarter (like those of the calibration), or the
strongest 30% where the weaker half was known (above them). Intervals with independent errors, and those of
`ll.tiny.compare`. Also the mean product of two models' standardised errors: 0 where errors are independent.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import warnings

import numpy as np
from numpy.typing import NDArray

import lleval_jax as ll
from bench.kit.results import Record
from bench.kit.settings import setting
from bench.tiny.stronger import bank_of as calibrated
from bench.tiny.stronger import matrix
from lleval_jax.estimators.tiny.paired import between

SETS = ("med_qa", "commonsense", "mmlu", "gsm", "ifeval")
ASKED, MOST = 50, 25  # items; models whose pairs are tried


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    sets: tuple[str, ...] = setting(SETS, "matrices of data/new_models, or 'simulated'")
    splits: int = setting(2, "random quarters of each set")
    draws: int = setting(4, "sets of random items; the anchors are one more")
    banks: str = setting("", "a folder that keeps the banks, to be used again")


def split(scores: NDArray, above: bool, number: int) -> tuple[NDArray, NDArray]:
    """(models,) known, (models,) asked about."""
    n, known, asked = len(scores), np.zeros(len(scores), bool), np.zeros(len(scores), bool)
    if not above:
        asked[np.random.default_rng((number, False)).permutation(n)[: round(n / 4)]] = True
        return ~asked, asked
    order = np.argsort(scores.mean(1), kind="stable")
    known[order[: n // 2]], asked[order[n - round(0.3 * n) :]] = True, True
    return known, asked


def bank_of(scores: NDArray, folder: pathlib.Path | None) -> ll.ItemBank:
    """Calibrated, or as kept."""
    if folder is not None and folder.exists():
        return ll.load_bank(folder)
    bank = calibrated(scores, ASKED)
    if folder is not None:
        ll.save(bank, folder)
    return bank


def pairs(scores: NDArray, bank: ll.ItemBank, asked: NDArray) -> NDArray:
    """(pairs, 6): independent contains, compared contains, both half widths, product of errors, whether narrower."""
    seen = np.zeros(scores.shape, bool)
    seen[:, asked] = True
    responses = ll.Responses.build(scores, seen=seen, items=bank.items)
    found, truth, out = ll.tiny.estimate(responses, bank=bank), scores.mean(1), []
    error = (found.value - truth) / found.std_error
    for i, j in itertools.combinations(range(len(scores)), 2):
        gap = between(found, responses.take([i, j]), bank=bank).difference
        old, half = 1.96 * np.hypot(found.std_error[i], found.std_error[j]), (gap.high[0] - gap.low[0]) / 2
        true = truth[i] - truth[j]
        apart = abs(gap.value[0] - true) <= old
        out.append((apart, gap.low[0] <= true <= gap.high[0], old, half, error[i] * error[j], half < 0.999 * old))
    return np.array(out, float)


def summary(found: NDArray) -> dict[str, float]:
    """Means, and those where the comparison is narrower."""
    names = "independent", "compared", "half_independent", "half_compared", "product", "narrower"
    fewer = found[found[:, 5] > 0]
    return {
        "pairs": len(found),
        **dict(zip(names, found.mean(0).tolist(), strict=True)),
        "compared_where_narrower": float(fewer[:, 1].mean()) if len(fewer) else None,
    }  # type: ignore[dict-item]


def study(settings: Settings, record: Record) -> None:
    """All sets and splits."""
    found: dict[str, list[NDArray]] = {}
    kept = pathlib.Path(settings.banks) if settings.banks else None
    for name in settings.sets:
        scores = matrix(name)
        for above, number in [(False, s) for s in range(settings.splits)] + [(True, 0)]:
            known, out = split(scores, above, number)
            kind = f"{name}-{'extrap' if above else 'interp'}-{number}"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                bank = bank_of(scores[known], None if kept is None else kept / kind)
                rng = np.random.default_rng((number, above, 1))
                new = scores[out][rng.permutation(out.sum())[:MOST]]
                drawn = [
                    rng.choice(len(bank.items), min(ASKED, len(bank.items)), replace=False)
                    for _ in range(settings.draws)
                ]
                for how, items in [("random items", one) for one in drawn] + [("anchors", bank.anchors.index)]:
                    word = f"{'above the calibration' if above else 'like the calibration'}, {how}"
                    found.setdefault(word, []).append(pairs(new, bank, np.asarray(items)))
            print(kind, {word: summary(each[-1]) for word, each in found.items()}, flush=True)
            record.keep({"found": {word: summary(np.concatenate(each)) for word, each in found.items()}})
