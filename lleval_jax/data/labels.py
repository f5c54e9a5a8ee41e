"""Answers that a judge scored and humans labelled in part: one table with a column of each."""

import os
import warnings
from collections.abc import Mapping
from typing import Any

from lleval_jax.data.read import read
from lleval_jax.errors import DataWarning, NothingScored
from lleval_jax.values.progress import Tell, silent
from lleval_jax.values.responses import Responses
from lleval_jax.values.sparse import as_dense


def read_labels(
    table: str | os.PathLike[str] | Any,
    *,
    judge: str = "judge",
    human: str = "human",
    scale: tuple[float, float] | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    strict: bool = False,
    tell: Tell = silent,
) -> tuple[Responses, Responses]:
    """The judge's scores and the human labels of a long table with the columns model, item, judge and human.

    Args:
        table: a file (`.parquet`, `.csv`, `.jsonl`) or a table in memory, as `read` takes them.
        judge: the column of the judge's scores.
        human: the column of labels, empty where there is none.
        scale: (lowest, highest) of both, if not (0, 1); rescaled linearly.
        columns: what a column is, where its name does not tell: {"item": "qid"}.
        encoding: of text that is not UTF-8.
        strict: as of `read`.
        tell: as of `read`.

    Returns:
        Scores, and labels: what `ll.judged.estimate` takes.

    Raises:
        BadInput: there is no such column, or as `read`; the message names the row.

    Example:
        >>> table = {"model": ["a", "a"], "item": ["q", "r"], "judge": [0.8, 0.3], "human": [1, None]}
        >>> scores, labels = ll.read_labels(table)
        >>> int(scores.seen.sum()), int(labels.seen.sum())
        (2, 1)
    """
    words: dict[str, Any] = {"scale": scale, "encoding": encoding, "tell": tell}
    found = read(table, columns={"score": judge} | dict(columns or {}), strict=strict, **words)
    with warnings.catch_warnings():  # answers without a label are what is expected
        warnings.filterwarnings("ignore", r"(.|\n)*(not scored and w|rows have no answer)", DataWarning)
        try:
            labels = as_dense(read(table, columns={"score": human} | dict(columns or {}), **words))
        except NothingScored:  # not yet
            labels = as_dense(found).take([])
    return as_dense(found), labels
