"""What every public verb says on the data that ships and on the shared data: run by `same.py` in a process of its own.

Public names only, so that it runs in any checkout; where a name has moved since, both are tried.
"""

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

import lleval_jax as ll
from lleval_jax import data
from lleval_jax.values import FitResult, Source

MODELS = pathlib.Path(ll.__file__).parents[1] / "models"
PARTS: dict[str, Callable[[pathlib.Path], Iterator[tuple[str, Any]]]] = {}


def part(fn: Callable) -> Callable:
    """Register a part by its name."""
    PARTS[fn.__name__] = fn
    return fn


def flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Numbers and words of a result, by dotted name. Fits and sources are how, not what."""
    if isinstance(value, FitResult | Source) or value is None:
        return
    if hasattr(value, "to_frame") and not isinstance(value, pd.DataFrame):
        value = {column: value.to_frame()[column].to_numpy() for column in value.to_frame()}
    if isinstance(value, dict):
        for key, each in value.items():
            yield from flat(each, f"{name}.{key}")
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from flat(getattr(value, field.name), f"{name}.{field.name}")
    elif hasattr(value, "_asdict"):
        yield from flat(value._asdict(), name)  # pyright: ignore[reportCallIssue]
    elif isinstance(value, str | int | float | bool | np.generic):
        yield name, value
    elif hasattr(value, "shape"):
        yield name, np.asarray(value)
    elif isinstance(value, list | tuple):
        if all(isinstance(each, str | int | float | bool | np.generic) for each in value):
            yield name, np.asarray(value)
        else:
            for i, each in enumerate(value):
                yield from flat(each, f"{name}.{i}")


def matrix(path: pathlib.Path, rows: int | None = None, items: int | None = None, seed: int = 0) -> ll.Responses:
    """A shared matrix, thinned."""
    with np.load(path) as kept:
        scores = kept["responses"].astype(float)
        names = [str(x) for x in kept["models"]], [str(x) for x in kept["items"]]
    random = np.random.default_rng(seed)
    r = np.sort(random.permutation(len(scores))[:rows])
    c = np.sort(random.permutation(scores.shape[1])[:items])
    scores = scores[np.ix_(r, c)]
    seen = np.isfinite(scores) & (scores >= 0)
    return ll.Responses.build(
        np.where(seen, scores, 0), seen=seen, rows=[names[0][i] for i in r], items=[names[1][i] for i in c]
    )


def asked(responses: ll.Responses, items: int, seed: int = 0) -> ll.Responses:
    """Answers to a few items."""
    pick = np.sort(np.random.default_rng(seed).permutation(len(responses.items))[:items])
    return responses.select([responses.items[i] for i in pick])


@part
def banks(shared: pathlib.Path) -> Iterator[tuple[str, Any]]:
    """Both banks that ship, on their demo answers."""
    for name in ("livexiv-vqa", "livexiv-tqa"):
        bank = ll.load_bank(name)
        answers = ll.read(MODELS / name / "demo.parquet")
        for method in ll.tiny.METHODS:
            yield f"{name}.{method}", ll.tiny.estimate(answers, bank=bank, by=method, groups=True)
        yield f"{name}.auto", ll.tiny.estimate(answers, bank=bank)
        for method in ("map", "wle", "mle"):
            with contextlib.suppress(ll.BadInput):
                yield f"{name}.ability.{method}", ll.ability.estimate(answers, bank=bank, by=method)
        if bank.replayed is not None:
            first, second = answers.rows[:2]
            yield f"{name}.adaptive", ll.adaptive.estimate(answers, bank=bank)
            yield f"{name}.next", ll.adaptive.choose(answers, bank=bank, k=5)
            yield f"{name}.difference", ll.adaptive.difference(answers, bank=bank, first=first, second=second)
            yield f"{name}.ranking", ll.ranking.estimate(answers, bank=bank)
            yield f"{name}.ranking.next", ll.ranking.choose(answers, bank=bank, k=3)
        yield f"{name}.compare", ll.report.compare.difference(ll.tiny.estimate(answers, bank=bank), *answers.rows[:2])


@part
def irt(shared: pathlib.Path) -> Iterator[tuple[str, Any]]:
    """Fits, anchors, sessions and checks on the Open LLM Leaderboard's answers."""
    answers = matrix(shared / "data/open_llm_irt/gsm8k_A.npz", 150, 120)
    held, known = answers.take(range(0, 10)), answers.take(range(10, 150))
    for model, dims in (("rasch", 1), ("2pl", 1), ("3pl", 1), ("2pl", 2)):
        fit = ll.irt.fit(known, model=model, dims=dims, precision="float64")
        yield f"{model}.{dims}", {x: getattr(fit.params, x) for x in ("slope", "intercept", "floor", "ability")}
        if (model, dims) == ("2pl", 1):
            usual = fit
    yield "auto", ll.irt.choose_dims(known)
    many = ll.irt.fit_many([known.take(range(0, 70)), known.take(range(70, 140))], precision="float64")
    yield "many", [one.params.slope for one in many]
    for by in ("random", "correctness", "irt", "information", "disagreement", "spread"):
        with contextlib.suppress(ll.BadInput):
            bank = ll.anchors.choose(usual, responses=known, k=20, by=by)
            yield f"anchors.{by}", bank.anchors
            yield f"tiny.{by}", ll.tiny.estimate(held.select(bank.anchor_items), bank=bank)
    bank = ll.sessions.prepare(
        ll.anchors.choose(usual, responses=known, k=20), fit=usual, responses=known, budget=30, most=100
    )
    few = asked(held, 15)
    yield "adaptive", ll.adaptive.estimate(few, bank=bank)
    yield "next", ll.adaptive.choose(few, bank=bank, k=4, stop=ll.adaptive.Stop(std_error=0.02))
    yield "ranking", ll.ranking.estimate(few, bank=bank)
    yield "replay", ll.sessions.replay(held, bank=bank, budget=15)
    yield "guard", ll.estimable.check(known)
    yield "examine", ll.itemfit.examine(usual, responses=known)
    yield "shuffled", ll.controls.shuffled(usual, responses=known, seed=0)
    yield "recovery", ll.controls.recovery(usual, responses=known, seed=0)
    yield "rotation", ll.rotation.rotate(ll.irt.fit(known, dims=3, precision="float64"))


@part
def prompts(shared: pathlib.Path) -> Iterator[tuple[str, Any]]:
    """Scores over prompts on a grid of real templates."""
    with np.load(shared / "data/multi_prompt/mmlu_abstract_algebra_mistral-7b-instruct.npz") as kept:
        found = kept["responses"].astype(float)
    full = ll.Responses.build(found[:40, :60])
    cells = np.random.default_rng(0).random(full.scores.shape) < 0.25
    grid = ll.Responses.build(np.where(cells, full.scores, 0), seen=cells, rows=full.rows, items=full.items)
    fit = ll.prompts.fit(grid, draws=500)
    yield "quantiles", ll.prompts.estimate(fit)
    first, second = grid.rows[:2]
    yield "difference", ll.prompts.difference(fit, first, second)
    yield "better", ll.prompts.better(fit, first, second)
    yield "distribution", ll.prompts.distribution(fit)
    yield "reference", ll.prompts.estimate(ll.prompts.published.fit(grid))
    for by in ("balanced", "adaptive"):
        yield f"choose.{by}", ll.prompts.choose(grid, k=800, by=by)
    halves = ["a"] * 20 + ["b"] * 20
    two = ll.prompts.fit(grid, models=halves, prompts=[str(i % 20) for i in range(40)], draws=500)
    yield "won", ll.prompts.won(two, "a", "b")
    for rule in ("halving", "ttts"):
        with contextlib.suppress(ll.BadInput):
            state = ll.bandit.init(grid.rows[:10], items=grid.items, budget=120, by=rule, draws=200)
            for _ in range(3):
                chosen = ll.bandit.choose(state)
                if chosen.enough:
                    break
                mask = np.zeros((10, 60), bool)
                for row, items in zip(chosen.rows, chosen.items, strict=True):
                    mask[grid.rows.index(row), [grid.items.index(item) for item in items]] = True
                answers = ll.Responses.build(
                    np.where(mask, full.scores[:10], 0), seen=mask, rows=grid.rows[:10], items=grid.items
                )
                state = ll.bandit.update(state, responses=answers)
                yield f"{rule}.next", chosen
            yield f"{rule}.best", ll.bandit.best(state)


@part
def sloth(shared: pathlib.Path) -> Iterator[tuple[str, Any]]:
    """Scaling laws: those that ship, and one of the shipped leaderboard."""
    for name in ("sloth-open-llm-v1", "sloth-open-llm-v2"):
        law = ll.load_law(name)
        yield f"{name}.new", ll.sloth.estimate(law, size=30e9, tokens=15e12)
        yield f"{name}.known", ll.sloth.estimate(law, family="meta-llama-3", size=30e9, tokens=15e12)
        yield f"{name}.skills", ll.skills.estimate(law, of="loading")
        yield f"{name}.allocate", ll.skills.allocate(law, flops=[1e23])
    law = ll.load_law("sloth-open-llm-v1")
    random = np.random.default_rng(0)
    models = list(law.rows)[:20]
    scores = {model: float(x) for model, x in zip(models, random.uniform(0.1, 0.6, 20), strict=True)}
    yield "downstream", ll.downstream.estimate(ll.downstream.fit(law, scores=scores), size=30e9, tokens=15e12)
    chance = random.beta(1, 2, 12)
    tries = random.binomial(10, chance[None] * np.linspace(0.4, 1, 20)[:, None])
    yield (
        "passk",
        ll.passk.estimate(
            ll.passk.fit(law, successes=tries, tries=10, models=models), size=30e9, tokens=15e12, k=[1, 5]
        ),
    )
    yield "observed", ll.passk.observed(tries, tries=10, models=models, k=5)


@part
def sloth_fit(shared: pathlib.Path) -> Iterator[tuple[str, Any]]:
    """Laws fitted anew."""
    board = ll.read_leaderboard("sloth-open-llm")
    board = board.select(list(board.benchmarks)[:6])
    for skills, link in ((1, "logistic"), (2, "monotone")):
        law = ll.sloth.fit(board, skills=skills, link=link)
        yield f"{skills}.{link}", ll.sloth.estimate(law, size=30e9, tokens=15e12)
    few = board.hide(np.arange(len(board.models)) % 2 == 0)
    yield "left_out", ll.sloth.left_out(few, skills=1, folds=2)
    yield "paper", ll.sloth.published.estimate(ll.sloth.published.fit(board, skills=2), size=30e9, tokens=15e12)


@part
def refresh(shared: pathlib.Path) -> Iterator[tuple[str, Any]]:
    """LiveXiv's versions."""
    versions = [livexiv(shared / f"data/livexiv/vqa_v{i}.npz") for i in (1, 2, 3, 4)]
    fit = ll.refresh.fit({f"v{i + 1}": v for i, v in enumerate(versions[:3])})
    yield "standing", ll.refresh.estimate(fit)
    chosen = ll.refresh.choose(fit, k=4)
    yield "choose", chosen
    yield "preview", ll.refresh.preview(fit, rerun=chosen.rows)
    again = [i for i, row in enumerate(versions[3].rows) if row in chosen.rows]
    answers = versions[3].take(again)
    yield "estimate", ll.refresh.estimate(fit, answers=answers, version="v4")
    yield "ranks", ll.refresh.ranks(fit, answers=answers, version="v4")
    yield "suspects", ll.refresh.suspects(versions)
    yield "check", ll.refresh.check(versions)
    paper = ll.refresh.published.fit(versions[:2])
    yield "paper", ll.refresh.published.estimate(paper)
    yield "paper.choose", ll.refresh.published.choose(paper, k=4)


def livexiv(path: pathlib.Path) -> ll.Responses:
    """One version."""
    with np.load(path, allow_pickle=False) as kept:
        scores, names = kept["responses"].astype(float), [str(x) for x in kept["models"]]
        items = [str(x) for x in kept["items"]]
        groups = [str(x) for x in kept["groups"]]
    seen = scores >= 0
    return ll.Responses.build(np.where(seen, scores, 0), seen=seen, rows=names, items=items, group=groups)


@part
def pepr(shared: pathlib.Path) -> Iterator[tuple[str, Any]]:
    """Prompt regression on simulated log probabilities."""
    true = {"task": 0.4, "examples": 0.3, "rules": 0.2, "role": 0.1, "date": 0.0}
    for pairs in (False, True):
        subsets = () if pairs else ("task+rules",)
        fit = ll.pepr.fit(data.simulate_logprobs(true, 200, subsets=subsets, pairs=pairs, seed=1))
        yield f"{pairs}.weights", ll.pepr.estimate(fit)
        yield f"{pairs}.choose", ll.pepr.choose(fit, k=2)
        yield f"{pairs}.check", ll.pepr.check(fit)
        if not pairs:
            yield "all", ll.pepr.estimate(fit, subsets="all")


@part
def shell(shared: pathlib.Path) -> Iterator[tuple[str, Any]]:
    """The JSON of the main verbs, byte for byte but for version and command."""
    run = "import sys; from lleval_jax.cli.main import main; main()"
    with tempfile.TemporaryDirectory() as place:
        for name, words in {
            "estimate": ["estimate", "demo:livexiv-vqa", "--bank", "livexiv-vqa", "--groups"],
            "other": ["estimate", "demo:livexiv-tqa", "--bank", "livexiv-tqa"],
            "sloth": ["sloth", "sloth-open-llm-v1", "--predict", "meta-llama-3:30B:15T"],
        }.items():
            out = pathlib.Path(place) / f"{name}.json"
            subprocess.run([sys.executable, "-c", run, *words, "--json", str(out)], capture_output=True, check=True)
            yield name, {k: v for k, v in json.loads(out.read_text()).items() if k != "source"}


def main(shared: str, name: str) -> None:
    """Print what the verbs of a part say, as one line of JSON."""
    warnings.simplefilter("ignore")
    found = PARTS[name](pathlib.Path(shared))
    kept = {key: np.asarray(each).tolist() for label, value in found for key, each in flat(value, label)}
    print(json.dumps(kept))


if __name__ == "__main__":
    main(*sys.argv[1:])
