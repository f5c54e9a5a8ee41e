"""Logs of Inspect AI: `.eval` (a zip of zstd members) and `.json`, one sample an epoch of a question."""

import json
import math
import pathlib
import re
import zipfile
from collections.abc import Iterable
from typing import Any

import pandas as pd

from lleval_jax.data import files
from lleval_jax.data.answers import Answers, Options, from_columns, row_name
from lleval_jax.errors import BadInput, require

MEMBERS = frozenset(("header.json", "_journal/start.json"))
LETTERS = {
    "c": 1.0,
    "i": 0.0,
    "p": 0.5,
    "yes": 1.0,
    "no": 0.0,
    "true": 1.0,
    "false": 0.0,
}  # inspect's value_to_float
NO_ANSWER = "n"
JSON_LOG = re.compile(rb'\s*\{\s*"version"\s*:\s*\d+\s*,\s*"status"\s*:')


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether this is a log of Inspect, as a zip or as JSON."""
    if head.startswith(b"PK"):
        return bool(MEMBERS & files.members(path))
    return JSON_LOG.match(head) is not None and b'"eval"' in head


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one log: items are `task/sample id` (Inspect writes no hash), the group is the task.

    Epochs of one sample are one answer with their mean as score and their number as weight. With
    rows="prompt" a task with its arguments is one prompt: the row is the task, the item is the sample id.
    """
    header, samples = _read_zip(path) if files.head(path).startswith(b"PK") else _read_json(path)
    task, prompt, model = _names(path.name, header)
    scored, notes = _scored(path.name, samples, options)
    status = header.get("status", "started")
    if status != "success":
        notes.append(f"the log's status is {status!r}: the run did not end well; {len(scored)} answers were read")
    require(bool(scored), f"{path.name} holds no scored sample (status {status!r})")
    frame = pd.DataFrame(scored, columns=["item", "epoch", "score"])
    frame = frame.drop_duplicates()
    twice = frame[frame.duplicated(["item", "epoch"])]
    for item, epoch in zip(twice["item"][:1], twice["epoch"][:1], strict=True):
        raise BadInput(f"{path.name}: sample {item!r}, epoch {epoch}, has two different scores")
    mean = frame.groupby("item", sort=False)["score"].agg(["mean", "size"])
    by_model = options.rows == "model"
    return from_columns(
        path.name,
        row=[row_name(model, prompt, options.rows)] * len(mean),
        item=[item_name(task, item) if by_model else item for item in mean.index],
        score=mean["mean"].to_numpy(float),
        group=[task if by_model else ""] * len(mean),
        weight=mean["size"].to_numpy(float),
        notes=tuple(notes),
    )


def item_name(task: str, sample: str | int) -> str:
    """What a sample is called across logs."""
    return f"{task}/{sample}"


def answer(where: str, scores: dict[str, Any], options: Options) -> float | None:
    """One sample's score in [0, 1] from its scores by scorer, as `read` takes it from a log; None: not scored.

    Raises:
        BadInput: several scorers and none asked for, or a score that is no number or lies outside the scale.
    """
    flat = _flat({"scores": scores})
    scorer = _scorer(where, list(flat), options.metric)
    number = _number(where, scorer, flat[scorer], options) if scorer in flat else math.nan
    low, high = options.scale or (0.0, 1.0)
    return None if math.isnan(number) else (number - low) / (high - low)


def to_number(value: Any, no_answer: str = "zero") -> float | None:
    """A score's value as a number, as Inspect's `value_to_float` does; NaN: not scored; None: no number."""
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        return None
    word = value.strip().lower()
    if word == NO_ANSWER:
        return 0.0 if no_answer == "zero" else math.nan
    if word in LETTERS:
        return LETTERS[word]
    try:
        return float(word)
    except ValueError:
        return None


def _read_zip(path: pathlib.Path) -> tuple[dict[str, Any], list[Any]]:
    """(header, samples) of an `.eval`: the summaries where there are any, else the samples themselves."""
    with zipfile.ZipFile(path) as archive:
        have = archive.namelist()

        def content(name: str) -> Any:
            return json.loads(files.member_bytes(archive, name))

        header = content("header.json" if "header.json" in have else "_journal/start.json")
        if "summaries.json" in have:
            return header, content("summaries.json")
        parts = sorted(name for name in have if name.startswith("_journal/summaries/"))
        if parts:
            return header, [sample for name in parts for sample in content(name)]
        return header, [content(name) for name in have if name.startswith("samples/")]


def _read_json(path: pathlib.Path) -> tuple[dict[str, Any], list[Any]]:
    """(header, samples) of a `.json` log."""
    with files.open_plain(path) as stream:
        log = json.loads(stream.read(files.LARGEST_MEMBER))
    return log, log.get("samples") or []


def _names(file: str, header: Any) -> tuple[str, str, str]:
    """(task, task with its arguments, model) of a log."""
    about = header.get("eval") if isinstance(header, dict) else None
    about = about if isinstance(about, dict) else {}
    task, model = about.get("task"), about.get("model")
    if not (isinstance(task, str) and task and isinstance(model, str) and model):
        raise BadInput(f"{file} is not a whole Inspect log: it does not name its task and model")
    passed = about.get("task_args_passed") or about.get("task_args") or {}
    arguments = ",".join(f"{key}={value}" for key, value in sorted(passed.items()))
    return task, f"{task}({arguments})" if arguments else task, model


def _scored(file: str, samples: Iterable[Any], options: Options) -> tuple[list[tuple[str, int, float]], list[str]]:
    """(item, epoch, score) of each scored sample, and what was set aside."""
    kept = [sample for sample in samples if isinstance(sample, dict) and "id" in sample]
    flat = [_flat(sample) for sample in kept]
    scorer = _scorer(file, list(dict.fromkeys(name for scores in flat for name in scores)), options.metric)
    found, failed, unfinished, unscored = [], 0, 0, 0
    for sample, scores in zip(kept, flat, strict=True):
        if scorer not in scores:
            failed += bool(sample.get("error"))
            unfinished += not sample.get("error")
            continue
        name = str(sample["id"])
        number = _number(f"{file}: sample {name!r}", scorer, scores[scorer], options)
        if math.isnan(number):
            unscored += 1
            continue
        found.append((name, int(sample.get("epoch") or 1), number))
    counted = ((failed, "ended in an error"), (unfinished, "are not finished"), (unscored, "were not scored"))
    return found, [f"{n} samples {what}; they were left out as missing answers" for n, what in counted if n]


def _number(where: str, scorer: str, value: Any, options: Options) -> float:
    """The score as written; NaN: not scored. Checked here, before epochs are averaged: a mean can hide one outside."""
    number = to_number(value, options.no_answer)
    if number is None:
        raise BadInput(f"{where}: {scorer} is {str(value)[:60]!r}; it must be a number or C, I, P, N")
    low, high = options.scale or (0.0, 1.0)
    require(
        math.isnan(number) or low <= number <= high,
        f"{where}: score {number:g} lies outside [{low:g}, {high:g}]. Pass scale=(lowest, highest) to rescale.",
    )
    return number


def _flat(sample: dict[str, Any]) -> dict[str, Any]:
    """Scores by scorer; `scorer/part` where a scorer gives several values."""
    scores = sample.get("scores")
    flat: dict[str, Any] = {}
    for name, score in scores.items() if isinstance(scores, dict) else ():
        value = score.get("value") if isinstance(score, dict) else score
        if isinstance(value, dict):
            flat |= {f"{name}/{part}": each for part, each in value.items()}
        else:
            flat[name] = value
    return flat


def _scorer(file: str, found: list[str], asked: str | None) -> str:
    """The scorer to read."""
    if asked is not None and found:
        require(
            asked in found,
            f"{file} has no scorer {asked!r}; it has {found}. Pass metric=... with one of these.",
        )
        return asked
    require(
        len(found) <= 1,
        f"{file} holds {len(found)} scorers, {found}; they must not be mixed. Pass metric={(found or [''])[0]!r}.",
    )
    return found[0] if found else ""
