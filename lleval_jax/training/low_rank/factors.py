"""The two factors of a low-rank adapter, and how they differ (Zhu et al. 2024, arXiv:2402.16842).

An adapter adds (alpha / rank) B A to a weight, A (rank, d_in) and B (d_out, rank). With A drawn and fixed and only B
learned, half the parameters do about the same work; the other way round they do less.
"""

import math
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from lleval_jax.core.precision import full_precision
from lleval_jax.errors import require
from lleval_jax.types import Array, Float

Learn = Literal["both", "B", "A"]
Kind = Literal["orthonormal", "gaussian", "kaiming", "singular", "zero"]


@full_precision
def orthonormal(key: Array, rank: int, size: int) -> Float[Array, "rank size"]:
    """Orthonormal rows, uniform on the Stiefel manifold: QR of a Gaussian, its signs fixed (Mezzadri 2007).

    Every entry has variance 1 / size.
    """
    q, r = jnp.linalg.qr(jax.random.normal(key, (size, rank)))
    return (q * jnp.where(jnp.diagonal(r) < 0, -1.0, 1.0)).T


def gaussian(key: Array, rank: int, size: int) -> Float[Array, "rank size"]:
    """Independent normal entries of variance 1 / size, the length of orthonormal rows on average."""
    return jax.random.normal(key, (rank, size)) / math.sqrt(size)


def kaiming(key: Array, rank: int, size: int) -> Float[Array, "rank size"]:
    """Uniform entries within 1 / sqrt(size), as PEFT draws A by default: rows a factor .58 shorter than orthonormal."""
    return jax.random.uniform(key, (rank, size), minval=-1.0, maxval=1.0) / math.sqrt(size)


@full_precision
def singular(weight: Float[Array, "d_out d_in"], rank: int) -> Float[Array, "rank d_in"]:
    """The leading right singular vectors of a weight, as rows.

    The paper's program takes columns of V^T here, which are not singular vectors; these are.
    """
    return jnp.linalg.svd(weight.astype(jnp.float32), full_matrices=False)[2][:rank]


DRAWS: dict[str, Callable[[Array, int, int], Array]] = {
    "orthonormal": orthonormal,
    "gaussian": gaussian,
    "kaiming": kaiming,
    "zero": lambda key, rank, size: jnp.zeros((rank, size)),
}


def draw(kind: Kind, key: Array, rank: int, weight: Float[Array, "d_out d_in"]) -> Float[Array, "rank d_in"]:
    """A factor A for a weight, float32.

    Args:
        kind: how, one of `DRAWS` or "singular".
        key: of the draw; "singular" and "zero" need none.
        rank: rows, at most the smaller side of the weight.
        weight: (d_out, d_in) what the adapter is added to.

    Raises:
        BadInput: `kind` is not known, or `rank` exceeds the weight's smaller side.

    Example:
        >>> draw("orthonormal", jax.random.key(0), 2, jnp.zeros((8, 4))).shape
        (2, 4)
    """
    known = (*DRAWS, "singular")
    require(kind in known, f"A cannot be drawn by {kind!r}; it is one of {', '.join(known)}")
    most = min(weight.shape)
    require(
        1 <= rank <= most, f"the rank is {rank}; a weight of {weight.shape[0]} x {weight.shape[1]} has at most {most}"
    )
    return singular(weight, rank) if kind == "singular" else DRAWS[kind](key, rank, weight.shape[1])


class Similarity(NamedTuple):
    """How far two adapters span the same spaces: from 0 (orthogonal) to 1 (the one contains the other).

    a      of their inputs, the row spaces of A
    b      of their outputs, the column spaces of B
    """

    a: Float[Array, ""]
    b: Float[Array, ""]


@full_precision
def similarity(first: tuple[Array, Array], second: tuple[Array, Array]) -> Similarity:
    """Mean squared canonical correlation of the factors of two adapters (section 3.1).

    It does not change when an adapter is written as (B C)(C^-1 A).

    Args:
        first: (A (r, d_in), B (d_out, r)).
        second: the same of another adapter of the same weight, of any rank.
    """
    return Similarity(_overlap(first[0].T, second[0].T), _overlap(first[1], second[1]))


def _overlap(x: Float[Array, "d r"], y: Float[Array, "d s"]) -> Float[Array, ""]:
    """||Q_x' Q_y||^2 / min(r, s), Q orthonormal bases of the column spaces."""
    one, other = jnp.linalg.qr(x)[0], jnp.linalg.qr(y)[0]
    return jnp.sum(jnp.square(one.T @ other)) / min(x.shape[1], y.shape[1])


def gap_bound(
    shapes: Iterable[tuple[int, int]],
    rank: int,
    samples: int,
    *,
    learn: Learn = "both",
    bits: int = 32,
    spread: float = 1.0,
) -> float:
    """Bound on the expected difference of held-out and training loss (lemma 4.5, by mutual information).

        sqrt(2 rank bits spread^2 ln 2 / samples * sum over weights of the sides that learn)

    Args:
        shapes: (d_out, d_in) of each adapted weight.
        rank: of the adapters.
        samples: training examples.
        learn: "both", "B" (d_out counts) or "A" (d_in counts).
        bits: of a parameter.
        spread: the loss is sub-Gaussian with this standard deviation.

    Example:
        >>> round(gap_bound([(64, 64)], 8, 1000) / gap_bound([(64, 64)], 8, 1000, learn="B"), 3)
        1.414
    """
    require(learn in ("both", "B", "A"), f"learn is {learn!r}; it is 'both', 'B' or 'A'")
    sides = {"both": lambda out, size: out + size, "B": lambda out, size: out, "A": lambda out, size: size}[learn]
    return math.sqrt(2 * rank * bits * spread**2 * math.log(2) / samples * sum(sides(*shape) for shape in shapes))
