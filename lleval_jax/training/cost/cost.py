"""What a training run will cost, before it begins: parameters, memory, operations, time."""

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from lleval_jax.training.cost import memory
from lleval_jax.training.losses import AOT, Loss, Sides
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run import batches, loop, step
from lleval_jax.training.run.batches import Long, Packed
from lleval_jax.training.run.operations import parameters, per_token
from lleval_jax.training.run.schedule import Schedule
from lleval_jax.values.preferences import Preferences
from lleval_jax.values.progress import Progress, Tell, silent

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel

TIMES, PATIENCE = 3, 10.0  # how often a step is timed, and seconds after which it is not timed again


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a run takes.

    learned     parameters that learn
    frozen      parameters that do not
    rows        answers that are learned
    dropped     answers (or pairs) left out because they are too long
    cut         prompts that were shortened
    tokens      of all steps
    flops       operations of all steps, by count: 2 a weight and token forward, as many for what passes back through
                the layer, and as many again for the gradient of a weight that learns
    weights     bytes of all parameters on a device
    state       bytes of the optimiser's state and the gradient, on a device
    program     bytes that live besides at the fullest moment of a step, on a device, by `memory.estimate`
    seconds     for all steps with the reference, by a step that was timed a few times; the compilation apart
    compiling   seconds that compiling took
    """

    learned: int
    frozen: int
    rows: int
    dropped: int
    cut: int
    tokens: int
    flops: float
    weights: int
    state: int
    program: int
    seconds: float
    compiling: float

    @property
    def memory(self) -> int:
        """Bytes on a device."""
        return self.weights + self.state + self.program


def cost(
    model: "LanguageModel",
    data: Preferences,
    *,
    loss: Loss | None = None,
    lora: Lora | None = Lora(),  # noqa: B008  frozen
    schedule: Schedule = Schedule(),  # noqa: B008
    longest: int | None = None,
    long: Long = "refuse",
    tell: Tell = silent,
) -> Cost:
    """What `fit` with these arguments will take: one step is compiled, and done a few times.

    Example:
        >>> cost(lm.load("tiny-lm"), pairs, lora=Lora(rank=8, learn="B")).seconds  # doctest: +SKIP
    """
    loss = AOT() if loss is None else loss
    rows = batches.rows_of(model, loop.needed(data, loss), longest=longest, long=long)
    course = loop.Course(model, rows, None, loss, lora, schedule)
    sizes = [sum(len(row.tokens) for row in course.rows_at(number)) for number in range(schedule.steps)]
    parts, config = course.start, model.config
    packed = course.packed(course.rows_at(0))
    tell(Progress("compiling and timing one step"))
    compiling, seconds = _timed(course.trial)
    more, known = _timed(course.trial_reference) if course.twice else (0.0, 0.0)
    held = memory.estimate(model.decoder, lora, shape_of(course), loss=loss, on=model.mesh)
    return Cost(
        learned=parameters(parts.learned),
        frozen=parameters(parts.fixed),
        rows=len(rows.chosen) + len(rows.rejected),
        dropped=rows.dropped,
        cut=rows.cut,
        tokens=sum(sizes),
        flops=float(sum(sizes)) * per_token(parts, course.twice and len(packed) > 1, config.vocab * config.width),
        weights=held.weights,
        state=held.state,
        program=held.passing,
        seconds=(seconds * sum(sizes) + known * _scored(course)) / sizes[0],
        compiling=compiling + more,
    )


def shape_of(course: "loop.Course") -> memory.Shape:
    """The micro-batches of a run."""
    wide, alone = course.plan.wide, len(course.packed(course.rows_at(0))) == 1
    return memory.Shape(wide, course.plan.length, course.plan.room, course.sizes, alone)


def program_bytes(course: "loop.Course", batch: Packed, alone: bool) -> int:
    """Bytes that the program of a micro-batch needs for itself, read from the compiled program."""
    parts = course.start
    learned, fixed, shaped = (jax.tree.map(_shape, tree) for tree in (parts.learned, parts.fixed, batch))
    sizes: list[Any] = [jax.ShapeDtypeStruct((size,), jnp.float32) for size in course.sizes]
    if alone:
        lowered = step.lower_whole(course.loss, parts.shape, learned, fixed, shaped, Sides(*sizes))
    else:
        weights = jax.ShapeDtypeStruct((sum(course.sizes),), jnp.float32)
        lowered = step.lower_gradient(course.loss, parts.shape, learned, fixed, shaped, weights)
    found: Any = lowered.compile().memory_analysis()
    return int(found.temp_size_in_bytes)


def _scored(course: "loop.Course") -> int:
    """Tokens of the rows that any step takes: each is read once by the reference."""
    steps = range(course.schedule.steps)
    used = [{row for number in steps for row in order.rows(number)} for order in course.orders]
    sides = zip((course.rows.chosen, course.rows.rejected), used, strict=True)
    return sum(len(side[i].tokens) for side, numbers in sides for i in numbers)


def _timed(call: Callable[[], Any]) -> tuple[float, float]:
    """(seconds of compiling, seconds of a call after that)."""
    seconds: list[float] = []
    while len(seconds) < 2 or (len(seconds) <= TIMES and sum(seconds[1:]) < PATIENCE):
        began = time.perf_counter()
        jax.block_until_ready(call())
        seconds.append(time.perf_counter() - began)
    usual = statistics.median(seconds[1:])
    return max(0.0, seconds[0] - usual), usual


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None))
