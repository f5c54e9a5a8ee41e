"""Whether a new model may take the place of an old one: pass, fail, or not known yet."""

import dataclasses
import math
from typing import Any

from lleval_jax.values.results import Source
from lleval_jax.values.value import Value

SCHEMA = "lleval/gate/1"
PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
LIKE_THESE, THESE = "questions like these", "these questions"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Gate(Value):
    """A paired comparison with a verdict.

    verdict     "pass": the loss is smaller than `margin`; "fail": it is larger; "inconclusive": not known yet
    new, baseline   names of the models
    scores      of the new model and the baseline on the common questions, in [0, 1]
    difference  new minus baseline
    low, high   bounds of the difference, each one-sided with confidence `level`
    margin      the largest loss that is accepted
    level       1 - level is the chance of a false pass at most, and of a false fail
    questions   how many both answered
    clusters    how many clusters they are in; 0 where each is independent
    repeats     mean number of answers behind a score of the new model and of the baseline
    won, lost   questions on which the new model scores higher, lower
    population  what the scores are of: "questions like these", or "these questions"
    more        how many more `unit` give a verdict in 80% of cases, were the difference as it is; None: the verdict is
                there, or no number that makes sense would do
    unit        "questions", or "repeats of each question"
    method      the test
    source      the files, and what to cite
    """

    verdict: str
    new: str
    baseline: str
    scores: tuple[float, float]
    difference: float
    low: float
    high: float
    margin: float
    level: float
    questions: int
    clusters: int
    repeats: tuple[float, float]
    won: int
    lost: int
    population: str
    more: int | None
    unit: str
    method: str
    source: Source = dataclasses.field(default_factory=Source)

    @property
    def passed(self) -> bool:
        """Whether the verdict is "pass"; inconclusive is not."""
        return self.verdict == PASS

    def brief(self) -> str:
        """One line, for a prompt."""
        return f"{self.verdict}, {self.new} - {self.baseline} {self.difference:+z.3f}"

    @property
    def reason(self) -> str:
        """One sentence: why this verdict."""
        bar = f"{100 * self.margin:z.4g} points"
        on = f"on {self.population}"
        if self.verdict == PASS:
            return f"{self.new} is not worse than {self.baseline} by more than {bar} {on}."
        if self.verdict == FAIL:
            return f"{self.new} is worse than {self.baseline} by more than {bar} {on}."
        know = f"; run {self.more:,} more {self.unit} to know" if self.more else ""
        near = "" if self.more else "; the difference is too near the margin for any affordable number of questions"
        return f"{self.new} may or may not be worse than {self.baseline} by more than {bar} {on}{know}{near}."

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a gate, schema `lleval/gate/1`."""
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        content |= {"scores": list(self.scores), "repeats": list(self.repeats), "source": self.source.to_dict()}
        for name, value in content.items():
            if isinstance(value, float) and not math.isfinite(value):
                content[name] = None
        return {"schema": SCHEMA, **content, "reason": self.reason}

    def __str__(self) -> str:
        """The verdict and its reason."""
        return f"{self.verdict}: {self.reason}"
