"""What alignment has done, with intervals: preferences won, and how far the chosen answers dominate the rejected."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from lleval_jax.core.precision import jit
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
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2], axis=0)
    low, high, error = np.minimum(low, value), np.maximum(high, value), found.std(0)
    if paired:
        low[0], high[0] = wilson(value[0], len(u), level)
    return Estimate(
        target="alignment",
        method="held out",
        rows=(name,) * len(MEASURES),
        group=MEASURES,
        value=value,
        low=low,
        high=high,
        level=level,
        std_error=error,
        n_seen=np.full(len(MEASURES), len(u) if paired else len(u) + len(v)),
        status=("ok",) * len(MEASURES),
        source=source or Source(),
    )


def wilson(share: float, count: int, level: float) -> tuple[float, float]:
    """Wilson's interval of a share of `count` (1927)."""
    z2 = stats.norm.isf((1 - level) / 2) ** 2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = np.sqrt(z2 * (share * (1 - share) / count + z2 / (4 * count**2))) / (1 + z2 / count)
    return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))  # rounding keeps the share inside


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
