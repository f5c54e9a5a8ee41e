"""Engines by name, and which of them is usual."""

import dataclasses
from typing import Any

import numpy as np

from lleval_jax.bayes.engines import Engine
from lleval_jax.bayes.laplace import Laplace
from lleval_jax.bayes.nuts import NUTS
from lleval_jax.bayes.svi import SVI
from lleval_jax.errors import chosen

ENGINES: dict[str, Any] = {"nuts": NUTS(), "svi": SVI(), "laplace": Laplace()}
MANY = 2_000_000  # observations: from here on "auto" does not sample but approximates


def engine(name: str, value: Any, **settings: Any) -> Engine:
    """An engine by name, with settings.

    Args:
        name: "nuts", "svi", "laplace", or "auto": NUTS up to two million answers, else SVI.
        value: what is observed; something with `n_seen`, the answers of each row.
        settings: of the engine, such as draws and chains.

    Raises:
        BadInput: an unknown engine.
    """
    if name == "auto":
        name = "nuts" if np.sum(getattr(value, "n_seen", 0)) <= MANY else "svi"
    return dataclasses.replace(chosen(ENGINES, name, "engine"), **settings)
