"""Sample logs of lm-evaluation-harness: `samples_<task>_<date>.jsonl`, one line a question and filter."""

import array
import json
import pathlib
import re
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from lleval_jax.data import files
from lleval_jax.data.answers import CHOICE_PROBABILITY, Answers, Options, from_task, item_name, numbered
from lleval_jax.data.formats import choices, one_of
from lleval_jax.data.formats.format import Format
from lleval_jax.errors import BadInput, require

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
    """Whether this is the file of totals that lies beside sample logs."""
    return path.name.startswith("results") and path.suffix == ".json"


def beside(path: pathlib.Path) -> tuple[str, ...]:
    """What is read of a log that does not stand in it: (task, model)."""
    return task_name(path), model_name(path)


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one log: items are `task/doc_hash`, the group is the task.

    With rows="prompt" a task is one prompt (as in PromptEval's tasks): the row is the task, the item is
    `doc_hash`. With metric="choice_probability" the score is the probability of the right choice among all.
    """
    task, model = beside(path)
    lines = _Lines(path, options)
    columns: dict[str, list[str]] = {"filter": [], "hash": [], "doc": []}
    scores, at = array.array("d"), array.array("q")
    for number, entry in lines:
        scores.append(lines.score(number, entry))
        at.append(number)
        columns["filter"].append(sys.intern(str(entry.filter)))
        columns["hash"].append(entry.doc_hash if isinstance(entry.doc_hash, str) else "")
        columns["doc"].append(str(number if entry.doc_id is None else entry.doc_id))
    require(len(at) > 0, f"{path.name} holds no answers")
    chosen = filter_of(path.name, list(dict.fromkeys(columns["filter"])), options.filter)
    kept = np.fromiter((name == chosen for name in columns["filter"]), bool, len(at))
    names, docs = (_where(columns[name], kept) for name in ("hash", "doc"))
    item, note = _items(names, docs)
    return from_task(
        path.name,
        model,
        task,
        options.rows,
        item=item,
        score=np.frombuffer(scores)[kept],
        line=np.frombuffer(at, np.int64)[kept],
        notes=(*lines.notes, *note),
    )


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
    stem = path.name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(".json")
    return DATE.sub("", stem).removeprefix("samples_") or stem


def model_name(path: pathlib.Path) -> str:
    """The model, which the log does not name: from the totals beside it, else the folder's name."""
    beside = sorted(other for other in path.parent.glob("results*.json") if other.is_file())
    date = DATE.search(path.name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(".json"))
    same_run = [other for other in beside if date and date.group() in other.name]
    for results in (same_run or beside)[::-1]:
        try:
            totals = json.loads(results.read_bytes())
        except (ValueError, OSError, RecursionError):
            continue
        if isinstance(totals, dict) and (name := _name_in(totals)):
            return name
    return path.resolve().parent.name or "model"


def _name_in(totals: dict[str, Any]) -> str:
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
    """The lines of a log, of each only what is asked for: (line, fields). The first line decides the metric.

    A parser that skips what is not asked for reads nearly all lines; Python's own reads those it refuses, such as
    lines with NaN, which is not JSON, and says what is wrong with them.
    """

    def __init__(self, path: pathlib.Path, options: Options) -> None:
        self.path, self.options = path, options
        self.metric, self.notes = "", ()

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        decode = None
        for number, line in self._whole():
            if decode is None:
                entry = files.parsed(self.path.name, number, line) if isinstance(line, bytes) else line
                self.metric, self.notes = _metric(f"{self.path.name}:{number}", entry, self.options.metric)
                fields = _fields(self.metric)
                decode = msgspec.json.Decoder(fields).decode
            try:
                found = decode(line) if isinstance(line, bytes) else None
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                found = None
            if found is None:
                entry = files.parsed(self.path.name, number, line) if isinstance(line, bytes) else line
                found = _picked(fields, entry, self.metric)
            yield number, found

    def score(self, number: int, entry: Any) -> float:
        """The score on one line. `BadInput` where it is not a number, or not in the scale."""
        if self.metric == CHOICE_PROBABILITY:
            return self._probability(number, entry)
        value = entry.score
        low, high = self.options.scale or (0.0, 1.0)
        if type(value) is float and low <= value <= high:
            return value
        where = f"{self.path.name}:{number}"
        require(value is not msgspec.UNSET, f"{where} has no metric {self.metric!r}, which the first line has")
        good = isinstance(value, int | float) and low <= value <= high
        hint = " Pass scale=(lowest, highest) if that is its unit." if isinstance(value, int | float) else ""
        text = f"{where}: {self.metric} is {str(value)[:60]!r}; it must be a number in [{low:g}, {high:g}].{hint}"
        require(good, text)
        return float(value)

    def _probability(self, number: int, entry: Any) -> float:
        """The probability of the right choice. lm-eval keeps [log-probability, is greedy] for each choice."""
        found = None
        if isinstance(entry.score, list) and str(entry.target).lstrip("-").isdecimal():
            logs = [each[0] if isinstance(each, list) and each else None for each in entry.score]
            found = choices.probability(logs, [int(entry.target)])
        if found is None:
            raise BadInput(
                f"{self.path.name}:{number} has no log-probabilities of choices with the right one as its target; "
                f"only multiple choice has. Leave out metric={CHOICE_PROBABILITY!r}."
            )
        return found

    def _whole(self) -> Iterator[tuple[int, bytes | dict[str, Any]]]:
        """(line, its bytes); of an old log that is one JSON list, (place in the list, entry)."""
        if not files.head(self.path).lstrip().startswith(b"["):
            yield from files.lines(self.path)
            return
        with files.damage(self.path.name), files.open_plain(self.path) as stream:
            content = stream.read(files.LONGEST_LINE)
            require(len(content) < files.LONGEST_LINE, f"{self.path.name} is too large for one JSON list")
            for number, entry in enumerate(json.loads(content), start=1):
                require(isinstance(entry, dict), f"{self.path.name}:{number} is not a JSON object")
                yield number, entry


def _fields(metric: str) -> type[msgspec.Struct]:
    """What to read of a line: the fields that name the question and the answer filter, and the metric as `score`."""
    probability = metric == CHOICE_PROBABILITY
    fields = [
        ("doc_id", Any, None),
        ("doc_hash", Any, None),
        ("filter", Any, UNFILTERED),
        ("score", Any, msgspec.UNSET),
    ]
    fields += [("target", Any, None)] if probability else []
    return msgspec.defstruct("Line", fields, rename={"score": "filtered_resps" if probability else metric})


def _picked(fields: type[msgspec.Struct], entry: dict[str, Any], metric: str) -> Any:
    """The same fields of a line that Python's own parser has read."""
    names = {"score": "filtered_resps" if metric == CHOICE_PROBABILITY else metric}
    have = {name: names.get(name, name) for name in fields.__struct_fields__}
    return fields(**{name: entry[key] for name, key in have.items() if key in entry})


def _where(names: list[str], kept: np.ndarray) -> list[str]:
    return names if kept.all() else [name for name, here in zip(names, kept, strict=True) if here]


def _metric(where: str, entry: dict[str, Any], asked: str | None) -> tuple[str, tuple[str, ...]]:
    """(metric to read, what to warn of), decided on the first line."""
    if asked == CHOICE_PROBABILITY:
        return asked, ()
    listed = entry.get("metrics")
    named = listed if isinstance(listed, list) and listed else entry
    found = [name for name in named if isinstance(name, str) and name in entry and name not in NOT_METRICS]
    require(bool(found), f"{where} has no metric; its keys are {sorted(entry)[:12]}")
    usable = [name for name in found if isinstance(entry[name], int | float)]
    return one_of.best(where, found, usable, PRIORITY, asked)


def filter_of(file: str, have: list[str], asked: str | None) -> str:
    """The filter to read. A task without filters answers to any name."""
    return UNFILTERED if have == [UNFILTERED] else one_of.only(file, "filter", have, asked, "filter")


def _items(names: list[str], docs: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Names of the items, and what to warn of. The same question under two `doc_id`s is two items."""
    without = names.count("")
    note = f"{without} answers have no doc_hash; their item is the doc_id, which does not survive a new data set"
    found = numbered([name or doc for name, doc in zip(names, docs, strict=True)] if without else names, docs)
    return found, (note,) if without else ()


FORMAT = Format(
    name="lm-eval samples (.jsonl)",
    recognises=recognises,
    read=read,
    beside=beside,
    companion=is_companion,
    options=frozenset(("metric", "filter", "rows")),
)
