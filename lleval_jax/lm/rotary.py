"""Rotary positions: angles of each position, with the stretched forms that models are published with.

Heads are rotated in halves as Hugging Face's files expect: dimension i turns with dimension i + d/2.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.lm.config import Rotary, Scaling

Angles = tuple[jax.Array, jax.Array]


def angles(rotary: Rotary, head_dim: int, positions: jax.Array) -> Angles:
    """Cosine and sine of each position's rotation, float32, each "rows tokens half".

    Args:
        rotary: Base, share of the head and stretching.
        head_dim: Width of a head; int(head_dim * share) of its dimensions are rotated.
        positions: "rows tokens", int32.
    """
    size = int(head_dim * rotary.share)
    steps = frequencies(rotary, size, positions)
    turns = positions[..., None].astype(jnp.float32) * steps
    factor = 1.0 if rotary.scaling is None else rotary.scaling.attention
    return jnp.cos(turns) * factor, jnp.sin(turns) * factor


def rotate(heads: jax.Array, turned: Angles) -> jax.Array:
    """`heads`, "rows tokens heads head_dim", with their leading dimensions rotated, in float32; the rest passes."""
    cos, sin = (table[:, :, None] for table in turned)
    half = cos.shape[-1]
    x = heads.astype(jnp.float32)
    one, two, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return jnp.concatenate((one * cos - two * sin, two * cos + one * sin, rest), -1).astype(heads.dtype)


def frequencies(rotary: Rotary, size: int, positions: jax.Array) -> jax.Array:
    """Radians a token of each pair of dimensions: "half", or "rows 1 half" where they depend on the row's length."""
    scaling = rotary.scaling
    if scaling is None:
        return jnp.asarray(plain(rotary.theta, size))
    if scaling.kind == "dynamic":
        return dynamic(rotary.theta, size, scaling, positions)
    return jnp.asarray(STRETCHED[scaling.kind](rotary.theta, size, scaling), jnp.float32)


def plain(theta: float, size: int) -> np.ndarray:
    """Speeds theta ** (-2 i / size), rounded step by step as the published models round."""
    return np.float32(1) / np.float32(theta) ** (np.arange(0, size, 2, dtype=np.float32) / np.float32(size))


def linear(theta: float, size: int, scaling: Scaling) -> np.ndarray:
    """Positions are divided by the factor."""
    return plain(theta, size) / np.float32(scaling.factor)


def dynamic(theta: float, size: int, scaling: Scaling, positions: jax.Array) -> jax.Array:
    """NTK by length: the base grows once a row is longer than the original context.

    Keys in a cache stay as they were rotated, so past that context pieces differ from the whole, as in transformers.
    Each row has its own length here: its numbers do not depend on its neighbours.
    """
    length = jnp.maximum(positions.max(-1) + 1, scaling.original).astype(jnp.float32)
    growth = scaling.factor * length / scaling.original - (scaling.factor - 1)
    base = theta * growth ** (size / (size - 2))
    return 1 / base[:, None, None] ** (jnp.arange(0, size, 2, dtype=jnp.float32) / size)


def yarn(theta: float, size: int, scaling: Scaling) -> np.ndarray:
    """Fast dimensions keep their speed, slow ones are divided by the factor, a ramp between (arXiv 2309.00071, 3.2)."""

    def dimension(rotations: float) -> float:
        return size * math.log(scaling.original / (rotations * 2 * math.pi)) / (2 * math.log(theta))

    low, high = dimension(scaling.fast), dimension(scaling.slow)
    if scaling.whole:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, size - 1)
    span = high - low or 0.001
    kept = 1 - np.clip((np.arange(size // 2, dtype=np.float32) - low) / span, 0, 1)
    speeds = plain(theta, size)
    return speeds / scaling.factor * (1 - kept) + speeds * kept


def llama3(theta: float, size: int, scaling: Scaling) -> np.ndarray:
    """Long waves are divided by the factor, short ones kept, between them a smooth passage (Llama 3.1)."""
    speeds = plain(theta, size)
    rotations = scaling.original / (2 * math.pi / speeds)  # of each wave within the original context
    smooth = np.clip((rotations - scaling.low) / (scaling.high - scaling.low), 0, 1)
    return (1 - smooth) * speeds / scaling.factor + smooth * speeds


STRETCHED = {"linear": linear, "yarn": yarn, "llama3": llama3}
