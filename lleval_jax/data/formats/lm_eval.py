"""Sample logs of lm-evaluation-harness: `samples_<task>_<date>.jsonl`, one line a question and filter."""

import array
import json
import math
import pathlib
import re
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from lleval_jax.data import files, sameness
from lleval_jax.data.answers import CHOICE_PROBABILITY, Answers, Options, from_task, item_name, numbered
from lleval_jax.data.formats import choices, one_of
from lleval_jax.data.formats.format import Format
from lleval_jax.data.notes import Note
from lleval_jax.data.unscored import DOES_NOT_APPLY, does_not_apply, is_unscored
from lleval_jax.errors import BadFile, BadInput, require

PRIORITY = ("acc_norm", "acc", "exact_match", "em", "f1", "mc2", "mc1", "pass@1", "contains")
NOT_METRICS = frozenset(
    "doc_id doc target arguments resps filtered_resps filter metrics doc_hash prompt_hash target_hash".split()
)
UNFILTERED = "none"  # how lm-eval names the one filter of a task without filters
DATE = re.compile(r"_\d{4}-\d{2}-\d{2}T[\d.:-]+$")


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether these are the first bytes of a sample log: an object, or a list of them (before 0.4.3)."""
    return files.top_keys(head) >= {"doc_id", "doc"}


def is_companion(path: pathlib.Path) -> bool:
    """Whether this is the file of totals that lies next to sample logs."""
    return path.name.startswith("results") and path.suffix == ".json"


def beside(path: pathlib.Path) -> tuple[str, ...]:
    """What is read of a log that does not stand in it: (task, model)."""
    return task_name(path), model_name(path)


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one log: items are `task/doc_hash`, the group is the task; `task/doc_id` with join="number".

    With rows="prompt" a task is one prompt (as in PromptEval's tasks): the row is the task, the item is
    `doc_hash`. With metric="choice_probability" the score is the probability of the right choice among all.
    """
    task, model = beside(path)
    lines = _Lines(path, options)
    columns: dict[str, list[str]] = {"filter": [], "hash": [], "doc": []}
    scores, at, numbers, contents = array.array("d"), array.array("q"), array.array("q"), array.array("q")
    for number, entry in lines:
        scores.append(lines.score(number, entry))
        at.append(number)
        numbers.append(sameness.number(entry.doc_id))
        columns["filter"].append(sys.intern(str(entry.filter)))
        columns["hash"].append(entry.doc_hash if isinstance(entry.doc_hash, str) else "")
        columns["doc"].append(str(number if entry.doc_id is None else entry.doc_id))
        contents.append(sameness.UNKNOWN if columns["hash"][-1] else _content(entry))
    if not at:
        raise BadFile(f"{path.name} holds no answers")
    require(
        lines.metric != CHOICE_PROBABILITY or not np.isnan(np.frombuffer(scores)).all(),
        f"{path.name}:{at[0]} has no log-probabilities of choices with the right one as its target; only multiple "
        "choice has.",
        python=f"Leave out metric={CHOICE_PROBABILITY!r}.",
        shell=f"Leave out --metric {CHOICE_PROBABILITY}.",
    )
    chosen = filter_of(path.name, list(dict.fromkeys(columns["filter"])), options.filter)
    kept = np.fromiter((name == chosen for name in columns["filter"]), bool, len(at))
    names, docs = (_where(columns[name], kept) for name in ("hash", "doc"))
    by_number = options.join == "number"
    item, note = (docs, ()) if by_number else _items(names, docs)
    return from_task(
        path.name,
        model,
        task,
        options.rows,
        item=item,
        score=np.frombuffer(scores)[kept],
        line=np.frombuffer(at, np.int64)[kept],
        notes=(*lines.notes, *note),
        number=np.frombuffer(numbers, np.int64)[kept] if all(names) and not by_number else None,
        content=None if all(names) else np.frombuffer(contents, np.int64)[kept],
    )


def _content(entry: Any) -> int:
    """The digest of a document without a hash of its own (before 0.4.2)."""
    doc = getattr(entry, "doc", None)
    return sameness.UNKNOWN if doc is None else sameness.digest(json.dumps(doc, sort_keys=True))


def documents(path: pathlib.Path) -> dict[int, str]:
    """{doc_id: item} of one log. Copies of a question have one name here.

    Raises:
        BadInput: an entry without a whole number as `doc_id`, or without a `doc_hash`.
    """
    task, found = task_name(path), {}
    for number, entry in _Lines(path, Options()):
        place, name = entry.doc_id, entry.doc_hash
        good = isinstance(place, int) and isinstance(name, str) and name != ""
        require(good, f"{path.name}:{number} does not say which question it is: it needs doc_id and doc_hash")
        found[place] = item_name(task, str(name))
    return found


def task_name(path: pathlib.Path) -> str:
    """The task in `samples_<task>_<date>.jsonl`."""
    stem = files.plain_name(path).removesuffix(".jsonl").removesuffix(".json")
    return DATE.sub("", stem).removeprefix("samples_") or stem


def model_name(path: pathlib.Path) -> str:
    """The model, which the log does not name: from the totals next to it, else the folder's name."""
    beside = sorted(other for other in path.parent.glob("results*.json") if other.is_file())
    date = DATE.search(files.plain_name(path).removesuffix(".jsonl").removesuffix(".json"))
    same_run = [other for other in beside if date and date.group() in other.name]
    for results in (same_run or beside)[::-1]:
        try:
            totals = json.loads(results.read_bytes())
        except (ValueError, OSError, RecursionError):
            continue
        if isinstance(totals, dict) and (name := name_in(totals)):
            return name
    return path.resolve().parent.name or "model"


def name_in(totals: dict[str, Any]) -> str:
    """`model_name`, else the weights named in `model_args`, else the kind of model."""
    config = totals.get("config")
    config = config if isinstance(config, dict) else {}
    arguments = config.get("model_args")
    if isinstance(arguments, str):
        found = re.search(r"(?:^|,)(?:pretrained|model|engine)=([^,]+)", arguments)
        arguments = {"model": found.group(1) if found else arguments}
    arguments = arguments if isinstance(arguments, dict) else {}
    places = [totals.get("model_name"), *(arguments.get(key) for key in ("pretrained", "model", "engine"))]
    return next((name for name in (*places, config.get("model")) if isinstance(name, str) and name), "")


class _Lines:
    """The lines of a log, of each only what is asked for: (line, fields). The lines that have metrics decide which.

    A parser that skips what is not asked for reads nearly all lines; Python's own reads those it refuses, such as
    lines with NaN, which is not JSON, and says what is wrong with them.
    """

    def __init__(self, path: pathlib.Path, options: Options) -> None:
        self.path, self.options = path, options
        self.metric, self.notes = "", ()
        self.old: list[tuple[int, dict[str, Any]]] | None = None

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        self.metric, self.notes = self._metric()
        fields = _fields(self.metric, "doc_hash" in next(self._entries(), {}))
        decode = msgspec.json.Decoder(fields).decode
        for number, line in self._whole():
            try:
                found = decode(line) if isinstance(line, bytes) else None
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                found = None
            if found is None:
                entry = files.parsed(self.path.name, number, line) if isinstance(line, bytes) else line
                found = _picked(fields, entry, self.metric)
            yield number, found

    def _metric(self) -> tuple[str, tuple[Note, ...]]:
        """(metric to read, what to warn of)."""
        asked = self.options.metric
        if asked == CHOICE_PROBABILITY:
            return asked, ()
        return one_of.on_lines(self.path.name, map(_metrics, self._entries()), PRIORITY, asked)

    def score(self, number: int, entry: Any) -> float:
        """The score on one line; NaN where it was not scored. `BadInput` where it is no number, or not in the scale."""
        if self.metric == CHOICE_PROBABILITY:
            return _probability(entry)
        value = entry.score
        low, high = self.options.scale or (0.0, 1.0)
        if type(value) is float and low <= value <= high and value != DOES_NOT_APPLY:  # nearly all lines
            return value
        if is_unscored(value) or does_not_apply(self.metric, value):
            return math.nan
        is_number = isinstance(value, int | float)
        if is_number and low <= value <= high:
            return float(value)
        raise BadInput(
            f"{self.path.name}:{number}: {self.metric} is {str(value)[:60]!r}; it must be a number in "
            f"[{low:g}, {high:g}].",
            python="Pass scale=(lowest, highest) if that is its unit." if is_number else "",
            shell="Pass --scale LOWEST HIGHEST if that is its unit." if is_number else "",
        )

    def _entries(self) -> Iterator[dict[str, Any]]:
        """The lines, each as a whole."""
        for number, line in self._whole():
            yield files.parsed(self.path.name, number, line) if isinstance(line, bytes) else line

    def _whole(self) -> Iterator[tuple[int, bytes | dict[str, Any]]]:
        """(line, its bytes); of an old log that is one JSON list, (place in the list, entry)."""
        if self.old is None and not files.head(self.path).lstrip().startswith(b"["):
            yield from files.lines(self.path)
            return
        if self.old is None:
            self.old = self._list()
        yield from self.old

    def _list(self) -> list[tuple[int, dict[str, Any]]]:
        with files.damage(self.path.name), files.open_plain(self.path) as stream:
            content = stream.read(files.LONGEST_LINE)
            require(len(content) < files.LONGEST_LINE, f"{self.path.name} is too large for one JSON list")
            found = list(enumerate(json.loads(content), start=1))
        for number, entry in found:
            require(isinstance(entry, dict), f"{self.path.name}:{number} is not a JSON object")
        return found


def _probability(entry: Any) -> float:
    """The probability of the right choice; NaN where the line does not say.

    lm-eval keeps [log-probability, is greedy] for each choice.
    """
    if not isinstance(entry.score, list) or not str(entry.target).lstrip("-").isdecimal():
        return math.nan
    logs = [each[0] if isinstance(each, list) and each else None for each in entry.score]
    found = choices.probability(logs, [int(entry.target)])
    return math.nan if found is None else found


def _fields(metric: str, hashed: bool) -> type[msgspec.Struct]:
    """What to read of a line: the fields that name the question and the answer filter, and the metric as `score`."""
    probability = metric == CHOICE_PROBABILITY
    fields = [
        ("doc_id", Any, None),
        ("doc_hash", Any, None),
        ("filter", Any, UNFILTERED),
        ("score", Any, msgspec.UNSET),
    ]
    fields += [("target", Any, None)] if probability else []
    fields += [] if hashed else [("doc", Any, None)]
    return msgspec.defstruct("Line", fields, rename={"score": "filtered_resps" if probability else metric})


def _picked(fields: type[msgspec.Struct], entry: dict[str, Any], metric: str) -> Any:
    """The same fields of a line that Python's own parser has read."""
    names = {"score": "filtered_resps" if metric == CHOICE_PROBABILITY else metric}
    have = {name: names.get(name, name) for name in fields.__struct_fields__}
    return fields(**{name: entry[key] for name, key in have.items() if key in entry})


def _where(names: list[str], kept: np.ndarray) -> list[str]:
    return names if kept.all() else [name for name, here in zip(names, kept, strict=True) if here]


def _metrics(entry: dict[str, Any]) -> dict[str, Any]:
    """The metrics on one line: those it lists (since 0.4.4), with or without a value, else what is no other field."""
    listed = entry.get("metrics")
    names = listed if isinstance(listed, list) and listed else entry
    return {name: entry.get(name) for name in names if isinstance(name, str) and name not in NOT_METRICS}


def filter_of(file: str, have: list[str], asked: str | None) -> str:
    """The filter to read. A task without filters answers to any name."""
    return UNFILTERED if have == [UNFILTERED] else one_of.only(file, "filter", have, asked, "filter")


def _items(names: list[str], docs: list[str]) -> tuple[list[str], tuple[Note, ...]]:
    """Names of the items, and what to warn of. The same question under two `doc_id`s is two items."""
    without = names.count("")
    note = Note("there are answers without doc_hash; their item is the doc_id, which does not survive a new data set")
    found = numbered([name or doc for name, doc in zip(names, docs, strict=True)] if without else names, docs)
    return found, (note,) if without else ()


FORMAT = Format(
    name="lm-eval samples (.jsonl)",
    recognises=recognises,
    read=read,
    beside=beside,
    companion=is_companion,
    options=frozenset(("metric", "filter", "rows", "join")),
)
