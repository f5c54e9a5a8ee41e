"""Full scores of models, from a table with a row a model and group."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lleval_jax.data import opening, shipped
from lleval_jax.data.tables import any_table, columns, long, scores
from lleval_jax.errors import BadInput, require
from lleval_jax.values.responses import WHOLE

AGREE = 1e-6  # scores closer than this are the same
USES: columns.Aliases = {"model": (), "score": (), "group": ()}


@opening.shelved
def read_scores(
    path: str | os.PathLike[str] | Any, *, columns: Mapping[str, str] | None = None, encoding: str | None = None
) -> pd.DataFrame:
    """The full scores of models: columns model, score in [0, 1], group ("all" where the file has none).

    One line a model and group; the same line twice is kept once, two that disagree are a `BadInput`.

    Args:
        path: a `.parquet`, `.csv` or `.jsonl` file, perhaps compressed, an address, "-" for stdin, or a table in
            memory as for `read`; or "demo:NAME", the scores of the demonstration data that ships with bank NAME.
        columns: what a column is, where its name does not tell: {"score": "accuracy"}.
        encoding: of text that is neither UTF-8 nor UTF-16: "latin-1", "cp1252".
    """
    file = shipped.path(path, shipped.SCORES)
    with any_table.opened(file, USES, ("model", "score"), columns, encoding) as opened:
        sheet, found, table = opened.sheet, opened.found, opened.table
        model, models = scores.names(sheet, table, found["model"], "model")
        score = scores.numbers(sheet, table, found["score"])
        group, groups = long.same(WHOLE, len(table))
        if "group" in found:
            group, groups = scores.names(sheet, table, found["group"], "group", empty=True)
            groups = np.where(groups == "", WHOLE, groups)
    require(len(table) > 0, f"{sheet.name} has a header and no scores")
    for at in np.flatnonzero(~((score >= 0) & (score <= 1)))[:1]:
        raise BadInput(f"{sheet.place(at)}: score {score[at]:g} is not in [0, 1]")
    frame = pd.DataFrame({"model": models[model], "score": score, "group": groups[group]})
    apart = frame["score"] - frame.groupby(["model", "group"])["score"].transform("first")
    for at in np.flatnonzero(apart.abs() > AGREE)[:1]:
        same = (frame["model"] == frame["model"][at]) & (frame["group"] == frame["group"][at])
        other = int(np.flatnonzero(same)[0])
        raise BadInput(
            f"{sheet.name}: model {frame['model'][at]!r} has two scores on {frame['group'][at]!r}: "
            f"{score[other]:g} ({sheet.place(other)}) and {score[at]:g} ({sheet.place(at)}). Keep one."
        )
    return frame.drop_duplicates(["model", "group"], ignore_index=True)
