"""Details of lighteval: `details/<model>/<date>/details_<task>_<date>.parquet`, in the layouts since 0.1."""

import hashlib
import math
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from lleval_jax.data import files, sameness
from lleval_jax.data.answers import CHOICE_PROBABILITY, Answers, Options, from_task, numbered
from lleval_jax.data.formats import choices, one_of
from lleval_jax.data.formats.format import Format, never
from lleval_jax.data.notes import Note
from lleval_jax.data.unscored import is_unscored
from lleval_jax.errors import BadInput, require

NEW = frozenset(("doc", "metric", "model_response"))  # from 0.11 on: three structs
OLD = frozenset(("example", "metrics"))  # before: flat columns; from 0.4 to 0.10 all of them texts of Python values
PRIORITY = ("acc_norm", "acc", "extractive_match", "exact_match", "em", "qem", "pem", "f1", "mc2", "mc1")
DATE = re.compile(r"_\d{4}-\d{2}-\d{2}T[\d.:+-]+$")
BATCH = 4096  # rows held at once
# One entry of a dict as Python prints it: 'acc': 1, 'acc': 1.0, 'acc': np.float64(1.0), 'acc': True
PRINTED = re.compile(
    r"""(['"])(?P<name>[^'"]{1,200})\1:\s*(?:np\.\w+\()?(?P<value>-?[\d.]+(?:e[+-]?\d+)?|nan|True|False)\b"""
)


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether this is a parquet file with the columns of details."""
    columns = files.parquet_columns(path, head)
    return columns >= NEW or columns >= OLD


def beside(path: pathlib.Path) -> tuple[str, ...]:
    """(task, model), which only the path tells; a model may hold a slash."""
    task = DATE.sub("", path.name.removesuffix(".parquet")).removeprefix("details_")
    above = path.resolve().parent.parts
    above = above[:-1] if above and DATE.match(f"_{above[-1]}") else above
    at = len(above) - above[::-1].index("details") if "details" in above else len(above) - 1
    return task or "task", "/".join(above[at:]) or "model"


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one file: items are `task/hash of the query`, the group is the task; `task/id` with join="number".

    With rows="prompt" a task is one prompt. With metric="choice_probability" the score is the probability of the right
    choice among all.
    """
    task, model = beside(path)
    metric, notes = _metric(path, options)
    queries, scores, ids = [], [], []
    for number, row in enumerate(_rows(path, options.metric), start=1):
        queries.append(hashlib.sha256(str(row["query"]).encode()).hexdigest()[:16])
        ids.append(str(number - 1) if row["id"] in (None, "") else str(row["id"]))
        scores.append(_score(f"{path.name}:{number}", row, metric))
    require(
        metric != CHOICE_PROBABILITY or not scores or not np.isnan(scores).all(),
        f"{path.name} has no log-probabilities of choices.",
        python=f"Leave out metric={metric!r}.",
        shell=f"Leave out --metric {metric}.",
    )
    by_number = options.join == "number"
    return from_task(
        path.name,
        model,
        task,
        options.rows,
        item=ids if by_number else numbered(queries),
        score=scores,
        line=np.arange(1, len(queries) + 1),
        notes=notes,
        number=None if by_number else [sameness.number(each) for each in ids],
    )


def _rows(path: pathlib.Path, metric: str | None) -> Iterator[dict[str, Any]]:
    """Of each row the query, the metrics and, where asked for, the log-probabilities and the right choices."""
    probability = metric == CHOICE_PROBABILITY
    with files.parquet(path) as parquet:
        there = set(parquet.schema_arrow.names)  # names in the head of a damaged file may be others
        new = there >= NEW
        require(new or there >= OLD, f"{path.name} lacks the column {min(OLD - there, default='')}")
        wanted = ["doc.query", "doc.id", "metric"] if new else ["example", "metrics"]
        if probability:
            wanted += ["doc.gold_index", "model_response.logprobs"] if new else ["gold_index", "pred_logits"]
        for batch in parquet.iter_batches(batch_size=BATCH, columns=wanted):
            for row in batch.to_pylist():
                yield _new(row) if new else _old(row)


def _new(row: dict[str, Any]) -> dict[str, Any]:
    doc, response = row.get("doc") or {}, row.get("model_response") or {}
    gold = doc.get("gold_index")
    right = gold if isinstance(gold, list) else [gold]
    found = {"query": doc.get("query"), "id": doc.get("id"), "metric": row["metric"] or {}}
    return found | {"logs": response.get("logprobs"), "right": right}


def _old(row: dict[str, Any]) -> dict[str, Any]:
    metrics, right, logs = row["metrics"], row.get("gold_index"), row.get("pred_logits")
    if isinstance(metrics, str):
        metrics = {found["name"]: _printed(found["value"]) for found in PRINTED.finditer(metrics)}
    right = _numbers(right) if isinstance(right, str) else right
    logs = _numbers(logs) if isinstance(logs, str) else logs
    right = [int(each) for each in right or [] if isinstance(each, int | float) and float(each).is_integer()]
    return {"query": row["example"], "id": None, "metric": metrics or {}, "logs": logs, "right": right}


def _printed(text: str) -> float:
    return float(text == "True") if text in ("True", "False") else float(text)


def _numbers(text: str) -> list[float]:
    """The numbers of a flat list as Python prints it; none where it is not flat."""
    inside = text.strip().removeprefix("[").removesuffix("]")
    try:
        return [float(part) for part in inside.split(",") if part.strip()]
    except ValueError:
        return []


def _metric(path: pathlib.Path, options: Options) -> tuple[str, tuple[Note, ...]]:
    """(metric to read, what to warn of)."""
    if options.metric == CHOICE_PROBABILITY:
        return options.metric, ()
    rows = (row["metric"] if isinstance(row["metric"], dict) else {} for row in _rows(path, options.metric))
    return one_of.on_lines(path.name, rows, PRIORITY, options.metric)


def _score(where: str, row: dict[str, Any], metric: str) -> float:
    """The score of one row; NaN where it was not scored. `BadInput` where it is not a number."""
    if metric == CHOICE_PROBABILITY:
        logs, right = row["logs"], row["right"]
        good = isinstance(logs, list) and all(isinstance(at, int) for at in right)
        found = choices.probability(logs, right) if good else None
        return math.nan if found is None else found
    value = row["metric"].get(metric) if isinstance(row["metric"], dict) else None
    if is_unscored(value):
        return math.nan
    if not isinstance(value, int | float):
        raise BadInput(f"{where}: {metric} is {str(value)[:60]!r}; it must be a number")
    return float(value)


FORMAT = Format(
    name="lighteval details (.parquet)",
    recognises=recognises,
    read=read,
    beside=beside,
    companion=never,
    options=frozenset(("metric", "rows", "join")),
)
