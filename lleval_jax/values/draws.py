"""Items drawn at random one after the other, with their chances: what an interval that trusts no model rests on."""

import dataclasses
from typing import Any

import numpy as np

from lleval_jax.errors import require
from lleval_jax.values.value import Value

SCHEMA = "lleval/draws/1"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Draws(Value):
    """The items that were drawn, in order.

    bank    name of the bank that they are of
    items   (draws,)  names of items, each drawn from those that were left
    chance  (draws,)  the chance with which each was drawn then, given all draws before
    seed    of the draws
    every_look  whether answers decided when to stop, so that intervals must be valid at every look
    """

    bank: str
    items: tuple[str, ...] = ()
    chance: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    seed: int = 0
    every_look: bool = False

    def __post_init__(self) -> None:
        found = np.asarray(self.chance, float)
        object.__setattr__(self, "chance", found)
        require(found.shape == (len(self.items),), f"{found.shape} chances for {len(self.items)} drawn items")
        for item, chance in zip(self.items, found, strict=True):
            require(0 < chance <= 1, f"item {item!r} was drawn with chance {chance:g}; it must lie in (0, 1]")
        twice = [item for i, item in enumerate(self.items) if item in self.items[:i]][:1]
        require(not twice, f"item {twice} was drawn twice; each is drawn from those that are left")

    def __len__(self) -> int:
        """How many draws."""
        return len(self.items)

    def __bool__(self) -> bool:
        """It is a value, also without a draw."""
        return True

    def brief(self) -> str:
        """One line, for a prompt."""
        return f"{len(self.items):,} items of bank {self.bank!r}"

    def to_dict(self) -> dict[str, Any]:
        """The JSON of draws, schema `lleval/draws/1`."""
        draws = [{"item": item, "chance": float(p)} for item, p in zip(self.items, self.chance, strict=True)]
        return {
            "schema": SCHEMA,
            "bank": self.bank,
            "seed": self.seed,
            "every_look": self.every_look,
            "draws": draws,
        }
