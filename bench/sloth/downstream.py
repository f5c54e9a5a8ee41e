"""Scores outside of the leaderboard, predicted from skills.

HumanEval (Ruan et al. 2024) and EQ-Bench scores of models on both Open LLM leaderboards. Lineages with HumanEval scores
are left out in eight groups: the law is fitted to twelve benchmarks with only the smallest model of each of their
families, and the larger ones are predicted; once with the HumanEval scores of those smallest models known, once with
none of the lineage. Before that, Sloth's own protocol: all but the 70B models of Llama 3; and pass@k of code models on
LiveCodeBench. Beside ours stands the paper's regression of scores on mean skills (Huber loss), and the mean of the
known scores. Errors are mean absolute, in points.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import optimize, special

import lleval_jax as ll
from bench.kit.problems import shared
from bench.kit.results import Record
from bench.kit.settings import setting
from bench.sloth.published import BENCHMARKS
from lleval_jax.estimators import sloth
from lleval_jax.estimators.sloth import units as law_skills

LEVELS = (0.8, 0.95)
GROUPS = 8
HUBER = 0.01  # the paper's, of scores


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    skills: int = setting(sloth.SKILLS, "of the law")
    benchmarks: str = setting("lb1+lb2", "that the law is fitted to")
    groups: int = setting(GROUPS, "of lineages left out")
    passk: bool = setting(True, "pass@k too")
    laws: pathlib.Path | None = setting(None, "folder to keep fitted laws in, or to take them from")


def known_scores() -> dict[str, dict[str, float]]:
    """Model -> score, of HumanEval and EQ-Bench."""
    models = pd.read_csv(shared("data", "sloth", "models.csv")).query("data_version == 'v2'").set_index("model")
    emotional = pd.read_csv(shared("data", "sloth", "eq_bench.csv")).set_index("model").eq_bench
    return {"HumanEval": models.HumanEval.dropna().to_dict(), "EQ-Bench": emotional.to_dict()}


def papers(law: ll.FitResult, scores: dict[str, float], targets: list[sloth.Target]) -> np.ndarray:
    """Scores by the paper's second stage: mean skills, logistic link, Huber loss."""
    units, mean, _ = law_skills.of_models(law)
    x = np.column_stack([mean[law_skills.places(law, list(scores))], np.ones(len(scores))])
    y = np.array(list(scores.values()))
    end = optimize.least_squares(lambda b: special.expit(x @ b) - y, np.zeros(x.shape[1]), loss="huber", f_scale=HUBER)
    raw = sloth.skills_of(law, sloth.wanted(law, targets, 0, 0))
    new, _ = units.of(*raw)
    return special.expit(np.column_stack([new, np.ones(len(new))]) @ end.x)


def predicted(law: ll.FitResult, name: str, scores: dict[str, float], test: ll.Leaderboard, truth: np.ndarray) -> dict:
    """Errors of all ways, and whether our intervals held."""
    targets = [
        sloth.Target(*one) for one in zip(test.families, test.params.tolist(), test.tokens.tolist(), strict=True)
    ]
    fit = ll.downstream.fit(law, scores=scores, name=name)
    found = {level: ll.downstream.estimate(fit, family=targets, level=level) for level in LEVELS}
    ours = found[LEVELS[0]].value
    return {
        "models": list(test.models),
        "truth": truth.round(4).tolist(),
        "ours": ours.round(4).tolist(),
        "papers": papers(law, scores, targets).round(4).tolist(),
        "mean": [round(float(np.mean(list(scores.values()))), 4)] * len(truth),
        "held": [((e.low <= truth) & (truth <= e.high)).tolist() for e in found.values()],
        "wide": [(e.high - e.low).round(4).tolist() for e in found.values()],
        "known": len(scores),
        "status": fit.status,
    }


def fitted(board: ll.Leaderboard, skills: int, name: str, folder: pathlib.Path | None) -> ll.FitResult:
    """The law of a leaderboard, kept in a folder, or taken from there."""
    if folder is not None and (folder / name).is_dir():
        return ll.load(folder / name)  # pyright: ignore[reportReturnType]
    law = sloth.fit(board, skills=skills)
    if folder is not None:
        ll.save(law, folder / name)
    return law


def left_out(board: ll.Leaderboard, scores: dict[str, float], settings: Settings) -> Iterator[tuple[str, dict]]:
    """HumanEval of larger models of lineages that are left out, group by group; what was known, and what is found."""
    lineages, families = (np.asarray(x, object) for x in (board.lineages, board.families))
    scored = np.isin(board.models, list(scores))
    smallest = np.array(
        [
            board.params[i] == board.params[scored & (families == families[i])].min(initial=np.inf)
            for i in range(len(scored))
        ]
    )
    counts = pd.Series(lineages[scored & ~smallest]).value_counts()
    groups: list[list[str]] = [[] for _ in range(settings.groups)]
    for i, name in enumerate(counts.index):  # large and small ones together
        place = i % settings.groups
        groups[place if i // settings.groups % 2 == 0 else -1 - place].append(name)
    for i, group in enumerate(groups):
        of_group = np.isin(lineages, group)
        law = fitted(board.hide(of_group & ~(smallest & scored)), settings.skills, f"group-{i}", settings.laws)
        at = np.flatnonzero(of_group & scored & ~smallest)
        truth = np.array([scores[board.models[i]] for i in at])
        for word, use in (("smallest known", scored & (smallest | ~of_group)), ("none known", scored & ~of_group)):
            known = {board.models[i]: scores[board.models[i]] for i in np.flatnonzero(use)}
            one = predicted(law, "HumanEval", known, board.take(at), truth)
            yield word, {"lineages": group, "law": law.status} | one


CODERS = {
    "DSCoder-1.3b-Base": "deepseek-coder-1.3b-base",
    "DSCoder-6.7b-Base": "deepseek-coder-6.7b-base",
    "DSCoder-33b-Base": "deepseek-coder-33b-base",
    "StarCoder2-3b": "starcoder2-3b",
    "StarCoder2-7b": "starcoder2-7b",
    "StarCoder2-15b": "starcoder2-15b",
}


def tried(law: ll.FitResult) -> list[dict]:
    """pass@k on LiveCodeBench (10 tries) of the largest model of two families, from the five others."""
    kept = np.load(shared("data", "livecodebench", "codegen_2024-04.npz"), allow_pickle=False)
    right = {name: np.rint(10 * kept["responses"][list(kept["models"]).index(own)]) for own, name in CODERS.items()}
    out = []
    for test in ("starcoder2-15b", "deepseek-coder-33b-base"):
        known, at = [name for name in right if name != test], law.rows.index(test)
        fit = ll.passk.fit(law, successes=np.stack([right[name] for name in known]), tries=10, models=known)
        target = sloth.Target(
            law.names("families", law.params.family)[at], float(law.params.size[at]), float(law.params.tokens[at])
        )
        ours = ll.passk.estimate(fit, family=[target], k=(1, 5, 10))
        truth = ll.passk.observed(right[test][None], tries=10, models=[test], k=(1, 5, 10))
        numbers = {word: getattr(ours, word).round(4).tolist() for word in ("value", "low", "high")}
        out.append({"model": test, "k": [1, 5, 10], "observed": truth.value.round(4).tolist()} | numbers)
        print(out[-1], flush=True)
    return out


def summary(parts: list[dict]) -> dict:
    """Over all test models."""
    truth = np.concatenate([one["truth"] for one in parts])
    errors = {
        way: round(100 * float(np.abs(np.concatenate([one[way] for one in parts]) - truth).mean()), 2)
        for way in ("ours", "papers", "mean")
    }
    held, wide = (np.concatenate([np.array(one[word]) for one in parts], 1) for word in ("held", "wide"))
    each = {
        f"{level:.0%}": [float(held[i].mean().round(4)), round(100 * float(wide[i].mean()), 1)]
        for i, level in enumerate(LEVELS)
    }
    return {"models": len(truth)} | errors | each


def study(settings: Settings, record: Record) -> None:
    """Sloth's protocol, pass@k, and the lineages left out, stored after each."""
    board = ll.read_leaderboard("sloth-open-llm").select(BENCHMARKS[settings.benchmarks])
    scores = {
        name: {model: score for model, score in found.items() if model in board.models}
        for name, found in known_scores().items()
    }
    parts: dict[str, list[dict]] = {}
    large = np.isin(board.models, ["meta-llama-3-70b", "meta-llama-3-70b-instruct"])
    law = fitted(board.hide(large), settings.skills, "llama-3", settings.laws)
    for name, found in scores.items():
        at = [i for i in np.flatnonzero(large) if board.models[i] in found]
        truth = np.array([found[board.models[i]] for i in at])
        known = {model: score for model, score in found.items() if not model.startswith("meta-llama-3-70b")}
        parts[f"llama 3 70B, {name}"] = [{"law": law.status} | predicted(law, name, known, board.take(at), truth)]
    if settings.passk:
        record.keep({"pass@k": tried(law)})
    for word, one in itertools.chain(
        [("", {})], left_out(board, scores["HumanEval"], settings) if settings.groups else ()
    ):
        if word:
            parts.setdefault(word, []).append(one)
        summaries = {name: summary(found) for name, found in parts.items()}
        record.keep({"skills": settings.skills, "summary": summaries} | parts)
    print(record.content["summary"], flush=True)
