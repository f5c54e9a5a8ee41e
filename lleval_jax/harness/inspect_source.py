"""A `SampleSource` for Inspect AI: each sample is the best to ask at its time, until that is enough."""

import copy
import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lleval_jax.data.answers import Options, item_name
from lleval_jax.errors import require
from lleval_jax.estimators import adaptive
from lleval_jax.harness.inspect_items import InspectItems, ItemOf
from lleval_jax.harness.session import Session
from lleval_jax.renamed import renamed
from lleval_jax.values import ItemBank

if TYPE_CHECKING:
    from inspect_ai import SampleSource  # pyright: ignore[reportMissingImports]
    from inspect_ai.dataset import Sample  # pyright: ignore[reportMissingImports]


class AdaptiveSource:
    """Feeds a task with the samples worth most: `Task(dataset=AdaptiveSource(bank, ...).source)`.

    One object serves one task and model. Samples that fail are not asked again, and others take their place. After
    the run `report()` has the estimate; `adaptive.estimate(read(log.location), bank)` is the same.
    """

    @renamed(rule="by")
    def __init__(
        self,
        bank: ItemBank,
        *,
        stop: adaptive.Stop,
        samples: "Iterable[Sample]",
        task: str,
        batch: int = 8,
        by: adaptive.Rule = "score",
        item_of: ItemOf = item_name,
        options: Options | None = None,
        level: float = 0.95,
        seed: int = 0,
    ) -> None:
        """A session that has not begun.

        Args:
            bank: calibrated items, best with what `sessions.prepare` adds. Samples that it does not know are not run.
            stop: when to stop.
            samples: the data set. Those without an id get their place from 1, as in a run of the whole data set.
            task: the task's name, as it will stand in the log; items are named after it.
            batch: samples in flight at a time. Fewer are chosen better, more are run faster.
            by: as in `adaptive.choose`.
            item_of: (task, sample id) -> the name of its item in the bank.
            options: metric (the scorer, where there are several), scale and no_answer, as in `read`.
            level: of the interval.
            seed: of what is drawn.

        Raises:
            BadInput: two samples of one name, or `batch` is not positive.
            BankMismatch: no sample is in the bank.
        """
        require(batch > 0, f"batch is {batch}; it must be positive")
        self.run = InspectItems(Session(bank, stop, "model", by, level, seed), options or Options(), item_of)
        self._batch, self._samples = batch, [copy.deepcopy(sample) for sample in samples]
        for place, sample in enumerate(self._samples, start=1):
            sample.id = place if sample.id is None else sample.id
        self.run.name(task, (sample.id for sample in self._samples))
        named = {self.run.items[str(sample.id)]: sample for sample in self._samples}
        self._free = {item: sample for item, sample in named.items() if item in self.run.known}
        self._enough = False

    @property
    def source(self) -> "SampleSource":
        """What Inspect's `Task` takes as its data set."""
        kind = importlib.import_module("inspect_ai").SampleSource
        return kind.from_samples(
            self._more(),
            next_samples=self._waited,
            sample_complete=self._completed,
            sample_abandoned=self._abandoned,
        )

    def report(self) -> dict[str, Any]:
        """The estimate and why the session ended, as plain JSON types."""
        return self.run.report()

    def _more(self) -> "list[Sample]":
        """The samples to start now, so that `batch` are in flight."""
        room, size = self.run.room(), self._batch - len(self.run.flying)
        size = size if room is None else min(size, room)
        if self._enough or not self._free or size < 1:
            return []
        chosen = self.run.session.choose(list(self._free), k=size).items[0]
        self._enough = not chosen
        self.run.flying |= set(chosen)
        return [self._free.pop(item) for item in chosen]

    async def _completed(self, sample: Any) -> "list[Sample]":
        self.run.take(sample.id, sample.epoch, {name: {"value": e.value} for name, e in (sample.scores or {}).items()})
        return self._more()

    async def _abandoned(self, sample: Any, epoch: int) -> "list[Sample]":
        self.run.flying.discard(self.run.items[str(sample.id)])
        return self._more()

    async def _waited(self) -> "list[Sample] | None":
        self.run.flying.clear()
        return self._more() or None
