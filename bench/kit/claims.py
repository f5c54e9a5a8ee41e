"""What the front page claims: each row's words, and where in the JSON our number, theirs and the interval are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.kit.tables import number, percent

Path = tuple[str, ...]


class Claim(NamedTuple):
    """A row of the front page.

    words     what is compared, and in what unit
    rival     with what
    method, results  the JSON
    ours, theirs     keys down to a number; several numbers are averaged
    interval  keys down to two ends, or to the parts of which `spread` makes text
    entry     that measures it
    show      the number as text
    less      whether less is better
    theirs_in JSON of the rival's number, if it is another
    """

    words: str
    rival: str
    method: str
    results: str
    ours: Sequence[Path]
    theirs: Sequence[Path]
    entry: str
    show: Callable[[float], str] = number
    interval: Sequence[Path] = ()
    less: bool = True
    theirs_in: str | None = None


def share(value: float) -> str:
    """A share in percent, one digit."""
    return percent(value, 1)


def small(value: float) -> str:
    """An error of a score in [0, 1]."""
    return number(value, 4)


RUNS = tuple(f"{name} n{given}" for name in ("lb1", "lb2", "lb1+lb2") for given in (1, 2))
SIMULATED = ("simulated", "with", "errors")
HUMAN = ("summary", "smallest known")

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "2PL of 400 x 14,000 answers, warm seconds",
        "theta-irt 0.1.1",
        "irt",
        "2pl_400x14000",
        [("rows", "lleval_jax", "warm_seconds")],
        [("rows", "theta-irt, priors", "warm_seconds")],
        "irt.contest",
        interval=[("rows", "lleval_jax", "warm_spread")],
    ),
    Claim(
        "AlpacaEval 2.0, 30 anchors, mean absolute error",
        "best of 12 rows of tinyBenchmarks",
        "tiny",
        "alpaca",
        [("rows", "30", "mae")],
        [("rows", "30", "best_reference_row")],
        "tiny.alpaca",
        small,
    ),
    Claim(
        "AlpacaEval 2.0, 60 anchors, mean absolute error",
        "best of 12 rows of tinyBenchmarks",
        "tiny",
        "alpaca",
        [("rows", "60", "mae")],
        [("rows", "60", "best_reference_row")],
        "tiny.alpaca",
        small,
    ),
    Claim(
        "95% intervals of a full score that hold, gsm8k_A",
        "95%",
        "tiny",
        "full_score",
        [("rows", "gsm8k_A", "folds", "coverage")],
        [],
        "tiny.full_score",
        share,
        [("rows", "gsm8k_A", "folds", "coverage_low"), ("rows", "gsm8k_A", "folds", "coverage_high")],
    ),
    Claim(
        "gsm8k_A to a standard error of 1 point, items",
        "fixed anchors",
        "adaptive",
        "adaptive",
        [("sets", "gsm8k_A", "methods", "score", "0.01", "items")],
        [("sets", "gsm8k_A", "methods", "fixed anchors", "0.01", "items")],
        "adaptive.items",
        lambda value: number(value, 0),
    ),
    Claim(
        "neighbours told apart at every look, gsm8k_A, items",
        "errors taken as independent",
        "adaptive",
        "pairs",
        [("sets", "gsm8k_A", "score: difference, at every look", "items")],
        [("sets", "gsm8k_A", "score: independent, at every look", "items")],
        "adaptive.pairs",
        lambda value: number(value, 0),
    ),
    Claim(
        "scores over 100 prompts from 400 answers, W1 in points",
        "PromptEval",
        "prompts",
        "prompts",
        [(*SIMULATED, "ours", "400", "mean", "0")],
        [(*SIMULATED, "pe_X", "400", "mean", "0")],
        "prompts.grids",
        interval=[(*SIMULATED, "ours", "400", "se", "0")],
    ),
    Claim(
        "the same from 200 answers",
        "a crude EM",
        "prompts",
        "prompts",
        [(*SIMULATED, "ours", "200", "mean", "0")],
        [(*SIMULATED, "crude", "200", "mean", "0")],
        "prompts.grids",
        interval=[(*SIMULATED, "ours", "200", "se", "0")],
    ),
    Claim(
        "regret of the best of 100 prompts, 800 answers, points",
        "PromptEval",
        "prompts",
        "best_prompt",
        [("stored_sets", "regret_in_points", "known", "halving", "800", "mean")],
        [("stored_sets", "regret_in_points", "known", "PromptEval", "800", "mean")],
        "prompts.best",
        lambda value: number(value, 1),
        [("stored_sets", "regret_in_points", "known", "halving", "800", "se")],
    ),
    Claim(
        "the next size's scores, two leaderboards, MAE in points",
        "Sloth's best single method",
        "sloth",
        "scaling",
        [("settings", run, "mae") for run in RUNS],
        [("variants", "trained d=3", "published", run) for run in RUNS],
        "sloth.scaling",
        theirs_in="scaling_published",
    ),
    Claim(
        "HumanEval, smallest model of the lineage known, MAE in points",
        "Sloth's second stage",
        "sloth",
        "downstream",
        [(*HUMAN, "ours")],
        [(*HUMAN, "papers")],
        "sloth.downstream",
    ),
    Claim(
        "HumanEval, none of the lineage known, MAE in points",
        "Sloth's second stage",
        "sloth",
        "downstream",
        [("summary", "none known", "ours")],
        [("summary", "none known", "papers")],
        "sloth.downstream",
    ),
    Claim(
        "LiveXiv's next version from few models, MAE in points",
        "LiveXiv's method",
        "refresh",
        "refresh",
        [("livexiv", "means", "chosen refresh", "mae")],
        [("livexiv", "means", "its own published", "mae")],
        "refresh.chains",
    ),
    Claim(
        "open_llm_irt form B from form A, MAE in points",
        "a plain line",
        "refresh",
        "refresh",
        [("forms", "means", "chosen refresh", "mae")],
        [("forms", "means", "chosen line", "mae")],
        "refresh.chains",
    ),
    Claim(
        "1,000 bootstrap fits of prompt weights, warm seconds",
        "a loop over scipy's SLSQP",
        "pepr",
        "pepr",
        [("seconds", "ours_warm")],
        [("seconds", "slsqp_loop")],
        "pepr.pepr",
        lambda value: number(value, 3),
    ),
    Claim(
        "true scores that 95% intervals contain, 20 right or wrong answers without a bank",
        "mean and t standard errors",
        "plain",
        "plain_coverage",
        [("counted", "wilson", "20", "mean")],
        [("counted", "t", "20", "mean")],
        "plain.coverage",
        share,
        less=False,
    ),
    Claim(
        "wrong keys found, 2% planted",
        "bar of 80%",
        "trust",
        "trust_keys",
        [("all_models", "found")],
        [("bars", "0")],
        "trust.keys",
        share,
        less=False,
    ),
    Claim(
        "a step of AOT, 5M model, all weights, tokens a second",
        "TRL 1.16",
        "training",
        "speed",
        [("5M, all weights, aot", "sides", "lleval_jax", "tokens_a_second")],
        [("5M, all weights, aot", "sides", "TRL", "tokens_a_second")],
        "training.speed",
        lambda value: f"{value:,.0f}",
        less=False,
    ),
    Claim(
        "a step of AOT, 5M model, LoRA, tokens a second",
        "TRL 1.16",
        "training",
        "speed",
        [("5M, LoRA, aot", "sides", "lleval_jax", "tokens_a_second")],
        [("5M, LoRA, aot", "sides", "TRL", "tokens_a_second")],
        "training.speed",
        lambda value: f"{value:,.0f}",
        less=False,
    ),
)
