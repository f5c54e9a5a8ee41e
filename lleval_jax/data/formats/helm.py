"""HELM runs: `per_instance_stats.json`, a list of statistics of each instance and trial, beside `run_spec.json`."""

import json
import math
import pathlib
import re
from typing import Any

import msgspec
import numpy as np

from lleval_jax.data import files
from lleval_jax.data.answers import Answers, Options, from_task
from lleval_jax.data.formats import one_of
from lleval_jax.data.formats.format import Format
from lleval_jax.data.repeats import reduced
from lleval_jax.errors import require

# What says whether an answer is right. HELM has dozens of other statistics of a request: lengths, costs, logprobs.
PRIORITY = (
    "quasi_exact_match exact_match final_number_exact_match math_equiv_chain_of_thought math_equiv "
    "chain_of_thought_correctness ifeval_strict_accuracy quasi_prefix_exact_match prefix_exact_match f1_score"
).split()
MODEL = re.compile(r"[,:]model=([^,]+)|^model=([^,]+),?")


class _Name(msgspec.Struct):
    name: str
    perturbation: Any = None


class _Stat(msgspec.Struct):
    name: _Name
    count: int = 0
    sum: float = 0.0


class _Instance(msgspec.Struct):
    instance_id: str
    train_trial_index: int
    stats: list[_Stat]
    perturbation: Any = None


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether these are the first bytes of a list of statistics of instances."""
    return head.lstrip()[:1] == b"[" and files.top_keys(head) >= {"instance_id", "train_trial_index"}


def is_companion(path: pathlib.Path) -> bool:
    """Whether this is a file that HELM writes beside the statistics of instances."""
    named = path.name in ("run_spec.json", "scenario.json", "scenario_state.json", "stats.json", "instances.json")
    return named and (path.parent / "per_instance_stats.json").is_file()


def beside(path: pathlib.Path) -> tuple[str, ...]:
    """(task, model), which `run_spec.json` or the name of the run's folder tell."""
    run, model = path.resolve().parent.name, ""
    try:
        spec = json.loads((path.parent / "run_spec.json").read_bytes())
        run, model = str(spec["name"]), str(spec["adapter_spec"]["model"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        found = MODEL.search(run)
        model = next((part for part in found.groups() if part), "") if found else ""
    task = MODEL.sub("", run).strip(",:")
    return task or "task", model or run or "model"


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one run: items are `task/instance_id`, the group is the task; trials are repeats.

    The score is the mean that HELM took of the chosen metric. Perturbed copies of an instance are left out. With
    rows="prompt" a task with its arguments is one prompt.
    """
    task, model = beside(path)
    entries = files.record(path, list[_Instance])
    kept = [entry for entry in entries if entry.perturbation is None]
    metric, note = _metric(path.name, kept, options.metric)
    item, trial, score = [], [], []
    for entry in kept:
        for stat in entry.stats:
            if stat.name.name == metric and stat.name.perturbation is None and stat.count > 0:
                item.append(entry.instance_id)
                trial.append(entry.train_trial_index)
                score.append(stat.sum / stat.count if math.isfinite(stat.sum) else math.nan)
    left = len(entries) - len(kept)
    notes = (*note, *([f"{left} statistics of perturbed instances were left out"] if left else []))
    require(bool(item), f"{path.name} holds no answers with metric {metric!r}")
    answers = from_task(path.name, model, task, options.rows, item=item, score=score, notes=notes)
    return reduced(answers, np.asarray(trial), options.repeats, options.scale)


def _metric(file: str, entries: list[_Instance], asked: str | None) -> tuple[str, tuple[str, ...]]:
    """(metric to read, what to warn of)."""
    have = list(dict.fromkeys(stat.name.name for entry in entries for stat in entry.stats))
    return one_of.best(file, have, [name for name in PRIORITY if name in have], PRIORITY, asked)


FORMAT = Format(
    name="HELM per_instance_stats.json",
    recognises=recognises,
    read=read,
    beside=beside,
    companion=is_companion,
    options=frozenset(("metric", "rows")),
)
