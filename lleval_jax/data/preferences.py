"""Preferences, read from `.jsonl`, `.parquet` or `.csv`: pairs, labelled answers, or answers that are all wanted."""

import os
from collections.abc import Mapping
from typing import Any

from lleval_jax.data.rows import read_rows
from lleval_jax.data.tables.columns import Aliases
from lleval_jax.values.preferences import Preferences, WhenUnfit

USES: Aliases = {
    "prompt": (("question", "instruction", "input", "query"),),
    "chosen": (("preferred", "responsechosen"),),
    "rejected": (("dispreferred", "responserejected"),),
    "completion": (("response", "answer", "output"),),
    "label": (("desired", "isgood"),),
    "messages": (("conversation", "conversations"),),
}


def read_preferences(
    path: str | os.PathLike[str] | Any,
    *,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    unfit: WhenUnfit = "refuse",
) -> Preferences:
    """What a model is aligned by, as `Preferences.from_frame` describes it.

    Args:
        path: a `.jsonl`, `.parquet` or `.csv` file, perhaps compressed, an address, "-" for stdin; or a table in
            memory: a frame of pandas, polars or pyarrow, a dict of columns, or a list of dicts.
        columns: what a column is, where its name does not tell: {"chosen": "better"}. Case and blanks do not count.
        encoding: of text that is neither UTF-8 nor UTF-16.
        unfit: what to do with rows that nothing can be learned from: "refuse" the file, or "drop" them with a warning.

    Raises:
        BadInput: as `Preferences.from_frame`, with the line of the file; or the file is none or damaged.
    """
    rows = read_rows(path, encoding=encoding)
    return Preferences.from_frame(rows.named(USES, columns), place=rows.place, source=rows.source, unfit=unfit)
