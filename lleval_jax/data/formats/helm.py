"""HELM runs: `per_instance_stats.json`, a list of statistics of each instance and trial, next to `run_spec.json`."""

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
from lleval_jax.data.notes import Left, Note
from lleval_jax.data.repeats import reduced

# What says whether an answer is right. HELM has dozens of other statistics of a request: lengths, costs, logprobs.
PRIORITY = (
    "quasi_exact_match exact_match final_number_exact_match math_equiv_chain_of_thought math_equiv "
    "chain_of_thought_correctness ifeval_strict_accuracy quasi_prefix_exact_match prefix_exact_match f1_score"
).split()
HEADLINE = "test"  # the split that HELM's tables show
MODEL = re.compile(r"[,:]model=([^,]+)|^model=([^,]+),?")


class _Name(msgspec.Struct):
    name: str
    split: str | None = None
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
    """Whether this is a file that HELM writes next to the statistics of instances."""
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

    The score is the mean that HELM took of the chosen metric. Of several splits `test` is read, as in HELM's tables; a
    run of one split is read whole. Perturbed copies of an instance are left out. With rows="prompt" a task with its
    arguments is one prompt.
    """
    task, model = beside(path)
    entries = files.record(path, list[_Instance])
    plain = [entry for entry in entries if entry.perturbation is None]
    kept, note = _of_split(path.name, plain)
    metric, notes = _metric(path.name, kept, options.metric)
    score = [_score(entry, metric) for entry in kept]
    aside = (
        Left("given to perturbed instances", len(entries) - len(plain), len(entries)),
        Left(f"of another split than {HEADLINE!r}", len(plain) - len(kept), len(entries)),
    )
    answers = from_task(
        path.name,
        model,
        task,
        options.rows,
        item=[entry.instance_id for entry in kept],
        score=score,
        notes=(*notes, *note),
        left=tuple(each for each in aside if each.count),
    )
    trial = np.array([entry.train_trial_index for entry in kept])[~np.isnan(score)]
    return reduced(answers, trial, options.repeats, options.scale)


def _of_split(file: str, entries: list[_Instance]) -> tuple[list[_Instance], tuple[Note, ...]]:
    """(the instances of the split `test` where there is one, else all; what to warn of where all are of several)."""
    splits = [next((stat.name.split for stat in entry.stats if stat.name.split), "") for entry in entries]
    counts = {split: splits.count(split) for split in dict.fromkeys(splits)}
    if HEADLINE in counts:
        return [entry for entry, split in zip(entries, splits, strict=True) if split == HEADLINE], ()
    if len(counts) < 2:
        return entries, ()
    said = ", ".join(f"{count} of split {split!r}" for split, count in counts.items())
    return entries, (Note(f"the instances are of several splits, {said}; they were read together"),)


def _score(entry: _Instance, metric: str) -> float:
    """The mean of a statistic of an instance; NaN where it was not scored: there is none, or one over no answers."""
    here = (stat for stat in entry.stats if stat.name.name == metric and stat.name.perturbation is None)
    found = next((stat for stat in here if stat.count > 0), None)
    return math.nan if found is None or not math.isfinite(found.sum) else found.sum / found.count


def _metric(file: str, entries: list[_Instance], asked: str | None) -> tuple[str, tuple[Note, ...]]:
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
