"""What training has done, with intervals: preferences won, dominance of the chosen answers, likelihood of answers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from lleval_jax.core.precision import jit
from lleval_jax.core.share import wilson
from lleval_jax.training import losses
from lleval_jax.training.losses import Sides
from lleval_jax.types import Array
from lleval_jax.values.results import Estimate, Source

WON, VIOLATED, AREA, MARGIN, RATIO = (
    "preferences won",
    "dominance violated",
    "violation area",
    "quantile margin",
    "mean log-ratio",
)
MEASURES = (WON, VIOLATED, AREA, MARGIN, RATIO)
LIKELIHOODS = ("loss", "loss before", "fall of the loss", "perplexity", "perplexity before")


def outcome(
    policy: Sides,
    reference: Sides,
    *,
    paired: bool,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
    name: str = "model",
    source: Source | None = None,
) -> Estimate:
    """How a model's rewards (log-ratios to its reference) order held-out answers.

    One entry a measure, which is the entry's group:

    preferences won     share of pairs whose chosen answer has the larger reward (ties count half); unpaired: of all
                        couples of a chosen and a rejected answer (the area under the ROC curve)
    dominance violated  share of quantile levels at which the chosen rewards lie below the rejected
    violation area      their mean distance there, in nats
    quantile margin     mean reward of the chosen less that of the rejected, in nats
    mean log-ratio      of all answers, in nats: how far the model moved from the reference on this text

    Args:
        policy: log-probabilities of the answers under the model.
        reference: under the model that it began as.
        paired: whether rows are pairs, which are drawn together.
        level: of the intervals.
        draws: bootstrap draws.
        seed: of the draws.
        name: the row of the estimate.
        source: where the answers come from.

    Returns:
        An `Estimate`. Of pairs won the interval is Wilson's (1927); all others are percentiles of a bootstrap over
        pairs, or over the answers of each side, widened to contain the value.
    """
    u, v = (jnp.asarray(p) - jnp.asarray(r) for p, r in zip(policy, reference, strict=True))
    value = np.asarray(_measures(u, v, paired), float)
    found = np.asarray(_drawn(u, v, jax.random.key(seed), paired, draws), float)
    low, high, error = _interval(found, value, level)
    if paired:
        low[0], high[0] = wilson(value[0], stats.norm.isf((1 - level) / 2) ** 2 / len(u))
    many = len(u) if paired else len(u) + len(v)
    return _estimate("alignment", MEASURES, value, low, high, error, many, level, name, source)


def likelihood(
    policy: Array,
    before: Array,
    tokens: Array,
    *,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
    name: str = "model",
    source: Source | None = None,
) -> Estimate:
    """How likely held-out answers are under a model, and were under the model that it began as.

    One entry a measure, which is the entry's group:

    loss, loss before               mean negative log-probability a token of the answers, in nats
    fall of the loss                loss before - loss
    perplexity, perplexity before   exp of the losses

    Args:
        policy: (n,) log-probabilities of the answers under the model.
        before: (n,) under the model that it began as.
        tokens: (n,) of each answer.
        level: of the intervals.
        draws: bootstrap draws.
        seed: of the draws.
        name: the row of the estimate.
        source: where the answers come from.

    Returns:
        An `Estimate`. Intervals are percentiles of a bootstrap over answers, widened to contain the value.

    Example:
        >>> likelihood(jnp.array([-2.0, -4.0]), jnp.array([-4.0, -8.0]), jnp.array([2.0, 4.0])).value[:3]
        array([1., 2., 1.])
    """
    given = tuple(jnp.asarray(x, jnp.float32) for x in (policy, before, tokens))
    value = np.asarray(_likelihoods(*given), float)
    found = np.asarray(_likelihoods_drawn(*given, jax.random.key(seed), draws), float)
    low, high, error = _interval(found, value, level)
    return _estimate("held-out answers", LIKELIHOODS, value, low, high, error, len(policy), level, name, source)


def _interval(found: np.ndarray, value: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Low and high ends by percentiles, and standard errors, of draws (draws, measures)."""
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.minimum(low, value), np.maximum(high, value), found.std(0)


def _estimate(
    target: str,
    group: tuple[str, ...],
    value: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    error: np.ndarray,
    many: int,
    level: float,
    name: str,
    source: Source | None,
) -> Estimate:
    return Estimate(
        target=target,
        method="held out",
        rows=(name,) * len(group),
        group=group,
        value=value,
        low=low,
        high=high,
        level=level,
        std_error=error,
        n_seen=np.full(len(group), many),
        status=("ok",) * len(group),
        source=source or Source(),
    )


def _measures(u: Array, v: Array, paired: bool) -> Array:
    gap = u - v if paired else u[:, None] - v[None]
    won = jnp.mean(jnp.where(gap == 0, 0.5, (gap > 0).astype(u.dtype)))
    found = losses.dominance(u, v)
    return jnp.stack([won, found.violated, found.area, found.margin, jnp.concatenate([u, v]).mean()])


def _one(u: Array, v: Array, key: Array, paired: bool) -> Array:
    keys = jax.random.split(key)
    first = jax.random.randint(keys[0], u.shape, 0, len(u))
    second = first if paired else jax.random.randint(keys[1], v.shape, 0, len(v))
    return _measures(u[first], v[second], paired)


@functools.partial(jit, static_argnums=(3, 4))
def _drawn(u: Array, v: Array, key: Array, paired: bool, draws: int) -> Array:
    return jax.lax.map(lambda one: _one(u, v, one, paired), jax.random.split(key, draws), batch_size=64)


def _likelihoods(policy: Array, before: Array, tokens: Array) -> Array:
    loss, was = (-x.sum() / tokens.sum() for x in (policy, before))
    return jnp.stack([loss, was, was - loss, jnp.exp(loss), jnp.exp(was)])


@functools.partial(jit, static_argnums=4)
def _likelihoods_drawn(policy: Array, before: Array, tokens: Array, key: Array, draws: int) -> Array:
    def one(key: Array) -> Array:
        taken = jax.random.randint(key, tokens.shape, 0, len(tokens))
        return _likelihoods(policy[taken], before[taken], tokens[taken])

    return jax.lax.map(one, jax.random.split(key, draws), batch_size=64)
