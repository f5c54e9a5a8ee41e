"""A leaderboard as tables for Sloth's published laws: one for all benchmarks, or one for each."""

import jax.numpy as jnp
import numpy as np

from lleval_jax.core.laws import published
from lleval_jax.core.laws.published import Table
from lleval_jax.errors import require

ALONE = ("size and tokens", "flops")  # one law of one skill for each benchmark


def inputs(kind: str, size: np.ndarray, tokens: np.ndarray, use: np.ndarray) -> np.ndarray:
    """(rows, k), standardised over the rows in use; flops only centred, as published scores rise with them."""
    if kind in ("flops", "pca"):
        x = np.log(size) + np.log(tokens)
        return (x - use @ x / use.sum())[:, None]
    x = np.asarray(published.inputs(*map(jnp.asarray, (size, tokens, use))))
    x = x if kind == "translog" else x[:, :2]
    require(bool(np.isfinite(x).all()), "size and tokens vary too little together; use inputs='flops'")
    return x


def design(intercept: str, kind: str, x: np.ndarray, member: np.ndarray) -> np.ndarray:
    """(rows, effects): inputs, then intercepts; `member` is (rows, families), one-hot."""
    if intercept == "shared":
        return np.concatenate([x, np.ones((len(x), 1))], 1)
    slopes = [member * x[:, [0 if kind in ("flops", "pca") else 1]]] if intercept == "family slopes" else []
    return np.concatenate([x, member, *slopes], 1)


def lay_out(
    kind: str,
    design: np.ndarray,
    inputs: int,
    score: np.ndarray,
    seen: np.ndarray,
    floor: np.ndarray,
    items: np.ndarray,
) -> Table:
    """Tables with a leading axis: one for all benchmarks, or one for each. The first columns are the `inputs`."""
    laws = len(floor) if kind in ALONE else 1
    same = np.broadcast_to(design, (laws, *design.shape))
    by_row = [one.T[:, :, None] if kind in ALONE else one[None] for one in (score, seen.astype(float))]
    own = [one.reshape(laws, -1) for one in (floor, items)]
    return Table(*map(jnp.asarray, (same[:, :, :inputs], same[:, :, inputs:], *by_row, *own)))
