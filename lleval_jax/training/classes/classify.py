"""Classes of texts, learned from labelled ones: a text encoder with adapters, and a head that is learned in full.

    encoder = lm.load_encoder("minilm")
    judge = classify.fit(encoder, texts, labels, lora=Lora(learn="B"), held_out=(others, their_labels))
    judge.predict(["Thank you, that is kind."])     # probabilities of judge.classes
    print(judge.held_out)                           # accuracy with an interval

A step packs its texts end to end into rows of one shape, so that a run compiles two or three programs.
"""

import dataclasses
import hashlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from lleval_jax.errors import require, require_known
from lleval_jax.lm.embed import Framed, Text, framed
from lleval_jax.lm.encoder import POOLINGS, Encoder
from lleval_jax.lm.packing import ROOM, Row
from lleval_jax.lm.text_encoder import TextEncoder
from lleval_jax.training.classes import labelled, targets
from lleval_jax.training.classes.classifier import Classifier, Network, learned, network
from lleval_jax.training.classes.labelled import Label
from lleval_jax.training.classes.targets import CrossEntropy, Targets
from lleval_jax.training.low_rank import lora
from lleval_jax.training.low_rank.dropout import with_dropout
from lleval_jax.training.low_rank.lora import Lora, dropped
from lleval_jax.training.run import batches, step
from lleval_jax.training.run.batches import Order, Packed
from lleval_jax.training.run.checkpoints import Kept, Run
from lleval_jax.training.run.schedule import Schedule
from lleval_jax.training.run.step import Parts
from lleval_jax.values.progress import Progress, Tell, silent

if TYPE_CHECKING:
    import os

Labelled = tuple[Sequence[Text], Sequence[Label]]


def fit(
    encoder: TextEncoder,
    texts: Sequence[Text],
    labels: Sequence[Label],
    *,
    lora: Lora | None = Lora(),  # noqa: B008  frozen
    schedule: Schedule = Schedule(),  # noqa: B008
    held_out: Labelled | None = None,
    pooling: str | None = None,
    dropout: float = 0.0,
    loss: Targets = CrossEntropy(),  # noqa: B008
    soft: np.ndarray | None = None,
    out: "str | os.PathLike[str] | None" = None,
    tell: Tell = silent,
) -> Classifier:
    """Learn to classify texts. The loss is the mean cross-entropy of a batch, with the labels or other targets.

    Args:
        encoder: what `lm.load_encoder` gives; it stays as it is. Texts are cut to `encoder.use.limit` tokens.
        texts: texts, or pairs of them that are read together (a question and its answer).
        labels: of each: text, a whole number, or true and false; any number of classes.
        lora: adapters to learn; None: all weights of the encoder learn. The head always does.
        schedule: steps, batch, rate, when to evaluate and to keep.
        held_out: (texts, labels) that are not learned. What belongs together, as two answers to one question, belongs
            on one side: how to split is the caller's to know.
        pooling: "mean", "first" or "pooler"; None: as the encoder was made for.
        dropout: of the encoder itself, as BERT has it, and of what the head reads. That of adapters is `lora.dropout`.
        loss: what is learned of the labels, where these come from a weak teacher: `targets`.
        soft: (texts, classes) probabilities that a weak teacher gives the classes, in the order of sorted labels; they
            are learned in place of `labels`, which name the classes.
        out: folder for checkpoints and metrics, from which a run that was stopped goes on.
        tell: called with the steps done.

    Returns:
        The classifier after the last step; with `schedule.patience`, that of the lowest held-out loss.

    Raises:
        BadInput: labels and texts differ in number, there is one class only, a text is empty, a target of `lora` is not
            in the encoder (those that are get listed), `soft` are no probabilities, or `out` holds another run.
        NotConverged: the loss or its gradient is not finite; the step and its texts are named.

    Example:
        >>> judge = fit(lm.load_encoder("minilm"), texts, labels, lora=Lora(learn="B"))  # doctest: +SKIP
        >>> judge.predict(["Thank you."]).shape                                          # doctest: +SKIP
        (1, 2)
    """
    course = Course(encoder, texts, labels, lora, schedule, held_out, pooling, dropout, loss, soft)
    with Run(out, course.facts) as run:
        return course.through(run, tell)


class Course:
    """One run: what stays the same from step to step."""

    def __init__(
        self,
        encoder: TextEncoder,
        texts: Sequence[Text],
        labels: Sequence[Label],
        adapters: Lora | None,
        schedule: Schedule,
        held_out: Labelled | None,
        pooling: str | None,
        dropout: float,
        loss: Targets = CrossEntropy(),  # noqa: B008
        soft: np.ndarray | None = None,
    ) -> None:
        self.given, self.lora, self.schedule, self.dropout = encoder, adapters, schedule, dropout
        self.pooling = encoder.use.pooling if pooling is None else pooling
        require_known(self.pooling, POOLINGS, "pooling")
        require(self.pooling != "pooler" or encoder.config.pooled, f"{encoder.name} has no pooler")
        require(0 <= dropout < 1, f"dropout is {dropout}; it is from 0 to below 1")
        self.classes, self.labels = labelled.checked(texts, labels, None, "text")
        self.loss, self.given_labels = loss, targets.soft_labels(self.labels, len(self.classes), soft)
        self.held_out = held_out
        if held_out is not None:
            labelled.checked(*held_out, self.classes, "held-out text")
        self.rows = framed(encoder.tokens, list(texts), encoder.use.limit)
        self.longest = max(ROOM, *(len(row.ids) for row in self.rows))
        self.start = Parts.of(network(encoder.encoder, adapters, len(self.classes), schedule.seed), learned(adapters))
        self.optimizer = schedule.optimizer()
        self.order = Order(len(self.rows), schedule.batch, schedule.seed)
        self.noisy = dropout > 0 or (adapters is not None and adapters.dropout > 0)
        self.key = jax.random.key(schedule.seed, impl="threefry2x32")
        told = repr((list(texts), list(labels), held_out))
        self.facts: dict[str, Any] = {
            "encoder": encoder.name,
            "data": hashlib.sha256(told.encode()).hexdigest(),
            "lora": None if adapters is None else dataclasses.asdict(adapters),
            "schedule": dataclasses.asdict(schedule),
            "pooling": self.pooling,
            "dropout": dropout,
        }
        if loss != CrossEntropy() or soft is not None:
            weak = {"name": type(loss).__name__, **dataclasses.asdict(loss)}  # type: ignore[call-overload]
            self.facts["loss"] = weak | {"labels": hashlib.sha256(self.given_labels.tobytes()).hexdigest()}

    def through(self, run: Run, tell: Tell) -> Classifier:
        """All steps that are left, with what they write."""
        now = run.restored(Kept.first(self.start.learned, self.optimizer))
        best, ended = now.learned, "steps"
        for number in range(now.step, self.schedule.steps):
            now, record = self.step(now, number, run)
            tell(Progress("training", number + 1, self.schedule.steps, error=record["loss"], unit="steps"))
            if self.held_out is not None and self.schedule.due(number, self.schedule.evaluate):
                record |= self.evaluated(now.learned)
            run.write(record, now, self.schedule.due(number, self.schedule.keep))
            if run.best == now.step:
                best = jax.tree.map(jnp.copy, now.learned)
            if self.schedule.patience and run.stale >= self.schedule.patience:
                ended = "patience"
                break
        run.keep(now)
        return self._made(best if self.schedule.patience else now.learned, run.history, ended)

    def step(self, now: Kept, number: int, run: Run) -> tuple[Kept, dict[str, float]]:
        """One step: what learns after it, and its record."""
        began = time.perf_counter()
        taken = self.order.rows(number)
        value, slope = self.slope(self.start._replace(learned=now.learned), taken, number)
        learned, state, norm = step.update(self.optimizer, now.learned, now.state, slope)
        rate, tokens = self.schedule.rate_at(number), sum(len(self.rows[i].ids) for i in taken)
        record = run.record(
            number, value, norm, rate=rate, tokens=tokens, began=began, where=lambda: f"its texts are {taken}"
        )
        return Kept(learned, state, number + 1), record

    def slope(self, parts: Parts, taken: Sequence[int], number: int) -> tuple[jax.Array, Any]:
        """The loss of a batch and its gradient: of micro-batches the sum."""
        value, found = jnp.zeros(()), step.zeros(parts.learned)
        wanted = jnp.asarray(self.given_labels[list(taken)])
        micro = [
            (batch, types, jax.random.fold_in(jax.random.fold_in(self.key, number), i) if self.noisy else None)
            for i, (batch, types) in enumerate(self.packed([self.rows[i] for i in taken]))
        ]
        same = self.pooling, self.dropout, parts.shape, parts.learned, parts.fixed
        if self.loss.looks:
            logits = sum((_logits(*same, *each, len(taken)) for each in micro), jnp.zeros(wanted.shape))
            wanted = self.loss.targets(logits, wanted, number / self.schedule.steps)
        else:
            wanted = self.loss.targets(wanted, wanted, number / self.schedule.steps)
        for batch, types, key in micro:
            value, found = _added(*same, batch, types, wanted, key, value, found)
        return value, found

    def packed(self, rows: Sequence[Framed]) -> list[tuple[Packed, np.ndarray]]:
        """Micro-batches, and the kind of each of their tokens (1 in a pair's second text)."""
        plain = [Row(np.array(row.ids, np.int32), 0) for row in rows]
        found = batches.packed(plain, batch=self.schedule.tokens, length=self.longest)
        return [(each, _types(each, rows)) for each in found]

    def evaluated(self, learned: Any) -> dict[str, float]:
        """Loss and accuracy on the held-out texts."""
        texts, labels = self.held_out  # type: ignore[misc]
        _, truth = labelled.checked(texts, labels, self.classes, "held-out text")
        logits = self._made(learned, (), "", measured=False).logits(texts).astype(np.float64)
        right = np.take_along_axis(logits, truth[:, None], 1)[:, 0]
        top = logits.max(1)
        losses = top + np.log(np.exp(logits - top[:, None]).sum(1)) - right
        return {"held_out_loss": float(losses.mean()), "held_out_accuracy": float((logits.argmax(1) == truth).mean())}

    def _made(self, learned: Any, history: tuple, ended: str, measured: bool = True) -> Classifier:
        whole: Any = self.start._replace(learned=learned).model()
        encoder = dataclasses.replace(self.given, encoder=whole.encoder)
        made = Classifier(encoder, whole.head, self.classes, self.pooling, self.lora, history, ended)
        if self.held_out is None or not measured:
            return made
        found = made.accuracy(*self.held_out)
        if self.schedule.patience:
            caveat = "the step was chosen by these texts: measure again on others"
            found = dataclasses.replace(found, caveats=(caveat,))
        return dataclasses.replace(made, held_out=found)


def _types(batch: Packed, rows: Sequence[Framed]) -> np.ndarray:
    """int32 (rows, length): 1 for a token of a pair's second text."""
    found = np.zeros(batch.tokens.shape, np.int32)
    inside = batch.places >= 0
    texts = dict.fromkeys(batch.answer[inside].tolist())
    found.reshape(-1)[batch.places[inside]] = np.concatenate([rows[i].types for i in texts])
    return found


@jax.jit(static_argnums=(0, 1, 2), donate_argnums=(9, 10))
def _added(pooling, dropout, shape, learned, fixed, batch, types, wanted, key, value, so_far):  # noqa: ANN001, ANN202
    def loss(learned: Any) -> jax.Array:
        logits, seen = _scored(pooling, dropout, shape, learned, fixed, batch, types, key, len(wanted))
        each = jnp.sum(wanted * jax.nn.log_softmax(logits), axis=1)
        return -jnp.sum(jnp.where(seen, each, 0.0)) / len(wanted)

    more, slope = jax.value_and_grad(loss)(learned)
    return value + more, jax.tree.map(jnp.add, so_far, slope)


@jax.jit(static_argnums=(0, 1, 2, 8))
def _logits(pooling, dropout, shape, learned, fixed, batch, types, key, count):  # noqa: ANN001, ANN202
    logits, seen = _scored(pooling, dropout, shape, learned, fixed, batch, types, key, count)
    return jnp.where(seen[:, None], logits, 0.0)


def _scored(
    pooling: str, dropout: float, shape: Any, learned: Any, fixed: Any, batch: Packed, types: Any, key: Any, count: int
) -> tuple[jax.Array, jax.Array]:
    """The logits of each text of the whole batch, "texts classes", and which of them are in this micro-batch."""
    whole: Any = nnx.merge(shape, learned, fixed)
    encoder, head = (whole.encoder, whole.head) if key is None else _noisy(whole, dropout, key)
    vectors, seen = _pooled(encoder, pooling, batch, types, count)
    return head(vectors), seen


def _noisy(whole: Network, dropout: float, key: jax.Array) -> tuple[Encoder, Callable[[jax.Array], jax.Array]]:
    """Encoder and head with the dropout of one step."""
    keys = jax.random.split(key, 3)
    encoder = lora.with_noise(whole.encoder, keys[0])
    if not dropout:
        return encoder, whole.head
    return with_dropout(encoder, dropout, keys[1]), lambda vectors: whole.head(dropped(vectors, dropout, keys[2]))


def _pooled(encoder: Encoder, pooling: str, batch: Packed, types: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """One vector for each text of the whole batch, "texts width", and which of them are in this micro-batch."""
    tokens, positions, segments, places, text = map(jnp.asarray, batch)
    hidden = encoder.hidden(tokens, positions, segments, types).astype(jnp.float32)
    flat = hidden.reshape(-1, hidden.shape[-1])
    sizes = jax.ops.segment_sum(jnp.ones(len(text)), text, count)
    if pooling == "mean":
        inside = jnp.where((places >= 0)[:, None], flat[jnp.maximum(places, 0)], 0.0)
        return jax.ops.segment_sum(inside, text, count) / jnp.maximum(sizes, 1.0)[:, None], sizes > 0
    begins = jax.ops.segment_min(jnp.where(places >= 0, places, flat.shape[0]), text, count)
    first = flat[jnp.minimum(begins, flat.shape[0] - 1)]
    return first if pooling == "first" else jnp.tanh(encoder.pooler(first)), sizes > 0  # type: ignore[misc]
