"""Known scores, to compare estimates with: by name, or as the table that `ll.read_scores` gives."""

from collections.abc import Mapping
from typing import overload

import pandas as pd

from lleval_jax.errors import require
from lleval_jax.values.responses import WHOLE

Known = Mapping[tuple[str, str], float]  # (row, group) -> the score, where it is known
Truth = Known | pd.DataFrame


@overload
def known(truth: Truth) -> Known: ...
@overload
def known(truth: None) -> None: ...
@overload
def known(truth: Truth | None) -> Known | None: ...
def known(truth: Truth | None) -> Known | None:
    """(row, group) -> score; None stays None.

    Args:
        truth: such a mapping, or a frame with columns model, score and perhaps group ("all" where it has none).

    Raises:
        BadInput: it is neither, or a model and group stand twice.
    """
    if truth is None or isinstance(truth, Mapping):
        return truth
    kind = type(truth).__name__
    require(isinstance(truth, pd.DataFrame), f"truth is of type {kind}; it must be known scores, as a table or by name")
    have = ", ".join(map(str, truth.columns))
    require({"model", "score"} <= set(truth.columns), f"truth has the columns {have}; it needs model and score")
    groups = truth["group"] if "group" in truth.columns else [WHOLE] * len(truth)
    keys = list(zip(map(str, truth["model"]), map(str, groups), strict=True))
    require(len(set(keys)) == len(keys), "truth has two scores of one model and group; keep one")
    return dict(zip(keys, map(float, truth["score"]), strict=True))
