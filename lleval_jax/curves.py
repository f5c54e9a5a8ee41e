"""The item response curves there are, in words that need no JAX: for the shell's help, simulation, and fits alike.

    P(correct | ability) = floor + (ceiling - floor) sigmoid(slope . ability + intercept)

A new curve is a line in `CURVES`, its name in `Model`, and what `tests/test_registries_curves.py` then asks for. Other
packages bring theirs by entry points of the group `GROUP`. The mathematics is in `core.irt.irf`.
"""

import dataclasses
import itertools
from typing import Literal, TypeAlias

from lleval_jax.errors import chosen, require
from lleval_jax.outside import brought

GROUP = "lleval_jax.curves"
Model: TypeAlias = Literal["rasch", "2pl", "3pl", "4pl"]


@dataclasses.dataclass(frozen=True)
class Curve:
    """Which parameters are free, and where they may live. Equal settings share one compilation.

    dims          abilities
    shared_slope  one slope for all items
    positive      slopes above zero
    floor         a free probability for a model that knows nothing, else 0
    ceiling       a free probability for a model that knows all, else 1
    """

    dims: int = 1
    shared_slope: bool = False
    positive: bool = False
    floor: bool = False
    ceiling: bool = False

    @property
    def width(self) -> int:
        """Free parameters of one item."""
        return self.dims + 1 + self.floor + self.ceiling

    @property
    def logistic(self) -> bool:
        """Whether the curve runs from 0 to 1, so that log-odds are linear in ability."""
        return not (self.floor or self.ceiling)

    def holds(self, other: "Curve") -> bool:
        """Whether `other` is this curve with some parameters held; signs of slopes and dimensions do not matter."""
        free = other.shared_slope or not self.shared_slope
        return free and self.floor >= other.floor and self.ceiling >= other.ceiling


CURVES: dict[str, Curve] = {
    "rasch": Curve(shared_slope=True, positive=True),
    "2pl": Curve(),
    "3pl": Curve(floor=True),
    "4pl": Curve(floor=True, ceiling=True),
}


def curve_of(model: str | Curve, dims: int = 1) -> Curve:
    """The curve of a name or of `name_of`'s words, with `dims` abilities; a given curve's own count if they are not 1.

    Raises:
        BadInput: an unknown name, or a curve with another number of abilities than `dims`.
    """
    curve = model if isinstance(model, Curve) else _named(model)
    fits = dims == 1 or curve.dims in (1, dims)
    require(fits, f"the curve has {curve.dims} abilities and dims is {dims}; leave one of them at 1")
    return dataclasses.replace(curve, dims=max(dims, curve.dims))


def name_of(curve: Curve) -> str:
    """The name of a curve in `CURVES`, signs of slopes and dimensions aside; else what is free in it.

    `curve_of` reads both, so that a fit can be repeated without the package that brought its curve.
    """
    plain = dataclasses.replace(curve, dims=1)
    for known in (plain, dataclasses.replace(plain, positive=False)):
        for name, one in CURVES.items():
            if one == known:
                return name
    return _words(plain)


def _named(model: str) -> Curve:
    if model in CURVES or model in _WORDS:
        return (_WORDS | CURVES)[model]
    return chosen(CURVES | {one.name: one.value for one in brought(GROUP, Curve)}, model, "model")


def _words(curve: Curve) -> str:
    slope = "shared slope" if curve.shared_slope else "slope"
    return ", ".join([slope] + ["floor"] * curve.floor + ["ceiling"] * curve.ceiling)


_WORDS = {
    _words(curve): curve
    for curve in (
        Curve(shared_slope=shared, floor=floor, ceiling=ceiling)
        for shared, floor, ceiling in itertools.product((False, True), repeat=3)
    )
}
