"""What a board of per-question results can say, and what it cannot."""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from lleval_jax.errors import require
from lleval_jax.values.results import Source
from lleval_jax.values.value import Value

SCHEMA = "lleval/audit/1"
POWER = 0.8  # chance of separating a gap, of `Audit.needed`
GAPS = (0.01, 0.02, 0.05)  # of which the JSON and the tables say how many questions they need
LISTED = 20  # questions named in the JSON for each reason


class Splits(NamedTuple):
    """A board on random halves of its questions.

    times        how many splits
    first        share of halves on which the board's first is first, alone or tied
    agree        share of splits whose halves have the same first
    correlation  mean rank correlation of the two halves
    """

    times: int
    first: float
    agree: float
    correlation: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Audit(Value):
    """Models best first, and which differences are more than chance.

    rows        names of the models
    items       names of the questions
    score       (models,) mean over the questions answered
    n_seen      (models,) how many
    best, worst (models,) the ranks that each may have; all together contain the true ranks with probability `level`
    tier        (models,) from 1: a tier begins with the first model that is separated from the first of the tier before
    p           (models, models) p value of each pair, adjusted for all pairs
    p_alone     (models, models) of each pair by itself
    error       (models, models) standard error of each difference
    critical    how many standard errors two models must differ by, among all pairs
    level       see `best`
    clusters    how many clusters of questions; 0 where each is independent
    population  what scores are of: "questions like these"
    splits      the board on halves of its questions
    reliability KR-20 (Cronbach's alpha where scores are not 0 or 1); NaN where it is not defined
    share       (questions,) of the variance of scores: which questions decide
    solved      (questions,) mean score over models
    constant    (questions,) whether all models that answered have the same score
    contested   (questions,) whether the models tied with the first differ on it
    copies      names of near-copies, a set a tuple
    source      the files, and what to cite
    """

    rows: tuple[str, ...]
    items: tuple[str, ...]
    score: NDArray
    n_seen: NDArray
    best: NDArray
    worst: NDArray
    tier: NDArray
    p: NDArray
    p_alone: NDArray
    error: NDArray
    critical: float
    level: float
    clusters: int
    population: str
    splits: Splits
    reliability: float
    share: NDArray
    solved: NDArray
    constant: NDArray
    contested: NDArray
    copies: tuple[tuple[str, ...], ...]
    source: Source = dataclasses.field(default_factory=Source)

    @property
    def separated(self) -> NDArray:
        """(models, models) whether two differ by more than chance, all pairs judged at once."""
        return self.p <= 1 - self.level + 1e-12

    @property
    def tied(self) -> NDArray:
        """(models,) whether each is not separated from the first; the first is not counted."""
        return ~self.separated[0] & (np.arange(len(self.rows)) > 0)

    @property
    def tied_alone(self) -> NDArray:
        """The same by a paired test of each against the first, not corrected for how many there are."""
        return (self.p_alone[0] > 1 - self.level + 1e-12) & (np.arange(len(self.rows)) > 0)

    @property
    def neighbours(self) -> NDArray:
        """(models - 1,) whether each is separated from the next."""
        return np.diag(self.separated, 1)

    @property
    def neighbours_alone(self) -> NDArray:
        """The same, each pair by itself."""
        return np.diag(self.p_alone, 1) <= 1 - self.level + 1e-12

    @property
    def typical_error(self) -> float:
        """Median standard error of the difference of neighbours that ever differ."""
        errors = np.diag(self.error, 1)
        kept = errors[np.isfinite(errors) & (errors > 0)]
        return float(np.median(kept)) if len(kept) else math.nan

    @property
    def resolves(self) -> float:
        """The least gap between neighbours that the board separates, typically."""
        return self.critical * self.typical_error

    @property
    def decide(self) -> int:
        """How few questions make half of the spread of scores."""
        made = np.cumsum(np.sort(self.share)[::-1])
        return int(np.searchsorted(made, 0.5) + 1) if made[-1] > 0 else 0

    def needed(self, gap: float) -> int | None:
        """How many questions in all separate neighbours that differ by `gap`, in 80% of cases, among all pairs.

        None where neighbours never differ. With clusters: questions in clusters like these.
        """
        require(0 < gap < 1, f"the gap is {gap:g}; name one between 0 and 1, such as 0.02")
        if not math.isfinite(self.typical_error):
            return None
        return math.ceil(len(self.items) * ((self.critical + ndtri(POWER)) * self.typical_error / gap) ** 2)

    def brief(self) -> str:
        """One line, for a prompt."""
        return f"{len(self.rows):,} models x {len(self.items):,} questions, {int(self.tied.sum())} tied with the first"

    def to_dict(self) -> dict[str, Any]:
        """The JSON of an audit, schema `lleval/audit/1`."""
        models = [
            {
                "row": row,
                "score": float(self.score[i]),
                "n_seen": int(self.n_seen[i]),
                "best": int(self.best[i]),
                "worst": int(self.worst[i]),
                "tier": int(self.tier[i]),
                "tied_with_first": bool(i == 0 or self.tied[i]),
                "p_next": float(self.p[i, i + 1]) if i + 1 < len(self.rows) else None,
                "p_first": float(self.p[0, i]) if i else None,
            }
            for i, row in enumerate(self.rows)
        ]
        return {
            "schema": SCHEMA,
            "population": self.population,
            "level": self.level,
            "questions": len(self.items),
            "clusters": self.clusters,
            "models": models,
            "first": {"tied": int(self.tied.sum()), "tied_without_correction": int(self.tied_alone.sum())},
            "neighbours": {
                "pairs": len(self.rows) - 1,
                "separated": int(self.neighbours.sum()),
                "separated_without_correction": int(self.neighbours_alone.sum()),
            },
            "critical": self.critical,
            "least_gap": _number(self.resolves),
            "questions_needed": {f"{gap:g}": self.needed(gap) for gap in GAPS},
            "splits": self.splits._asdict(),
            "reliability": _number(self.reliability),
            "questions_that_decide": self._questions(np.argsort(-self.share, kind="stable")[:LISTED]),
            "questions_against": self._questions([i for i in np.argsort(self.share)[:LISTED] if self.share[i] < 0]),
            "half_of_the_spread": self.decide,
            "constant": [self.items[i] for i in np.flatnonzero(self.constant)],
            "contested_at_the_top": int(self.contested.sum()),
            "near_copies": [list(names) for names in self.copies],
            "source": self.source.to_dict(),
        }

    def _questions(self, which: Any) -> list[dict[str, Any]]:
        return [{"item": self.items[i], "share": float(self.share[i]), "score": float(self.solved[i])} for i in which]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
