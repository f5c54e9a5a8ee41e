"""The training loop: preferences in, a model that has learned them out; stopped and gone on with as if never stopped.

A step is exact for any micro-batches: a first pass gives the log-probabilities of all answers in the batch, the loss
says how each should change (`losses.pull`), and a second pass adds up the gradients of the micro-batches. Where the
batch is one micro-batch, both passes are one.
"""

import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding

from lleval_jax.errors import NotConverged
from lleval_jax.lm.mesh import spec
from lleval_jax.lm.packing import Row
from lleval_jax.training import batches, lora, losses, step
from lleval_jax.training.batches import Order, Packed, Rows
from lleval_jax.training.checkpoints import Kept, Run
from lleval_jax.training.lora import Lora
from lleval_jax.training.losses import Loss, Sides
from lleval_jax.training.schedule import Schedule
from lleval_jax.training.step import Parts
from lleval_jax.values.preferences import Preferences
from lleval_jax.values.progress import Progress, Tell, silent

if TYPE_CHECKING:
    import os

    from lleval_jax.lm.load import LanguageModel

WHOLE = nnx.Param  # what learns without adapters: every weight


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """A model that has learned.

    model    the language model, adapters attached (`lora.merge` adds them to the weights)
    lora     which adapters; None if all weights learned
    history  one record a step: "step", "loss", "norm", "rate", "tokens", "seconds"; of evaluations "held_out_loss", ...
    ended    "steps" or "patience"
    best     step of the lowest held-out loss; the last step without evaluations
    held_out log-probabilities of the held-out answers under the model and under what it was; None without any
    """

    model: "LanguageModel"
    lora: Lora | None
    history: tuple[dict[str, float], ...]
    ended: str
    best: int
    held_out: tuple[Sides, Sides] | None


def fit(
    model: "LanguageModel",
    data: Preferences,
    *,
    loss: Loss | None = None,
    lora: Lora | None = Lora(),  # noqa: B008  frozen
    schedule: Schedule = Schedule(),  # noqa: B008
    held_out: Preferences | None = None,
    longest: int | None = None,
    long: batches.Long = "refuse",
    out: "str | os.PathLike[str] | None" = None,
    tell: Tell = silent,
) -> Trained:
    """Align a model with preferences.

    Args:
        model: what `lm.load` gives; it stays as it is.
        data: pairs, or answers that are labelled good or bad.
        loss: what is minimised; None: `losses.AOT()`.
        lora: adapters to learn; None: all weights learn.
        schedule: steps, batch, rate, when to evaluate and to keep.
        held_out: preferences that are not learned, for evaluation and for the best step.
        longest: tokens of an answer with its prompt, at most; None: the model's context.
        long: what to do with longer ones: "refuse", "drop" or "cut" the prompt.
        out: folder for checkpoints and metrics. Where it holds a run that was stopped, that run goes on; its numbers
            are those of a run that was never stopped, bit for bit on the same devices.
        tell: called with the steps done.

    Raises:
        BadInput: as `batches.rows_of` and `lora.attach`; or `out` holds another run (it says what differs).
        NotConverged: the loss or the gradient is not finite; the step, its rows and the last checkpoint are named.

    Example:
        >>> pairs = read_preferences("pairs.jsonl")
        >>> trained = fit(lm.load("tiny-lm"), pairs, loss=losses.AOT(), lora=Lora(learn="B"))
    """
    loss = losses.AOT() if loss is None else loss
    rows = batches.rows_of(model, data, longest=longest, long=long)
    apart = None if held_out is None else batches.rows_of(model, held_out, longest=longest, long=long)
    course = Course(model, rows, apart, loss, lora, schedule)
    with Run(out, course.facts(data, held_out)) as run:
        return course.through(run, tell)


class Course:
    """One run: what stays the same from step to step."""

    def __init__(
        self,
        model: "LanguageModel",
        rows: Rows,
        held_out: Rows | None,
        loss: Loss,
        adapters: Lora | None,
        schedule: Schedule,
    ) -> None:
        self.given, self.rows, self.held_out, self.loss = model, rows, held_out, loss
        self.lora, self.schedule = adapters, schedule
        adapted = model.decoder if adapters is None else lora.attach(model.decoder, adapters)
        self.start = Parts.of(adapted, WHOLE if adapters is None else lora.learned(adapters.learn))
        self.reference = Parts.of(model.decoder, lora.learned("both"))
        self.optimizer = schedule.optimizer()
        self.orders = _orders(rows, schedule)
        self.key = jax.random.key(schedule.seed, impl="threefry2x32")
        self.longest = max(each.longest for each in (rows, held_out) if each is not None)
        self.noisy = adapters is not None and adapters.dropout > 0

    def through(self, run: Run, tell: Tell) -> Trained:
        """All steps that are left, with what they write."""
        now = run.restored(Kept.first(self.start.learned, self.optimizer))
        total = self.schedule.steps
        used = [sorted({row for number in range(total) for row in order.rows(number)}) for order in self.orders]
        tell(Progress("scoring with the reference", 0, sum(map(len, used)), unit="answers"))
        known = [
            self._under_reference(*each) for each in zip((self.rows.chosen, self.rows.rejected), used, strict=True)
        ]
        apart = None if self.held_out is None else self._held_out(self.reference)
        for number in range(now.step, total):
            now, record = self.step(now, number, known, run)
            tell(Progress("training", number + 1, total, error=record["loss"], unit="steps"))
            if apart is not None and self._due(number, self.schedule.evaluate):
                record |= self.evaluated(now, apart)
            run.write(record, now, self._due(number, self.schedule.keep))
            if self.schedule.patience and run.stale >= self.schedule.patience:
                return self._ended(now, run, "patience", apart)
        return self._ended(now, run, "steps", apart)

    def step(self, now: Kept, number: int, known: Sequence[np.ndarray], run: Run) -> tuple[Kept, dict[str, float]]:
        """One step: what learns after it, and its record."""
        began = time.perf_counter()
        taken = [order.rows(number) for order in self.orders]
        rows = self.rows_at(number)
        reference = Sides(*(jnp.asarray(of[side]) for of, side in zip(known, taken, strict=True)))
        value, slope = self._slope(self.start._replace(learned=now.learned), rows, reference, number)
        learned, state, norm = step.update(self.optimizer, now.learned, now.state, slope)
        record = {
            "step": number + 1,
            "loss": float(value),
            "norm": float(norm),
            "rate": self.schedule.rate_at(number),
            "tokens": sum(len(row.tokens) for row in rows),
            "seconds": time.perf_counter() - began,
        }
        if not np.isfinite([record["loss"], record["norm"]]).all():
            what = f"step {number + 1}: the loss is {record['loss']} and the norm of its gradient {record['norm']}"
            where = f"the step's chosen answers are rows {taken[0]}, its rejected ones {taken[1]}"
            raise NotConverged(f"{what}; {where}; {run.last()}. A smaller rate may help.")
        return Kept(learned, state, number + 1), record

    def rows_at(self, number: int) -> list[Row]:
        """The rows of a step, chosen answers first."""
        sides = zip((self.rows.chosen, self.rows.rejected), self.orders, strict=True)
        return [side[i] for side, order in sides for i in order.rows(number)]

    def packed(self, rows: Sequence[Row]) -> list[Packed]:
        """Micro-batches; on a mesh their rows are shared out, and as many as that needs."""
        on = self.given.mesh
        parts = 1 if on is None else on.shape["data"] * on.shape["fsdp"]
        found = batches.packed(rows, batch=self.schedule.tokens, length=self.longest, multiple=parts)
        return found if on is None else [_laid(each, on) for each in found]

    @property
    def sizes(self) -> tuple[int, int]:
        """Chosen and rejected answers of a step."""
        return self.orders[0].batch, self.orders[1].batch

    def trial(self) -> Any:
        """What the first step computes, against a reference of zeros; nothing is kept."""
        first = Kept.first(self.start.learned, self.optimizer)
        reference = Sides(*(jnp.zeros(size) for size in self.sizes))
        _, slope = self._slope(self.start, self.rows_at(0), reference, 0)
        return step.update(self.optimizer, first.learned, first.state, slope)

    def _slope(self, parts: Parts, rows: Sequence[Row], reference: Sides, number: int) -> tuple[jax.Array, Any]:
        """The loss of a batch and its gradient, exact for any micro-batches."""
        packed = self.packed(rows)
        keys = [
            jax.random.fold_in(jax.random.fold_in(self.key, number), i) if self.noisy else None
            for i in range(len(packed))
        ]
        if len(packed) == 1:
            return step.whole(self.loss, parts, packed[0], reference, keys[0])
        sums = jnp.zeros(len(rows))
        for each, key in zip(packed, keys, strict=True):
            sums += step.answers(parts, each, len(rows), key)
        value, pulled = step.pulled(self.loss, sums, reference)
        weights, slope = jnp.concatenate(pulled), step.zeros(parts.learned)
        for each, key in zip(packed, keys, strict=True):
            slope = step.gradient(parts, each, weights, slope, key)
        return value, slope

    def evaluated(self, now: Kept, reference: Sides) -> dict[str, float]:
        """The loss on held-out preferences, and how far the chosen answers dominate there."""
        sums = jnp.concatenate(self._held_out(self.start._replace(learned=now.learned)))
        return {f"held_out_{name}": float(value) for name, value in step.measured(self.loss, sums, reference).items()}

    def facts(self, data: Preferences, held_out: Preferences | None) -> dict[str, Any]:
        """What makes this run the one it is: another needs another folder."""
        return {
            "model": getattr(self.given.source, "sha256", None) or str(self.given.name),
            "data": data.fingerprint,
            "held_out": None if held_out is None else held_out.fingerprint,
            "loss": {"name": type(self.loss).__name__, **dataclasses.asdict(self.loss)},  # type: ignore[call-overload]
            "lora": None if self.lora is None else dataclasses.asdict(self.lora),
            "schedule": dataclasses.asdict(self.schedule),
            "rows": [len(self.rows.chosen), len(self.rows.rejected), self.rows.tokens],
        }

    def _under_reference(self, rows: Sequence[Row], used: Sequence[int]) -> np.ndarray:
        """(rows,) log-probabilities under the model as it was given; 0 where no step asks."""
        found = np.zeros(len(rows), np.float32)
        found[used] = self._sums(self.reference, [rows[i] for i in used])
        return found

    def _held_out(self, parts: Parts) -> Sides:
        """Log-probabilities of the held-out answers."""
        chosen, rejected = self.held_out.chosen, self.held_out.rejected  # type: ignore[union-attr]
        sums = self._sums(parts, (*chosen, *rejected))
        return Sides(jnp.asarray(sums[: len(chosen)]), jnp.asarray(sums[len(chosen) :]))

    def _sums(self, parts: Parts, rows: Sequence[Row]) -> np.ndarray:
        return np.sum([step.answers(parts, each, len(rows)) for each in self.packed(rows)], axis=0)

    def _due(self, number: int, every: int) -> bool:
        """Whether something is done after this step; always after the last."""
        return number + 1 == self.schedule.steps or (every > 0 and (number + 1) % every == 0)

    def _ended(self, now: Kept, run: Run, how: str, apart: Sides | None) -> Trained:
        run.keep(now)
        parts = self.start._replace(learned=now.learned)
        model = dataclasses.replace(self.given, decoder=parts.model())
        held_out = None if apart is None else (self._held_out(parts), apart)
        return Trained(model, self.lora, run.history, how, run.best or now.step, held_out)


def _laid(batch: Packed, on: Mesh) -> Packed:
    """A micro-batch on the devices of a mesh: its rows shared out, the rest on each."""
    names = {2: ("rows", None), 1: (None,)}
    return Packed(*(jax.device_put(x, NamedSharding(on, spec(names[x.ndim], x.shape, on))) for x in batch))


def _orders(rows: Rows, schedule: Schedule) -> tuple[Order, Order]:
    """The order of both sides: the same for pairs; else each its own, in proportion."""
    chosen, rejected = len(rows.chosen), len(rows.rejected)
    first = Order(chosen, schedule.batch, schedule.seed)
    if rows.paired:
        return first, first
    share = max(1, round(schedule.batch * rejected / chosen))
    return first, Order(rejected, share, schedule.seed + 1)
