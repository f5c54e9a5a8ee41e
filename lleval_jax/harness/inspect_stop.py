"""An `EarlyStopping` manager for Inspect AI: of a data set run in order, only the samples that matter.

Inspect offers the samples in order, several at a time, and one that is refused is gone. The manager therefore holds a
plan: the items worth most among those not offered yet, as many as it expects to need and some to spare, made again
as answers come. `inspect_source` is not bound to an order; use it where Inspect's `SampleSource` can be used.
"""

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lleval_jax.data.answers import Options, item_name
from lleval_jax.errors import require
from lleval_jax.estimators import adaptive
from lleval_jax.harness.inspect_items import InspectItems, ItemOf
from lleval_jax.harness.session import Session
from lleval_jax.renamed import renamed
from lleval_jax.values import ItemBank

if TYPE_CHECKING:
    from inspect_ai.dataset import Sample  # pyright: ignore[reportMissingImports]
    from inspect_ai.util import EarlyStop  # pyright: ignore[reportMissingImports]

SPARE = 1.5  # planned items for each that is expected to be needed: what is refused cannot be asked later


class AdaptiveStopping:
    """Runs the samples that still matter and refuses the rest: `AdaptiveStopping(bank, stop=stop)`.

    One object serves one task and model. Items are named `task/sample id`, as `read` names them in logs. The log's
    `results.early_stopping` holds the reason of each refusal, and the estimate in its metadata. A goal can be missed
    where answers were less telling than expected and no sample is left; the metadata's `why` says so.
    """

    @renamed(rule="by")
    def __init__(
        self,
        bank: ItemBank,
        *,
        stop: adaptive.Stop,
        by: adaptive.Rule = "score",
        item_of: ItemOf = item_name,
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
            by: as in `adaptive.choose`.
            item_of: (task, sample id) -> the name of its item in the bank.
            unknown: "refuse" or "run" samples whose item is not in the bank; their answers count for nothing.
            options: metric (the scorer, where there are several), scale and no_answer, as in `read`.
            replan: answers between two plans.
            level: of the interval.
            seed: of what is drawn.

        Raises:
            BadInput: `unknown` is another word, or `replan` is not positive.
        """
        require(unknown in ("refuse", "run"), f"unknown is {unknown!r}; it must be 'refuse' or 'run'")
        require(replan > 0, f"replan is {replan}; it must be positive")
        self.run = InspectItems(Session(bank, stop, "", by, level, seed), options or Options(), item_of)
        self._run_unknown, self._replan = unknown == "run", replan
        self._task = ""  # Inspect's id of it
        self._decided: dict[str, str] = {}  # item -> why it was refused, or ""
        self._plan: set[str] = set()
        self._enough = ""

    async def start_task(self, task: Any, samples: "Sequence[Sample]", epochs: int) -> str:
        """Called by Inspect at the beginning. Names the items and makes the first plan.

        Raises:
            BadInput: this object serves another task or model already, or two samples have one name.
            BankMismatch: no sample is in the bank.
        """
        other = self._task not in ("", task.task_id)
        require(not other, "one AdaptiveStopping serves one task and model; make another for this one")
        self._task, self.run.session.row = task.task_id, str(task.model)
        self.run.name(task.task, (sample.id for sample in samples))
        self._decided = {}  # a retry begins again
        self.run.flying.clear()
        self._make_plan()
        return f"lleval_jax adaptive, bank {self.run.session.bank.name}"

    async def schedule_sample(self, id: str | int, epoch: int) -> "EarlyStop | None":  # noqa: A002  Inspect's word
        """Called by Inspect before each sample: None to run it, else why not. All epochs share one answer."""
        item = self.run.items[str(id)]
        if item not in self._decided:
            self._decided[item] = self._judge(item)
        if not self._decided[item]:
            return None
        return importlib.import_module("inspect_ai.util").EarlyStop(id=id, epoch=epoch, reason=self._decided[item])

    async def complete_sample(self, id: str | int, epoch: int, scores: dict[str, Any]) -> None:  # noqa: A002
        """Called by Inspect when a sample was scored.

        Raises:
            BadInput: several scorers and none named in `options`, or a score outside the scale.
        """
        self.run.take(id, epoch, {name: {"value": each.score.value} for name, each in scores.items()})
        if len(self.run.session.scores) % self._replan == 0:
            self._make_plan()

    async def complete_task(self) -> dict[str, Any]:
        """Called by Inspect at the end: the estimate and why it ended, for the log."""
        return self.run.report()

    def _judge(self, item: str) -> str:
        """Why an item that is offered now is refused, or "" to run it."""
        session = self.run.session
        if item not in self.run.known:
            return "" if self._run_unknown else f"not in bank {session.bank.name!r}"
        if self._enough:
            return self._enough
        if item not in self._plan:
            return f"not among the items planned after {len(session.scores)} answers"
        self._plan.discard(item)
        self.run.flying.add(item)
        return ""

    def _make_plan(self) -> None:
        """Choose among what was not offered yet."""
        session = self.run.session
        free = [item for item in self.run.items.values() if item in self.run.known and item not in self._decided]
        self._enough = self._enough or session.enough()
        self._plan = set()
        if self._enough or not free:
            return
        size = int(len(session.choose(free).items[0]) * SPARE) + 1 - len(self.run.flying)
        room = self.run.room()
        size = size if room is None else min(size, room)
        if size > 0:
            self._plan = set(session.choose(free, stopping=False).items[0][:size])
