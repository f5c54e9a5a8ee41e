"""A benchmark's next version from a few models, compared with simple rules.

Parts are livexiv, speed, simulation, others and forms (thousands of models, of which 300 are drawn); each replaces its
own part of the results.

All models answer a chain's first version. On each later one `m` of them are run (and models that are new), the scores
of all others are predicted, and the chain goes on with what was answered alone. Errors are mean absolute errors in
points over the models that were not run, overall and averaged over domains. Simple rules keep their own last word of
a score that was not measured. They are given the models that `refresh.choose` named, and models evenly spread by
the ability of a Rasch model; ours is given both too. Coverage counts models not run; those of a cell share the
version's shift and do not count as independent.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from bench.kit.problems import shared
from bench.kit.results import Record, read
from bench.kit.settings import setting
from bench.refresh import speed
from bench.refresh import worlds as simulated
from bench.refresh.rules import ALL, RULES, Rasch, Rolling, Scores, scored
from lleval_jax import Estimate, Responses, refresh

LEVELS = (0.95, 0.8)
BAR, BOUNDS = 0.3, (0.92, 0.98)  # points above the best rule at most; coverage
OURS, CHOSEN, SPREAD = "refresh", "chosen", "spread"
Cell = dict[str, object]
Save = Callable[[dict[str, object]], None]
Intervals = Mapping[float, tuple[Scores, Scores]]


class Living(NamedTuple):
    """Complete answers to the versions of a benchmark, by name, and numbers of models to run again."""

    name: str
    versions: Mapping[str, Responses]
    sizes: Sequence[int]


def livexiv() -> list[Living]:
    """Corrected rows."""
    sizes = (3, 5, 8, 12)
    names = {"vqa": ("v1", "v2", "v3", "v4"), "tqa": ("v1", "v2", "v3")}
    return [Living(name, {v: _livexiv(f"{name}_{v}") for v in versions}, sizes) for name, versions in names.items()]


def _livexiv(file: str) -> Responses:
    with np.load(shared("data", "livexiv", f"{file}.npz"), allow_pickle=False) as z:
        return Responses.build(z["responses"], rows=z["models"].tolist(), items=z["items"].tolist(), group=z["groups"])


def others() -> list[Living]:
    """Two months of MM-LiveBench, windows of months of LiveCodeBench, two forms of Open LLM Leaderboard items."""
    months = _livexiv("mmlivebench")
    parts = {name: np.flatnonzero(months.group == g) for g, name in enumerate(months.groups)}
    found = [Living("mmlivebench", {name: _part(months, use) for name, use in parts.items()}, (3, 5, 8))]
    windows = {"2024-04": (3, (3, 5, 8, 12, 20)), "2025-01": (4, (3, 5, 8)), "2025-04": (4, (3, 5, 8))}
    found += [Living(f"code {file}", _windows(file, span), sizes) for file, (span, sizes) in windows.items()]
    return found + [Living(f"{name} #{seed}", forms(name, 300, seed), (5, 12, 30)) for name, seed in FORMS]


FORMS = [(name, seed) for name in ("arc", "gsm8k") for seed in range(1)]


def _part(whole: Responses, items: np.ndarray, group: np.ndarray | None = None) -> Responses:
    names = [whole.items[i] for i in items]
    return Responses.build(whole.scores[:, items], rows=whole.rows, items=names, group=group)  # pyright: ignore


def _windows(file: str, span: int) -> dict[str, Responses]:
    """Versions of `span` calendar months; the last one is joined to the one before if it has under 50 problems."""
    with np.load(shared("data", "livecodebench", f"codegen_{file}.npz"), allow_pickle=False) as z:
        rows, items, dates, kind = z["models"].tolist(), z["items"].tolist(), z["dates"], z["groups"]
        whole = Responses.build(z["responses"].astype(float), rows=rows, items=items)
    month = np.array([12 * int(day[:4]) + int(day[5:7]) for day in dates])
    window = (month - month.min()) // span
    if np.sum(window == window.max()) < 50:
        window = np.minimum(window, window.max() - 1)
    parts = [np.flatnonzero(window == w) for w in np.unique(window)]
    return {min(dates[use].tolist())[:7]: _part(whole, use, kind[use]) for use in parts}


def forms(name: str, count: int | None, seed: int) -> dict[str, Responses]:
    """Forms A and B of a random sample of models, without models whose answers to either form repeat another's."""
    parts = []
    for form in "AB":
        with np.load(shared("data", "open_llm_irt", f"{name}_{form}.npz"), allow_pickle=False) as z:
            single = np.sort(np.unique(z["responses"], axis=0, return_index=True)[1])
            parts.append(dict(zip(z["models"][single].tolist(), z["responses"][single], strict=True)))
    rows = [row for row in parts[0] if row in parts[1]]  # the forms list their models in orders of their own
    if count is not None:
        rows = np.random.default_rng(seed).choice(rows, count, replace=False).tolist()
    return {
        form: Responses.build(np.stack([part[r] for r in rows]), rows=rows)
        for form, part in zip("AB", parts, strict=True)
    }


def measured(truth: Responses, found: Scores, run: Sequence[str], held: Intervals | None = None) -> Cell:
    """Errors over models not run, rank correlations, and counts of intervals that hold."""
    real = scored(truth)
    unseen = [row for row in truth.rows if row not in run and row in found[ALL]]
    error = {t: 100 * float(np.mean([abs(found[t][r] - real[t][r]) for r in unseen])) for t in real}
    domains = [t for t in real if t != ALL]
    cell: Cell = {"unseen": len(unseen), "mae": error[ALL]}
    cell["mae_domains"] = float(np.mean([error[t] for t in domains])) if domains else None
    for word, rows in (("", list(found[ALL])), ("_unseen", unseen)):
        estimated, true = ([values[ALL][row] for row in rows] for values in (found, real))
        cell[f"spearman{word}"] = float(stats.spearmanr(estimated, true).statistic)
        cell[f"kendall{word}"] = float(stats.kendalltau(estimated, true).statistic)
    for level, (low, high) in (held or {}).items():
        for word, targets in (("", [ALL]), ("_domains", domains)):
            inside = [low[t][r] <= real[t][r] <= high[t][r] for t in targets for r in unseen]
            wide = [100 * (high[t][r] - low[t][r]) for t in targets for r in unseen]
            cell[f"held{word}_{level:.0%}"] = [int(np.sum(inside)), len(inside)]
            cell[f"width{word}_{level:.0%}"] = float(np.mean(wide)) if wide else None
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in cell.items()}


def spelled(estimate: Estimate, column: str) -> Scores:
    """A column of an estimate by target and model."""
    frame = estimate.to_frame()
    return {str(t): dict(zip(part.row, part[column], strict=True)) for t, part in frame.groupby("group")}


class Ours:
    """`refresh` along a chain."""

    def __init__(self, name: str, first: Responses) -> None:
        self.known = {name: first}
        self.fit = refresh.fit(self.known)

    def choose(self, m: int, force: Sequence[str], items: Mapping[str, int]) -> list[str]:
        """Models to run, the new ones among them."""
        return list(refresh.choose(self.fit, k=m, force=force, items=items).rows)

    def __call__(self, name: str, answers: Responses) -> tuple[Scores, Intervals, str]:
        """Scores and intervals of all models on a version of which some answers are known."""
        self.known[name] = answers
        self.fit = refresh.fit(self.known)
        found = {level: refresh.estimate(self.fit, version=name, level=level) for level in LEVELS}
        value = spelled(found[LEVELS[0]], "value")
        return value, {k: (spelled(e, "low"), spelled(e, "high")) for k, e in found.items()}, found[LEVELS[0]].status[0]


def chain(living: Living, m: int, choice: str) -> list[Cell]:
    """Cells of all methods that are given the same models."""
    (first, start), *later = living.versions.items()
    ours, rasch = Ours(first, start), Rasch(start)
    rules = {name: Rolling(rule, start) for name, rule in RULES.items()}
    cells: list[Cell] = []
    for name, truth in later:
        known = set(ours.fit.rows)
        new = [row for row in truth.rows if row not in known]
        items = {truth.groups[g]: int(n) for g, n in enumerate(np.bincount(truth.group)) if n}
        began = time.perf_counter()
        wanted = ours.choose(m, new, items) if choice == CHOSEN else [*new, *rasch.spread(m)]
        run = [row for row in truth.rows if row in wanted]
        answers = truth.take([truth.rows.index(row) for row in run])
        value, held, status = ours(name, answers)
        seconds = time.perf_counter() - began
        rasch.append(answers)
        key: Cell = {"data": living.name, "version": name, "m": m, "choice": choice, "run": len(run)}
        end = {"status": status, "seconds": round(seconds, 3)}
        cells.append({**key, "method": OURS, **measured(truth, value, run, held), **end})
        rivals = {rule: call(truth, run) for rule, call in rules.items()} | {"rasch": rasch(truth, run)}
        cells += [{**key, "method": rule, **measured(truth, scores, run)} for rule, scores in rivals.items()]
    return cells


def chains(data: Sequence[Living], save: Save) -> list[Cell]:
    """All chains of some benchmarks; cells are saved as they come."""
    cells: list[Cell] = []
    for living in data:
        for m in living.sizes:
            began = time.perf_counter()
            for choice in (CHOSEN, SPREAD):
                cells += chain(living, m, choice)
            save({"cells": cells})
            print(f"{living.name} m={m}: {time.perf_counter() - began:.1f} s", flush=True)
    return cells


def published() -> list[Cell]:
    """The method as published on the same rows, as stored."""
    cells = read("refresh", "refresh_reference")["cells"]["corrected"]
    names = ["version", "m", "mae", "mae_domains", "spearman", "kendall", "coverage", "coverage_domains"]
    key = {"choice": "its own", "method": "published"}
    return [{"data": cell["modality"], **key, **{name: cell[name] for name in names}} for cell in cells]


def compared(cells: Sequence[Cell]) -> pd.DataFrame:
    """Means over cells of each method and choice."""
    frame = pd.DataFrame(cells)
    frame["part"] = frame.data.str.replace(r" #\d+$", "", regex=True)
    kind = ["choice", "method"]
    figures = ["mae", "mae_domains", "spearman", "kendall", "spearman_unseen", "kendall_unseen"]
    whole = frame.groupby(kind, sort=False)[figures].mean()
    parts = frame.pivot_table(index=kind, columns="part", values=["mae", "mae_domains"], sort=False)
    parts.columns = [f"{part} {'domains' if what == 'mae_domains' else ''}".strip() for what, part in parts.columns]
    return whole.join(parts)


def against(cells: Sequence[Cell]) -> pd.DataFrame:
    """Ours minus the rules in each cell, the same models given, and minus rules with models evenly spread.

    best    the rule with least error in that cell, known only afterwards
    usual   the rule with least error over all cells
    """
    frame = pd.DataFrame(cells)
    key = ["data", "version", "m"]
    table = frame[frame.method.isin([OURS, *RULES])].pivot_table(index=[*key, "choice"], columns="method", values="mae")
    spread = table.xs(SPREAD, level="choice")
    usual = min(RULES, key=lambda rule: spread[rule].mean())
    out = pd.DataFrame(index=spread.index)
    for choice in (CHOSEN, SPREAD):
        mine = table.xs(choice, level="choice")
        out[choice] = mine[OURS]
        out[f"{choice} - best, same models"] = mine[OURS] - mine[list(RULES)].T.min()
        out[f"{choice} - best, spread"] = mine[OURS] - spread[list(RULES)].T.min()
        out[f"{choice} - {usual}, spread"] = mine[OURS] - spread[usual]
    return out


def coverage(cells: Sequence[Cell]) -> dict[str, dict[str, object]]:
    """Share of intervals that hold over all cells, its count, and mean width; standard error from cell to cell."""
    out: dict[str, dict[str, object]] = {}
    frame = pd.DataFrame([cell for cell in cells if cell["method"] == OURS])
    frame["part"] = frame.data.str.replace(r" #\d+$", "", regex=True)
    for choice, mine in frame.groupby("choice"):
        for part, rows in [(ALL, mine), *mine.groupby("part", sort=False)]:
            for level in LEVELS:
                for word in ("", "_domains"):
                    inside, of = np.array(rows[f"held{word}_{level:.0%}"].tolist()).T
                    if of.sum() == 0:
                        continue
                    share = inside.sum() / of.sum()
                    error = np.sqrt(np.sum((inside - share * of) ** 2)) / of.sum()
                    wide = rows[f"width{word}_{level:.0%}"].astype(float)
                    name = f"{choice}, {part}{' domains' if word else ''}, {level:.0%}"
                    figures = {"share": share, "error": error, "width": np.average(wide[of > 0], weights=of[of > 0])}
                    out[name] = {k: round(float(v), 4) for k, v in figures.items()}
                    out[name] |= {"held": int(inside.sum()), "of": int(of.sum())}
    return out


def all_chains(data: Sequence[Living], save: Save, more: Sequence[Cell] = ()) -> dict[str, object]:
    """Chains of some benchmarks, with their tables."""
    began, used = time.perf_counter(), time.process_time()
    cells = chains(data, save)
    spent = {"seconds": round(time.perf_counter() - began, 1), "cpu_seconds": round(time.process_time() - used, 1)}
    table, gaps, held = compared([*cells, *more]), against(cells), coverage(cells)
    with pd.option_context(
        "display.width", 250, "display.max_columns", 40, "display.precision", 3, "display.max_rows", 200
    ):
        print("means over cells\n", table, end="\n\n")
        print("ours minus rules, points\n", gaps.round(2), end="\n\n")
        print("worst cells\n", gaps.max().round(2).to_string(), end="\n\n")
        print("intervals that hold\n", pd.DataFrame(held).T.to_string(), end="\n\n")
    stopped = sum(cell.get("status", "ok") != "ok" for cell in cells)
    means = {" ".join(map(str, name)): row.dropna().round(4).to_dict() for name, row in table.iterrows()}  # pyright: ignore
    worst = {"points": gaps.max().round(3).to_dict(), "above_bar": (gaps > BAR).sum().to_dict(), "cells": len(gaps)}
    summary = {"means": means, "worst": worst, "coverage": held, "not_converged": stopped}
    return {**spent, **summary, "cells": cells}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    parts: tuple[str, ...] = setting(("livexiv", "speed", "simulation", "others", "forms"), "what is measured")
    worlds: int = setting(simulated.WORLDS, "simulated chains of either kind")
    trials: int = setting(simulated.TRIALS, "simulated families under suspicion, of each kind")


PARTS: Mapping[str, Callable[[Settings, Save], dict[str, object]]] = {
    "livexiv": lambda _, save: all_chains(livexiv(), save, published()),
    "speed": lambda _, save: speed.study(list(livexiv()[0].versions.values()), forms, save),
    "simulation": lambda settings, save: simulated.study(settings.worlds, settings.trials, save),
    "others": lambda _, save: all_chains([living for living in others() if " #" not in living.name], save),
    "forms": lambda _, save: all_chains([living for living in others() if " #" in living.name], save),
}


def study(settings: Settings, record: Record) -> None:
    """Each part with its own machine and date, saved as it comes."""
    for part in settings.parts:
        record.part(part, PARTS[part](settings, functools.partial(record.part, part)))
