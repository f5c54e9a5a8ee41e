"""Logs of Inspect AI: `.eval` (a zip of zstd members) and `.json`, one sample an epoch of a question."""

import contextlib
import itertools
import json
import math
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from lleval_jax.data import files, sameness
from lleval_jax.data.answers import Answers, Options, from_task
from lleval_jax.data.formats import one_of
from lleval_jax.data.formats.format import Format, never, nothing
from lleval_jax.data.notes import Left, Note
from lleval_jax.data.repeats import reduced
from lleval_jax.data.unscored import INVALID, STOPPED, UNFINISHED, is_unscored
from lleval_jax.errors import BadFile, BadInput, require

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
# What a log is known by whose keys stand in any order: two of these in its "eval", or both of these in its samples.
EVAL, SAMPLE = (
    frozenset(("task", "task_id", "model", "dataset", "created", "eval_id", "run_id")),
    frozenset(("id", "epoch")),
)
LOG = frozenset(
    "version status eval plan results stats error invalidated log_updates config_updates tags metadata samples "
    "reductions location etag".split()
)
INPUT = 4000  # characters of a text that are compared; summaries keep 5,120
# NaN alone on a line of indented JSON, or after a key. No string goes over a line's end, so none is taken apart.
NAN, BEFORE = re.compile(rb"NaN(?=,?[ \t\r]*\n)"), re.compile(rb'[ \t]*(?:"[^"\\]*":[ \t]*)?')
REFUSED = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
BLOCK = 1 << 20  # bytes looked through at a time


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether this is a log of Inspect, as a zip or as JSON."""
    if head.startswith(b"PK"):
        first = head[NAME_AT:].startswith(START.encode())  # as Inspect writes it; the list of a large zip takes a while
        return first or not files.members(path).isdisjoint((HEADER, START))
    keys = files.top_keys(head) if head.lstrip().startswith(b"{") else frozenset()
    if "eval" in keys and len(EVAL & _keys_within(head, "eval")) >= 2:
        return True
    return "samples" in keys and keys <= LOG and SAMPLE <= _keys_within(head, "samples")


def _keys_within(head: bytes, name: str) -> frozenset[str]:
    """The keys of the object, or of the first one in the list, that a key of the outermost object has."""
    places = re.finditer(rb'"%s"\s*:\s*(?=[\[{])' % name.encode(), head)
    found = (files.top_keys(head[place.end() :]) for place in itertools.islice(places, 4))
    return max(found, key=lambda keys: len(keys & (EVAL | SAMPLE)), default=frozenset())


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one log: items are `task/sample id` (Inspect writes no hash), the group is the task.

    Epochs of one sample are repeats. With rows="prompt" a task with its arguments is one prompt: the row is the task,
    the item is the sample id. The summaries of a log are read where it has them; they hold all scores. A sample that
    ended in an error, is not finished, was not scored or was marked invalid afterwards is a missing answer; one that
    was stopped by a limit has the score that Inspect gave and counts.
    """
    with _opened(path) as (header, samples):
        task, prompt, model = _names(path.name, header)
        found = _scored(path.name, samples, options)
    status = header.get("status", "started")
    if not found.item:
        said = "; ".join(f"{each.count} of {each.of} were {each.why}" for each in found.left if each.count)
        raise BadFile(f"{path.name} holds no scored sample (status {status!r}{'; ' if said else ''}{said}).")
    note = Note(f"the log's status is {status!r}: the run did not end well, and only the answers it has were read")
    answers = from_task(
        path.name,
        model,
        task,
        options.rows,
        prompt=prompt,
        item=found.item,
        score=found.score,
        notes=() if status == "success" else (note,),
        left=found.left,
        content=found.content,
    )
    return reduced(answers, np.asarray(found.epoch)[~np.isnan(found.score)], options.repeats, options.scale)


def answer(where: str, scores: dict[str, Any], options: Options) -> float | None:
    """One sample's score in [0, 1] from its scores by scorer, as `read` takes it from a log; None: not scored.

    Raises:
        BadInput: several scorers and none asked for, or a score that is no number or lies outside the scale.
    """
    flat = _Flat("", 1, False, False, sameness.UNKNOWN, _parts(_values(scores)))
    scorer = _scorer(where, [flat], options.metric)
    number = _number(where, scorer, flat.scores[scorer], options) if scorer in flat.scores else math.nan
    low, high = options.scale or (0.0, 1.0)
    return None if math.isnan(number) else (number - low) / (high - low)


def to_number(value: Any, no_answer: str = "zero") -> float | None:
    """A score's value as a number, as Inspect's `value_to_float` does; NaN: not scored; None: no number."""
    if is_unscored(value):  # null is how NaN ends up in JSON; Inspect reads it so too
        return math.nan
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


class _Part(msgspec.Struct):
    """Of a part of a message its text; of an image and so on only what it is."""

    type: str | None = None
    text: str | None = None


class _Message(msgspec.Struct):
    """What is read of a message of a sample's input."""

    content: str | list[_Part] | None = None


class _Sample(msgspec.Struct):
    """What is read of a sample or its summary."""

    id: int | str | None = None
    epoch: int | None = None
    scores: dict[str, _Score] | None = None
    error: Any = None
    invalidation: Any = None
    input: str | list[_Message] | None = None


class _Log(msgspec.Struct):
    """What is read of a log that is one JSON object."""

    eval: Any = None
    status: Any = None
    samples: list[_Sample] | None = None


class _Flat(NamedTuple):
    """A sample of either parser; `scores` by scorer, `scorer/part` where a scorer gives several values."""

    name: str
    epoch: int
    error: bool
    invalid: bool
    content: int
    scores: dict[str, Any]


class _Found(NamedTuple):
    """(answers,) what was read of each, and what was left out; a score is NaN where there was none."""

    item: list[str]
    epoch: list[int]
    score: list[float]
    content: list[int]
    left: tuple[Left, ...]


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
    if header.get("invalidated"):  # only the samples themselves say which
        return header, _samples(archive, [name for name in have if name.startswith("samples/")], _Sample)
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
    if not isinstance(found, dict):
        raise BadFile(f"{path.name} is not a whole Inspect log: its header is not an object")
    return found


def _names(file: str, header: Any) -> tuple[str, str, str]:
    """(task, task with its arguments, model) of a log."""
    about = header.get("eval") if isinstance(header, dict) else None
    about = about if isinstance(about, dict) else {}
    task, model = about.get("task"), about.get("model")
    if not (isinstance(task, str) and task and isinstance(model, str) and model):
        raise BadFile(f"{file} is not a whole Inspect log: it does not name its task and model")
    passed = about.get("task_args_passed") or about.get("task_args") or {}
    arguments = ",".join(f"{key}={value}" for key, value in sorted(passed.items()))
    return task, f"{task}({arguments})" if arguments else task, model


def _scored(file: str, samples: Iterable[Any], options: Options) -> _Found:
    """The samples that can have a score, and those that have none."""
    flat = [each for each in map(_flat, samples) if each is not None]
    scorer = _scorer(file, flat, options.metric)
    counts = dict.fromkeys((INVALID, STOPPED, UNFINISHED), 0)
    found = _Found([], [], [], [], ())
    for sample in flat:
        if sample.invalid:
            counts[INVALID] += 1
        elif scorer not in sample.scores and (sample.error or not sample.scores):
            counts[STOPPED if sample.error else UNFINISHED] += 1
        else:
            value = sample.scores.get(scorer)
            found.item.append(sample.name)
            found.epoch.append(sample.epoch)
            found.score.append(_number(f"{file}: sample {sample.name!r}", scorer, value, options))
            found.content.append(sample.content)
    return found._replace(left=tuple(Left(why, count, len(flat)) for why, count in counts.items() if count))


def _number(where: str, scorer: str, value: Any, options: Options) -> float:
    """The score as written; NaN: not scored. Checked here, before epochs are averaged: a mean can hide one outside."""
    number = to_number(value, options.no_answer)
    if number is None:
        raise BadInput(f"{where}: {scorer} is {str(value)[:60]!r}; it must be a number or C, I, P, N")
    low, high = options.scale or (0.0, 1.0)
    require(
        math.isnan(number) or low <= number <= high,
        f"{where}: score {number:g} lies outside [{low:g}, {high:g}].",
        python="Pass scale=(lowest, highest) to rescale.",
        shell="Pass --scale LOWEST HIGHEST to rescale.",
    )
    return number


def _flat(sample: Any) -> _Flat | None:
    """What is read of a sample; None where it has no id."""
    if isinstance(sample, _Sample):
        name, epoch, error, invalid = sample.id, sample.epoch, sample.error, sample.invalidation
        values = {scorer: score.value for scorer, score in (sample.scores or {}).items()}
        text = _asked(sample.input)
    elif isinstance(sample, dict):
        name, epoch, scores, error, invalid, asked = (sample.get(key) for key in _Sample.__struct_fields__)
        values, text = _values(scores if isinstance(scores, dict) else {}), _asked(asked)
    else:
        return None
    if name is None or name == "":
        return None
    content = sameness.digest(text) if text else sameness.UNKNOWN
    return _Flat(str(name), epoch if isinstance(epoch, int) else 1, bool(error), bool(invalid), content, _parts(values))


def _values(scores: dict[str, Any]) -> dict[str, Any]:
    """The value of each scorer, of scores as Python's own parser gives them."""
    return {scorer: each.get("value") if isinstance(each, dict) else each for scorer, each in scores.items()}


def _parts(values: dict[str, Any]) -> dict[str, Any]:
    """Values by scorer, a value that is a dict part by part."""
    flat: dict[str, Any] = {}
    for scorer, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{scorer}/{part}": each for part, each in value.items()}
        else:
            flat[scorer] = value
    return flat


def _asked(asked: Any) -> str:
    """What a sample asks, as far as both a sample and its summary have it: texts to some length, of images the word."""
    if isinstance(asked, str):
        return asked[:INPUT]
    said = []
    for message in asked if isinstance(asked, list) else ():
        content = _get(message, "content")
        parts = content if isinstance(content, list) else [content]
        said += [part[:INPUT] if isinstance(part, str) else _text(part) for part in parts]
    return "\n".join(said)


def _text(part: Any) -> str:
    kind, text = _get(part, "type"), _get(part, "text")
    return text[:INPUT] if kind == "text" and isinstance(text, str) else f"({str(kind).capitalize()})"


def _get(each: Any, name: str) -> Any:
    return each.get(name) if isinstance(each, dict) else getattr(each, name, None)


def _scorer(file: str, samples: Sequence[_Flat], asked: str | None) -> str:
    """The scorer to read; "" where nothing was scored.

    A scorer that gives several values is not one with a value of its own where it could not score a sample.
    """
    found: dict[str, bool] = {}
    for sample in samples:
        for name, value in sample.scores.items():
            found[name] = found.get(name, False) or not is_unscored(value)
    several = {name for name in found if any(other.startswith(f"{name}/") for other in found)}
    names = [name for name, scored in found.items() if scored or name not in several]
    return one_of.only(file, "scorer", names, asked, "metric") if names else ""


FORMAT = Format(
    name="Inspect log (.eval, .json)",
    recognises=recognises,
    read=read,
    beside=nothing,
    companion=never,
    options=frozenset(("metric", "rows", "no_answer")),
)
