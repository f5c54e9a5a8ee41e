"""Preferences, read from `.jsonl`, `.parquet` or `.csv`: pairs, labelled answers, or answers that are all wanted."""

import os
from collections.abc import Mapping
from typing import Any

import pandas as pd

from lleval_jax.data import archive, files, opening
from lleval_jax.data.tables import frames, load
from lleval_jax.data.tables.columns import Aliases, find
from lleval_jax.errors import require
from lleval_jax.values.preferences import Preferences, WhenUnfit
from lleval_jax.values.results import Source

USES: Aliases = {
    "prompt": (("question", "instruction", "input", "query"),),
    "chosen": (("preferred", "responsechosen"),),
    "rejected": (("dispreferred", "responserejected"),),
    "completion": (("response", "answer", "output"),),
    "label": (("desired", "isgood"),),
    "messages": (("conversation", "conversations"),),
}


@opening.shelved
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
    if frames.is_table(path):
        sheet = frames.sheet(path)
        frame = _named(sheet.take(None).to_pandas(), sheet.name, columns)
        return Preferences.from_frame(frame, place=sheet.place, unfit=unfit)
    path = opening.one(path, encoding=encoding)
    with files.damage(path.name), files.in_utf8(path):
        require(path.stat().st_size > 0, f"{path.name} is empty")
        frame, place = load.frame(path)
        source = Source(files={path.name: archive.file_hash(path)})
    return Preferences.from_frame(_named(frame, path.name, columns), place=place, source=source, unfit=unfit)


def _named(frame: pd.DataFrame, where: str, asked: Mapping[str, str] | None) -> pd.DataFrame:
    """The columns that are known, under our names."""
    found = find(where, [str(name) for name in frame.columns], USES, asked)
    return frame[list(found.values())].set_axis(list(found), axis=1) if found else frame
