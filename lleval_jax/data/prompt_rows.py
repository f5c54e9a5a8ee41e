"""Which model and which prompt each row of `read(..., rows="prompt")` is: its name alone does not always tell."""

import numpy as np

from lleval_jax.data import cache
from lleval_jax.data.answers import Options, short_rows
from lleval_jax.data.formats import registry
from lleval_jax.data.read import Paths, _find, _head


def prompt_rows(paths: Paths, options: Options) -> dict[str, tuple[str, str]]:
    """Name of each row with an answer -> (model, prompt); the model is "" where the files name none.

    `read` calls a row by its prompt where there is one model, else "model/prompt", and both names may hold a "/".
    """
    names: dict[str, None] = {}
    for path, _ in _find(paths)[0]:
        if (known := registry.of(_head(path), path)) is not None:
            answers, _ = registry.parse(path, known, options, cache.folder())
            names |= dict.fromkeys(answers.rows[np.unique(answers.row[~np.isnan(answers.score)])].tolist())
    parts = (name.rpartition("\n") for name in names)  # as `row_name` joins them
    return {row: (model, prompt) for row, (model, _, prompt) in zip(short_rows(list(names)), parts, strict=True)}
