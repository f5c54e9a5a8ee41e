"""Every Eval Ever, instance level: `.jsonl`, one line a sample and metric of one model (schema 0.2 and later)."""

import json
import math
import pathlib
from typing import Any

import msgspec
import numpy as np

from lleval_jax.data import files, sameness
from lleval_jax.data.answers import Answers, Options, from_columns, numbered, row_name
from lleval_jax.data.formats import lm_eval, one_of
from lleval_jax.data.formats.format import Format, nothing
from lleval_jax.data.notes import Left, Note
from lleval_jax.data.repeats import reduced
from lleval_jax.data.unscored import STOPPED, does_not_apply
from lleval_jax.errors import BadFile, require

KEYS = frozenset(("schema_version", "sample_id", "evaluation_name"))


class _Evaluation(msgspec.Struct):
    score: float | bool | None = None


class _Input(msgspec.Struct):
    raw: Any = None


class _Instance(msgspec.Struct):
    model_id: str
    evaluation_name: str
    sample_id: str | int
    evaluation: _Evaluation
    evaluation_result_id: str | None = None
    sample_hash: str | None = None
    input: _Input | None = None
    error: Any = None
    metadata: dict[str, Any] | None = None


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether these are the first bytes of an instance-level file."""
    return head.lstrip()[:1] == b"{" and files.top_keys(head) >= KEYS


def is_companion(path: pathlib.Path) -> bool:
    """Whether this is the file of totals that lies next to an instance-level file."""
    return path.suffix == ".json" and path.with_name(f"{path.stem}_samples.jsonl").is_file()


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one file: items are `evaluation/sample_hash` (`sample_id` where there is none).

    The group is the evaluation. `metadata.epoch` numbers repeats, `metadata.weight` is the weight (as lleval writes
    it). Where a line names its lm-eval filter, one filter is read; with several metrics (`evaluation_result_id`), one.
    A sample with an error is a missing answer: the converter gives it a zero where Inspect gives it no score.
    With rows="prompt" an evaluation is one prompt; with join="number" the `sample_id` names the item.
    """
    found = [(number, entry, *_named(entry)) for number, entry in files.records(path, _Instance)]
    if not found:
        raise BadFile(f"{path.name} holds no answers")
    chosen = lm_eval.filter_of(path.name, list(dict.fromkeys(name for *_, name in found)), options.filter)
    found = [each for each in found if each[-1] == chosen]
    found, notes = _one_metric(path.name, found, options.metric)
    entries = [entry for _, entry, *_ in found]
    if options.join == "number":
        entries = [msgspec.structs.replace(entry, sample_hash=None, input=None) for entry in entries]
    task = [name for _, _, name, _ in found]
    item = _items(entries, task)
    if options.rows == "prompt":
        item = [name.removeprefix(f"{each}/") for each, name in zip(task, item, strict=True)]
    kept = [at for at, entry in enumerate(entries) if not entry.error]
    stopped = Left(STOPPED, len(entries) - len(kept), len(entries))
    entries = [entries[at] for at in kept]
    task, item = [task[at] for at in kept], [item[at] for at in kept]
    line = [found[at][0] for at in kept]
    by_model = options.rows == "model"
    answers = from_columns(
        path.name,
        row=[row_name(entry.model_id, name, options.rows) for name, entry in zip(task, entries, strict=True)],
        item=item,
        score=[_score(entry) for entry in entries],
        group=task if by_model else [""] * len(task),
        weight=[_weight(f"{path.name}:{number}", entry) for number, entry in zip(line, entries, strict=True)],
        line=line,
        notes=tuple(notes),
        left=(stopped,) if stopped.count else (),
        content=[_content(entry) for entry in entries],
        number=[sameness.number(entry.sample_id) if entry.sample_hash else sameness.UNKNOWN for entry in entries],
    )
    epoch = np.array([str((entry.metadata or {}).get("epoch", "")) for entry in entries])
    return reduced(answers, epoch, options.repeats, options.scale)


def _score(entry: _Instance) -> float:
    """The score; NaN where it was not scored, also by the convention of the program that it was converted from."""
    score = entry.evaluation.score
    return math.nan if score is None or does_not_apply(entry.evaluation_result_id or "", score) else float(score)


def _items(entries: list[_Instance], task: list[str]) -> list[str]:
    """The name of each item: the whole one that `write` keeps, else `evaluation/sample_hash`."""
    names = [f"{name}/{entry.sample_hash or entry.sample_id}" for name, entry in zip(task, entries, strict=True)]
    who = [f"{entry.model_id}\n{entry.sample_id}" if entry.sample_hash else "" for entry in entries]
    ours = [(entry.metadata or {}).get("item") for entry in entries]
    found = _copies(names, who, entries)
    return [own if isinstance(own, str) and own else name for own, name in zip(ours, found, strict=True)]


def _content(entry: _Instance) -> int:
    """The digest of what a sample asks, where no hash of it is its name."""
    asked = None if entry.sample_hash or entry.input is None else entry.input.raw
    return sameness.UNKNOWN if asked is None else sameness.digest(json.dumps(asked, sort_keys=True))


def _copies(names: list[str], who: list[str], entries: list[_Instance]) -> list[str]:
    """Names of the items: one hash under two sample ids of one model is two items."""
    found = list(names)
    models: dict[str, list[int]] = {}
    for at, entry in enumerate(entries):
        models.setdefault(entry.model_id, []).append(at)
    for mine in models.values():
        for at, name in zip(mine, numbered([names[i] for i in mine], [who[i] for i in mine]), strict=True):
            found[at] = name
    return found


def _named(entry: _Instance) -> tuple[str, str]:
    """(evaluation, lm-eval filter): the converter of lm-eval writes the filter into the evaluation's name."""
    known = (entry.metadata or {}).get("filter")
    if isinstance(known, str) and entry.evaluation_name.endswith(f"/{known}"):
        return entry.evaluation_name.removesuffix(f"/{known}"), known
    return entry.evaluation_name, lm_eval.UNFILTERED


def _one_metric(file: str, found: list[Any], asked: str | None) -> tuple[list[Any], list[Note]]:
    """(the lines of one metric of each evaluation, what to warn of): the one asked for, where there are several."""
    metrics: dict[str, dict[str, None]] = {}
    for _, entry, name, _ in found:
        metrics.setdefault(name, {})[entry.evaluation_result_id or ""] = None
    chosen, notes = {}, []
    for name, have in metrics.items():
        usual = asked is None and any(metric in lm_eval.PRIORITY for metric in have)
        if len(have) == 1:
            chosen[name] = next(iter(have))
        elif usual:
            chosen[name], note = one_of.best(file, list(have), list(have), lm_eval.PRIORITY, None)
            notes += note
        else:
            chosen[name] = one_of.only(file, "metric", list(have), asked, "metric")
    kept = [each for each in found if (each[1].evaluation_result_id or "") == chosen[each[2]]]
    return kept, list(dict.fromkeys(notes))


def _weight(where: str, entry: _Instance) -> float:
    """The answers behind a score, as `write` keeps them."""
    text = (entry.metadata or {}).get("weight", "1")
    try:
        weight = float(text)
    except (TypeError, ValueError, OverflowError):
        weight = np.nan
    require(0 < weight < 1e9, f"{where}: metadata.weight is {str(text)[:40]!r}; it must be a positive number")
    return weight


FORMAT = Format(
    name="Every Eval Ever instances (.jsonl)",
    recognises=recognises,
    read=read,
    beside=nothing,
    companion=is_companion,
    options=frozenset(("metric", "filter", "rows", "join")),
)
