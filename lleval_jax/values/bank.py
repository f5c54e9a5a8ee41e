"""An item bank: calibrated items of one benchmark, ready to score a new model from few answers."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lleval_jax.errors import require
from lleval_jax.values import rules
from lleval_jax.values.params import AnswerKinds, register
from lleval_jax.values.responses import positions
from lleval_jax.values.results import FitResult, Source
from lleval_jax.values.rules import Covariance, Flag, Index, Positive, Rule, Share, Shares, Whole, checked
from lleval_jax.values.trust import Verdict
from lleval_jax.values.value import Value


@checked(index=Whole("anchors", low=0), weight=Shares("anchors"), mix=Share("1"))
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Anchors(Value):
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
        rules.require_arrays("anchors", self, {})
        require(len(np.unique(self.index)) == len(self.index), "anchors must all be different items")


@checked(answers=Share("models", "items"), seen=Flag("models", "items"), full=Share("models", "targets"))
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Calibration(Value):
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
        rules.require_names("calibration: rows", self.rows, unique=False)
        rules.require_arrays("calibration", self, {"models": len(self.rows)})


@register
@checked(
    models=Index("used", of="models"),
    coef=Rule("items", "3"),
    phi=Rule(low=0),
    single=Rule("items", "2"),
    ability=Rule("used"),
    widen=Positive("targets"),
)
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
@checked(bias=Rule("targets"), df=Positive())
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


WIDTH = Positive("targets")  # of each method in `Misfit.width`


@register
@checked(
    length=Positive("lengths"),
    widen=Positive("lengths"),
    pair=Positive("lengths"),
    tail=Positive("2"),
    phi=Rule("1", low=0),
    models=Rule("1", low=0),
    level=Share("levels"),
    always=Rule("levels", low=0),
    always_pair=Rule("levels", low=0),
)
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


@checked(
    slope=Rule("items", "dims"),
    intercept=Rule("items"),
    floor=Share("items"),
    ceiling=Share("items"),
    weight=Shares("items"),
    group=Index("items", of="groups"),
    covariance=Covariance("items", "dims + 1", "dims + 1"),
    prior_mean=Rule("dims"),
    prior_cov=Covariance("dims", "dims"),
)
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ItemBank(Value):
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
    verdict     what speaks against its intervals, if that was examined
    answers     how the answers to each item are spread around its curve; None if all are right or wrong, or k of n.
                The expected score is then that of the item's kind at slope . ability + intercept

    What must be true of each array stands above its class, and is checked when a bank is made or loaded.
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
    verdict: Verdict | None = None
    answers: AnswerKinds | None = None
    source: Source = dataclasses.field(default_factory=Source)

    def __post_init__(self) -> None:
        owner, sizes = f"bank {self.name!r}", {"items": len(self.items), "groups": len(self.groups)}
        require(np.ndim(self.slope) == 2, f"{owner}: slope has shape {np.shape(self.slope)}; expected (items, dims)")
        sizes |= {"dims": np.shape(self.slope)[1], "dims + 1": np.shape(self.slope)[1] + 1}
        rules.require_names(f"{owner}: item names", self.items)
        rules.require_names(f"{owner}: groups", self.groups)
        rules.require_arrays(owner, self, sizes)
        over = np.flatnonzero(self.floor > self.ceiling)[:1]
        require(not len(over), f"{owner}: floor must not be above ceiling; at {over[:1]} it is")
        mass = np.bincount(self.group, self.weight, len(self.groups))
        require(
            bool((mass > 0).all()), f"{owner}: each group must have some weight; {_first(self.groups, mass)} has none"
        )
        self._require_parts(owner, sizes | {"targets": len(self.targets)})

    def _require_parts(self, owner: str, sizes: rules.Sizes) -> None:
        """Parts that were made by themselves belong to this bank."""
        if self.anchors is not None:
            where = Index("anchors", of="items")
            where.require(f"{owner}: anchors: index", np.asarray(self.anchors.index), dict(sizes))
        known = self.calibration
        if known is not None:
            answered, full = known.answers.shape[1], known.full.shape[1]
            require(
                answered == sizes["items"], f"{owner}: calibration: answers to {answered} items of {sizes['items']}"
            )
            many = sorted({1, sizes["targets"]} if known.outside else {sizes["targets"]})
            require(
                full in many, f"{owner}: calibration: full has {full} columns; expected {' or '.join(map(str, many))}"
            )
            sizes = sizes | {"models": len(known.rows)}
        else:
            sizes = sizes | {"models": np.iinfo(int).max}  # what was learned may be kept without the models
        if self.answers is not None:
            many, dims = len(self.answers.names), sizes["dims"]
            require(dims == 1, f"{owner}: answers: kinds of answers go with one ability; there are {dims}")
            known_kinds = bool((np.asarray(self.answers.kind) < many).all())
            require(known_kinds, f"{owner}: answers: kind points beyond the {many} names")
        for name in ("learned", "misfit", "replayed", "answers"):
            rules.require_arrays(f"{owner}: {name}", getattr(self, name), sizes)
        for method, width in ({} if self.misfit is None else self.misfit.width).items():
            WIDTH.require(f"{owner}: misfit: width of {method!r}", np.asarray(width), dict(sizes))

    def arranged(self, items: Sequence[str], models: Sequence[str] = ()) -> "ItemBank":
        """The same bank with its items, and its calibration models, in this order of their names."""
        at, made, kept, chosen = positions(items, self.items), self.calibration, self.learned, self.anchors
        whole: dict[str, Any] = {name: getattr(self, name)[at] for name in BY_ITEM}
        if chosen is not None:
            whole["anchors"] = dataclasses.replace(chosen, index=np.argsort(at)[chosen.index])
        if made is not None:
            row = positions([name for name in models or made.rows if name in set(made.rows)], made.rows)
            whole["calibration"] = dataclasses.replace(
                made,
                rows=tuple(made.rows[i] for i in row),
                answers=made.answers[np.ix_(row, at)],
                seen=made.seen[np.ix_(row, at)],
                full=made.full[row],
            )
            if kept is not None:
                kept = kept._replace(models=np.argsort(row)[kept.models])
        if self.answers is not None:
            whole["answers"] = self.answers.take(at)
        if kept is not None:
            whole["learned"] = kept._replace(coef=kept.coef[at], single=kept.single[at])
        return dataclasses.replace(self, items=tuple(items), **whole)

    @property
    def dims(self) -> int:
        """Number of abilities."""
        return self.slope.shape[1]

    def brief(self) -> str:
        """One line, for a prompt."""
        made = self.calibration
        parts = [f"{len(self.items):,} items", f"{len(self.groups):,} groups"] if len(self.groups) > 1 else []
        parts = parts or [f"{len(self.items):,} items"]
        parts += [f"{self.dims} abilities"] if self.dims > 1 else []
        parts += [] if self.anchors is None else [f"{len(self.anchors.index):,} anchors"]
        parts += [] if made is None else [f"{len(made.rows):,} calibration models"]
        return f"{self.name!r} version {self.version}, {', '.join(parts)}"

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader of its estimates must know, a sentence each; empty where there is nothing."""
        said = [] if self.verdict is None else [*self.verdict.caveats]
        made = self.calibration
        if made is not None and not made.outside and self.misfit is None:
            said.append("its intervals were not checked on models left out of its calibration")
        return tuple(f"bank {self.name!r}: {one}" for one in said)

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


BY_ITEM = ("slope", "intercept", "floor", "ceiling", "weight", "group", "covariance")  # arrays with a line an item


def _first(names: tuple[str, ...], mass: np.ndarray) -> str:
    return repr(names[int(np.argmin(mass))])


def target_weight(weight: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """(1 + groups, items) shares of the items in the whole and in each group, or (1, items) with one group."""
    whole = weight / weight.sum()
    if groups == 1:
        return whole[None, :]
    inside = np.where(group[None, :] == np.arange(groups)[:, None], whole, 0.0)
    return np.concatenate([whole[None, :], inside / inside.sum(1, keepdims=True)])


def require_bank(bank: object) -> None:
    """`BadInput` that says what to do, unless `bank` is one: a name, answers or a fit are the usual slips."""
    kind = type(bank).__name__
    if isinstance(bank, str | os.PathLike):
        require(False, f"bank is a name, {os.fspath(bank)!r}.", python=f"Pass bank=ll.load_bank({os.fspath(bank)!r}).")
    if isinstance(bank, FitResult):
        require(False, "bank is a fit.", python="Make a bank of it: ll.anchors.choose(fit, responses=responses).")
    if kind in ("Responses", "SparseResponses"):
        require(False, "bank is answers.", python="The answers come first, then bank=...")
    require(isinstance(bank, ItemBank), f"bank is of type {kind}; it must be an item bank, as ll.load_bank gives.")
