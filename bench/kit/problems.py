"""Benchmark problems by name: simulated response matrices with known truth, real ones from shared/."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping

import numpy as np

import lleval_jax as ll

SHARED = pathlib.Path(os.environ.get("LLEVAL_SHARED", pathlib.Path(__file__).resolve().parents[3] / "shared"))


@dataclasses.dataclass(frozen=True)
class Problem:
    """Scores (rows answer, columns ask), what a contestant is given, and what only the judge knows."""

    name: str
    scores: np.ndarray
    dims: int = 1
    given: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    truth: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    reference: Mapping[str, float] = dataclasses.field(default_factory=dict)
    fitted: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def save(self, path: pathlib.Path) -> None:
        """Write what a contestant may see."""
        np.savez(path, scores=self.scores, dims=np.int64(self.dims), **self.given)


def shared(*parts: str) -> pathlib.Path:
    """A file of the shared data folder (LLEVAL_SHARED, or shared/ next to the checkout)."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        raise FileNotFoundError(
            f"{'/'.join(parts)} is not in the shared data folder; set LLEVAL_SHARED to the folder that "
            "holds data/ and reference/, or choose a simulated problem"
        )
    return path


def answer(random: np.random.Generator, abilities, slopes, intercepts) -> np.ndarray:
    """Draw 0/1 scores with logit slopes . ability + intercept."""
    scores = np.empty((len(abilities), len(slopes)), np.int8)
    for start in range(0, len(abilities), 500):
        part = slice(start, start + 500)
        logits = abilities[part] @ slopes.T + intercepts
        scores[part] = random.random(logits.shape) < 1 / (1 + np.exp(-logits))
    return scores


def simulated_2pl(rows: int, items: int, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A 2PL with abilities N(0, 1), log slopes N(0, .3) and intercepts N(0, 1): scores and truth."""
    random = np.random.default_rng(seed)
    abilities = random.normal(size=(rows, 1))
    slopes = np.exp(0.3 * random.normal(size=(items, 1)))
    intercepts = -random.normal(size=items)
    truth = {"abilities": abilities, "slopes": slopes, "intercepts": intercepts}
    return answer(random, abilities, slopes, intercepts), truth


def two_parameter(rows: int, items: int, seed: int = 0) -> Problem:
    """`simulated_2pl` as a problem."""
    scores, truth = simulated_2pl(rows, items, seed)
    return Problem(f"2pl_{rows}x{items}", scores, truth=truth)


def leaderboard(form: str) -> Problem:
    """A form of the Open LLM Leaderboard with the fit of R's mirt as reference (non-commercial data)."""
    with np.load(shared("data", "open_llm_irt", f"{form}.npz"), allow_pickle=False) as stored:
        reference = {
            "log_likelihood": float(stored["loglik"]),
            "steps": int(stored["em_iterations"]),
        }
        fitted = {"slopes": stored["a"][:, None], "intercepts": stored["d"]}
        return Problem(form, stored["responses"].astype(np.int8), reference=reference, fitted=fitted)


def synth2pl(dims: int) -> Problem:
    """The multidimensional 2PL, 400 x 5,000, on which py-irt's figures were stored."""
    with np.load(shared("reference", "synth2pl.npz"), allow_pickle=False) as stored:
        intercepts = -stored[f"b_D{dims}"].astype(np.float64)
        scores = np.unpackbits(stored[f"Y_D{dims}_packed"], axis=1)[:, : intercepts.size].astype(np.int8)
        truth = {
            "abilities": stored[f"theta_D{dims}"].astype(np.float64),
            "slopes": stored[f"a_D{dims}"].astype(np.float64),
            "intercepts": intercepts,
        }
    return Problem(f"synth2pl_{dims}", scores, dims=dims, truth=truth)


def abilities(rows: int = 100_000, items: int = 100, dims: int = 5, seed: int = 0) -> Problem:
    """Many abilities to find, the items being known."""
    random = np.random.default_rng(seed)
    places = random.normal(size=(rows, dims))
    given = {
        "slopes": 0.7 * random.normal(size=(items, dims)),
        "intercepts": random.normal(size=items),
    }
    scores = answer(random, places, **given)
    return Problem(f"abilities_{rows}x{items}", scores, dims, given, {"abilities": places})


def bank_of(slope: np.ndarray, intercept: np.ndarray, dtype: type = float) -> ll.ItemBank:
    """A bank of known items, slope (items, dims) and intercept (items,); abilities are N(0, 1) beforehand."""
    items, dims = slope.shape
    return ll.ItemBank(
        name="problem",
        version="1",
        items=tuple(f"item-{i}" for i in range(items)),
        slope=slope,
        intercept=intercept,
        floor=np.zeros(items, dtype),
        ceiling=np.ones(items, dtype),
        weight=np.full(items, 1 / items),
        group=np.zeros(items, int),
        groups=("all",),
        covariance=np.zeros((items, dims + 1, dims + 1), dtype),
        prior_mean=np.zeros(dims),
        prior_cov=np.eye(dims),
    )


def form(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Answers of a form of open_llm_irt (models, items) and full scores in [0, 1], first of each set of equal rows.

    "simulated" is a small one, made here, whose full scores are those of four times as many items.
    """
    if name == "simulated":
        whole = two_parameter(60, 120).scores
        answers, full = whole[:, :30], whole.mean(1)
    else:
        with np.load(shared("data", "open_llm_irt", f"{name}.npz"), allow_pickle=False) as stored:
            answers, full = stored["responses"].astype(np.int8), stored["full_score"]
    first = np.sort(np.unique(answers, axis=0, return_index=True)[1])
    return answers[first], full[first]


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "2pl_40x60": lambda: two_parameter(40, 60),  # does it run?
    "2pl_400x2000": lambda: two_parameter(400, 2_000),
    "2pl_400x14000": lambda: two_parameter(400, 14_000),
    "2pl_5000x28000": lambda: two_parameter(5_000, 28_000),
    "2pl_20000x100": lambda: two_parameter(20_000, 100),
    "gsm8k_A": lambda: leaderboard("gsm8k_A"),
    "gsm8k_B": lambda: leaderboard("gsm8k_B"),
    "arc_B": lambda: leaderboard("arc_B"),
    "truthfulqa_B": lambda: leaderboard("truthfulqa_B"),
    "synth2pl_5": lambda: synth2pl(5),
    "synth2pl_10": lambda: synth2pl(10),
    "abilities_100000x100": abilities,
}
