"""What was found when answers and fits were examined: findings with advice, one type per examination."""

import dataclasses
import math
from typing import Any, Literal

import numpy as np

from lleval_jax.values.value import Value

NAMED = 12  # names that a finding lists


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that a reader must know before trusting a fit.

    name      what kind of thing: "copies", "constant items", "too few models", ...
    severity  "note": the fit copes with it; "warning": what is asked cannot be learned from these answers
    found     one sentence with counts
    advice    what to do about it; empty for a note that needs nothing
    count     how many rows or items are concerned
    names     the first of them
    """

    name: str
    severity: Literal["note", "warning"]
    found: str
    advice: str = ""
    count: int = 0
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.severity}: {self.found}" + (f"; {self.advice}" if self.advice else "")


@dataclasses.dataclass(frozen=True)
class Guard:
    """Whether a model can be fitted to answers, seen before the fit.

    asked      the model that was to be fitted, with `dims` abilities
    safe       the richest model up to `asked` that these answers can teach
    findings   warnings first
    models     rows, and `distinct`: how many are left when near-copies count once
    clusters   names of the rows of each set of near-copies, largest first
    slopes     reliability that the median item's slope would have; 0.5 is the least for slopes of their own
    abilities  reliability of the rows' standing
    """

    asked: str
    dims: int
    safe: str
    findings: tuple[Finding, ...]
    models: int
    items: int
    distinct: int
    clusters: tuple[tuple[str, ...], ...]
    slopes: float
    abilities: float

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that speak against fitting what was asked."""
        return tuple(found for found in self.findings if found.severity == "warning")

    @property
    def ok(self) -> bool:
        """Whether the model asked for can be fitted."""
        return not self.warnings

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        head = f"{self.models} models ({self.distinct} distinct) x {self.items} items: {self.asked}"
        verdict = "can be fitted" if self.safe == self.asked else f"cannot be fitted safely; {self.safe} can"
        return "\n".join([f"{head} {verdict}", *map(str, self.findings)])


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """How many intervals contain the score, of models left out of a calibration; or why this was not seen.

    inside   intervals that contain the known score, of `of`
    error    mean absolute error of the estimates; `bias` is the mean signed one, below 0 where they are too low
    level    of the intervals
    why_not  why nothing was checked; empty where it was
    """

    inside: int = 0
    of: int = 0
    error: float = 0.0
    bias: float = 0.0
    level: float = 0.95
    why_not: str = ""

    @property
    def poor(self) -> bool:
        """Whether so few intervals contain the score that chance would show it in less than one case in a hundred."""
        return self.of > 0 and _at_most(self.inside, self.of, self.level) < 0.01

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        if self.why_not:
            return f"skipped: {self.why_not}"
        return (
            f"{self.inside} of {self.of} {100 * self.level:.4g}% intervals contain the score; "
            f"mean absolute error {self.error:z.3f}, bias {self.bias:+z.3f}"
        )


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What speaks against the intervals of a bank: seen before its fit, and on models left out of it.

    models     calibration models, near-copies counted once
    warnings   sentences; empty where the answers could teach what was fitted
    random     models left out at random; None where this was not tried
    strongest  the strongest models left out: what a bank says of models above all that it was made from
    """

    models: int
    warnings: tuple[str, ...] = ()
    random: LeftOut | None = None
    strongest: LeftOut | None = None

    @property
    def caveats(self) -> tuple[str, ...]:
        """The warnings, and what models left out showed against the intervals."""
        said = [*self.warnings]
        for found, who in ((self.random, "models left out"), (self.strongest, "the strongest models left out")):
            if found is not None and found.poor:
                said.append(f"{who} of the calibration: {found}")
        return tuple(said)


def _at_most(inside: int, of: int, level: float) -> float:
    """Probability that at most so many of `of` intervals contain the score if each does with probability `level`."""
    return sum(math.comb(of, i) * level**i * (1 - level) ** (of - i) for i in range(inside + 1))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ItemReport(Value):
    """What was found about each item; numpy arrays (items,).

    flags      what is wrong with it, worst first; empty for a sound item
    answers    how many models answered
    right      mean score; 0 where not answered
    slope      of the item on the ability that the other answers show, in logits a standard deviation of ability
    error      its standard error
    wrong_key  posterior probability that the key is wrong
    misfit     p-value of the test that the curve has its shape; `bent` is the rms change of probability it asks for
    family     p-value of the family that differs most, after correction for the number of families; 1 without families
    shift      how much easier that family finds the item at equal ability, in logits
    """

    items: tuple[str, ...]
    flags: tuple[tuple[str, ...], ...]
    answers: np.ndarray
    right: np.ndarray
    slope: np.ndarray
    error: np.ndarray
    wrong_key: np.ndarray
    misfit: np.ndarray
    bent: np.ndarray
    family: np.ndarray
    shift: np.ndarray
    family_name: tuple[str, ...]

    @property
    def flagged(self) -> list[int]:
        """Positions of the items with a flag, the most serious flags first, then those with most flags."""
        order = {name: rank for rank, name in enumerate(FLAGS)}
        bad = [i for i, flags in enumerate(self.flags) if flags]
        return sorted(bad, key=lambda i: (order[self.flags[i][0]], -len(self.flags[i]), self.slope[i]))

    def count(self) -> dict[str, int]:
        """Flag -> how many items have it."""
        return {name: sum(name in flags for flags in self.flags) for name in FLAGS}


FLAGS = (
    "key likely wrong",
    "negative slope",
    "never answered",
    "depends on another item",
    "differs between families",
    "curve does not fit",
    "low discrimination",
    "all wrong",
    "all right",
)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Dependence(Value):
    """Local dependence: correlations of items beyond ability (Yen's Q3), over the pairs compared.

    pairs      (first item, second item, correlation), strongest first, of those beyond chance and above 0.2
    beyond     how many pairs that are
    compared   pairs compared
    chance     standard deviation that independent items would show
    spread     standard deviation shown, by the median absolute deviation
    histogram  counts and `edges` of the correlations
    """

    pairs: tuple[tuple[str, str, float], ...]
    beyond: int
    compared: int
    chance: float
    spread: float
    histogram: np.ndarray
    edges: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Examination(Value):
    """A fit examined against the answers it was made from.

    items        what is wrong with which item
    dependence   local dependence: items more alike than ability explains
    reliability  (dims,) share of the variance of the abilities that is not posterior variance
    split_half   correlation of the scores on two random halves of the items, stepped up (Spearman-Brown)
    scale        (points,) abilities along the main direction, and the test's `information` there
    """

    items: ItemReport
    dependence: Dependence
    reliability: np.ndarray
    split_half: float
    scale: np.ndarray
    information: np.ndarray


@dataclasses.dataclass(frozen=True)
class Shuffled:
    """The negative control: each item's answers shuffled over the models, then the same fit.

    gain, gain_shuffled      log likelihood an answer above that of the items' means alone, in nats
    slopes, slopes_shuffled  root mean square of the slopes
    """

    gain: float
    gain_shuffled: float
    slopes: float
    slopes_shuffled: float

    @property
    def passed(self) -> bool:
        """Whether the real answers gain at least ten times what shuffled ones do."""
        return self.gain > 10 * max(self.gain_shuffled, 0.0)


@dataclasses.dataclass(frozen=True)
class Recovery:
    """The same shape simulated at the fitted parameters and fitted again: what such answers can teach.

    correlation  "slope", "intercept", "ability" -> of the refitted with the true
    coverage     the same -> share of the true inside the refit's intervals at `level`; none for a shared slope
    """

    level: float
    correlation: dict[str, float]
    coverage: dict[str, float]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Rotation(Value):
    """A multidimensional fit turned to simple structure; slope . ability is what it was.

    by           the criterion
    turn         (dims, dims)  T: abilities become ability @ T
    slope        (items, dims)
    loadings     (items, dims)  standardised, the largest dimension first
    ability      (rows, dims)
    correlation  (dims, dims)  of the abilities in their prior; I for an orthogonal rotation
    names        of the dimensions, from the groups of items that load on them
    """

    by: str
    turn: np.ndarray
    slope: np.ndarray
    loadings: np.ndarray
    ability: np.ndarray
    correlation: np.ndarray
    names: tuple[str, ...]
    converged: bool
