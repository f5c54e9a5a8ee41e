"""An inspector: the probability that an answer is good already, by one criterion; calibrated, and measured apart.

parts = by_question(corrections)                     # learn, calibrate, test; the same for the aligner
polite = fit_inspector(Embedding(lm.load_encoder("minilm")), parts)
polite.report                                        # Report(auc=0.98, low=0.96, high=1.0, ece=0.03, rows=120)
polite.score(["Why is the sky blue?"], ["Are you stupid?"])
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from lleval_jax.errors import require
from lleval_jax.training.aligners import calibrate
from lleval_jax.training.aligners.calibrate import Calibration, Report, Vector
from lleval_jax.training.aligners.scorers import Kind, Scorer
from lleval_jax.values.corrections import Corrections
from lleval_jax.values.progress import Tell, silent

PARTS = ("learn", "calibrate", "test")
LEAST = 0.75  # area below which an inspector should not decide what is corrected


@dataclasses.dataclass(frozen=True, eq=False)
class Inspector:
    """Says how probably an answer is good.

    name         of the criterion
    scorer       raw scores
    calibration  raw scores to probabilities
    threshold    the probability below which an answer is to be corrected
    report       how it does on questions that it has not seen; None where none were kept
    """

    name: str
    scorer: Scorer
    calibration: Calibration
    threshold: float = 0.5
    report: Report | None = None

    def score(self, questions: Sequence[str], answers: Sequence[str], *, tell: Tell = silent) -> Vector:
        """(rows,) probabilities; NaN where there is no score. A row's does not depend on the other rows."""
        return self.calibration(self.scorer.raw(questions, answers, tell)) if len(questions) else np.zeros(0)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader should know before it decides anything."""
        if self.report is None or self.report.low >= LEAST:
            return ()
        area = f"{self.report.auc:.2f} [{self.report.low:.2f}, {self.report.high:.2f}]"
        return (f"the inspector of {self.name!r} hardly distinguishes good answers from bad ones: AUC {area}",)


def fit_inspector(
    kind: Kind,
    parts: Mapping[str, Corrections],
    *,
    how: Literal["platt", "isotonic"] = "platt",
    harm: float = 1.0,
    neglect: float = 1.0,
    tell: Tell = silent,
) -> Inspector:
    """An inspector of answers and their corrections.

    An answer that was changed is bad, its correction good; one that was left as it is is good.

    Args:
        kind: of what it is made.
        parts: "learn", "calibrate" and "test", split by question.
        how: it is calibrated.
        harm: price of correcting a good answer.
        neglect: price of leaving a bad one.
        tell: called as it goes on.

    Raises:
        BadInput: a part is missing, a question is in two of them, or the answers of one are all good or all bad.
    """
    lack = [name for name in PARTS if name not in parts]
    require(not lack, f"the part {lack and lack[0]!r} is missing; there are {', '.join(parts)}")
    require_apart(parts)
    rows = {name: labelled(parts[name]) for name in PARTS}
    for name in PARTS:
        require(len(rows[name][0]) > 0, f"no question is in the part {name!r}; there are too few of them")
    scorer = kind.learn(*rows["learn"], tell)
    asked, given, good = rows["calibrate"]
    calibration = calibrate.fit(scorer.raw(asked, given, tell), good, how)
    asked, given, good = rows["test"]
    found = calibrate.report(calibration(scorer.raw(asked, given, tell)), good, asked)
    return Inspector(parts["learn"].criterion, scorer, calibration, calibrate.threshold(harm, neglect), found)


def labelled(examples: Corrections) -> tuple[list[str], list[str], Vector]:
    """Questions, answers, and 1 for a good one or 0 for a bad one.

    Raises:
        BadInput: all are good, as where every correction equals its answer.
    """
    rows = [(row.question, row.answer, 0.0) for row in examples.rows if row.changed]
    rows += [(row.question, row.correction, 1.0) for row in examples.rows]
    asked, given, good = map(list, zip(*rows, strict=True)) if rows else ([], [], [])
    labels = np.array(good, float)
    if rows:
        calibrate.require_two_classes(labels)
    return asked, given, labels


def require_apart(parts: Mapping[str, Corrections]) -> None:
    """`BadInput` where a question is in two parts."""
    seen: dict[str, str] = {}
    for name, part in parts.items():
        for row in part.rows:
            other = seen.setdefault(" ".join(row.question.casefold().split()), name)
            require(other == name, f"the question of row {row.id!r} is in {other!r} and in {name!r}")
