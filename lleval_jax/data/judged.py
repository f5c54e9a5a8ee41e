"""Answers that several judges scored: a table with a column of judges, as the answers of each."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from lleval_jax.data.read import read
from lleval_jax.errors import require
from lleval_jax.values.progress import Tell, silent
from lleval_jax.values.responses import Responses
from lleval_jax.values.sparse import as_dense

JUDGE = "judge"


def read_judges(
    table: str | os.PathLike[str] | Any,
    *,
    scale: tuple[float, float] | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    strict: bool = False,
    tell: Tell = silent,
) -> dict[str, Responses]:
    """Scores that several judges gave, from a long table with the columns model, item, judge and score.

    Args:
        table: a file (`.parquet`, `.csv`, `.jsonl`) or a table in memory, as `read` takes them.
        scale: (lowest, highest) score that a judge can give, if not (0, 1); rescaled linearly.
        columns: what a column is, where its name does not tell: {"judge": "rater", "item": "qid"}.
        encoding: of text that is not UTF-8.
        strict: as of `read`.
        tell: as of `read`.

    Returns:
        Judge -> `Responses` of the models and items that it scored; what `bayes.judges` is a model of.

    Raises:
        BadInput: there is no column of judges or of models, or as `read`; the message names the row.

    Example:
        >>> found = ll.read_judges({"model": ["a", "a"], "item": ["q", "q"], "judge": ["x", "y"], "score": [1, 0]})
        >>> sorted(found)
        ['x', 'y']
    """
    names = {JUDGE: JUDGE} | dict(columns or {})
    as_prompts = {("prompt" if use == JUDGE else use): name for use, name in names.items()}
    words: dict[str, Any] = {"scale": scale, "encoding": encoding, "strict": strict, "tell": tell}
    found = as_dense(read(table, rows="prompt", columns=as_prompts, **words))  # a row is a model before a judge
    models, judges = found.parts["model"], found.parts["prompt"]
    require(all(models), "the table has no column 'model'; it needs model, item, judge and score")
    given: dict[str, list[int]] = {}
    for row, judge in enumerate(judges):
        given.setdefault(judge, []).append(row)
    return {
        judge: dataclasses.replace(found.take(rows), rows=tuple(models[row] for row in rows), parts={}).answered()
        for judge, rows in given.items()
    }
