"""Engines by name, and which of them is usual."""

import dataclasses
from typing import Any

import numpy as np

from lleval_jax.bayes.contract import Parted
from lleval_jax.bayes.engines import Engine
from lleval_jax.bayes.laplace import Laplace
from lleval_jax.bayes.nuts import NUTS
from lleval_jax.bayes.svi import SVI
from lleval_jax.errors import chosen

ENGINES: dict[str, Any] = {"nuts": NUTS(), "svi": SVI(), "laplace": Laplace()}
UNITS = 1000  # items of a step of SVI
MANY = 2_000_000  # observations: from here on "auto" does not sample but approximates


def engine(name: str, value: Any, model: Any = None, **settings: Any) -> Engine:
    """An engine by name, with settings.

    Args:
        name: "nuts", "svi", "laplace", or "auto": NUTS up to two million answers, else SVI, of items drawn for each
            step where the model allows it.
        value: what is observed; something with `n_seen`, the answers of each row.
        model: of which it is; only "auto" asks.
        settings: of the engine, such as draws and chains.

    Raises:
        BadInput: an unknown engine.
    """
    if name == "auto":
        few = np.sum(getattr(value, "n_seen", 0)) <= MANY
        name = "nuts" if few else "svi"
        if not few and isinstance(model, Parted) and model.parted:
            settings = {"units": UNITS} | settings
    return dataclasses.replace(chosen(ENGINES, name, "engine"), **settings)
