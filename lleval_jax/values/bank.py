"""An item bank: calibrated items of one benchmark, ready to score a new model from few answers."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lleval_jax.errors import require
from lleval_jax.values.params import register
from lleval_jax.values.results import Source


@dataclasses.dataclass(frozen=True, eq=False)
class Anchors:
    """The few items to ask.

    index   (k,)  positions in the bank's items, all different
    weight  (k,)  share of the benchmark's score that each anchor stands for; sums to 1
    by      how they were chosen
    mix     (1,)  share of the regression head in the default estimate
    """

    index: np.ndarray
    weight: np.ndarray
    by: str
    mix: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(1))

    def __post_init__(self) -> None:
        require(len(np.unique(self.index)) == len(self.index), "anchors must all be different items")
        require(self.weight.shape == self.index.shape, "one weight per anchor")
        require(bool(np.isclose(self.weight.sum(), 1.0, atol=1e-4)), "anchor weights must sum to 1")


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """What is known of the calibration models: it teaches the step from answers to the full score.

    rows     names of the calibration models
    answers  (rows, items)  scores on the bank's items; 0 where not seen
    seen     (rows, items)
    full     (rows, 1 + groups)  score on the whole benchmark, then on each group; NaN-free
    outside  True where `full` came from a table of its own (the bank holds only part of the benchmark)
    """

    rows: tuple[str, ...]
    answers: np.ndarray
    seen: np.ndarray
    full: np.ndarray
    outside: bool = False

    def __post_init__(self) -> None:
        require(self.answers.shape == self.seen.shape, "answers and seen must have one shape")
        require(len(self.rows) == len(self.answers) == len(self.full), "one row of answers and scores per model")
        require(bool(np.isfinite(self.full).all()), "full scores must be finite numbers")


@register
class Learned(NamedTuple):
    """What the default estimator learned of the items from the calibration models, for kriging.

    models   (n,)         rows of the calibration that were used
    coef     (items, 3)   intercept and slopes of two abilities, for prediction
    phi      ()           dispersion of the scores around the curves
    single   (items, 2)   intercept and slope of the one-ability curve, for comparing items
    ability  (n,)         of the models under `single`
    widen    (targets,)   left-out error in units of the nominal standard error; the whole, then the groups
    """

    models: np.ndarray
    coef: np.ndarray
    phi: np.ndarray
    single: np.ndarray
    ability: np.ndarray
    widen: np.ndarray


@register
class Misfit(NamedTuple):
    """Errors of the estimators on models left out of the item fit.

    bias   (targets,)  signed mean error of p-IRT, which gp-IRT's lambda weighs against the weighted mean's variance
    width  method -> (targets,) left-out error in units of the nominal standard error; a method that is not there is
           as wide as it says, factor 1
    df     ()          models behind it, and the prior's
    """

    bias: np.ndarray
    width: Mapping[str, np.ndarray]
    df: np.ndarray

    def width_of(self, method: str) -> np.ndarray:
        """(targets,) how much wider than nominal a method's intervals must be."""
        return self.width.get(method, np.ones(len(self.bias)))


@register
class Replayed(NamedTuple):
    """What sessions on models left out of the fit taught; kept in a bank.

    length  (lengths,)  answers given
    widen   (lengths,)  standard error of the score in units of the nominal one
    pair    (lengths,)  the same of the difference of two models that answered the same items
    tail    (2,)        degrees of freedom of the errors' Student's t, of scores and of differences
    phi     (1,)        dispersion of answers around their curves
    models  (1,)        how many were left out
    level   (levels,)   probabilities, rising
    always  (levels,)   largest error that a session has at any of its looks, in standard errors: its quantiles
    always_pair (levels,)  the same of differences
    """

    length: np.ndarray
    widen: np.ndarray
    pair: np.ndarray
    tail: np.ndarray
    phi: np.ndarray
    models: np.ndarray
    level: np.ndarray
    always: np.ndarray
    always_pair: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class ItemBank:
    """Calibrated items of one benchmark.

    P(correct | ability) = floor + (ceiling - floor) sigmoid(slope . ability + intercept)

    items       names, in the order of the arrays
    slope       (items, dims)
    intercept   (items,)
    floor       (items,)   0 but for 3PL and 4PL
    ceiling     (items,)   1 but for 4PL
    weight      (items,)   share of each item in the benchmark's score; sums to 1
    group       (items,)   index into `groups`
    covariance  (items, dims + 1, dims + 1)  of (slope, intercept): the bank's own error
    prior_mean  (dims,)    of ability among the calibration models
    prior_cov   (dims, dims)
    anchors     the few items to ask, if chosen
    calibration the calibration models' answers and full scores, if kept
    learned     what the default estimator learned from them, if kept
    misfit      errors of the estimators on models left out of the fit, if kept
    replayed    errors of adaptive sessions of models left out of the fit, if kept
    """

    name: str
    version: str
    items: tuple[str, ...]
    slope: np.ndarray
    intercept: np.ndarray
    floor: np.ndarray
    ceiling: np.ndarray
    weight: np.ndarray
    group: np.ndarray
    groups: tuple[str, ...]
    covariance: np.ndarray
    prior_mean: np.ndarray
    prior_cov: np.ndarray
    anchors: Anchors | None = None
    calibration: Calibration | None = None
    learned: Learned | None = None
    misfit: Misfit | None = None
    replayed: Replayed | None = None
    source: Source = dataclasses.field(default_factory=Source)

    def __post_init__(self) -> None:
        n, d = len(self.items), self.slope.shape[-1]
        shapes = {
            "slope": (n, d),
            "intercept": (n,),
            "floor": (n,),
            "ceiling": (n,),
            "weight": (n,),
            "group": (n,),
            "covariance": (n, d + 1, d + 1),
            "prior_mean": (d,),
            "prior_cov": (d, d),
        }
        for name, shape in shapes.items():
            found = getattr(self, name).shape
            require(found == shape, f"bank {self.name!r}: {name} has shape {found}; expected {shape}")
        require(len(set(self.items)) == n, f"bank {self.name!r}: item names must be unique")
        require(bool(np.isclose(self.weight.sum(), 1.0, atol=1e-4)), f"bank {self.name!r}: weights must sum to 1")
        if self.calibration is not None:
            found = self.calibration.answers.shape[1]
            require(found == n, f"bank {self.name!r}: calibration answers {found} items of {n}")

    @property
    def dims(self) -> int:
        """Number of abilities."""
        return self.slope.shape[1]

    @property
    def anchor_items(self) -> tuple[str, ...]:
        """Names of the anchors: what to run."""
        return () if self.anchors is None else tuple(self.items[i] for i in self.anchors.index)

    @property
    def targets(self) -> tuple[str, ...]:
        """What can be estimated: "all", then each group if there are several."""
        return ("all", *self.groups) if len(self.groups) > 1 else ("all",)

    @property
    def target_weight(self) -> np.ndarray:
        """(targets, items) each item's share in the score of each target; rows sum to 1."""
        return target_weight(self.weight, self.group, len(self.groups))


def target_weight(weight: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """(1 + groups, items) shares of the items in the whole and in each group, or (1, items) with one group."""
    whole = weight / weight.sum()
    if groups == 1:
        return whole[None, :]
    inside = np.where(group[None, :] == np.arange(groups)[:, None], whole, 0.0)
    return np.concatenate([whole[None, :], inside / inside.sum(1, keepdims=True)])
