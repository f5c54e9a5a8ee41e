"""What must be true of an array: its shape, its range, that its numbers are finite. Stated once, where its type is.

    @checked(slope=Rule("items", "dims"), floor=Share("items"), covariance=Covariance("items", "k", "k"))
    class Params(NamedTuple): ...

    require_arrays("the fit", params, {"items": 40})     # BadInput: the fit: floor must lie in [0, 1]; at 3 it is 5

An axis is as long as `sizes` says, else as long as in the first array that has it; a number stands for itself.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from lleval_jax.errors import require

Kept = TypeVar("Kept", bound=type)
Sizes = dict[str, int]
SLACK = 1e-5  # what rounding in float32 may add to a share, or to a sum of shares
TINY = 1e-9  # variances are at least this part of the largest where matrices are scaled to correlations
LEAST = 1e-3  # by which rounding in float32 may push an eigenvalue of a correlation matrix below zero
RULES: dict[type, Mapping[str, "Rule"]] = {}


class Rule:
    """What must be true of one array.

    axes       names of its axes, or lengths as digits
    low, high  its numbers lie between these, but for rounding
    finite     whether no number may be NaN or infinite
    """

    kinds, words = "fiub", "real numbers"  # of numpy's types, and what they are called

    def __init__(self, *axes: str, low: float = -np.inf, high: float = np.inf, finite: bool = True) -> None:
        self.axes, self.low, self.high, self.finite = axes, low, high, finite

    def require(self, name: str, found: np.ndarray, sizes: Sizes) -> None:
        """`BadInput` that names the array and says what is wrong with it."""
        require(found.dtype.kind in self.kinds, f"{name} must hold {self.words}; it holds {found.dtype}")
        self._require_shape(name, found, sizes)
        if self.finite:
            _require_each(name, np.isfinite(found), found, "must be finite")
        low, high = self.low - SLACK * (abs(self.low) == 1), self.high + SLACK * (abs(self.high) == 1)
        _require_each(name, ~((found < low) | (found > high)), found, self._range)
        self._require_more(name, found, sizes)

    def _require_more(self, name: str, found: np.ndarray, sizes: Sizes) -> None:
        """What a kind of array asks beyond shape and range."""

    def _require_shape(self, name: str, found: np.ndarray, sizes: Sizes) -> None:
        """The right shape; axes not met before become as long as they are here."""
        if found.ndim == len(self.axes):
            for axis, length in zip(self.axes, found.shape, strict=True):
                sizes.setdefault(axis, int(axis) if axis.isdigit() else length)
            if found.shape == tuple(sizes[axis] for axis in self.axes):
                return
        known = [str(int(axis) if axis.isdigit() else sizes.get(axis, axis)) for axis in self.axes]
        wanted = f"({', '.join(known)}{',' if len(known) == 1 else ''})"
        require(False, f"{name} has shape {found.shape}; expected {wanted}")

    @property
    def _range(self) -> str:
        if np.isfinite(self.high):
            return f"must lie in [{self.low:g}, {self.high:g}]"
        return "must not be negative" if self.low == 0 else f"must be at least {self.low:g}"


class Share(Rule):
    """Numbers in [0, 1]."""

    def __init__(self, *axes: str) -> None:
        super().__init__(*axes, low=0, high=1)


class Flag(Rule):
    """True or false."""

    kinds, words = "b", "true or false"


class Whole(Rule):
    """Whole numbers."""

    kinds, words = "iu", "whole numbers"


class Index(Whole):
    """Positions on the axis `of`."""

    def __init__(self, *axes: str, of: str) -> None:
        super().__init__(*axes)
        self.of = of

    def _require_more(self, name: str, found: np.ndarray, sizes: Sizes) -> None:
        require(self.of in sizes, f"{name} points at {self.of}, and there are no names of {self.of}")
        last = sizes[self.of] - 1
        _require_each(name, (found >= 0) & (found <= last), found, f"must lie in 0..{last}, the positions of {self.of}")


class Positive(Rule):
    """Numbers above zero."""

    def _require_more(self, name: str, found: np.ndarray, sizes: Sizes) -> None:
        _require_each(name, found > 0, found, "must be above 0")


class Shares(Rule):
    """Shares of a whole: not negative, and their sum is 1."""

    def __init__(self, *axes: str) -> None:
        super().__init__(*axes, low=0)

    def _require_more(self, name: str, found: np.ndarray, sizes: Sizes) -> None:
        total = float(found.sum())
        require(abs(total - 1) <= 1e-4, f"{name} must sum to 1; the sum is {total:g}")


class Covariance(Rule):
    """Covariance matrices in the last two axes: symmetric, without a negative eigenvalue."""

    def _require_more(self, name: str, found: np.ndarray, sizes: Sizes) -> None:
        if not found.size:
            return
        cov = found.astype(float)
        variance = np.diagonal(cov, axis1=-2, axis2=-1)
        _require_each(name, variance >= 0, variance, "must have no negative variance")
        sd = np.sqrt(np.maximum(variance, TINY * variance.max(-1, keepdims=True, initial=0) + np.finfo(float).tiny))
        scaled = cov / sd[..., :, None] / sd[..., None, :]
        _require_each(name, np.abs(scaled - np.swapaxes(scaled, -1, -2)) <= LEAST, cov, "must be symmetric")
        least = _least_eigenvalue(scaled)
        _require_each(name, least >= 0, least, "must have no negative eigenvalue, as a correlation matrix")


def checked(**rules: Rule) -> Callable[[Kept], Kept]:
    """A class decorator: the rules of a class's arrays, one a field."""

    def put(cls: Kept) -> Kept:
        RULES[cls] = rules
        return cls

    return put


def require_arrays(owner: str, value: Any, sizes: Mapping[str, int]) -> None:
    """`BadInput` names the first array of a value that breaks its rule.

    Args:
        owner: whose arrays they are: "bank 'x'".
        value: of a class that has rules (`checked`); one without is let through. Values inside it are checked too, a
            field that is None is not.
        sizes: axis -> its length, where that is known.
    """
    known, rules = dict(sizes), RULES.get(type(value), {})
    for field, rule in rules.items():
        found = getattr(value, field)
        if found is not None:
            rule.require(f"{owner}: {field}", np.asarray(found), known)
    for field in getattr(value, "_fields", ()):
        inside = getattr(value, field)
        if type(inside) in RULES and hasattr(inside, "_fields"):
            require_arrays(f"{owner}: {field}", inside, sizes)


def require_known(name: str, found: np.ndarray, seen: np.ndarray, *axes: str) -> None:
    """`BadInput` unless scores are in [0, 1] where they are seen; the others may be anything."""
    Share(*axes).require(name, np.where(seen, found, 0), {})


def require_names(name: str, found: Iterable[Any], *, unique: bool = True) -> None:
    """`BadInput` unless they are texts, and all different unless told otherwise."""
    seen: set[str] = set()
    for at, each in enumerate(found):
        require(isinstance(each, str), f"{name} must be texts; at {at} there is {each!r:.60}")
        require(not unique or each not in seen, f"{name} must be unique; {each!r:.60} is there twice")
        seen.add(each)


def _require_each(name: str, fine: np.ndarray, found: np.ndarray, what: str) -> None:
    """`BadInput` with the first place where it is not so."""
    if np.all(fine):
        return
    at = tuple(int(i) for i in np.argwhere(~np.asarray(fine))[0])
    where = f"at {at[0] if len(at) == 1 else at} it is" if at else "it is"
    require(False, f"{name} {what}; {where} {found[at]:g}")


def _least_eigenvalue(scaled: np.ndarray) -> np.ndarray:
    """(...,) of matrices with unit variances, but for rounding; 0 for all where a quick look shows none negative."""
    more = scaled + LEAST * np.eye(scaled.shape[-1])
    try:
        np.linalg.cholesky(more)
        return np.zeros(scaled.shape[:-2])
    except np.linalg.LinAlgError:
        return np.linalg.eigvalsh(more)[..., 0]
