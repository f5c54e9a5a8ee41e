"""Adaptive sessions inside Inspect AI: a sample source, and an `EarlyStopping` manager for data sets run in order.

Inspect offers the samples of a data set in order, and one that is refused is gone. As a manager alone the session
therefore holds a plan: the items still worth most, as many as it expects to need. As a source it is not bound to any
order: each sample is the best at its time. Use the source where there is a choice.
"""

import copy
import importlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lleval_jax.data import inspect_log
from lleval_jax.data.answers import Options
from lleval_jax.errors import BadInput, BankMismatch, require
from lleval_jax.estimators import adaptive
from lleval_jax.harness.session import Session
from lleval_jax.values import ItemBank

if TYPE_CHECKING:
    from inspect_ai import SampleSource  # pyright: ignore[reportMissingImports]
    from inspect_ai.dataset import Sample  # pyright: ignore[reportMissingImports]
    from inspect_ai.util import EarlyStop  # pyright: ignore[reportMissingImports]

SPARE = 1.5  # planned items for each that is expected to be needed: what is refused cannot be asked later
STEP = 16  # sizes of a plan are rounded up to this, for each size is compiled once


class AdaptiveStopping:
    """Runs the samples that still matter and refuses the rest, until `stop` says enough.

    Use one object a task and model:

        stopping = AdaptiveStopping(bank, Stop(std_error=0.03))
        Task(dataset=stopping.source(dataset, task="sums"), early_stopping=stopping, name="sums", ...)
        Task(dataset=dataset, early_stopping=stopping, ...)  # in the data set's order, with a plan

    Items are named `task/sample id`, as `read` names them in logs. The log's `results.early_stopping` holds the
    reasons of all refusals, and the estimate in its metadata.
    """

    def __init__(
        self,
        bank: ItemBank,
        stop: adaptive.Stop,
        *,
        rule: adaptive.Rule = "score",
        item_of: Callable[[str, str | int], str] = inspect_log.item_name,
        unknown: str = "refuse",
        options: Options | None = None,
        replan: int = 4,
        level: float = 0.95,
        seed: int = 0,
    ) -> None:
        """A session that has not begun.

        Args:
            bank: calibrated items, best with what `sessions.prepare` adds.
            stop: when to stop.
            rule: as in `adaptive.choose`.
            item_of: (task, sample id) -> the name of its item in the bank.
            unknown: "refuse" or "run" samples whose item is not in the bank; their answers count for nothing.
            options: metric (the scorer, where there are several), scale and no_answer, as in `read`.
            replan: answers between two plans, for a data set run in order.
            level: of the interval.
            seed: of what is drawn.

        Raises:
            BadInput: `unknown` is another word, or `replan` is not positive.
        """
        require(unknown in ("refuse", "run"), f"unknown is {unknown!r}; it must be 'refuse' or 'run'")
        require(replan > 0, f"replan is {replan}; it must be positive")
        self.session = Session(bank, stop, "", rule, level, seed)
        self._options, self._item_of = options or Options(), item_of
        self._run_unknown, self._replan = unknown == "run", replan
        self._known = frozenset(bank.items)
        self._task, self._run = "", ""  # the task's name; Inspect's id of its run
        self._items: dict[str, str] = {}  # sample id -> item
        self._decided: dict[str, str] = {}  # item -> why it was refused, or ""
        self._flying: set[str] = set()  # items accepted that have not come back
        self._plan: set[str] = set()
        self._sourced = False
        self._enough = ""
        self._unscored: set[str] = set()

    async def start_task(self, task: Any, samples: "Sequence[Sample]", epochs: int) -> str:
        """Called by Inspect at the beginning. Names the items and makes the first plan.

        Raises:
            BadInput: this object serves another task or model already.
            BankMismatch: no sample is in the bank.
        """
        other = self._run not in ("", task.task_id)
        require(not other, "one AdaptiveStopping serves one task and model; make another for this one")
        self._run, self.session.row = task.task_id, str(task.model)
        if self._sourced:
            same = task.task == self._task
            require(
                same, f"this is task {task.task!r}, its source was made for {self._task!r}. Pass task={task.task!r}."
            )
        else:
            self._items, self._decided, self._flying = {}, {}, set()  # a retry begins again
            self._name(task.task, (sample.id for sample in samples))
            self._make_plan()
        return f"lleval_jax adaptive, bank {self.session.bank.name}"

    async def schedule_sample(self, id: str | int, epoch: int) -> "EarlyStop | None":  # noqa: A002  Inspect's word
        """Called by Inspect before each sample: None to run it, else why not. All epochs share one answer."""
        item = self._items.get(str(id), "")
        if self._sourced:
            why = self._enough if item not in self.session.scores else ""
        elif item in self._decided:
            why = self._decided[item]
        else:
            why = self._decided[item] = self._judge(item)
        if not why:
            return None
        return importlib.import_module("inspect_ai.util").EarlyStop(id=id, epoch=epoch, reason=why)

    async def complete_sample(self, id: str | int, epoch: int, scores: dict[str, Any]) -> None:  # noqa: A002
        """Called by Inspect when a sample was scored.

        Raises:
            BadInput: several scorers and none named in `options`, or a score outside the scale.
        """
        plain = {name: {"value": each.score.value} for name, each in scores.items()}
        self._take(id, epoch, plain)
        if not self._sourced and len(self.session.scores) % self._replan == 0:
            self._make_plan()

    async def complete_task(self) -> dict[str, Any]:
        """Called by Inspect at the end: the estimate, for the log."""
        found, why = self.session.estimate(), self.session.enough()
        unknown = sum(item not in self._known for item in self._items.values())
        counted = {"unknown_samples": unknown, "unscored_samples": len(self._unscored)}
        counts = {name: count for name, count in counted.items() if count}
        if found is None:
            return {"method": "adaptive", "bank": self.session.bank.name, "n_seen": 0, "why": "no answer"} | counts
        numbers = {"value": found.value, "low": found.low, "high": found.high, "std_error": found.std_error}
        return {
            "method": found.method,
            "bank": self.session.bank.name,
            "level": found.level,
            **{name: float(number[0]) for name, number in numbers.items()},
            "n_seen": int(found.n_seen[0]),
            "why": why or f"no sample was left to run; the standard error is {found.std_error[0]:.3f}",
        } | counts

    def source(self, dataset: "Iterable[Sample]", *, task: str, batch: int = 8) -> "SampleSource":
        """The samples of `dataset`, each when it is the best to ask: Inspect's `Task(dataset=...)`.

        Args:
            dataset: all samples. Those without an id get their place from 1, as in a run of the whole data set.
            task: the task's name, as it will stand in the log; items are named after it.
            batch: samples in flight at a time. Fewer are chosen better, more are run faster.

        Raises:
            BadInput: two samples of one id, or `batch` is not positive.
            BankMismatch: no sample is in the bank.
        """
        require(batch > 0, f"batch is {batch}; it must be positive")
        samples = [copy.deepcopy(sample) for sample in dataset]
        for place, sample in enumerate(samples, start=1):
            sample.id = place if sample.id is None else sample.id
        self._name(task, (sample.id for sample in samples))
        self._sourced = True
        by_item = {self._items[str(sample.id)]: sample for sample in samples}

        def more() -> "list[Sample]":
            free = [item for item in by_item if item in self._known and item not in self._decided]
            room = batch - len(self._flying)
            if self._enough or not free or room < 1:
                return []
            choice = self.session.choose(free, room)
            self._enough = "" if choice.items[0] else choice.why[0]
            budget = self.session.stop.budget
            allowed = room if budget is None else budget - len(self.session.scores) - len(self._flying)
            chosen = choice.items[0][: max(allowed, 0)]
            self._decided |= dict.fromkeys(chosen, "")
            self._flying |= set(chosen)
            return [by_item[item] for item in chosen]

        async def completed(sample: Any) -> "list[Sample]":
            scores = {name: {"value": each.value} for name, each in (sample.scores or {}).items()}
            self._take(sample.id, sample.epoch, scores)
            return more()

        async def abandoned(sample: Any, epoch: int) -> "list[Sample]":
            self._flying.discard(self._items[str(sample.id)])
            return more()

        async def waited() -> "list[Sample] | None":
            self._flying.clear()
            return more() or None

        kind = importlib.import_module("inspect_ai").SampleSource
        return kind.from_samples(more(), next_samples=waited, sample_complete=completed, sample_abandoned=abandoned)

    def _name(self, task: str, ids: Iterable[Any]) -> None:
        """What each sample is called in the bank."""
        self._task, found = task, [str(each) for each in ids]
        require(len(set(found)) == len(found), f"two samples of task {task!r} have one id; ids must be unique")
        self._items = {each: self._item_of(task, each) for each in found}
        named = self._items.values()
        bank = self.session.bank
        missing = [item for item in named if item not in self._known]
        if len(missing) == len(found):
            raise BankMismatch(
                f"none of the {len(found)} samples of task {task!r} is in bank {bank.name!r} (first: {missing[:1]}); "
                f"its items look like {bank.items[0]!r}. Pass item_of=... to name them as the bank does."
            )
        if len(set(named)) < len(found):
            raise BadInput(f"item_of gives two samples of task {task!r} one name; names must be unique")

    def _judge(self, item: str) -> str:
        """Why an item that is offered now is refused, or "" to run it."""
        if item not in self._known:
            return "" if self._run_unknown else f"not in bank {self.session.bank.name!r}"
        if self._enough:
            return self._enough
        if item not in self._plan:
            return f"not among the {len(self._plan)} items planned after {len(self.session.scores)} answers"
        self._plan.discard(item)
        self._flying.add(item)
        return ""

    def _make_plan(self) -> None:
        """Choose among what was not offered yet, as many as it is expected to need beside those in flight."""
        free = [item for item in self._items.values() if item in self._known and item not in self._decided]
        self._enough = self._enough or self.session.enough()
        self._plan = set()
        if self._enough or not free:
            return
        stop = self.session.stop
        size = int(len(self.session.choose(free).items[0]) * SPARE) + 1
        if stop.budget is not None:
            size = min(size, stop.budget - len(self.session.scores))
        size -= len(self._flying)
        if size > 0:
            self._plan = set(self.session.choose(free, -(-size // STEP) * STEP).items[0][:size])

    def _take(self, sample: str | int, epoch: int, scores: dict[str, Any]) -> None:
        """One sample's scores, if it is in the bank and was scored."""
        item = self._items.get(str(sample), "")
        self._flying.discard(item)
        if item not in self._known:
            return
        score = inspect_log.answer(f"sample {sample!r}", scores, self._options)
        if score is None:
            self._unscored.add(item)
            return
        self.session.add(item, score, epoch)


def planned_first(
    dataset: "Sequence[Sample]", bank: ItemBank, *, task: str, rule: adaptive.Rule = "score"
) -> "list[Sample]":
    """The samples in the order in which a session that knows nothing yet would ask them; those unknown come last.

    For `Task(dataset=planned_first(...), early_stopping=AdaptiveStopping(...))` where a source cannot be used. Samples
    without an id get their place in `dataset`, from 1.

    Raises:
        BankMismatch: no sample is in the bank.
    """
    samples = [copy.deepcopy(sample) for sample in dataset]
    for place, sample in enumerate(samples, start=1):
        sample.id = place if sample.id is None else sample.id
    named = {inspect_log.item_name(task, str(sample.id)): sample for sample in samples}
    known = [item for item in bank.items if item in named]
    if not known:
        raise BankMismatch(
            f"no sample of task {task!r} is in bank {bank.name!r}; its items look like {bank.items[0]!r}"
        )
    order = adaptive.choose(None, bank, size=None, rule=rule, among=known).items[0]
    return [named[item] for item in dict.fromkeys((*order, *known, *named))]
