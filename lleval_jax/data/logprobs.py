"""Log-probabilities of texts under the elements of a prompt: read from `.parquet`, `.csv`, `.jsonl`, or simulated."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import expit

from lleval_jax.data import archive, files
from lleval_jax.data.formats import table
from lleval_jax.errors import require
from lleval_jax.values.logprobs import FULL, SIDES, LogProbs, columns, members_of, pairs_of
from lleval_jax.values.results import Source

EXTRA = ("tokens", *(f"tokens_{side}" for side in SIDES), "desired")


def read_logprobs(
    path: str | pathlib.Path, *, parts: Sequence[str] | None = None, pairs: bool | None = None
) -> LogProbs:
    """The log-probabilities of one long table, as `LogProbs.from_frame` describes it.

    Args:
        path: a `.parquet`, `.csv` or `.jsonl` file; the content tells the format, not the name.
        parts: the elements in the library's order; None: as they first stand in the file.
        pairs: whether to read `preferred` and `rejected` in place of `logprob`; None: if there is no `logprob`.

    Raises:
        BadInput: as `LogProbs.from_frame`, with the line of the file; or the file is none or damaged.
    """
    path = pathlib.Path(path)
    require(path.is_file(), f"there is no file {path}")
    with files.damage(path.name):
        require(path.stat().st_size > 0, f"{path.name} is empty")
        known = ("text", "element", "logprob", *SIDES, *EXTRA)
        found = table.load(path, known, ("text", "element"))
        first = table.first_line(path)
        content: dict[str, np.ndarray] = {}
        for name in found.column_names:
            if name in ("text", "element", "desired"):
                code, names = table.names(path, found, name, first)
                content[name] = names[code]
            else:
                content[name] = table.numbers(path, found, name, first)
    require(len(found) > 0, f"{path.name} has a header and no rows")
    pairs = pairs_of(found.column_names) if pairs is None else pairs
    for name in columns(pairs):
        have, want = ", ".join(map(repr, found.column_names)), ", ".join(("text", "element", *columns(pairs)))
        require(name in content, f"{path.name} has no column {name!r}; of those known it has {have}. It needs {want}.")
    return LogProbs.from_frame(
        pd.DataFrame(content),
        parts=parts,
        pairs=pairs,
        place=lambda row: f"{path.name}:{first + row}",
        source=Source(files={path.name: archive.file_hash(path)}),
    )


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
    return pd.DataFrame(head | dict(zip(columns(pairs), found, strict=True)))
