"""Results other than scores: the best prompt, a distribution, a link of banks, flagged families, mislabelled rows."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lleval_jax.errors import require_known
from lleval_jax.values.bank import ItemBank
from lleval_jax.values.results import Estimate
from lleval_jax.values.value import Value

KINDS = "exchanged", "fits no row", "constant block", "same answers"  # of what can be wrong with rows


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Best(Value):
    """The prompt named best, with its probability. Its posterior mean is the highest, not its observed one.

    prompt       its name
    probability  that no prompt scores higher on all items: that it is best, or tied for it
    scores       of all prompts, with intervals
    at           probabilities (levels,)
    within       (levels,) its score is at most so far below the best one's, with those probabilities
    gap          how far it is below the best, expected
    prompts      names, (prompts,)
    chance       (prompts,) probability of being the best; ties are shared, so that they sum to 1
    spent        price of the answers
    why          why it is enough, or why it is not yet
    enough       whether nothing more needs to be asked
    """

    prompt: str
    probability: float
    scores: Estimate
    at: tuple[float, ...]
    within: tuple[float, ...]
    gap: float
    prompts: tuple[str, ...]
    chance: NDArray
    spent: float
    why: str
    enough: bool = False

    @property
    def score(self) -> Estimate:
        """Its score, with interval."""
        return self.scores.take([self.prompts.index(self.prompt)])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: the estimate of its score, and the choice."""
        best = {
            "prompt": self.prompt,
            "probability": self.probability,
            "expected_gap": self.gap,
            "within": [{"probability": p, "gap": gap} for p, gap in zip(self.at, self.within, strict=True)],
            "chance": dict(zip(self.prompts, self.chance.tolist(), strict=True)),
            "spent": self.spent,
            "why": self.why,
            "enough": self.enough,
        }
        return self.score.to_dict() | {"best": best}

    @property
    def sure(self) -> str:
        """The probability that the prompt is best; where ties matter, also that it is best or tied for it."""
        alone, tied = percent(float(self.chance[self.prompts.index(self.prompt)])), percent(self.probability)
        also = f"; P(best or tied) = {tied}" if tied != alone else ""
        return f"{self.prompt}: P(best) = {alone}{also}"

    def __str__(self) -> str:
        found = self.score
        return (
            f"{self.sure}; its regret is at most {100 * self.within[-1]:z.1f} points "
            f"with probability {self.at[-1]:g}\n"
            f"score {found.value[0]:z.3f}  [{found.low[0]:z.3f}, {found.high[0]:z.3f}]  n = {found.n_seen[0]}"
        )


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Distribution(Value):
    """Scores of the prompts in rising order, as posterior means of the order statistics, with a band for each.

    share      (rows,) place in the ranking, from 0 to 1
    value      (rows,) scores, rising
    low, high  (rows,) ends of the band
    """

    share: NDArray
    value: NDArray
    low: NDArray
    high: NDArray


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Linked(Value):
    """The new bank on the old bank's scale, with standard errors.

    scale, shift  of ability: old = scale * new + shift
    covariance    (2, 2) of the two: the link's own error, which all items of `bank` share and its covariance leaves out
    common        names of the items or models that both banks know and the link used
    kind          "items" or "models": what is common
    method        how the link was found
    drift         how far common items moved beyond their standard errors, as a standard deviation in logits at the
                  calibration models' mean ability; of models, in units of the old ability
    bank          the new bank on the old scale
    estimate      scale and shift with intervals
    """

    scale: float
    shift: float
    covariance: NDArray
    common: tuple[str, ...]
    kind: str
    method: str
    drift: float
    bank: ItemBank
    estimate: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, the bank left out."""
        return {
            "schema": "lleval/link/1",
            "scale": self.scale,
            "shift": self.shift,
            "covariance": self.covariance.tolist(),
            "common": len(self.common),
            "kind": self.kind,
            "method": self.method,
            "drift": self.drift,
            "estimate": self.estimate.to_dict(),
        }

    def __str__(self) -> str:
        return f"{len(self.common)} common {self.kind}, drift {self.drift:z.2f}\n{self.estimate}"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Suspicion(Value):
    """Which families do better somewhere than their scores elsewhere and the other families predict.

    estimate    one entry a family and version (or version/domain): its excess, a share in [-1, 1], in the middle of
                what the laws of drift say, and the larger standard error; intervals cover those of either law and
                hold for all entries at once: `low > 0` is a flag before Holm's step
    p_values    (entries,)  the larger of the laws', adjusted for all entries (Holm 1979)
    flagged     families with an entry at most `alarm`, most suspicious first
    detectable  (entries,)  excess that would be flagged about four times in five, were the spread known
    alarm       chance of any flag where all are honest
    """

    estimate: Estimate
    p_values: NDArray
    flagged: tuple[str, ...]
    detectable: NDArray
    alarm: float

    @property
    def losses(self) -> bool:
        """Whether losses were looked for as well: the intervals of both sides have the level 1 - alarm."""
        return self.estimate.level > 1 - 1.5 * self.alarm

    @property
    def change(self) -> str:
        """What was looked for, as a verb."""
        return "gain or lose" if self.losses else "gain"

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a suspicion, schema `lleval/suspicion/1`."""
        return {
            "schema": "lleval/suspicion/1",
            "alarm": self.alarm,
            "flagged": list(self.flagged),
            "p_values": self.p_values.tolist(),
            "detectable": self.detectable.tolist(),
            "excess": self.estimate.to_dict(),
        }

    def __str__(self) -> str:
        who = ", ".join(self.flagged) or "none"
        lines = [f"{self.change} more than expected (family-wise error {100 * self.alarm:.3g}%): {who}"]
        for at in np.argsort(self.p_values, kind="stable")[:5]:
            e = self.estimate
            lines.append(
                f"{e.rows[at]} on {e.group[at]}: {100 * e.value[at]:+z.1f} points "
                f"[{100 * e.low[at]:z.1f}, {100 * e.high[at]:z.1f}], p = {self.p_values[at]:.2g}, "
                f"{100 * self.detectable[at]:z.1f} points are detectable"
            )
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class RowFinding:
    """One thing that is wrong with rows.

    kind      one of `KINDS`
    rows      names concerned; of an exchange: the name a row carries, then the name that its answers fit
    versions  positions of the versions concerned
    p_value   chance that sound rows show this or anything like it, over all that was looked at
    found     one sentence
    """

    kind: str
    rows: tuple[str, ...]
    versions: tuple[int, ...]
    p_value: float
    found: str


@dataclasses.dataclass(frozen=True)
class Skipped:
    """Two versions whose rows could not be compared: nothing found there says nothing.

    versions  positions of the two
    rows      names that both have
    items     how many items both have
    found     one sentence
    """

    versions: tuple[int, int]
    rows: tuple[str, ...]
    items: int
    found: str


@dataclasses.dataclass(frozen=True)
class RowCheck:
    """What is wrong with the rows of several versions; empty when all is well.

    findings  most certain first within a kind
    alarm     chance of any finding where rows are sound
    rows      how many rows each version has
    skipped   neighbouring versions with too little in common to be compared
    """

    findings: tuple[RowFinding, ...]
    alarm: float
    rows: tuple[int, ...]
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.findings)

    def of(self, kind: str) -> tuple[RowFinding, ...]:
        """Findings of one kind."""
        require_known(kind, KINDS, "kind")
        return tuple(one for one in self.findings if one.kind == kind)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a check, schema `lleval/row-check/1`."""
        found = [dataclasses.asdict(one) for one in self.findings]
        skipped = [dataclasses.asdict(one) for one in self.skipped]
        return {
            "schema": "lleval/row-check/1",
            "alarm": self.alarm,
            "rows": list(self.rows),
            "findings": found,
            "skipped": skipped,
        }

    def __str__(self) -> str:
        head = f"{len(self.rows)} versions, false-alarm rate {100 * self.alarm:.3g}%"
        lines = [f"{one.found} (p = {one.p_value:.2g})" for one in self.findings]
        left = [one.found for one in self.skipped]
        return "\n".join([f"rows of {head}: {len(lines) or 'nothing'} found", *lines, *left])


def percent(probability: float) -> str:
    """Two digits, and no certainty that draws cannot give."""
    return "over 0.99" if probability > 0.995 else f"{probability:z.2f}"
