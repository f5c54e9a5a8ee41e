"""Engines side by side: the same quantities by maximum likelihood, Laplace, SVI and NUTS, and where they differ."""

import dataclasses

import numpy as np
import pandas as pd

from lleval_jax.bayes import maximum
from lleval_jax.bayes.posterior import Posterior
from lleval_jax.errors import require
from lleval_jax.values.params import IrtParams
from lleval_jax.values.results import Estimate, FitResult
from lleval_jax.values.taken_out import table
from lleval_jax.values.value import Value

Found = Posterior | Estimate | FitResult[IrtParams]
MOVED, WIDTH = 0.25, 0.15  # standard errors, and a share of the reference's width: less is agreement
SHOWN = 5  # entries that differ most


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Agreement(Value):
    """The same entries by several engines; the last is what the others are compared with.

    estimates  one an engine, entries in one order
    names      of the engines
    """

    estimates: tuple[Estimate, ...]
    names: tuple[str, ...]

    @property
    def moved(self) -> np.ndarray:
        """(engines, entries) how far each value is from the reference's, in standard errors of the reference."""
        value, sd = (np.stack([getattr(e, what) for e in self.estimates]) for what in ("value", "std_error"))
        return (value - value[-1]) / np.maximum(sd[-1], np.finfo(float).tiny)

    @property
    def width(self) -> np.ndarray:
        """(engines, entries) the width of each interval, over that of the reference's."""
        width = np.stack([e.high - e.low for e in self.estimates])
        return width / np.maximum(width[-1], np.finfo(float).tiny)

    @property
    def agrees(self) -> tuple[bool, ...]:
        """(engines,) whether values and widths are those of the reference, but for a little, in nine of ten entries."""
        near = (np.abs(self.moved) <= MOVED) & (np.abs(self.width - 1) <= WIDTH)
        return tuple((near.mean(1) >= 0.9).tolist())

    def to_frame(self) -> pd.DataFrame:
        """One line an engine and entry."""
        frames = []
        for name, estimate, moved, width in zip(self.names, self.estimates, self.moved, self.width, strict=True):
            frames.append(estimate.to_frame().assign(engine=name, moved=moved, width=width))
        return pd.concat(frames, ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """One line an engine: how far its values are moved, how wide its intervals are, and whether it agrees."""
        moved, width = np.abs(self.moved), self.width
        return pd.DataFrame(
            {
                "engine": self.names,
                "moved, median": np.median(moved, 1),
                "moved, most": moved.max(1),
                "width, median": np.median(width, 1),
                "width, least": width.min(1),
                "width, most": width.max(1),
                "agrees": self.agrees,
            }
        )

    def brief(self) -> str:
        """One line, for a prompt."""
        words = [f"{n}: {'agrees' if yes else 'differs'}" for n, yes in zip(self.names, self.agrees, strict=True)]
        return f"{self.estimates[0].target}, against {self.names[-1]}: {', '.join(words[:-1])}"

    def __str__(self) -> str:
        """The summary, and the entries that differ most."""
        reference = self.estimates[-1]
        head = f"{reference.target}; moved: in standard errors of {self.names[-1]}; width: over its"
        lines = [head, self.summary().to_string(index=False, float_format="{:.2f}".format)]
        worst = np.argsort(-np.abs(self.moved).max(0), kind="stable")[:SHOWN]
        for i in worst:
            parts = (
                f"{name} {e.value[i]:z.3f} [{e.low[i]:z.3f}, {e.high[i]:z.3f}]"
                for name, e in zip(self.names, self.estimates, strict=True)
            )
            lines.append(f"{reference.rows[i]} / {reference.group[i]}: {'; '.join(parts)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return table(self.brief(), self.summary())


def agree(*found: Found, target: str | None = None, level: float = 0.95) -> Agreement:
    """The same quantities by several engines, the last the reference: NUTS, where there is one.

    Args:
        found: posteriors, maximum likelihood fits of `irt.fit` (by the delta method), or estimates; of the same data.
        target: as for `Posterior.estimate`; None: the model's first.
        level: of the intervals; estimates have their own, and it must be this.

    Raises:
        BadInput: fewer than two, or they are not of the same rows and groups.

    Example:
        >>> print(bayes.agree(ll.irt.fit(responses), laplace, nuts, target="ability"))  # doctest: +SKIP
    """
    require(len(found) > 1, "two engines at least are needed to compare")
    estimates = [_estimate(each, target, level) for each in found]
    first = estimates[0]
    keys = list(zip(first.rows, first.group, strict=True))
    for estimate in estimates[1:]:
        same = set(zip(estimate.rows, estimate.group, strict=True)) == set(keys) and len(estimate) == len(keys)
        words = f"{first.method} and {estimate.method} are of different rows or groups"
        require(same, f"{words}; give the same answers to all")
        require(estimate.level == first.level, f"the levels differ: {first.level} and {estimate.level}")
    ordered = [e.take([list(zip(e.rows, e.group, strict=True)).index(key) for key in keys]) for e in estimates]
    return Agreement(tuple(ordered), _distinct([_name(each) for each in found]))


def _estimate(found: Found, target: str | None, level: float) -> Estimate:
    if isinstance(found, Estimate):
        return found
    if isinstance(found, FitResult):
        return maximum.estimate(found, target or "rate", level=level)
    return found.estimate(target, level=level)


def _name(found: Found) -> str:
    if isinstance(found, Posterior):
        return found.engine
    return "maximum likelihood" if isinstance(found, FitResult) else found.method


def _distinct(names: list[str]) -> tuple[str, ...]:
    """Names, numbered where one stands twice."""
    return tuple(f"{n} ({names[:i].count(n) + 1})" if names.count(n) > 1 else n for i, n in enumerate(names))
