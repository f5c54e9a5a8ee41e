"""Answers with corrections, and answers that are to be corrected, read from `.jsonl`, `.parquet` or `.csv`."""

import os
from collections.abc import Mapping
from typing import Any

from lleval_jax.data.rows import read_rows
from lleval_jax.data.tables.columns import Aliases
from lleval_jax.errors import require
from lleval_jax.values.aligned import Aligned
from lleval_jax.values.corrections import FURTHER, NEEDED, Corrections
from lleval_jax.values.pool import Pool
from lleval_jax.values.text_columns import texts

USES: Aliases = {name: () for name in (*NEEDED, *FURTHER, "criterion")}
ANSWERS: Aliases = {name: () for name in ("question", "answer", "id", "topic")}


def read_corrections(
    path: str | os.PathLike[str] | Any,
    *,
    criterion: str = "",
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
) -> Corrections:
    """Examples for an aligner, as `Corrections.from_frame` describes them.

    Args:
        path: a `.jsonl`, `.parquet` or `.csv` file, perhaps compressed, an address, "-" for stdin; or a table in
            memory.
        criterion: its name; "": that of the column criterion.
        columns: what a column is, where its name does not tell: {"correction": "better"}.
        encoding: of text that is neither UTF-8 nor UTF-16.

    Raises:
        BadInput: as `Corrections.from_frame`, with the line of the file; or the file is none or damaged.
    """
    rows = read_rows(path, encoding=encoding)
    frame = rows.named(USES, columns)
    return Corrections.from_frame(frame, criterion=criterion, place=rows.place, source=rows.source)


def read_answers(
    path: str | os.PathLike[str] | Any, *, columns: Mapping[str, str] | None = None, encoding: str | None = None
) -> Pool:
    """Questions and answers that are to be corrected: columns question, answer and, if wanted, id, topic.

    Args:
        path: as in `read_corrections`.
        columns: what a column is: {"answer": "text"}.
        encoding: of text that is neither UTF-8 nor UTF-16.

    Raises:
        BadInput: a column is missing, or a cell is empty or no text; the message names the line.
    """
    rows = read_rows(path, encoding=encoding)
    frame = rows.named(ANSWERS, columns)
    lack = [name for name in ("question", "answer") if name not in frame.columns]
    there = ", ".join(map(repr, list(rows.frame.columns)[:12]))
    shell = f"Say --columns {lack and lack[0]}=NAME."
    text = f"{rows.name}: answers need the columns question and answer; the table has {there}."
    require(not lack, text, python=f"Pass columns={{{lack and lack[0]!r}: NAME}}.", shell=shell)
    texts(frame["answer"], "answer", rows.place)  # under its own name in messages
    frame = frame.rename(columns={"answer": "weak"})
    return Pool.from_frame(frame, place=rows.place, source=rows.source)


def read_aligned(path: str | os.PathLike[str] | Any) -> Aligned:
    """What `lleval align run` wrote.

    Raises:
        BadInput: as `Aligned.from_frame`, with the line of the file; or the file is none or damaged.
    """
    rows = read_rows(path)
    return Aligned.from_frame(rows.frame, place=rows.place, source=rows.source)
