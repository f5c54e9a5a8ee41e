"""The training loop: answers in, a model that has learned them out; stopped and gone on with as if never stopped.

A step is exact for any micro-batches: a first pass gives the log-probabilities of all answers in the batch, the loss
says how each should change (`losses.pull`), and a second pass adds up the gradients of the micro-batches. Where the
batch is one micro-batch, both passes are one; so they are of supervised text, whose loss is a sum over answers.

What learns, and the optimiser's state, are float32; layers compute in the type that the model was loaded with.
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

from lleval_jax.errors import require
from lleval_jax.lm.mesh import spec
from lleval_jax.lm.packing import Row
from lleval_jax.training import losses
from lleval_jax.training.losses import Loss, Sides
from lleval_jax.training.low_rank import lora
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run import batches, operations, pace, step
from lleval_jax.training.run.batches import Packed, Rows
from lleval_jax.training.run.checkpoints import Kept, Run
from lleval_jax.training.run.peak import Peak, peak
from lleval_jax.training.run.plan import Plan, plan, spread
from lleval_jax.training.run.schedule import Schedule
from lleval_jax.training.run.step import Parts, Weak
from lleval_jax.training.run.trained import Trained
from lleval_jax.training.weak_text import WeakText
from lleval_jax.values.preferences import Preferences
from lleval_jax.values.progress import Progress, Tell, silent

if TYPE_CHECKING:
    import os

    from lleval_jax.lm.load import LanguageModel

WHOLE = nnx.Param  # what learns without adapters: every weight


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
    tensorboard: bool = False,
    tell: Tell = silent,
) -> Trained:
    """Align a model with preferences, or teach it answers.

    Args:
        model: what `lm.load` gives; it stays as it is. What learns is float32 whatever it computes in.
        data: pairs, answers that are labelled good or bad, or answers without alternatives.
        loss: what is minimised; None: `losses.AOT()`. `losses.SFT()` learns the chosen answers and no others;
            so do the losses of `weak_text`.
        lora: adapters to learn; None: all weights learn.
        schedule: steps, batch, rate, when to evaluate and to keep.
        held_out: preferences that are not learned, for evaluation and for the best step.
        longest: tokens of an answer with its prompt, at most; None: the model's context.
        long: what to do with longer ones: "refuse", "drop" or "cut" the prompt.
        out: folder for checkpoints and metrics. Where it holds a run that was stopped, that run goes on; its numbers
            are those of a run that was never stopped, bit for bit on the same devices.
        tensorboard: write metrics for TensorBoard too, in a folder of `out`.
        tell: called with the steps done.

    Raises:
        BadInput: as `batches.rows_of` and `lora.attach`; the loss needs rejected answers, and there are none; or `out`
            holds another run (it says what differs).
        NotConverged: the loss or the gradient is not finite; the step, its rows and the last checkpoint are named.
        RunFailed: a checkpoint cannot be written; the last that is whole is named.

    Example:
        >>> pairs = read_preferences("pairs.jsonl")
        >>> trained = fit(lm.load("tiny-lm"), pairs, loss=losses.AOT(), lora=Lora(learn="B"))
    """
    loss = losses.AOT() if loss is None else loss
    data, held_out = needed(data, loss), None if held_out is None else needed(held_out, loss)
    rows = batches.rows_of(model, data, longest=longest, long=long)
    apart = None if held_out is None else batches.rows_of(model, held_out, longest=longest, long=long)
    course = Course(model, rows, apart, loss, lora, schedule)
    with Run(out, course.facts(data, held_out), tensorboard=tensorboard) as run:
        return course.through(run, tell)


def needed(data: Preferences, loss: Loss) -> Preferences:
    """What a loss learns from: supervised text needs the chosen answers alone.

    Raises:
        BadInput: there are no rejected answers, and the loss needs them.
    """
    if isinstance(loss, losses.SFT):
        return data.wanted()
    what = f"{type(loss).__name__} needs rejected answers too, and the data has chosen ones only."
    require(bool(data.rejected.answers), what, python="Pass loss=SFT().", shell='Say name = "sft" in [loss].')
    return data


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
        start = Parts.of(adapted, WHOLE if adapters is None else lora.learned(adapters.learn))
        self.start = start._replace(learned=step.in_float32(start.learned))
        self.reference = Parts.of(model.decoder, lora.learned("both"))
        self.optimizer = schedule.optimizer()
        self.orders = batches.orders(rows, batch=schedule.batch, seed=schedule.seed)
        self.twice = not isinstance(loss, losses.SFT)  # whether micro-batches need a pass before that of the gradient
        self.key = jax.random.key(schedule.seed, impl="threefry2x32")
        longest = max(each.longest for each in (rows, held_out) if each is not None)
        self.plan = self._planned([self.rows_at(number) for number in spread(schedule.steps)], longest)
        self.noisy = adapters is not None and adapters.dropout > 0

    def through(self, run: Run, tell: Tell) -> Trained:
        """All steps that are left, with what they write."""
        now = run.restored(Kept.first(self.start.learned, self.optimizer))
        total, known = self.schedule.steps, self._known(tell)
        before = None if self.held_out is None else self._held_out(self.reference)
        lengths = None if self.held_out is None else self.held_out.lengths
        apart = before if self.twice else lengths
        tell(Progress("training", now.step, total, unit="steps"))
        speed = pace.Pace(peak(self._devices()), total)
        for number in range(now.step, total):
            now, record = self.step(now, number, known, run)
            record |= speed.of(now.step, int(record["tokens"]), self._operations(number), record["seconds"])
            tell(Progress("training", now.step, total, unit="steps", rate=1 / speed.typical, note=pace.told(record)))
            if apart is not None and self.schedule.due(number, self.schedule.evaluate):
                record |= self.evaluated(now, apart)
            run.write(record, now, self.schedule.due(number, self.schedule.keep))
            if self.schedule.patience and run.stale >= self.schedule.patience:
                return self._ended(now, run, "patience", before, lengths, speed.peak)
        return self._ended(now, run, "steps", before, lengths, speed.peak)

    def step(self, now: Kept, number: int, known: Sequence[np.ndarray], run: Run) -> tuple[Kept, dict[str, float]]:
        """One step: what learns after it, and its record."""
        began = time.perf_counter()
        taken = [order.rows(number) for order in self.orders]
        rows = self.rows_at(number)
        given = Sides(*(jnp.asarray(of[side]) for of, side in zip(known, taken, strict=True)))
        value, slope = self._slope(self.start._replace(learned=now.learned), rows, given, number)
        learned, state, norm = step.update(self.optimizer, now.learned, now.state, slope)
        rate, tokens = self.schedule.rate_at(number), sum(len(row.tokens) for row in rows)
        record = run.record(
            number, value, norm, rate=rate, tokens=tokens, began=began, where=lambda: self.rows.said(taken)
        )
        return Kept(learned, state, number + 1), record

    def rows_at(self, number: int) -> list[Row]:
        """The rows of a step, chosen answers first."""
        sides = zip((self.rows.chosen, self.rows.rejected), self.orders, strict=True)
        return [side[i] for side, order in sides for i in order.rows(number)]

    def packed(self, rows: Sequence[Row], planned: Plan | None = None) -> list[Packed]:
        """Micro-batches, of the shape of the steps or of another; on a mesh their rows are shared out."""
        on = self.given.mesh
        found = batches.packed(rows, batch=self.schedule.tokens, planned=self.plan if planned is None else planned)
        return found if on is None else [_laid(each, on) for each in found]

    def _planned(self, steps: Sequence[Sequence[Row]], longest: int = 0) -> Plan:
        """A shape for these rows."""
        on, width = self.given.mesh, self.given.config.width
        across = 1 if on is None else on.shape["data"] * on.shape["fsdp"]
        return plan(steps, batch=self.schedule.tokens, width=width, longest=longest, multiple=across)

    @property
    def sizes(self) -> tuple[int, int]:
        """Chosen and rejected answers of a step."""
        return self.orders[0].batch, self.orders[1].batch

    def trial(self) -> Any:
        """What the first step computes, against a reference of ones; nothing is kept."""
        first = Kept.first(self.start.learned, self.optimizer)
        known = Sides(*(jnp.ones(size) for size in self.sizes))
        _, slope = self._slope(self.start, self.rows_at(0), known, 0)
        return step.update(self.optimizer, first.learned, first.state, slope)

    def trial_reference(self) -> np.ndarray:
        """What the reference computes for the first step."""
        return self._sums(self.reference, self.rows_at(0))

    def _slope(self, parts: Parts, rows: Sequence[Row], known: Sides, number: int) -> tuple[jax.Array, Any]:
        """The loss of a batch and its gradient, exact for any micro-batches."""
        packed = self.packed(rows)
        keys = [
            jax.random.fold_in(jax.random.fold_in(self.key, number), i) if self.noisy else None
            for i in range(len(packed))
        ]
        weak = self.weak(number)
        if len(packed) == 1:
            return step.whole(self.loss, parts, packed[0], known, keys[0], weak)
        sums = jnp.zeros(len(rows))
        for each, key in zip(packed, keys, strict=True) if self.twice else ():
            sums += step.answers(parts, each, len(rows), key)
        value, pulled = step.pulled(self.loss, sums, known)
        weights, found = jnp.concatenate(pulled), step.nothing(parts.learned)
        for each, key in zip(packed, keys, strict=True):
            found = step.gradient(parts, each, weights, found, key, weak)
        return (value if self.twice else found[0]), found[1]

    def weak(self, number: int) -> Weak | None:
        """Targets other than the tokens, where the loss has them."""
        if not isinstance(self.loss, WeakText):
            return None
        return Weak(self.loss, jnp.asarray(number / self.schedule.steps, jnp.float32))

    def evaluated(self, now: Kept, known: Sides) -> dict[str, float]:
        """The loss on held-out answers, and how far the chosen ones dominate there, or the perplexity."""
        sums = jnp.concatenate(self._held_out(self.start._replace(learned=now.learned)))
        return {f"held_out_{name}": float(value) for name, value in step.measured(self.loss, sums, known).items()}

    def facts(self, data: Preferences, held_out: Preferences | None) -> dict[str, Any]:
        """What makes this run the one it is: another needs another folder."""
        return {
            "model": getattr(self.given.source, "sha256", None) or str(self.given.name),
            "compute": self.given.decoder.compute.name,
            "data": data.fingerprint,
            "held_out": None if held_out is None else held_out.fingerprint,
            "loss": {"name": type(self.loss).__name__, **dataclasses.asdict(self.loss)},  # type: ignore[call-overload]
            "lora": None if self.lora is None else dataclasses.asdict(self.lora),
            "schedule": dataclasses.asdict(self.schedule),
            "rows": [len(self.rows.chosen), len(self.rows.rejected), self.rows.tokens],
        }

    def _known(self, tell: Tell) -> list[np.ndarray]:
        """What the loss knows of both sides: log-probabilities under the reference; of supervised text tokens."""
        if not self.twice:
            return [np.asarray(side) for side in self.rows.lengths]
        total = self.schedule.steps
        used = [sorted({row for number in range(total) for row in order.rows(number)}) for order in self.orders]
        tell(Progress("scoring with the reference", 0, sum(map(len, used)), unit="answers"))
        sides = self.rows.chosen, self.rows.rejected
        asked = [[rows[i] for i in some] for rows, some in zip(sides, used, strict=True)]
        sums = self._sums(self.reference, [*asked[0], *asked[1]])
        found = [np.zeros(len(rows), np.float32) for rows in sides]  # 0 where no step asks
        found[0][used[0]], found[1][used[1]] = np.split(sums, [len(used[0])])
        return found

    def _held_out(self, parts: Parts) -> Sides:
        """Log-probabilities of the held-out answers."""
        chosen, rejected = self.held_out.chosen, self.held_out.rejected  # type: ignore[union-attr]
        sums = self._sums(parts, (*chosen, *rejected))
        return Sides(jnp.asarray(sums[: len(chosen)]), jnp.asarray(sums[len(chosen) :]))

    def _sums(self, parts: Parts, rows: Sequence[Row]) -> np.ndarray:
        return np.sum(
            [step.answers(parts, each, len(rows)) for each in self.packed(rows, self._planned([rows]))], axis=0
        )

    def _operations(self, number: int) -> float:
        """What a step needs."""
        rows, shape = self.rows_at(number), self.given.config
        tokens, scored = sum(len(row.tokens) for row in rows), sum(len(row.tokens) - row.start for row in rows)
        return operations.of_step(self.start, shape.vocab * shape.width, tokens, scored, self.lora is None)

    def _devices(self) -> list[Any]:
        on = self.given.mesh
        return jax.devices()[:1] if on is None else list(on.devices.flat)

    def _ended(self, now: Kept, run: Run, how: str, before: Sides | None, lengths: Sides | None, most: Peak) -> Trained:
        run.keep(now)
        parts = self.start._replace(learned=now.learned)
        model = dataclasses.replace(self.given, decoder=parts.model())
        held_out = None if before is None else (self._held_out(parts), before)
        counts = self.rows.dropped, self.rows.cut
        return Trained(model, self.lora, run.history, how, run.best or now.step, held_out, lengths, most, *counts)


def _laid(batch: Packed, on: Mesh) -> Packed:
    """A micro-batch on the devices of a mesh: its rows shared out, the rest on each."""
    names = {2: ("rows", None), 1: (None,)}
    return Packed(*(jax.device_put(x, NamedSharding(on, spec(names[x.ndim], x.shape, on))) for x in batch))
