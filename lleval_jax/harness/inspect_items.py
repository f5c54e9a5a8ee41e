"""An Inspect task as a session: samples named as the bank names items, scores as numbers, the end as a report."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from lleval_jax.data.answers import Options
from lleval_jax.data.formats import inspect_log
from lleval_jax.errors import BankMismatch, require
from lleval_jax.harness.session import Session

ItemOf = Callable[[str, str | int], str]


@dataclasses.dataclass
class InspectItems:
    """What a manager and a source both know of a run.

    session   the answers
    options   metric (the scorer), scale and no_answer, as in `read`
    item_of   (task, sample id) -> the item's name in the bank
    items     sample id -> item, also of samples that the bank does not know
    flying    items that were started and have not come back
    unscored  items that came back without a score
    """

    session: Session
    options: Options
    item_of: ItemOf
    items: dict[str, str] = dataclasses.field(default_factory=dict)
    flying: set[str] = dataclasses.field(default_factory=set)
    unscored: set[str] = dataclasses.field(default_factory=set)

    def __post_init__(self) -> None:
        self.known = frozenset(self.session.bank.items)

    def name(self, task: str, ids: Iterable[Any]) -> None:
        """Name each sample. Raises `BadInput` for two of one name, `BankMismatch` where the bank knows none."""
        found, bank = [str(each) for each in ids], self.session.bank
        require(len(set(found)) == len(found), f"two samples of task {task!r} have one id; ids must be unique")
        self.items = {each: self.item_of(task, each) for each in found}
        unknown = [item for item in self.items.values() if item not in self.known]
        if len(unknown) == len(found):
            raise BankMismatch(
                f"none of the {len(found)} samples of task {task!r} is in bank {bank.name!r} (first: {unknown[:1]}); "
                f"its items look like {bank.items[0]!r}. Pass item_of=... to name them as the bank does."
            )
        once = len(set(self.items.values())) == len(found)
        require(once, f"item_of gives two samples of task {task!r} one name; names must be unique")

    def take(self, sample: str | int, epoch: int, scores: dict[str, Any]) -> None:
        """One epoch's scores by scorer. Raises `BadInput` as `read` does of such a log."""
        item = self.items.get(str(sample), "")
        self.flying.discard(item)
        if item not in self.known:
            return
        score = inspect_log.answer(f"sample {sample!r}", scores, self.options)
        if score is None:
            self.unscored.add(item)
        else:
            self.session.add(item, score, epoch)

    def room(self) -> int | None:
        """How many items the budget still leaves; None: any number."""
        budget = self.session.stop.budget
        return None if budget is None else max(budget - len(self.session.scores) - len(self.flying), 0)

    def report(self) -> dict[str, Any]:
        """The estimate and why the session ended, as plain JSON types."""
        found, why = self.session.estimate(), self.session.enough()
        unknown = sum(item not in self.known for item in self.items.values())
        counted = {"unknown_samples": unknown, "unscored_samples": len(self.unscored)}
        counts = {name: count for name, count in counted.items() if count}
        about = {"method": "adaptive", "bank": self.session.bank.name, "level": self.session.level}
        if found is None:
            return about | {"n_seen": 0, "why": "no answer"} | counts
        numbers = {"value": found.value, "low": found.low, "high": found.high, "std_error": found.std_error}
        plain = {name: float(number[0]) for name, number in numbers.items()}
        last = f"no sample was left to run; the standard error is {found.std_error[0]:.3f}"
        return about | plain | {"n_seen": int(found.n_seen[0]), "why": why or last} | counts
