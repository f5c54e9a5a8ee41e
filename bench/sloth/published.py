"""Scaling laws through skills, compared with Sloth's published errors on the same rows.

For each group of test families the law is fitted to all other families and to the 1 or 2 smallest models of the
test families, then predicts their larger models (arXiv 2412.06540, section 4.1). The data lack five families that
the published fits were trained on. Errors are mean absolute errors in points over the test models and benchmarks of a
group, averaged over groups; seconds are of all groups of a variant in two calls, compiling apart. The FLOPs variants
have one slope for all families, where the published ones have one a family when two models are given.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from bench.kit.problems import shared
from bench.kit.results import Record
from bench.kit.settings import setting
from lleval_jax.core.laws import published as skill_law
from lleval_jax.core.laws.published import Form, Table
from lleval_jax.core.shapes import pad
from lleval_jax.types import Status

FIRST = ["MMLU", "ARC", "HellaSwag", "Winogrande", "TruthfulQA", "GSM8K"]
SECOND = ["IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO"]
BENCHMARKS = {"lb1": FIRST, "lb2": SECOND, "lb1+lb2": FIRST + SECOND}
CELLS = [(name, given) for name in BENCHMARKS for given in (1, 2)]
BATCHES = [CELLS[:4], CELLS[4:]]  # settings with equally many benchmarks are padded to one shape and compiled once
TRAINED = {"link": "monotone", "floors": "learned"}
# Name: form, inputs, whether each family has its intercept, name in the published table
VARIANTS: dict[str, tuple[Form, str, bool, str]] = {
    **{f"basic d={d}": (Form(d), "translog", True, f"factor_sigmoid_faminter_d={d}") for d in (1, 2, 3, 4)},
    **{
        f"trained d={d}": (Form(d, **TRAINED), "translog", True, f"factor_trainlink_faminter_d={d}")
        for d in (1, 2, 3, 4)
    },
    "shared intercept d=2": (Form(2), "translog", False, "factor_sigmoid_d=2"),
    "flops": (Form(1), "flops", True, "logF_sigmoid_faminter"),
    "size and tokens": (Form(1), "size and tokens", True, "logSlogT_sigmoid_faminter"),
    "pca d=2": (Form(2), "pca", True, "pca_d=2"),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    variants: tuple[str, ...] = setting(tuple(VARIANTS), "of the law")
    starts: int = setting(8, "of a search")


class Study(NamedTuple):
    """One setting: its rows and its splits.

    table   inputs is (rows, 2): billions of parameters and of tokens; seen is all ones
    train   (groups, rows)
    test    (groups, rows)
    """

    table: Table
    train: np.ndarray
    test: np.ndarray


def components(table: Table, skills: int) -> jax.Array:
    """Scores (rows, benchmarks) by regression of principal components on the inputs (Ruan et al. 2024, as in Sloth).

    In closed form: components of the scores of complete rows, least squares on inputs and intercepts, and back.
    """
    weight = jnp.min(table.seen, axis=1, keepdims=True)
    design = jnp.concatenate([table.inputs, table.intercept], axis=1)
    mean = jnp.sum(weight * table.scores, 0) / jnp.sum(weight)
    centred = weight * (table.scores - mean[None])
    axes = jnp.linalg.svd(centred, full_matrices=False)[2][:skills]
    return mean[None] + design @ (jnp.linalg.pinv(weight * design) @ (centred @ axes.T)) @ axes


@functools.cache
def sources() -> tuple[pd.DataFrame, pd.Series, pd.DataFrame]:
    """Models, floors by chance, and published errors."""
    models = pd.read_csv(shared("data", "sloth", "models.csv")).query("data_version == 'v2'")
    floors = pd.read_csv(shared("data", "sloth", "lower_bounds.csv")).set_index("benchmark").lower_bound_chance
    return models, floors, pd.read_parquet(shared("data", "sloth", "published_errors.parquet"))


def errors(name: str, given: int) -> pd.DataFrame:
    """The published errors of a setting."""
    published = sources()[2]
    return published[(published.benchmarks == name) & (published.n_family_models_in_train == given)]


@functools.cache
def problem(name: str, given: int) -> Study:
    """The rows of a setting, sorted as published, and its groups."""
    models, floors, _ = sources()
    columns = BENCHMARKS[name]
    rows = models.dropna(subset=[*columns, "params_b", "tokens_t"])
    rows = rows.sort_values(["family", "params_b"], kind="stable")
    rows = rows[rows.groupby("family").family.transform("size") > given]
    test = np.stack(
        [rows.model.isin(set(group.model)) for _, group in errors(name, given).groupby("test_group", sort=False)]
    )
    families = np.unique(rows.family, return_inverse=True)[1]
    table = Table(
        rows[["params_b", "tokens_t"]].to_numpy(float),
        np.eye(families.max() + 1)[families],
        rows[columns].to_numpy(float),
        np.ones((len(rows), len(columns))),
        floors[columns].to_numpy(float),
        np.ones(len(columns)),
    )
    return Study(table, ~test, test)


def padded(cells: list[tuple[str, int]]) -> tuple[Table, np.ndarray]:
    """Tables of all groups of some settings, padded to one shape, and training rows; leading axis: groups."""
    studies = [problem(*cell) for cell in cells]
    rows = max(len(s.table.scores) for s in studies)
    families = max(s.table.intercept.shape[1] for s in studies)
    tables, train = [], []
    for s in studies:
        t = s.table
        wide = t._replace(
            inputs=pad(t.inputs, (rows, 2)) + (np.arange(rows) >= len(t.inputs))[:, None],
            intercept=pad(t.intercept, (rows, families)),
            scores=pad(t.scores, (rows, t.scores.shape[1])),
            seen=pad(t.seen, (rows, t.scores.shape[1])),
        )
        tables += [wide] * len(s.train)
        train += [pad(line.astype(float), (rows,)) for line in s.train]
    return jax.tree.map(lambda *parts: np.stack(parts), *tables), np.stack(train)


@functools.partial(jax.jit, static_argnames=("form", "shape", "starts"))
def predicted(form: Form, shape: tuple[str, bool], tables: Table, train: jax.Array, starts: int):
    """Scores (groups, rows, benchmarks) that each group's law predicts, its largest error and status by start."""
    kind, own = shape

    def one(table: Table, train: jax.Array):
        size, tokens = table.inputs.T
        intercept = table.intercept if own else jnp.ones_like(table.intercept[:, :1])
        if kind == "translog":
            x = skill_law.inputs(size, tokens, train)
        else:
            x = skill_law.inputs(size, tokens, train)[:, :2]
            x = jnp.log(size * tokens)[:, None] if kind in ("flops", "pca") else x
            x = x - train @ x / train.sum() if kind == "flops" else x
        known = table._replace(inputs=x, intercept=intercept, seen=table.seen * train[:, None])
        key = jax.random.key(0)
        if kind == "pca":
            none = jnp.zeros(1)
            return components(known, form.skills), none, none, none + int(Status.CONVERGED)

        def law(table: Table):
            fit = skill_law.fit(form, table, key, starts=starts)
            return skill_law.scores(form, fit, table.inputs, table.intercept), fit.error, fit.steps, fit.status

        if kind == "translog":
            return law(known)
        alone = jax.vmap(
            lambda y, seen, chance, items: law(
                known._replace(scores=y[:, None], seen=seen[:, None], chance=chance[None], items=items[None])
            )
        )
        scores, *ended = alone(known.scores.T, known.seen.T, known.chance, known.items)
        return scores[:, :, 0].T, *ended

    return jax.vmap(one)(tables, train)


def measured(form: Form, kind: str, own: bool, method: str, starts: int) -> dict:
    """Errors by setting and the published ones, and the seconds of all fits of a variant."""
    record: dict = {"mae": {}, "published": {}, "compile_cpu_seconds": 0.0, "cpu_seconds": 0.0}
    steps, ended, fits = [], [], 0
    for cells in BATCHES:
        tables, train = padded(cells)
        began = time.process_time()
        call = predicted.lower(form, (kind, own), tables, train, starts).compile()
        built = time.process_time()
        scores, _, step, status = jax.block_until_ready(call(tables, train))
        record["compile_cpu_seconds"] += built - began
        record["cpu_seconds"] += time.process_time() - built
        steps.append(np.ravel(step))
        ended.append(np.ravel(status))
        fits += len(train)
        groups = iter(np.asarray(scores))
        for name, given in cells:
            table, _, test = problem(name, given)
            found = [np.abs(next(groups)[: len(table.scores)] - table.scores)[line].mean() for line in test]
            theirs = errors(name, given)
            theirs = theirs[theirs.method == method].groupby("test_group").abs_error.mean().mean()
            record["mae"][f"{name} n{given}"] = round(100 * float(np.mean(found)), 3)
            record["published"][f"{name} n{given}"] = round(100 * float(theirs), 3)
    record["cpu_seconds_a_fit"] = record["cpu_seconds"] / fits
    record["mean_steps"] = float(np.concatenate(steps).mean())
    record["converged"] = float((np.concatenate(ended) == int(Status.CONVERGED)).mean())
    return record


def study(settings: Settings, record: Record) -> None:
    """All variants, stored after each."""
    found: dict = {"starts": settings.starts, "variants": {}}
    for name in settings.variants:
        with jax.enable_x64(True):
            found["variants"][name] = measured(*VARIANTS[name], settings.starts)
        print(name, json.dumps(found["variants"][name]), flush=True)
        record.keep(found)
