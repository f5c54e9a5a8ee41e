"""LiveXiv's search as published: Adam on a joint Rasch model, slowed and ended as torch does."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core.solvers.loop import Step, solve
from lleval_jax.types import Array, Bool, Float, Int

EPSILON = 1e-5  # added to a probability before its logarithm


class Unknowns(NamedTuple):
    """What is searched for: difficulties (items,) and abilities (models,); float32 as published."""

    beta: Array
    theta: Array


class Block(NamedTuple):
    """One version: only the models that were evaluated on it. Its items follow those of the version before.

    index   (block,)        which models they are
    scores  (block, items)  float32 as published
    seen    (block, items)
    """

    index: Int[Array, " block"]
    scores: Float[Array, "block items"]
    seen: Bool[Array, "block items"]


class Found(NamedTuple):
    """Difficulties (items,), abilities (models,), the mean loss and how the search ended; steps are epochs."""

    beta: Array
    theta: Array
    value: Array
    steps: Array
    status: Array
    error: Array


class Answers(NamedTuple):
    """What all models answered, a block a version, and where the search starts."""

    blocks: tuple[Block, ...]
    start: Unknowns


@dataclasses.dataclass(frozen=True)
class Search:
    """The joint Rasch model of all versions, in at most so many epochs."""

    epochs: int
    light: bool = False

    def solve(self, data: Answers, key: Array) -> Found:
        """Abilities and difficulties, of the type of the start. The start is data, so that no key is needed."""
        cells = sum(jnp.sum(block.seen, dtype=jnp.float64) for block in data.blocks)

        def mean(x: Unknowns) -> Array:
            return (_loss(x, data.blocks) / cells).astype(x.theta.dtype)

        end = solve(PlateauAdam(), mean, data.start, tol=0, max_steps=self.epochs)
        return Found(end.x.beta, end.x.theta, end.value, end.steps, end.status, end.error)


def start(items: int, models: int, key: Array) -> Unknowns:
    """Difficulties, then abilities, from N(0, 1).

    Drawn apart from the search: compiled into one program with it, an epoch took twice the time.
    """
    beta, theta = jax.random.split(key)
    return Unknowns(jax.random.normal(beta, (items,), jnp.float32), jax.random.normal(theta, (models,), jnp.float32))


def _loss(x: Unknowns, blocks: tuple[Block, ...]) -> Array:
    """Sum over the cells seen, in float64."""
    total, first = jnp.asarray(0, jnp.float64), 0
    for index, y, seen in blocks:
        end = first + y.shape[1]
        p = jax.nn.sigmoid(x.theta[index][:, None] - x.beta[None, first:end])
        loss = -(y * jnp.log(p + EPSILON) + (1 - y) * jnp.log(1 - p + EPSILON))
        total, first = total + jnp.sum(jnp.where(seen, loss, 0), dtype=jnp.float64), end
    return total


class Pace(NamedTuple):
    """What `PlateauAdam` remembers.

    mean, square  running means of the gradient and of its square, shaped as the unknowns
    rate          of the next step
    lowest, flat  loss that the rate is judged by, and epochs since it fell
    least, idle   loss that the end is judged by, and epochs since it fell
    epoch         taken so far
    """

    mean: Unknowns
    square: Unknowns
    rate: Array
    lowest: Array
    flat: Array
    least: Array
    idle: Array
    epoch: Array


@dataclasses.dataclass(frozen=True)
class PlateauAdam:
    """Adam that slows down where the loss stays and ends where it stays for long: a solver of `core.solvers.loop`.

    The rate is multiplied by `factor` after more than `patience` epochs in which the loss fell by no more than the
    share `relative` of it; the search ends after `wait` epochs in which it fell by no more than `absolute`. As
    published the loss is that before an epoch's step, and the last step counts, not the best. Needs float64 switched
    on: as in torch, the rate and the losses that are compared are float64, whatever the unknowns are.
    """

    rate: float = 0.01
    decay: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    factor: float = 0.1
    patience: int = 10
    relative: float = 1e-4
    wait: int = 50
    absolute: float = 1e-5

    def init(self, fn: Callable, x: Unknowns) -> Step:
        """Before the first epoch; the loss there is not looked at."""
        zero = jax.tree.map(jnp.zeros_like, x)
        none, high = jnp.asarray(0), jnp.asarray(jnp.inf, jnp.float64)
        rate = jnp.asarray(self.rate, jnp.float64)
        pace = Pace(zero, zero, rate, high, none, high, none, none)
        return Step(x, jnp.zeros((), x.theta.dtype), jnp.asarray(self.wait), pace)

    def step(self, fn: Callable, now: Step) -> Step:
        """One epoch; its error is the number of idle epochs that are left before the end."""
        value, gradient = jax.value_and_grad(fn)(now.x)
        old: Pace = now.memory
        first, second = self.decay
        mean = jax.tree.map(lambda m, g: first * m + (1 - first) * g, old.mean, gradient)
        square = jax.tree.map(lambda s, g: second * s + (1 - second) * g * g, old.square, gradient)
        epoch = old.epoch + 1
        count = epoch.astype(jnp.float64)
        size = (old.rate / (1 - first**count)).astype(value.dtype)
        whole = jnp.sqrt(1 - second**count).astype(value.dtype)
        x = jax.tree.map(lambda x, m, s: x - size * m / (jnp.sqrt(s) / whole + self.epsilon), now.x, mean, square)
        loss = value.astype(jnp.float64)
        lowest, flat = _since(loss, old.lowest, old.lowest * (1 - self.relative), old.flat)
        least, idle = _since(loss, old.least, old.least - self.absolute, old.idle)
        slower = flat > self.patience
        moves = old.rate * (1 - self.factor) > self.epsilon  # as torch: a change of less than 1e-8 is not made
        rate = jnp.where(slower & moves, old.rate * self.factor, old.rate)
        flat = jnp.where(slower, 0, flat)
        return Step(x, value, self.wait - idle, Pace(mean, square, rate, lowest, flat, least, idle, epoch))


def _since(loss: Array, best: Array, bar: Array, since: Array) -> tuple[Array, Array]:
    """The best loss and epochs since it fell below its bar."""
    fell = loss < bar
    return jnp.where(fell, loss, best), jnp.where(fell, 0, since + 1)
