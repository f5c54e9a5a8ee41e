"""What was found when answers and fits were examined: findings with advice, one type per examination."""

import dataclasses
from typing import Any, Literal

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
        """Whether nothing speaks against fitting what was asked."""
        return not self.warnings

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        head = f"{self.models} models ({self.distinct} distinct) x {self.items} items: {self.asked}"
        told = "can be fitted" if self.safe == self.asked else f"cannot be fitted safely; {self.safe} can"
        return "\n".join([f"{head} {told}", *map(str, self.findings)])
