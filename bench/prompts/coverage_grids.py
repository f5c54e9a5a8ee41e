"""Intervals of `prompts` where worlds are drawn from what the fit expects, and where they are not.

Grids of 20 prompts and 60 examples of which a fifth is answered; intervals must hold quantiles of the prompts' scores.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from lleval_jax import Responses, prompts
from lleval_jax.estimators.prompts import balanced, kernel
from lleval_jax.estimators.prompts import many as prompts_many

ROWS, ITEMS, BUDGET = 20, 60, 240


def world(
    seed, rows: int = ROWS, items: int = ITEMS, prompt: float = 0.6, example: float = 1.5, level: float = 0.3
) -> np.ndarray:
    """(rows, items) answers of 0 and 1 by normal effects of prompts and examples, with these standard deviations."""
    random = np.random.default_rng(seed)
    z = prompt * random.normal(size=(rows, 1)) + example * random.normal(size=(1, items)) + level
    return answered(random, z)


def answered(random: np.random.Generator, logit: np.ndarray) -> np.ndarray:
    """Answers of 0 and 1 with these logits."""
    return (random.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(np.float32)


def asked(answers: np.ndarray, budget: int = BUDGET, seed: int = 0) -> np.ndarray:
    """(rows, items) the cells of a balanced plan."""
    seen = np.zeros(answers.shape, bool)
    seen[balanced.plan(seen, budget, seed=seed)] = True
    return seen


def grid(answers: np.ndarray, seen: np.ndarray) -> Responses:
    """Answers under the names "0", "1" and so on."""
    rows, items = map(range, answers.shape)
    return Responses.build(answers, seen=seen, rows=list(map(str, rows)), items=list(map(str, items)))


def expected(worlds: int) -> dict[str, object]:
    """Worlds drawn from the fit's own prior, by simulation of the posterior."""
    random = np.random.default_rng(0)
    answers = np.stack(
        [
            world(s, prompt=0.6 * np.exp(0.6 * random.normal()), example=1.5 * np.exp(0.5 * random.normal()))
            for s in range(worlds)
        ]
    )
    seen = np.stack([asked(a, seed=s) for s, a in enumerate(answers)])
    return {"held": held(prompts_many.fit_many(answers, seen=seen, draws=400, points=kernel.POINTS), answers)}


def failing(worlds: int) -> dict[str, object]:
    """A fifth of 40 prompts lies 4 logits below the rest, which no normal distribution expects."""
    answers = []
    for s in range(worlds):
        random = np.random.default_rng([9, s])
        prompt = 0.4 * random.normal(size=(40, 1)) - 4 * (np.arange(40) < 8)[:, None]
        answers.append(answered(random, 0.5 + prompt + 1.2 * random.normal(size=(1, ITEMS))))
    seen = [asked(a, 2 * BUDGET, seed=s) for s, a in enumerate(answers)]
    return {"held": held(prompts_many.fit_many(np.stack(answers), seen=np.stack(seen), draws=200), answers)}


def features(worlds: int) -> dict[str, object]:
    """Prompts whose level a feature tells in part, by expectation propagation, without the feature and with it."""
    random, x = np.random.default_rng(0), row_features()
    answers = []
    for _ in range(worlds):
        logit = 0.3 + x @ [0.8] + 0.3 * random.normal(size=ROWS)
        answers.append(answered(random, logit[:, None] + 1.2 * random.normal(size=(1, ITEMS))))
    seen = [asked(a, seed=s) for s, a in enumerate(answers)]
    plain, aware = (
        prompts_many.fit_many(np.stack(answers), seen=np.stack(seen), by="ep", draws=200, **more)
        for more in ({}, {"row_features": x})
    )
    widths = [float((found.high - found.low).mean()) for found in (plain, aware)]
    return {"held": held(plain, answers), "held with the feature": held(aware, answers), "width": widths}


def row_features() -> np.ndarray:
    """(ROWS, 1) what is known of each prompt."""
    return np.random.default_rng(3).normal(size=(ROWS, 1))


def fractions(worlds: int) -> dict[str, object]:
    """Scores between 0 and 1 that scatter less than right and wrong: squared errors of prompts over their variances."""
    phi, squares = 0.1, []
    for seed in range(worlds):
        random = np.random.default_rng([7, seed])
        z = 0.6 * random.normal(size=(ROWS, 1)) + 1.2 * random.normal(size=(1, ITEMS)) + 0.3
        p = 1 / (1 + np.exp(-z))
        answers = random.beta(p * (1 / phi - 1), (1 - p) * (1 / phi - 1)).astype(np.float32)
        draws = prompts.fit(grid(answers, asked(answers, 180, seed)), draws=200).params.draws
        squares.append(float((((draws.mean(0) - answers.mean(1)) / draws.std(0)) ** 2).mean()))
    return {"squares": squares}


def held(found, answers: Sequence[np.ndarray] | np.ndarray) -> list[int]:
    """Of each quantile, the worlds whose 95% interval holds it."""
    truth = np.quantile(np.asarray(answers).mean(2), prompts.QUANTILES, axis=1).T
    return ((found.quantile_low <= truth) & (truth <= found.quantile_high)).sum(0).tolist()


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    worlds: int = dataclasses.field(default=200, metadata={"help": "grids of a part, of fractions an eighth"})


def study(settings: Settings, record) -> None:
    """Of each part, how many intervals hold each quantile; of fractions, the mean squared standardised error."""
    for part in (expected, failing, features):
        record.keep({part.__name__: {"worlds": settings.worlds} | part(settings.worlds)})
    worlds = max(settings.worlds // 8, 1)
    record.keep({"fractions": {"worlds": worlds, "mean square": float(np.mean(fractions(worlds)["squares"]))}})  # pyright: ignore[reportCallIssue]
