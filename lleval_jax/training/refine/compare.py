"""What the arms of a weak-to-strong experiment reached: with intervals, against the untouched model, and at what cost.

The performance gap recovered, (student - teacher) / (ceiling - teacher), flatters: a student below the strong model as
it was may have recovered most of it. So the difference to that model stands next to it (Somerstep et al. 2024).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lleval_jax.errors import require, require_level
from lleval_jax.training.refine import two_way
from lleval_jax.training.refine.arms import DISTANCE, Arms
from lleval_jax.training.refine.two_way import Draws, Interval
from lleval_jax.values.pool import Spent
from lleval_jax.values.results import Estimate, Source
from lleval_jax.values.value import Value

SCORE, GAIN, GAP = "score", "minus base", "gap recovered"
REFINED = ("refine", "infer", "improve")  # how the names of refined arms begin
LEARNED = 3.0  # passes of a token that is learned, to one that is read or written
CITE = ("somerstep2024transfer",)
ONE_SEED = "trained once: the intervals do not hold what varies from one training to the next"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Compared(Value):
    """What was found.

    estimates  measure -> an `Estimate` with arms as rows and as groups "score", "minus base" and, where there is a
               ceiling, "gap recovered"
    warnings   what a reader must look at before believing an arm
    costs      "tokens", "money" -> arm -> what it cost
    """

    estimates: Mapping[str, Estimate]
    warnings: tuple[str, ...] = ()
    costs: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)

    def brief(self) -> str:
        """What was measured."""
        return f"{', '.join(self.estimates)}; {len(self.warnings)} warnings"

    def __str__(self) -> str:
        return "\n\n".join([*map(str, self.estimates.values()), *self.warnings])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        found = {measure: estimate.to_dict() for measure, estimate in self.estimates.items()}
        return {
            "measures": found,
            "warnings": list(self.warnings),
            "costs": {k: dict(v) for k, v in self.costs.items()},
        }


def compare(
    arms: Arms,
    *,
    base: str = "base",
    teacher: str = "teacher",
    ceiling: str | None = None,
    refined: Sequence[str] | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    source: Source | None = None,
) -> Compared:
    """Scores of all arms, differences to the base and gaps recovered, paired over questions and seeds.

    Args:
        arms: what they scored.
        base: the strong model, untouched.
        teacher: the weak one.
        ceiling: the strong model that learned the truth; None: no gap is given.
        refined: arms whose answers were refined; None: those whose names begin with refine, infer or improve.
        level: of the intervals.
        draws: bootstrap draws of questions and seeds, the same for all arms.
        seed: of the draws.
        source: where the scores come from.

    Returns:
        A `Compared`. It warns where refined answers are further from the base's than the teacher's own are, by more
        than chance: the strong model may then be sure of what the teacher does not mean, and more demonstrations make
        that worse (`exact.misled`). A teacher that only goes part of the way gives the same warning: read some answers.

    Raises:
        BadInput: there is no such arm.
    """
    require_level(level)
    require(draws >= 100, f"draws is {draws}; intervals need 100 at least")
    by = two_way.drawn(len(arms.questions), len(arms.seeds), draws, seed)
    measures = [name for name in arms.scores if name != DISTANCE] or list(arms.scores)
    about = Source(cite=CITE).merge(source or Source())
    found = {name: _estimate(arms, name, base, teacher, ceiling, by, level, about) for name in measures}
    named = [n for n in arms.names if n.startswith(REFINED)] if refined is None else list(refined)
    said = _moved(arms, named, teacher, by, level) if DISTANCE in arms.scores else ()
    costs = {name: dict(zip(arms.names, map(float, each), strict=True)) for name, each in arms.costs.items()}
    return Compared(found, said, costs)


def matched_epochs(spent: Spent, tokens: int, epochs: float) -> float:
    """Epochs of naive training that cost what refinement did and `epochs` of learning its answers.

    A token that is learned takes three passes of the model, one that is read or written takes one.

    Args:
        spent: by the refinement.
        tokens: of an epoch of naive training.
        epochs: that the refined student learns.

    Example:
        >>> matched_epochs(Spent(requests=100, asked=54_000, written=6_000), 20_000, 3)
        4.0
    """
    require(tokens > 0, f"tokens is {tokens}; an epoch has some")
    return epochs + (spent.asked + spent.written) / (LEARNED * tokens)


def _estimate(
    arms: Arms, measure: str, base: str, teacher: str, ceiling: str | None, by: Draws, level: float, source: Source
) -> Estimate:
    """A measure of all arms."""
    zero, weak = arms[measure, base], arms[measure, teacher]
    entries: list[tuple[str, str, Interval, str]] = []
    for name in arms.names:
        here = arms[measure, name]
        entries.append((name, SCORE, two_way.mean(here, by, level), "ok"))
        if name != base:
            entries.append((name, GAIN, two_way.mean(here - zero, by, level), "ok"))
        if ceiling is not None and name not in (teacher, ceiling):
            gap = two_way.ratio(here - weak, arms[measure, ceiling] - weak, by, level)
            entries.append((name, GAP, gap, "ok" if np.isfinite(gap.low) else "gap not above 0"))
    rows, groups, numbers, status = zip(*entries, strict=True)
    value, low, high, error = np.array(numbers).T
    many = len(arms.questions) * len(arms.seeds)
    return Estimate(
        target=measure,
        method="paired bootstrap over questions and seeds",
        rows=rows,
        group=groups,
        value=value,
        low=low,
        high=high,
        level=level,
        std_error=error,
        n_seen=np.full(len(rows), many),
        status=status,
        source=source,
        caveats=(ONE_SEED,) if len(arms.seeds) == 1 else (),
    )


def _moved(arms: Arms, refined: Sequence[str], teacher: str, by: Draws, level: float) -> tuple[str, ...]:
    """A sentence for each refined arm that is further from the base than the teacher is."""
    said, weak = [], arms[DISTANCE, teacher]
    for name in refined:
        here = arms[DISTANCE, name]
        if two_way.mean(here - weak, by, level).low > 0:
            said.append(
                f"answers of {name!r} are further from the untouched model's ({here.mean():.3f}) than the teacher's "
                f"own are ({weak.mean():.3f}): the strong model may be sure of what the teacher does not mean. Read "
                f"some before they are learned; more demonstrations would make it worse."
            )
    return tuple(said)
