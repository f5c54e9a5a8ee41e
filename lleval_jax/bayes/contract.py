"""What a model must be, so that every engine, table and file takes it.

A model is a frozen dataclass of settings that is also a NumPyro function: called with the arrays of `lay_out` it
samples its sites and adds the likelihood by the same functions of `core` as the fits do. Anyone's own class with these
members goes through `bayes.sample` as ours do.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np

from lleval_jax.types import Array
from lleval_jax.values.results import FitResult, Source

Values = Mapping[str, Array]


class Target(NamedTuple):
    """What can be estimated: the names of its rows and groups, and the answers behind each entry.

    rows    models, prompts, ...
    groups  "all" and the parts of the benchmark, or dimensions
    n_seen  (rows, groups)
    """

    rows: tuple[str, ...]
    groups: tuple[str, ...]
    n_seen: np.ndarray


class Laid(NamedTuple):
    """A value as a model takes it.

    data     a NamedTuple of arrays
    axes     axis -> its names: models, items, groups, dims, ...
    dims     what is kept of a draw -> its axes
    targets  name -> what can be estimated; the first is the usual one
    source   of the value
    """

    data: Any
    axes: Mapping[str, tuple[str, ...]]
    dims: Mapping[str, tuple[str, ...]]
    targets: Mapping[str, Target]
    source: Source


class Model(Protocol):
    """A model of some kind of value, such as `Responses`.

    data      the NamedTuple that `lay_out` makes
    observed  axes of `log_likelihood`
    """

    data: ClassVar[type]
    observed: ClassVar[tuple[str, ...]]

    @property
    def name(self) -> str:
        """What it is called in results."""
        ...

    @property
    def units(self) -> tuple[str, ...]:
        """Sites whose first axis is a unit (an item); given all other sites units are independent."""
        ...

    @property
    def accept(self) -> float:
        """Acceptance probability that NUTS aims at: 0.8, more where sizes of effects are learned from few effects."""
        ...

    def maximum(self, value: Any) -> FitResult | None:
        """Our maximum likelihood fit of the same model, where sampling starts; None where there is none."""
        ...

    def lay_out(self, value: Any, fit: FitResult | None, precision: str) -> Laid:
        """Names and arrays apart; the fit is None for a prior. `BadInput` for a value that the model cannot take."""
        ...

    def start(self, laid: Laid, fit: Any) -> dict[str, np.ndarray]:
        """A value of every site, from the fit, or from the answers where there is no fit."""
        ...

    def __call__(self, data: Any) -> None:
        """The NumPyro function."""
        ...

    def outcome(self, target: str, data: Any, draw: Values, key: Array) -> Array:
        """(rows, groups) of one draw."""
        ...

    def log_likelihood(self, data: Any, draw: Values) -> Array:
        """Of one draw and each observation; 0 where nothing was observed."""
        ...


@runtime_checkable
class Parted(Protocol):
    """A model of which some units alone are a model too: what drawing items in SVI takes.

    `part(data, units)` is the data of these units, (drawn,) by index, maybe none of them. Given all that is shared, a
    unit's part of the log density must not depend on which others there are.
    """

    @property
    def parted(self) -> bool:
        """Whether these settings allow it."""
        ...

    def part(self, data: Any, units: Array) -> Any:
        """The same arrays of these units."""
        ...
