"""The programs of a training step: log-probabilities of whole answers, their gradient, and the optimiser's step.

A model is three parts here: its shape (static), the variables that learn, and those that do not.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from lleval_jax.lm.logprobs import answer_logprobs
from lleval_jax.lm.mesh import pinned
from lleval_jax.training import losses
from lleval_jax.training.losses import Loss, Sides
from lleval_jax.training.low_rank import lora
from lleval_jax.training.run.batches import Packed
from lleval_jax.training.weak_text import WeakText, answer_gains

State = Any  # a pytree of variables


class Weak(NamedTuple):
    """What is learned of weak texts instead of their tokens alone.

    loss  what makes targets
    done  share of all steps that were made, from 0 to 1
    """

    loss: WeakText
    done: jax.Array


class Parts(NamedTuple):
    """A model taken apart.

    shape    its structure, static and hashable
    learned  the variables that the optimiser touches
    fixed    all others
    """

    shape: Any
    learned: State
    fixed: State

    @classmethod
    def of(cls, model: nnx.Module, learns: Any) -> "Parts":
        """`learns` is a filter of variables, as `lora.learned` gives."""
        return cls(*nnx.split(model, learns, ...))

    def model(self) -> nnx.Module:
        """The model, put together again."""
        return nnx.merge(*self)


def answers(parts: Parts, batch: Packed, count: int, key: jax.Array | None = None) -> jax.Array:
    """Summed log-probabilities of the answers in a micro-batch.

    Args:
        parts: the model.
        batch: the micro-batch.
        count: answers of the whole batch.
        key: of dropout; None for none.

    Returns:
        float32 (count,), in nats; 0 for answers that are in other micro-batches.
    """
    return _answers(parts.shape, parts.learned, parts.fixed, batch, key, count)


def gradient(
    parts: Parts,
    batch: Packed,
    weights: jax.Array,
    so_far: tuple[jax.Array, State],
    key: jax.Array | None = None,
    weak: Weak | None = None,
) -> tuple[jax.Array, State]:
    """`so_far`, and sum(weights * log-probabilities of the micro-batch's answers) with its gradient.

    Args:
        parts: the model.
        batch: the micro-batch.
        weights: (count,) derivative of the loss by each answer's log-probability.
        so_far: both of the micro-batches before, or `nothing`; it is used up.
        key: as it was for `answers`.
        weak: targets other than the tokens, whose `weak_text.gains` stand for log-probabilities.
    """
    loss, done = weak or (None, None)
    return _gradient(parts.shape, parts.learned, parts.fixed, batch, weights, so_far, key, done, loss)


def whole(
    loss: Loss, parts: Parts, batch: Packed, known: Sides, key: jax.Array | None = None, weak: Weak | None = None
) -> tuple[jax.Array, State]:
    """The loss of a batch that is one micro-batch, and its gradient: one pass."""
    done = None if weak is None else weak.done
    return _whole(loss, parts.shape, parts.learned, parts.fixed, batch, known, key, done)


def lower_whole(loss: Loss, shape: Any, learned: Any, fixed: Any, batch: Any, known: Any) -> jax.stages.Lowered:
    """The program of `whole` for these shapes, not yet compiled."""
    return _whole.lower(loss, shape, learned, fixed, batch, known, None, _done(loss))


def lower_gradient(loss: Loss, shape: Any, learned: Any, fixed: Any, batch: Any, weights: Any) -> jax.stages.Lowered:
    """The program of `gradient` for these shapes, not yet compiled."""
    number, own = jax.ShapeDtypeStruct((), jnp.float32), loss if isinstance(loss, WeakText) else None
    return _gradient.lower(shape, learned, fixed, batch, weights, (number, learned), None, _done(loss), own)


def pulled(loss: Loss, sums: jax.Array, known: Sides) -> tuple[jax.Array, Sides]:
    """`losses.pull` of log-probabilities (n + m,), those of chosen answers first."""
    return _pulled(loss, sums, known)


def measured(loss: Loss, sums: jax.Array, known: Sides) -> dict[str, jax.Array]:
    """`losses.measures` of log-probabilities (n + m,), those of chosen answers first."""
    return _measured(loss, sums, known)


def update(
    optimizer: optax.GradientTransformation, learned: State, state: State, slope: State
) -> tuple[State, State, jax.Array]:
    """One step of the optimiser: the learned variables, its state, and the norm of the gradient."""
    return _update(optimizer, learned, state, slope)


def zeros(learned: State) -> State:
    """A gradient of nothing."""
    return jax.tree.map(jnp.zeros_like, learned)


def nothing(learned: State) -> tuple[jax.Array, State]:
    """A sum of no answers, and its gradient."""
    return jnp.zeros(()), zeros(learned)


def in_float32(learned: State) -> State:
    """What learns in float32, whatever it was: small steps are lost in bfloat16. Layers compute in their own type."""
    return jax.tree.map(lambda x: x.astype(jnp.float32) if jnp.issubdtype(x.dtype, jnp.floating) else x, learned)


def _done(loss: Loss) -> Any:
    """The shape of a share of steps, where a loss asks for it."""
    return jax.ShapeDtypeStruct((), jnp.float32) if isinstance(loss, WeakText) else None


def _sums(
    shape: Any,
    learned: State,
    fixed: State,
    batch: Packed,
    key: jax.Array | None,
    count: int,
    weak: Weak | None = None,
) -> jax.Array:
    model: Any = nnx.merge(shape, learned, fixed)
    if key is not None:
        model = lora.with_noise(model, key)
    tokens, positions, segments, places, answer = map(jnp.asarray, batch)
    if weak is None:
        each = answer_logprobs(model, tokens, places, positions=positions, segments=segments)
    else:
        each = answer_gains(model, tokens, places, *weak, positions=positions, segments=segments)
    return jax.ops.segment_sum(each, answer, count)


@jax.jit(static_argnums=(0, 5))
def _answers(shape, learned, fixed, batch, key, count):  # noqa: ANN001, ANN202
    return _sums(shape, learned, fixed, batch, key, count)


@jax.jit(static_argnums=(0, 8), donate_argnums=5)
def _gradient(shape, learned, fixed, batch, weights, so_far, key, done, loss):  # noqa: ANN001, ANN202
    weak = None if loss is None else Weak(loss, done)

    def weighted(learned: State) -> jax.Array:
        return jnp.vdot(weights, _sums(shape, learned, fixed, batch, key, len(weights), weak))

    found, slope = jax.value_and_grad(weighted)(learned)
    return jax.tree.map(jnp.add, so_far, (found, _laid(shape, learned, fixed, slope)))


@jax.jit(static_argnums=(0, 1))
def _whole(loss, shape, learned, fixed, batch, known, key, done):  # noqa: ANN001, ANN202
    return value_and_slope(loss, shape, learned, fixed, batch, known, key, done)


def value_and_slope(
    loss: Loss,
    shape: Any,
    learned: State,
    fixed: State,
    batch: Packed,
    known: Sides,
    key: jax.Array | None = None,
    done: jax.Array | None = None,
) -> tuple[jax.Array, State]:
    """`whole`, not compiled: to be traced."""
    weak = Weak(loss, jnp.ones(()) if done is None else done) if isinstance(loss, WeakText) else None

    def value(learned: State) -> jax.Array:
        count = len(known.chosen) + len(known.rejected)
        sums = _sides(_sums(shape, learned, fixed, batch, key, count, weak), known)
        return loss.value(sums, known, _ones(known))

    found, slope = jax.value_and_grad(value)(learned)
    return found, _laid(shape, learned, fixed, slope)


@jax.jit(static_argnums=0)
def _pulled(loss, sums, known):  # noqa: ANN001, ANN202
    return losses.pull(loss, _sides(sums, known), known, _ones(known))


@jax.jit(static_argnums=0)
def _measured(loss, sums, known):  # noqa: ANN001, ANN202
    return losses.measures(loss, _sides(sums, known), known, _ones(known))


def _laid(shape: Any, learned: State, fixed: State, slope: State) -> State:
    """A gradient, laid out over the devices as what learns."""
    model: Any = nnx.merge(shape, learned, fixed)
    return pinned(slope, getattr(model, "mesh", None), getattr(model, "config", None))


def _sides(sums: jax.Array, like: Sides) -> Sides:
    return Sides(*jnp.split(sums, [len(like.chosen)]))


def _ones(like: Sides) -> Sides:
    return jax.tree.map(jnp.ones_like, like)


@jax.jit(static_argnums=0, donate_argnums=(1, 2))
def _update(optimizer, learned, state, slope):  # noqa: ANN001, ANN202
    change, state = optimizer.update(slope, state, learned)
    return optax.apply_updates(learned, change), state, optax.tree.norm(slope)
