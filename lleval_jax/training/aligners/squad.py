"""Several aligners, each with the inspector that says where it is needed (Ngweta et al. 2024, section 3.3).

    squad = Squad((Member(polite_inspector, polite_aligner), Member(measured_inspector, measured_aligner)))
    found = squad.run(pool)                       # a `Pool` of questions and answers
    found.statuses                                # {"good": 812, "aligned": 170, "kept": 18}

Each answer has an order of its own: the aligner whose inspector is least content comes first, and a correction is
accepted where its score rises and no other falls. The paper's order is that of a batch's mean scores, and accepts all;
`order="batch"` is that, for comparison.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from lleval_jax.errors import require, require_known
from lleval_jax.training.aligners.aligner import Aligner
from lleval_jax.values.aligned import Aligned, Row, Step
from lleval_jax.values.corrections import plain
from lleval_jax.values.pool import Pool, Spent
from lleval_jax.values.progress import Progress, Tell, silent

BATCH = 64  # answers of the paper's batches


class Scores(Protocol):
    """What inspects: `Inspector`, or a stand-in.

    threshold  the score below which an answer is corrected; exactly at it none is
    """

    @property
    def threshold(self) -> float:
        """See above."""
        ...

    def score(self, questions: Sequence[str], answers: Sequence[str], *, tell: Tell = silent) -> Any:
        """(rows,) in [0, 1], NaN where there is none."""
        ...


class Member(NamedTuple):
    """An aligner and its inspector."""

    inspector: Scores
    aligner: Aligner


@dataclasses.dataclass(frozen=True, eq=False)
class Squad:
    """Who corrects, in which order, and what is accepted.

    members  an aligner and an inspector for each criterion
    order    "row": each answer by its own scores; "batch": as the paper, by the mean scores of a batch
    most     passes of aligners over an answer, at most; in the order "batch" each aligner passes once
    accept   "rise": a correction is accepted where its aligner's score rises and none falls by more than `fall`;
             "always": as the paper
    fall     how far another score may fall
    batch    answers of a batch, in the order "batch"
    """

    members: tuple[Member, ...]
    order: Literal["row", "batch"] = "row"
    most: int = 3
    accept: Literal["rise", "always"] = "rise"
    fall: float = 0.0
    batch: int = BATCH

    def __post_init__(self) -> None:
        require(len(self.members) > 0, "a squad needs one aligner with its inspector at least")
        names = [member.aligner.name for member in self.members]
        require(len(set(names)) == len(names), f"two aligners have one name: {', '.join(names)}")
        require_known(self.order, ("row", "batch"), "order")
        require_known(self.accept, ("rise", "always"), "accept")
        require(self.most >= 0 and self.batch >= 1, f"most is {self.most}, batch {self.batch}; at least 0 and 1")
        require(self.fall >= 0, f"fall is {self.fall:g}; it is at least 0")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the criteria."""
        return tuple(member.aligner.name for member in self.members)

    def run(self, pool: Pool, *, tell: Tell = silent) -> Aligned:
        """All answers of a pool, corrected where an inspector says so.

        Args:
            pool: questions and answers (`Pool.weak`).
            tell: is told how many answers are done, pass by pass.

        Raises:
            NoServer: a model that is asked does not answer any more; what came is kept by `lm.cached`.
        """
        work = _Work(self, pool, tell)
        if self.order == "row":
            work.by_row()
        else:
            for first in range(0, len(pool.ids), self.batch):
                work.by_batch(range(first, min(first + self.batch, len(pool.ids))))
        return work.aligned()


class _Work:
    """The state of a run: texts and scores as they are now."""

    def __init__(self, squad: Squad, pool: Pool, tell: Tell) -> None:
        self.squad, self.pool, self.tell = squad, pool, tell
        self.thresholds = np.array([member.inspector.threshold for member in squad.members])
        self.texts = list(pool.weak)
        self.now = self.scored(range(len(pool.ids)), self.texts)
        self.first = self.now.copy()
        self.steps: list[list[Step]] = [[] for _ in pool.ids]
        self.tried: list[set[int]] = [set() for _ in pool.ids]
        self.seen: list[set[str]] = [{plain(text)} for text in pool.weak]
        self.circles: set[int] = set()
        self.spent = Spent()

    def scored(self, rows: Sequence[int], texts: Sequence[str]) -> np.ndarray:
        """(rows, members) scores of texts that answer the questions of some rows."""
        asked = [self.pool.questions[row] for row in rows]
        each = [member.inspector.score(asked, list(texts), tell=self.tell) for member in self.squad.members]
        return np.stack([np.asarray(scores, float) for scores in each], axis=1).reshape(len(rows), len(each))

    def by_row(self) -> None:
        """Passes, in each of which every answer that needs it goes to one aligner."""
        for _ in range(self.squad.most):
            wanted = {row: member for row in range(len(self.texts)) if (member := self.next_of(row)) is not None}
            self.tell(Progress("aligning", len(self.texts) - len(wanted), len(self.texts), unit="answers"))
            if not wanted:
                return
            for member in sorted(set(wanted.values())):
                self.pass_over([row for row, own in wanted.items() if own == member], member)

    def next_of(self, row: int) -> int | None:
        """The member whose score is lowest among those below their thresholds that have not tried this text."""
        if row in self.circles or np.isnan(self.now[row]).any():
            return None
        low = [i for i in np.argsort(self.now[row], kind="stable") if self.now[row, i] < self.thresholds[i]]
        return next((int(i) for i in low if i not in self.tried[row]), None)

    def by_batch(self, rows: Sequence[int]) -> None:
        """The paper's order: aligners by the mean first score of the batch, each over the answers below its threshold.

        All answers of the batch are scored again after each; in the paper rows change their places, here they do not.
        """
        means = np.nanmean(self.first[list(rows)], axis=0)
        for member in np.argsort(means, kind="stable"):
            low = [row for row in rows if self.now[row, member] < self.thresholds[member]]
            self.pass_over(low, int(member))
            self.tell(Progress("aligning", rows[-1] + 1, len(self.texts), unit="answers"))

    def pass_over(self, rows: Sequence[int], member: int) -> None:
        """One aligner over some answers; those that changed are scored again."""
        if not rows:
            return
        aligner = self.squad.members[member].aligner
        found = aligner.align([self.pool.questions[row] for row in rows], [self.texts[row] for row in rows])
        self.spent = Spent(*map(sum, zip(self.spent, found.spent, strict=True)))
        changed = []
        for row, corrected in zip(rows, found.rows, strict=True):
            self.tried[row].add(member)
            if corrected.reason or not corrected.text.strip():
                self.steps[row].append(Step(aligner.name, corrected.reason or "empty"))
            elif plain(corrected.text) == plain(self.texts[row]):
                self.steps[row].append(Step(aligner.name, "no change"))
            else:
                changed.append((row, corrected.text))
        if not changed:
            return
        after = self.scored([row for row, _ in changed], [text for _, text in changed])
        for (row, text), scores in zip(changed, after, strict=True):
            good = self.squad.accept == "always" or self.rises(row, member, scores)
            self.steps[row].append(Step(aligner.name, "accepted" if good else "scores fell"))
            if good:
                self.put(row, text, scores)

    def rises(self, row: int, member: int, scores: np.ndarray) -> bool:
        """Whether the aligner's own score rises and no other falls too far; NaN rises nowhere."""
        return bool(scores[member] > self.now[row, member] and (scores >= self.now[row] - self.squad.fall).all())

    def put(self, row: int, text: str, scores: np.ndarray) -> None:
        """A text in place of the one that is there; who tried that may try this one."""
        if plain(text) in self.seen[row]:
            self.circles.add(row)
        self.seen[row].add(plain(text))
        self.texts[row], self.now[row] = text, scores
        self.tried[row].clear()

    def aligned(self) -> Aligned:
        """What was found, rows in their order."""
        pool, rows = self.pool, []
        for row, steps in enumerate(self.steps):
            scores = tuple(map(float, self.first[row])), tuple(map(float, self.now[row]))
            texts = pool.weak[row], self.texts[row]
            rows.append(Row(pool.ids[row], pool.questions[row], *texts, *scores, tuple(steps), self.status(row)))
        thresholds = tuple(map(float, self.thresholds))
        return Aligned(self.squad.names, thresholds, tuple(rows), self.spent, pool.source)

    def status(self, row: int) -> str:
        """How an answer ended."""
        if np.isnan(self.now[row]).any():
            return "not inspected"
        if row in self.circles:
            return "went in a circle"
        if not (self.now[row] < self.thresholds).any():
            return "aligned" if self.texts[row] != self.pool.weak[row] else "good"
        open_ = self.squad.order == "row" and self.next_of(row) is not None
        return "passes used up" if open_ else "kept"
