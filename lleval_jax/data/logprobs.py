"""Log-probabilities of texts under the elements of a prompt: read from `.parquet`, `.csv`, `.jsonl`, or simulated."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from lleval_jax.data import opening
from lleval_jax.data.tables import any_table, scores
from lleval_jax.errors import require
from lleval_jax.values.logprobs import FULL, SIDES, LogProbs, members_of, pairs_of
from lleval_jax.values.logprobs import columns as columns_of
from lleval_jax.values.results import Source

EXTRA = ("tokens", *(f"tokens_{side}" for side in SIDES), "desired")
USES = dict.fromkeys(("text", "element", "logprob", *SIDES, *EXTRA), ())


@opening.shelved
def read_logprobs(
    path: str | os.PathLike[str] | Any,
    *,
    parts: Sequence[str] | None = None,
    pairs: bool | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
) -> LogProbs:
    """The log-probabilities of one long table, as `LogProbs.from_frame` describes it.

    Args:
        path: a `.parquet`, `.csv` or `.jsonl` file, whose content tells the format, not the name; or a table in
            memory: a frame of pandas, polars or pyarrow, a dict of columns, or a list of dicts.
        parts: the elements in the library's order; None: as they first stand in the file.
        pairs: whether to read `preferred` and `rejected` in place of `logprob`; None: if there is no `logprob`.
        columns: what a column is, where its name does not tell: {"element": "variant"}. Case and blanks do not count.
        encoding: of text that is neither UTF-8 nor UTF-16: "latin-1", "cp1252".

    Raises:
        BadInput: as `LogProbs.from_frame`, with the line of the file; or the file is none or damaged.
    """
    content: dict[str, np.ndarray] = {}
    with any_table.opened(path, USES, ("text", "element"), columns, encoding) as opened:
        sheet, found, table = opened.sheet, opened.found, opened.table
        for use, name in found.items():
            if use in ("text", "element", "desired"):
                code, names = scores.names(sheet, table, name, use)
                content[use] = names[code]
            else:
                content[use] = scores.numbers(sheet, table, name)
    require(len(table) > 0, f"{sheet.name} has a header and no rows")
    pairs = pairs_of(list(content)) if pairs is None else pairs
    for name in columns_of(pairs):
        have, want = ", ".join(map(repr, content)), ", ".join(("text", "element", *columns_of(pairs)))
        require(name in content, f"{sheet.name} has no column {name!r}; of those known it has {have}. It needs {want}.")
    source = Source(files=opened.used)
    return LogProbs.from_frame(pd.DataFrame(content), parts=parts, pairs=pairs, place=sheet.place, source=source)


def simulate_logprobs(
    weight: Mapping[str, float],
    texts: int = 200,
    *,
    noise: float = 0.3,
    subsets: Sequence[str] = (),
    interaction: float = 0.0,
    spread: float = 3.0,
    pairs: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """A long table whose true weights are known, as `LogProbs.from_frame` takes it.

    Args:
        weight: element -> its true weight; they are divided by their sum.
        texts: how many texts, or pairs.
        noise: standard deviation about the weighted mean, in nats.
        subsets: combinations besides "full" that are scored too; some weight in each must be positive.
        interaction: added to the full prompt: times the product of the first two elements' deviations.
        spread: standard deviation of elements about a text's own level.
        pairs: columns `preferred` and `rejected`; which is which is drawn by the model of PEPR-P with scale 1.
        seed: of all that is drawn.
    """
    rng, names = np.random.default_rng(seed), tuple(weight)
    true = np.array([weight[name] for name in names]) / sum(weight.values())
    level = rng.normal(-90, 10, (texts, 1))
    sides = [level + rng.normal(0, spread, (texts, len(names))) - 0.2 * np.arange(len(names)) for _ in range(2)]
    if pairs:
        first = rng.random(texts) < expit((sides[0] - sides[1]) @ true)
        sides = [np.where(first[:, None], *sides), np.where(first[:, None], *sides[::-1])]
    members = [members_of(name, names) for name in (() if pairs else (FULL, *subsets))]
    found = []
    for side in sides if pairs else sides[:1]:
        joint = [side @ (true * m) / (true @ m) + noise * rng.standard_normal(texts) for m in members]
        if interaction and joint:
            away = side - side.mean(1, keepdims=True)
            joint[0] = joint[0] + interaction * away[:, 0] * away[:, 1]
        found.append(np.minimum(np.column_stack([side, *joint]), 0).ravel())
    prompts = [*names, *(() if pairs else (FULL, *subsets))]
    head = {
        "text": np.repeat([f"text-{i}" for i in range(texts)], len(prompts)),
        "element": np.tile(prompts, texts),
    }
    return pd.DataFrame(head | dict(zip(columns_of(pairs), found, strict=True)))
