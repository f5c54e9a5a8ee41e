"""LiveXiv's re-evaluation as published, compared with its own figures.

Versions follow each other: all models answer the first, then `m` chosen ones (and the two new models, on the second)
answer the next, and the scores of the others are predicted (arXiv 2410.10783, and the authors' notebook of figures).
Errors are mean absolute errors in points over the models that were not run again.

Kinds of chains:
  own choice        the authors' rows, models chosen by `refresh.published.choose`
  published choice  the authors' rows, models as printed; five starts
  cpu choice        the authors' rows, models as their code chose on a CPU (there are no rows for m = 12)
  corrected         rows by name, own choice; with the coverage of 95% intervals

The authors' rows are theirs with what is wrong in them: two models swapped in the first table version, and no right
answers of the new models in a part of the third. Published figures are rounded to 0.1.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from collections.abc import Sequence

import jax
import numpy as np
import pandas as pd
from scipy import stats

from bench.kit.problems import shared
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax import Choice, Estimate, FitResult, Responses, refresh

CHAINS = {"vqa": ["v1", "v2", "v3", "v4"], "tqa": ["v1", "v2", "v3"]}
SIZES = (3, 5, 8, 12)
OLD, NEW = 17, 19  # models on the first version, and on later ones
STARTS = 5
Cell = dict[str, object]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    m: tuple[int, ...] = setting(SIZES, "models run again")
    modalities: tuple[str, ...] = setting(tuple(CHAINS), "figures (vqa), tables (tqa)")
    starts: int = setting(STARTS, "of the published choice")
    timed: bool = setting(True, "seconds too")


@functools.cache
def answers(modality: str, version: str, corrected: bool) -> Responses:
    """A version; rows by name, or the authors' by number."""
    with np.load(shared("data", "livexiv", f"{modality}_{version}.npz"), allow_pickle=False) as z:
        scores, names, place = z["responses"], z["models"].tolist(), z["source_row"]
        items, group, parts = z["items"], z["groups"], z["subsets"] if "subsets" in z.files else None
    if corrected:
        return Responses.build(scores, rows=names, items=items, group=group)
    if (modality, version) == ("vqa", "v1"):  # stored from another file of theirs, of other order; see data/README.md
        with np.load(shared("data", "livexiv", "vqa_v2.npz"), allow_pickle=False) as z:
            place = z["source_row"][:OLD]
    theirs = np.empty_like(scores)
    theirs[place] = scores
    if (modality, version) == ("tqa", "v3"):
        theirs[OLD:, parts == "s2"] = 0
    return Responses.build(theirs, rows=list(map(str, range(len(theirs)))), items=items, group=group)


@functools.cache
def fitted(modality: str, runs: tuple[tuple[int, ...], ...], corrected: bool, seed: int) -> tuple[FitResult, float]:
    """A fit to the first version and to the rows that were run again on later ones, and its CPU seconds."""
    first, *later = (answers(modality, version, corrected) for version in CHAINS[modality][: 1 + len(runs)])
    versions = [first, *(whole.take(rows) for whole, rows in zip(later, runs, strict=True))]
    began = time.process_time()
    found = refresh.published.fit(versions, seed=seed, strict=True)
    return found, time.process_time() - began


def speed(modality: str = "vqa", m: int = 5) -> list[Cell]:
    """Seconds of the fits of a chain: the first call, compiled in it, and the median of five more."""
    runs = [tuple(cell["run_again"]) for cell in published(modality, m)]  # pyright: ignore[reportArgumentType]
    runs[0] += tuple(range(OLD, NEW))
    cells: list[Cell] = []
    for count, version in enumerate(CHAINS[modality]):
        jax.clear_caches()
        taken = []
        for _ in range(6):
            began = time.perf_counter()
            found, used = fitted.__wrapped__(modality, tuple(runs[:count]), False, 0)
            taken.append((time.perf_counter() - began, used))
        (cold, cold_used), (warm, used) = taken[0], np.median(taken[1:], 0).tolist()
        figures = {"cold": cold, "cold_cpu": cold_used, "warm": warm, "warm_cpu": used}
        cells.append({"modality": modality, "version": version, "m": m, "epochs": found.steps} | rounded(figures))
    return cells


def rounded(cell: Cell) -> Cell:
    """Figures to four digits after the point."""
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in cell.items()}


def measured(truth: Responses, found: Estimate, run: Sequence[int]) -> Cell:
    """Errors over the models not run again, rank correlations over all models, and coverage."""
    frame = found.to_frame().set_index(["row", "group"])
    real = pd.DataFrame({name: truth.scores[:, truth.group == g].mean(1) for g, name in enumerate(truth.groups)})
    real = pd.concat([pd.Series(truth.scores.mean(1), name="all"), real], axis=1)
    real.index = list(truth.rows)
    named = list(truth.rows)  # a fit orders rows as its versions do, which is the order here too
    value, low, high = (frame[column].unstack().loc[named, real.columns] for column in ("value", "low", "high"))
    unseen = np.setdiff1d(np.arange(len(named)), run)
    error = 100 * (value - real).abs().iloc[unseen]
    held = ((low <= real) & (real <= high)).iloc[unseen]
    return {
        "mae": float(error["all"].mean()),
        "mae_domains": float(error.drop(columns="all").mean().mean()),
        "spearman": float(stats.spearmanr(value["all"], real["all"]).statistic),
        "kendall": float(stats.kendalltau(value["all"], real["all"]).statistic),
        "coverage": float(held["all"].mean()),
        "coverage_domains": float(held.drop(columns="all").to_numpy().mean()),
        "half_width": float(50 * (high - low)["all"].iloc[unseen].mean()),
    }


def chain(modality: str, m: int, *, corrected: bool = False, given: list[list[int]] | None = None, seed: int = 0):
    """Cells of the later versions; `given` are rows run again by version, chosen by the method if there are none."""
    runs: tuple[tuple[int, ...], ...] = ()
    cells: list[Cell] = []
    now, _ = fitted(modality, runs, corrected, seed)
    for step, version in enumerate(CHAINS[modality][1:]):
        truth = answers(modality, version, corrected)
        chosen: Choice = refresh.published.choose(now, k=m)
        rows = given[step] if given else [truth.rows.index(name) for name in chosen.rows]
        new = list(range(OLD, NEW)) if step == 0 else []
        runs = (*runs, tuple(dict.fromkeys([*rows, *new])))
        now, seconds = fitted(modality, runs, corrected, seed)
        cell = {"modality": modality, "version": version, "m": m, "run_again": sorted(rows), "cpu_seconds": seconds}
        cells.append(rounded(cell | {"epochs": now.steps} | measured(truth, refresh.published.estimate(now), runs[-1])))
    return cells


def published(modality: str, m: int) -> list[Cell]:
    """Printed figures of the later versions."""
    table = pd.read_csv(shared("data", "livexiv", "published_results.csv"), dtype={"reevaluated_source_rows": str})
    table = table[(table.chain == "v1>v2>v3>v4") & (table.modality == modality) & (table.m == m)]
    cells = []
    for version in CHAINS[modality][1:]:
        here = table[table.version == version]
        whole = here[here.domain == "ALL"].set_index("metric").value
        rows = sorted(map(int, here.reevaluated_source_rows.iloc[0].split()))
        parts = here[(here.domain != "ALL") & (here.metric == "mae")].value.mean()
        figures = {"mae": whole["mae"], "mae_domains": parts, "spearman": whole["spearman_x100"] / 100}
        cells.append({"modality": modality, "version": version, "m": m, "run_again": rows, **figures})
    return [rounded(cell) for cell in cells]


def on_cpu(modality: str, m: int) -> list[Cell]:
    """Figures of the unmodified code on a CPU; none for m = 12."""
    rows = json.loads(shared("reference", "baselines.json").read_text())["livexiv"]["rows"]
    found = {row["ver"]: row for row in rows if (row["name"], row["m"]) == (modality, m)}
    cells = []
    for step, version in enumerate(CHAINS[modality][1:]) if found else ():
        row = found[version]
        again = sorted(r for r in row["evaluated"] if step or r < OLD)
        cells.append(
            {
                "modality": modality,
                "version": version,
                "m": m,
                "run_again": again,
                "mae": row["mae_overall_unseen"],
                "mae_domains": row["mae_domain_notebook_mean"],
                "spearman": row["spearman_overall"],
                "kendall": row["kendall_overall"],
            }
        )
    return [rounded(cell) for cell in cells]


def all_kinds(modality: str, m: int, starts: int) -> dict[str, list[Cell]]:
    """All kinds of chains of one modality and number of models, and what is known of them."""
    printed, theirs = published(modality, m), on_cpu(modality, m)
    known = {"published": printed, "cpu": theirs}
    again = {name: [list(cell["run_again"]) for cell in cells] for name, cells in known.items()}  # pyright: ignore
    begun = [chain(modality, m, given=again["published"], seed=seed) for seed in range(starts)]
    for cells in zip(*begun, strict=True):
        cells[0]["mae_by_start"] = [cell["mae"] for cell in cells]
    return {
        "own choice": chain(modality, m),
        "published choice": begun[0],
        "cpu choice": chain(modality, m, given=again["cpu"]) if theirs else [],
        "corrected": chain(modality, m, corrected=True),
    } | known


def compared(found: dict[str, list[Cell]]) -> pd.DataFrame:
    """One line a cell: ours and theirs."""
    key = ["modality", "version", "m"]
    frames = {name: pd.DataFrame(cells).set_index(key) for name, cells in found.items()}
    own, forced, theirs = frames["own choice"], frames["published choice"], frames["published"]
    table = pd.DataFrame({"own": own.mae, "published": theirs.mae, "own-published": own.mae - theirs.mae})
    table["same choice"] = own.run_again.map(tuple) == theirs.run_again.map(tuple)
    table["forced-published"] = forced.mae - theirs.mae
    table["spread"] = forced.mae_by_start.map(np.ptp)
    table["domains"], table["published "] = own.mae_domains, theirs.mae_domains
    table["rank"], table["published  "] = own.spearman, theirs.spearman
    cpu, ours = frames["cpu"], frames["cpu choice"]
    table["forced-cpu"] = ours.mae - cpu.mae
    table["cpu same choice"] = own.run_again.map(tuple).loc[cpu.index] == cpu.run_again.map(tuple)
    return table


def means(found: dict[str, list[Cell]]) -> dict[str, dict[str, dict[str, float]]]:
    """Means by kind over cells of figures, of tables, and of both: errors, and coverage where there are intervals."""
    out: dict[str, dict[str, dict[str, float]]] = {}
    for name, cells in found.items():
        frame = pd.DataFrame(cells)
        frame["mae_over_starts"] = frame.mae_by_start.map(np.mean) if "mae_by_start" in frame else np.nan
        figures = frame.columns.intersection(["mae", "mae_over_starts", "mae_domains", "coverage", "coverage_domains"])
        parts = {"all": frame, **{modality: frame[frame.modality == modality] for modality in CHAINS}}
        each = {part: rows[figures].mean().dropna().round(4).to_dict() for part, rows in parts.items()}
        out[name] = {str(part): {str(k): float(v) for k, v in figures.items()} for part, figures in each.items()}
    return out


def study(settings: Settings, record: Record) -> None:
    """All kinds of chains."""
    found: dict[str, list[Cell]] = {}
    for modality in settings.modalities:
        for m in settings.m:
            for name, cells in all_kinds(modality, m, settings.starts).items():
                found.setdefault(name, []).extend(cells)
            print(f"{modality} m={m} done", flush=True)
    content = {"starts": settings.starts, "means": means(found), "cells": found}
    record.keep(content | ({"speed": speed()} if settings.timed else {}))
    with pd.option_context("display.width", 250, "display.max_columns", 30, "display.precision", 3):
        print(compared(found), end="\n\n")
    print(json.dumps(content["means"], indent=1))
