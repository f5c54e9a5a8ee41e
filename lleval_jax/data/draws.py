"""Draws <-> a JSON file."""

import json
import os
import pathlib

import msgspec
import numpy as np

from lleval_jax import writing
from lleval_jax.errors import BadInput, require
from lleval_jax.values.draws import SCHEMA, Draws


class _Draw(msgspec.Struct):
    item: str
    chance: float


class _File(msgspec.Struct):
    schema: str
    bank: str
    seed: int
    every_look: bool
    draws: list[_Draw]


def read_draws(path: str | os.PathLike[str]) -> Draws:
    """The draws that `write_draws`, or `lleval ask --guarantee FILE`, put there.

    Raises:
        BadInput: no such file, not one of these, a chance missing or impossible; the message names file and place.
    """
    place = pathlib.Path(path)
    require(place.is_file(), f"there is no file {place}; 'lleval ask --guarantee {place}' makes it")
    try:
        found = msgspec.json.decode(place.read_bytes(), type=_File)
        require(found.schema == SCHEMA, f"its schema is {found.schema!r}; draws have {SCHEMA!r}")
        items, chance = tuple(draw.item for draw in found.draws), [draw.chance for draw in found.draws]
        return Draws(found.bank, items, np.array(chance), found.seed, found.every_look)
    except (msgspec.DecodeError, UnicodeDecodeError, BadInput) as error:
        raise BadInput(
            f"{place} does not hold draws with their chances, without which no interval holds for every model: {error}",
            python="Draw items by ll.guarantee.choose.",
            shell="Draw items by 'lleval ask --guarantee FILE', or leave --guarantee out.",
        ) from error


def write_draws(draws: Draws, path: str | os.PathLike[str]) -> None:
    """Put the draws there as JSON, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    content = json.dumps(draws.to_dict(), indent=1, ensure_ascii=False) + "\n"
    writing.put(pathlib.Path(path), content.encode())
