"""Does an interval of drawn items contain the truth, whatever the model is, and what does it save?

The bank knows three quarters of the models, or the weaker half where the model asked about is one of the strongest 30%.
Items are drawn a few at a time by `ll.guarantee.choose`, 5% of them and 25 at least; or until the interval that is
valid at every look is narrow enough. Of the contaminated model a third of the answers are right; of the permuted one
each answer stands at another item.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable

import numpy as np

import lleval_jax as ll
from bench.kit.results import Record
from bench.kit.settings import setting
from bench.tiny.stronger import bank_of, matrix, split

LEAST = 25  # draws
Answers = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def as_is(rng: np.random.Generator, answers: np.ndarray) -> np.ndarray:
    """A model's own answers."""
    return answers


def contaminated(rng: np.random.Generator, answers: np.ndarray) -> np.ndarray:
    """A third of the items was learned by heart."""
    leaked = rng.permutation(len(answers)) < len(answers) / 3
    return np.where(leaked, 1.0, answers)


def at_random(rng: np.random.Generator, answers: np.ndarray) -> np.ndarray:
    """A coin is tossed for each answer."""
    return (rng.random(len(answers)) < 0.5).astype(float)


def permuted(rng: np.random.Generator, answers: np.ndarray) -> np.ndarray:
    """Each answer at another item: the key of another version."""
    return rng.permutation(answers)


CASES: dict[str, tuple[str, Answers]] = {
    "like the others": ("interp", as_is),
    "stronger": ("extrap", as_is),
    "contaminated": ("interp", contaminated),
    "random answers": ("interp", at_random),
    "permuted key": ("interp", permuted),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    sets: tuple[str, ...] = setting(("mmlu", "swebench_verified"), "matrices of new_models, or 'simulated'")
    cases: tuple[str, ...] = setting(tuple(CASES), "which models are asked about")
    runs: int = setting(1000, "of each case")
    k: int = setting(7, "items drawn at a time")
    share: float = setting(0.05, "of the items that are drawn, 25 at least")
    width: float = setting(0.0, "stop by this width in place of the share; 0: do not")


def session(answers: np.ndarray, bank: ll.ItemBank, settings: Settings, seed: int) -> tuple[float, ...]:
    """Error, whether the interval and all looks contain the truth, width, draws, variance of as many random items."""
    n, row, draws = len(answers), ll.Responses.build(answers[None], items=bank.items), ll.Draws(bank.name, seed=seed)
    budget = max(round(settings.share * n), LEAST) if not settings.width else n
    width, seen, always = settings.width or None, row.select([]), True
    while True:
        asked = ll.guarantee.choose(
            seen if len(draws) else None, bank=bank, draws=draws, k=settings.k, width=width, budget=budget
        )
        if asked.choice.enough:
            break
        draws = asked.draws
        seen = row.select(draws.items)
        found = ll.guarantee.estimate(seen, bank=bank, draws=draws, every_look=True)
        always &= bool(found.low[0] <= answers.mean() <= found.high[0])
    if not settings.width:
        found = ll.guarantee.estimate(seen, bank=bank, draws=draws, every_look=False)
    m, error = len(draws), float(found.value[0] - answers.mean())
    inside = found.low[0] <= answers.mean() <= found.high[0]
    plain = answers.var(ddof=1) * (1 / m - 1 / n)
    return error, float(inside), float(always), float(found.high[0] - found.low[0]), m, float(plain)


def row_of(name: str, case: str, settings: Settings) -> dict[str, float]:
    """A case of a set."""
    protocol, change = CASES[case]
    answers = matrix(name)
    known, out, _ = split(answers, protocol, 0, 1)
    bank, lines = bank_of(answers[known], LEAST), []
    for run in range(settings.runs):
        rng = np.random.default_rng((run, list(CASES).index(case)))
        model = change(rng, answers[rng.choice(out)])
        lines.append(session(model, bank, settings, int(rng.integers(2**31))))
    error, inside, always, width, draws, plain = np.array(lines).T
    return {
        "runs": settings.runs,
        "items": answers.shape[1],
        "draws": float(draws.mean()),
        "inside": float(inside.mean()),
        "always": float(always.mean()),
        "mae": float(np.abs(error).mean()),
        "bias": float(error.mean()),
        "bias_error": float(error.std(ddof=1) / np.sqrt(len(error))),
        "width": float(width.mean()),
        "gain": float(plain.mean() / (error**2).mean()),
    }


def study(settings: Settings, record: Record) -> None:
    """All cases of all sets; rows of others stay."""
    warnings.simplefilter("ignore", ll.DataWarning)
    part = f"until {settings.width:g} wide" if settings.width else "share"
    for name in settings.sets:
        for case in settings.cases:
            row = row_of(name, case, settings)
            words = ", ".join(f"{what} {value:.3g}" for what, value in row.items())
            print(f"{name}, {case}: {words}", flush=True)
            rows = record.content.get(part, {}).get("rows", {})
            record.part(part, {"rows": rows | {f"{name}, {case}": row}})
