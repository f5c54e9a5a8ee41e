"""One model's adaptive session as it runs: what came back, what to ask next, what follows."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from lleval_jax.estimators import adaptive
from lleval_jax.values import Choice, Estimate, ItemBank, Responses


@dataclasses.dataclass
class Session:
    """Answers of one model, and what `adaptive` says of them.

    bank    calibrated items
    stop    when to stop
    row     name of the model
    by      as in `adaptive.choose`
    level   of the intervals
    seed    of what is drawn
    scores  item -> repeat (epoch) -> score in [0, 1]; only items of the bank
    """

    bank: ItemBank
    stop: adaptive.Stop
    row: str
    by: adaptive.Rule = "score"
    level: float = 0.95
    seed: int = 0
    scores: dict[str, dict[int, float]] = dataclasses.field(default_factory=dict)

    def add(self, item: str, score: float, repeat: int = 1) -> None:
        """An answer. The same one twice is one."""
        self.scores.setdefault(item, {})[repeat] = score

    def responses(self) -> Responses | None:
        """The answers so far: repeats as their mean, with their number as weight, as logs are read."""
        if not self.scores:
            return None
        each = [list(repeats.values()) for repeats in self.scores.values()]
        groups = dict(zip(self.bank.items, (self.bank.groups[g] for g in self.bank.group), strict=True))
        return Responses.build(
            np.array([[np.mean(values) for values in each]], np.float32),
            weight=np.array([[len(values) for values in each]], np.float32),
            rows=[self.row],
            items=list(self.scores),
            group=[groups[item] for item in self.scores],
        )

    def choose(self, among: Sequence[str], *, k: int | None = None, stopping: bool = True) -> Choice:
        """What to ask next among these items; by default as many as `stop` is expected to need, or all in order."""
        return adaptive.choose(
            self.responses(),
            bank=self.bank,
            k=k,
            by=self.by,
            stop=self.stop if stopping else None,
            among=among,
            level=self.level,
            seed=self.seed,
        )

    def estimate(self) -> Estimate | None:
        """The full-benchmark score so far; None before the first answer."""
        found = self.responses()
        return None if found is None else adaptive.estimate(found, bank=self.bank, level=self.level)

    def enough(self) -> str:
        """Why `stop` is satisfied, or ""."""
        found = self.estimate()
        return "" if found is None else self.stop.reasons(found, self.bank)[0]
