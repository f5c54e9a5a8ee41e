"""What asking costs: a mapping from names to prices, checked in one place."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lleval_jax.errors import nearest, require


def prices_of(price: Mapping[str, float], names: Sequence[str], what: str) -> NDArray[np.float64]:
    """(names,) the price of each; other names may have one too.

    Args:
        price: name -> price, in any unit.
        names: that need a price.
        what: they are, in the plural: "items".

    Raises:
        BadInput: no mapping, a name without a price, or a price that is not a positive number.
    """
    mapping = f"price is of type {type(price).__name__}; it must say the price of each name"
    require(isinstance(price, Mapping), mapping, python="Pass a mapping, as dict(zip(names, prices)).")
    without = [name for name in names if name not in price]
    if without:
        hint = nearest(without[0], map(str, price))
        require(False, f"{len(without)} of {len(names)} {what} have no price, such as {without[0]!r}{hint}")
    found = np.array([price[name] for name in names], float)
    wrong = np.flatnonzero(~(np.isfinite(found) & (found > 0)))
    if len(wrong):
        require(False, f"the price of {names[wrong[0]]!r} is {found[wrong[0]]:g}; prices must be above 0")
    return found
