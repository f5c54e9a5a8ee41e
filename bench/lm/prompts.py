"""PEPR on a real model: the log-probabilities of answers under combinations of prompt elements that were never scored.

Eight elements, some helpful, some not, stand before a small problem of arithmetic in words; each text is the answer to
one. All elements alone and all together are scored, and fitted by the defaults of `pepr.fit`; a random sample of other
combinations is scored too and held out. Prompts of one combination begin alike, which `lm.score` reads once.
"""

from __future__ import annotations

import dataclasses
import json
import time
import warnings

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

import lleval_jax as ll
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax import lm
from lleval_jax.values.logprobs import FULL, members_of, name_of

ELEMENTS = {
    "teacher": "You are a patient teacher of mathematics for small children.",
    "steps": "Write down the calculation first, and then the answer in a whole sentence.",
    "short": "Keep every answer short.",
    "plus": "Question: Ann has 2 pens and gets 3 more. How many pens has Ann now?\nAnswer: 2 + 3 = 5. Ann has 5 pens.",
    "minus": "Question: Ben has 9 cups and loses 4. How many cups has Ben now?\nAnswer: 9 - 4 = 5. Ben has 5 cups.",
    "check": "Check your result before you answer.",
    "pirate": "Always talk like a pirate of the seven seas.",
    "weather": "The weather in Lisbon is mild and sunny for most of the year.",
}
EXAMPLES = ("plus", "minus")  # of what matters most: the form of an answer
NAMES = ("Tom", "Mia", "Sam", "Eva", "Max", "Zoe", "Leo", "Ida")
THINGS = ("apples", "books", "coins", "stamps", "balls", "shells", "cards", "keys")
DOES = {"+": ("buys", "finds", "is given"), "-": ("sells", "gives away", "drops")}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    model: str = setting("smollm2", "as `lm.load` takes it")
    texts: int = setting(42, "problems")
    held_out: int = setting(30, "combinations that are scored and not fitted")
    seed: int = setting(0, "of problems and combinations")


def study(settings: Settings, record: Record) -> None:
    """Score, fit, predict, compare."""
    warnings.simplefilter("ignore", ll.DataWarning)
    model = lm.load(settings.model)
    rng = np.random.default_rng(settings.seed)
    problems = [problem(rng) for _ in range(settings.texts)]
    held = combinations(rng, settings.held_out)
    began = time.perf_counter()
    table = scored(model, problems, [*ELEMENTS, FULL, *held])
    seconds = time.perf_counter() - began
    fitted = table[~table["element"].isin(held)]
    fit = ll.pepr.fit(fitted, parts=tuple(ELEMENTS))
    found = {"model": settings.model, "settings": dataclasses.asdict(settings), "seconds_of_scoring": seconds}
    found |= weights(fit) | predictions(fit, table, held) | by_text(fit, table, held)
    found["findings"] = [f"{one.name}: {one.found}" for one in ll.pepr.check(fit)]
    record.keep(found)
    print(json.dumps({key: found[key] for key in ("held_out", "texts", "findings")}, indent=1))


def problem(rng: np.random.Generator) -> tuple[str, str]:
    """A question and its answer."""
    name, thing, sign = (str(rng.choice(options)) for options in (NAMES, THINGS, tuple(DOES)))
    first, more = (int(n) for n in np.sort(rng.choice(np.arange(2, 60), 2, replace=False))[::-1])
    result = first + more if sign == "+" else first - more
    question = f"{name} has {first} {thing} and {rng.choice(DOES[sign])} {more}. How many {thing} has {name} now?"
    return question, f"{first} {sign} {more} = {result}. {name} has {result} {thing}."


def combinations(rng: np.random.Generator, count: int) -> list[str]:
    """Different ones of two elements or more, not all, each size alike probable; by name."""
    names, found = tuple(ELEMENTS), dict[str, None]()
    while len(found) < count:
        inside = np.zeros(len(names), bool)
        inside[rng.permutation(len(names))[: rng.integers(2, len(names))]] = True
        found[name_of(inside, names)] = None
    return list(found)


def scored(model: lm.LanguageModel, problems: list[tuple[str, str]], wanted: list[str]) -> pd.DataFrame:
    """The long table that `pepr.fit` takes: a row for each problem under each prompt."""
    names = tuple(ELEMENTS)
    before = {
        one: "\n".join(ELEMENTS[name] for name, inside in zip(names, members_of(one, names), strict=True) if inside)
        for one in wanted
    }
    rows = [(f"problem {i}", one, *both) for one in wanted for i, both in enumerate(problems)]
    prompts = [f"{before[one]}\nQuestion: {question}\nAnswer:" for _, one, question, _ in rows]
    found = lm.score(model, prompts, [f" {answer}" for *_, answer in rows])
    table = pd.DataFrame({"text": [row[0] for row in rows], "element": [row[1] for row in rows]})
    return table.assign(logprob=found.sums, tokens=found.lengths)


def weights(fit) -> dict:
    """What each element does."""
    weight = ll.pepr.estimate(fit)
    columns = {"value": weight.value, "low": weight.low, "high": weight.high, "alone": fit.params.value}
    rows = {name: {key: float(column[i]) for key, column in columns.items()} for i, name in enumerate(weight.rows)}
    return {"weights": rows, "status": fit.status, "r2_of_the_fit": np.asarray(fit.params.r2).tolist()}


def predictions(fit, table: pd.DataFrame, held: list[str]) -> dict:
    """Mean log-probability per token of each combination, predicted and actual."""
    score = ll.pepr.estimate(fit, subsets=held)
    per_token = table.assign(mean=table["logprob"] / table["tokens"]).groupby("element")["mean"].mean()
    actual = per_token[held].to_numpy()
    member = np.stack([members_of(name, tuple(ELEMENTS)) for name in held])
    plain = member @ per_token[list(ELEMENTS)].to_numpy() / member.sum(1)
    inside = (score.low <= actual) & (actual <= score.high)
    picture = [
        {"combination": name, "size": int(size), "predicted": float(value), "low": float(low), "high": float(high)}
        | {"actual": float(truth), "plain_mean": float(mean)}
        for name, size, value, low, high, truth, mean in zip(
            held, member.sum(1), score.value, score.low, score.high, actual, plain, strict=True
        )
    ]
    summary = {"pepr": agreement(score.value, actual), "plain_mean": agreement(plain, actual)}
    example = member[:, [name in EXAMPLES for name in ELEMENTS]].any(1)
    alike = {"combinations": int(example.sum()), "pepr": agreement(score.value[example], actual[example])}
    return {
        "with_an_example": alike | {"plain_mean": agreement(plain[example], actual[example])},
        "held_out": summary | {"combinations": len(held), "inside_95%_intervals": float(inside.mean())},
        "full": {"actual": float(per_token[FULL]), "best_alone": float(per_token[list(ELEMENTS)].max())},
        "picture": picture,
    }


def by_text(fit, table: pd.DataFrame, held: list[str]) -> dict:
    """The same for each text under each combination."""
    wide = table.assign(mean=table["logprob"] / table["tokens"]).pivot(index="text", columns="element", values="mean")
    alone = wide[list(ELEMENTS)].to_numpy()
    weight = fit.params.weight
    member = np.stack([members_of(name, tuple(ELEMENTS)) for name in held]).astype(float)
    share = np.where((member @ weight > 0)[:, None], member * weight, member)
    predicted = alone @ (share / share.sum(1, keepdims=True)).T
    plain = alone @ (member / member.sum(1, keepdims=True)).T
    actual = wide[held].to_numpy()
    pairs = {"pepr": predicted, "plain_mean": plain}
    return {"texts": {name: agreement(value.ravel(), actual.ravel()) for name, value in pairs.items()}}


def agreement(predicted: np.ndarray, actual: np.ndarray) -> dict:
    """How well predictions agree with what was found: R2 about the mean, rank correlation, and errors in nats."""
    error = predicted - actual
    return {
        "r2": float(1 - (error**2).sum() / ((actual - actual.mean()) ** 2).sum()),
        "rank_correlation": float(spearmanr(predicted, actual).statistic),
        "mean_error": float(error.mean()),
        "mean_absolute_error": float(np.abs(error).mean()),
    }
