"""Sample logs of lm-evaluation-harness: `samples_<task>_<date>.jsonl`, one line a question and filter."""

import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from lleval_jax.data import files
from lleval_jax.data.answers import Answers, Options, from_columns, row_name
from lleval_jax.errors import BadInput, require

PRIORITY = ("acc_norm", "acc", "exact_match", "em", "f1", "mc2", "mc1", "pass@1", "contains")
NOT_METRICS = frozenset(
    "doc_id doc target arguments resps filtered_resps filter metrics doc_hash prompt_hash target_hash".split()
)
UNFILTERED = "none"  # how lm-eval names the one filter of a task without filters
DATE = re.compile(r"_\d{4}-\d{2}-\d{2}T[\d.:-]+$")


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether these are the first bytes of a sample log: an object, or a list of them (before 0.4.3)."""
    start = head.lstrip()[:1]
    return start in (b"{", b"[") and b'"doc_id"' in head[:4096] and b'"doc"' in head


def is_companion(path: pathlib.Path) -> bool:
    """Whether this is the file of totals that lies beside sample logs."""
    return path.name.startswith("results") and path.suffix == ".json"


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one log: items are `task/doc_hash`, the group is the task.

    With rows="prompt" a task is one prompt (as in PromptEval's tasks): the row is the task, the item is
    `doc_hash`.
    """
    task, model = task_name(path), model_name(path)
    metric, columns = None, {"filter": [], "hash": [], "doc": [], "score": [], "line": []}
    notes: list[str] = []
    for number, entry in _entries(path):
        if metric is None:
            metric, notes = _metric(f"{path.name}:{number}", entry, options.metric)
        columns["score"].append(_score(f"{path.name}:{number}", entry, metric, options))
        columns["filter"].append(str(entry.get("filter", UNFILTERED)))
        columns["hash"].append(entry.get("doc_hash"))
        columns["doc"].append(str(entry.get("doc_id", number)))
        columns["line"].append(number)
    require(metric is not None, f"{path.name} holds no answers")
    frame = pd.DataFrame(columns)
    frame = frame[frame["filter"] == _filter(path.name, list(frame["filter"].unique()), options.filter)]
    item, note = _items(frame)
    if options.rows == "model":
        item = [item_name(task, name) for name in item]
    return from_columns(
        path.name,
        row=[row_name(model, task, options.rows)] * len(frame),
        item=item,
        score=frame["score"].to_numpy(float),
        group=[task if options.rows == "model" else ""] * len(frame),
        line=frame["line"].to_numpy(),
        notes=(*notes, *note),
    )


def item_name(task: str, name: str) -> str:
    """What a question is called across logs, by its `doc_hash`."""
    return f"{task}/{name}"


def documents(path: pathlib.Path) -> dict[int, str]:
    """{doc_id: item} of one log. Copies of a question have one name here.

    Raises:
        BadInput: an entry without a whole number as `doc_id`, or without a `doc_hash`.
    """
    task, found = task_name(path), {}
    for number, entry in _entries(path):
        place, name = entry.get("doc_id"), entry.get("doc_hash")
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


def _entries(path: pathlib.Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, entry) of a log; of an old log that is one JSON list, (place in the list, entry)."""
    if not files.head(path).lstrip().startswith(b"["):
        yield from files.objects(path)
        return
    with files.damage(path.name), files.open_plain(path) as stream:
        content = stream.read(files.LONGEST_LINE)
        require(len(content) < files.LONGEST_LINE, f"{path.name} is too large for a log that is one JSON list")
        for number, entry in enumerate(json.loads(content), start=1):
            require(isinstance(entry, dict), f"{path.name}:{number} is not a JSON object")
            yield number, entry


def _metric(where: str, entry: dict[str, Any], asked: str | None) -> tuple[str, list[str]]:
    """(metric to read, what to warn of), decided on the first line."""
    listed = entry.get("metrics")
    named = listed if isinstance(listed, list) and listed else [name for name in entry if name not in NOT_METRICS]
    found = [name for name in named if isinstance(name, str) and name in entry]
    if asked is not None:
        require(
            asked in found,
            f"{where} has no metric {asked!r}; it has {found}. Pass metric=... with one of these.",
        )
        return asked, []
    usable = [name for name in found if isinstance(entry[name], int | float)]
    require(bool(usable), f"{where} has no metric that is a number; it has {found or sorted(entry)[:12]}")
    ranked = sorted(usable, key=lambda name: PRIORITY.index(name) if name in PRIORITY else len(PRIORITY))
    others = [name for name in usable if name != ranked[0]]
    note = f"read metric {ranked[0]!r}; the log also has {others}. Pass metric={ranked[0]!r} to say so."
    return ranked[0], [note] if others else []


def _score(where: str, entry: dict[str, Any], metric: str, options: Options) -> float:
    """The score on one line. `BadInput` where it is not a number, or not in the scale."""
    if metric not in entry:
        have = [name for name in entry if name not in NOT_METRICS]
        raise BadInput(f"{where} has no metric {metric!r}; it has {have}. Pass metric=... with one of these.")
    value = entry[metric]
    low, high = options.scale or (0.0, 1.0)
    good = isinstance(value, int | float) and low <= value <= high
    hint = " Pass scale=(lowest, highest) if that is its unit." if isinstance(value, int | float) else ""
    require(good, f"{where}: {metric} is {str(value)[:60]!r}; it must be a number in [{low:g}, {high:g}].{hint}")
    return float(value)


def _filter(file: str, found: list[str], asked: str | None) -> str:
    """The filter to read. A task without filters answers to any name."""
    if asked in found or (asked is not None and found == [UNFILTERED]):
        return asked if asked in found else UNFILTERED  # type: ignore[return-value]
    require(asked is None, f"{file} has no filter {asked!r}; it has {found}. Pass filter=... with one of these.")
    require(
        len(found) == 1,
        f"{file} holds {len(found)} filters, {found}; they must not be mixed. Pass filter={found[0]!r}.",
    )
    return found[0]


def _items(frame: pd.DataFrame) -> tuple[list[str], tuple[str, ...]]:
    """Names of the items, and what to warn of. The same question under two `doc_id`s is two items."""
    hashed = frame["hash"].map(lambda name: isinstance(name, str) and name != "").to_numpy(bool)
    name = np.where(hashed, frame["hash"].astype(object), frame["doc"])
    keys = pd.DataFrame({"name": name, "doc": frame["doc"].to_numpy()})
    once = keys.drop_duplicates()
    copy = once.assign(copy=once.groupby("name").cumcount())
    copies = keys.merge(copy, on=["name", "doc"], how="left")["copy"].to_numpy(int)
    names = [f"{item}#{n + 1}" if n else str(item) for item, n in zip(name, copies, strict=True)]
    without = int((~hashed).sum())
    note = f"{without} answers have no doc_hash; their item is the doc_id, which does not survive a new data set"
    return names, (note,) if without else ()
