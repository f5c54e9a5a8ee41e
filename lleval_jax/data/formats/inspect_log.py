"""Logs of Inspect AI: `.eval` (a zip of zstd members) and `.json`, one sample an epoch of a question."""

import contextlib
import json
import math
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np

from lleval_jax.data import files
from lleval_jax.data.answers import Answers, Options, from_task
from lleval_jax.data.formats import one_of
from lleval_jax.data.formats.format import Format, never, nothing
from lleval_jax.data.repeats import reduced
from lleval_jax.errors import BadInput, require

HEADER, START = "header.json", "_journal/start.json"
NAME_AT = 30  # where a zip has the name of its first member
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
# NaN alone on a line of indented JSON, or after a key. No string goes over a line's end, so none is taken apart.
NAN, BEFORE = re.compile(rb"NaN(?=,?[ \t\r]*\n)"), re.compile(rb'[ \t]*(?:"[^"\\]*":[ \t]*)?')
REFUSED = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
BLOCK = 1 << 20  # bytes looked through at a time


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether this is a log of Inspect, as a zip or as JSON."""
    if head.startswith(b"PK"):
        first = head[NAME_AT:].startswith(START.encode())  # as Inspect writes it; the list of a large zip takes a while
        return first or not files.members(path).isdisjoint((HEADER, START))
    return JSON_LOG.match(head) is not None and "eval" in files.top_keys(head)


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one log: items are `task/sample id` (Inspect writes no hash), the group is the task.

    Epochs of one sample are repeats. With rows="prompt" a task with its arguments is one prompt: the row is the task,
    the item is the sample id. The summaries of a log are read where it has them; they hold all scores.
    """
    with _opened(path) as (header, samples):
        task, prompt, model = _names(path.name, header)
        item, epoch, score, notes = _scored(path.name, samples, options)
    status = header.get("status", "started")
    if status != "success":
        notes.append(f"the log's status is {status!r}: the run did not end well; {len(item)} answers were read")
    require(bool(item), f"{path.name} holds no scored sample (status {status!r})")
    found = from_task(path.name, model, task, options.rows, prompt=prompt, item=item, score=score, notes=tuple(notes))
    return reduced(found, np.asarray(epoch), options.repeats, options.scale)


def answer(where: str, scores: dict[str, Any], options: Options) -> float | None:
    """One sample's score in [0, 1] from its scores by scorer, as `read` takes it from a log; None: not scored.

    Raises:
        BadInput: several scorers and none asked for, or a score that is no number or lies outside the scale.
    """
    *_, flat = _flat({"scores": scores})
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


class _Score(msgspec.Struct):
    """Of a score only its value; the answer and its explanation are not needed."""

    value: Any = None


class _Sample(msgspec.Struct):
    """What is read of a sample or its summary."""

    id: int | str | None = None
    epoch: int | None = None
    scores: dict[str, _Score] | None = None
    error: Any = None


class _Log(msgspec.Struct):
    """What is read of a log that is one JSON object."""

    eval: Any = None
    status: Any = None
    samples: list[_Sample] | None = None


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[tuple[dict[str, Any], Iterable[Any]]]:
    """(header, samples) of a log; a zip stays open until the end of the block."""
    if not files.head(path).startswith(b"PK"):
        yield _read_json(path)
        return
    with files.Zip(path) as archive:
        yield _read_zip(archive)


def _read_zip(archive: files.Zip) -> tuple[dict[str, Any], Iterable[Any]]:
    """(header, samples) of an `.eval`: the summaries where there are any, else the samples, one after another."""
    have = archive.namelist()
    header = _header(archive.path, json.loads(archive.content(HEADER if HEADER in have else START)))
    if "summaries.json" in have:
        return header, _samples(archive, ["summaries.json"], list[_Sample])
    parts = sorted((name for name in have if name.startswith("_journal/summaries/")), key=_natural)
    if parts:
        return header, _samples(archive, parts, list[_Sample])
    return header, _samples(archive, [name for name in have if name.startswith("samples/")], _Sample)


def _samples(archive: files.Zip, names: list[str], kind: Any) -> Iterator[Any]:
    """The samples in these members of a zip, one member at a time."""
    decoder = msgspec.json.Decoder(kind)
    for name in names:
        found = _decoded(decoder, archive.content(name))
        yield from found if isinstance(found, list) else [found]


def _decoded(decoder: msgspec.json.Decoder, content: bytes | bytearray) -> Any:
    """What the quick parser finds; where it refuses (NaN is not JSON, a score is not an object), what Python's does."""
    try:
        return decoder.decode(content)
    except REFUSED:
        return json.loads(content)


def _natural(name: str) -> tuple[int, str]:
    """Journal parts by their number: 2.json before 10.json."""
    number = pathlib.PurePosixPath(name).stem
    return (int(number) if number.isdecimal() and len(number) < 19 else 0), name


def _read_json(path: pathlib.Path) -> tuple[dict[str, Any], Iterable[Any]]:
    """(header, samples) of a `.json` log. One with NaN in it is read once more, with NaN in quotes."""
    decoder = msgspec.json.Decoder(_Log)
    try:
        log = decoder.decode(files.whole(path))  # not kept: the second reading then needs no second room
    except REFUSED:
        log = _decoded(decoder, _quoted(path))
    if isinstance(log, _Log):
        return {"eval": log.eval, "status": log.status}, log.samples or []
    log = _header(path, log)
    return log, log.get("samples") or []


def _quoted(path: pathlib.Path) -> bytearray:
    """A log as Inspect writes it, indented, with NaN, which is not JSON, as the string "nan"."""
    content = bytearray()
    with files.open_plain(path) as stream:
        while block := stream.read(BLOCK) + stream.readline():
            content += NAN.sub(_quoted_if_bare, block)
    return content


def _quoted_if_bare(found: re.Match[bytes]) -> bytes:
    line = found.string.rfind(b"\n", 0, found.start()) + 1
    return b'"nan"' if BEFORE.fullmatch(found.string, line, found.start()) else found[0]


def _header(path: pathlib.Path, found: Any) -> dict[str, Any]:
    require(isinstance(found, dict), f"{path.name} is not a whole Inspect log: its header is not an object")
    return found


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


def _scored(file: str, samples: Iterable[Any], options: Options) -> tuple[list[str], list[int], list[float], list[str]]:
    """(item, epoch, score) of each scored sample, and what was set aside."""
    kept = [(str(name), epoch, bool(error), scores) for name, epoch, error, scores in map(_flat, samples) if name != ""]
    scorer = _scorer(file, list(dict.fromkeys(name for *_, scores in kept for name in scores)), options.metric)
    items, epochs, found = [], [], []
    failed, unfinished, unscored = 0, 0, 0
    for name, epoch, error, scores in kept:
        if scorer not in scores:
            failed += error
            unfinished += not error
            continue
        number = _number(f"{file}: sample {name!r}", scorer, scores[scorer], options)
        if math.isnan(number):
            unscored += 1
            continue
        items.append(name)
        epochs.append(epoch)
        found.append(number)
    counted = ((failed, "ended in an error"), (unfinished, "are not finished"), (unscored, "were not scored"))
    said = [f"{n} samples {what}; they were left out as missing answers" for n, what in counted if n]
    return items, epochs, found, said


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


def _flat(sample: Any) -> tuple[Any, int, Any, dict[str, Any]]:
    """(id, epoch, error, scores by scorer) of a sample; `scorer/part` where a scorer gives several values."""
    if isinstance(sample, _Sample):
        name, epoch, error, scores = sample.id, sample.epoch, sample.error, sample.scores or {}
        values = {scorer: score.value for scorer, score in scores.items()}
    elif isinstance(sample, dict):
        name, epoch, error, scores = (sample.get(key) for key in ("id", "epoch", "error", "scores"))
        scores = scores if isinstance(scores, dict) else {}
        values = {scorer: each.get("value") if isinstance(each, dict) else each for scorer, each in scores.items()}
    else:
        return "", 0, None, {}
    flat: dict[str, Any] = {}
    for scorer, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{scorer}/{part}": each for part, each in value.items()}
        else:
            flat[scorer] = value
    return "" if name is None else name, epoch if isinstance(epoch, int) else 1, error, flat


def _scorer(file: str, found: list[str], asked: str | None) -> str:
    """The scorer to read; "" where nothing was scored."""
    return one_of.only(file, "scorer", found, asked, "metric") if found else ""


FORMAT = Format(
    name="Inspect log (.eval, .json)",
    recognises=recognises,
    read=read,
    beside=nothing,
    companion=never,
    options=frozenset(("metric", "rows", "no_answer")),
)
