"""Nodes and weights that stand for a standard normal ability."""

import dataclasses

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Grid:
    """`per_dim` equally spaced nodes a dimension on [-limit, limit], weighted by the normal density."""

    per_dim: int = 41
    limit: float = 4.5

    def nodes(self, dims: int) -> tuple[NDArray, NDArray]:
        """-> (nodes (n, dims), log weights (n,), normalised)."""
        axis = np.linspace(-self.limit, self.limit, self.per_dim)
        nodes = np.stack(np.meshgrid(*[axis] * dims, indexing="ij"), -1).reshape(-1, dims)
        log_weight = -0.5 * (nodes**2).sum(1)
        return nodes, log_weight - np.log(np.exp(log_weight).sum())


@dataclasses.dataclass(frozen=True)
class Points:
    """`count` quasi-random nodes of equal weight, in mirrored pairs.

    The additive recurrence on the generalised golden ratio (Roberts 2018) through the normal quantile.
    """

    count: int = 1024

    def nodes(self, dims: int) -> tuple[NDArray, NDArray]:
        """-> (nodes (n, dims), log weights (n,), normalised)."""
        from statistics import NormalDist

        ratio = 1.0
        for _ in range(64):  # the root of x^(dims+1) = x + 1
            ratio = (1 + ratio) ** (1 / (dims + 1))
        half = np.arange(1, self.count // 2 + 1)[:, None]
        uniform = (0.5 + half * ratio ** -np.arange(1.0, dims + 1)) % 1.0
        quantile = np.vectorize(NormalDist().inv_cdf)(np.clip(uniform, 1e-9, 1 - 1e-9))
        nodes = np.concatenate([quantile, -quantile])
        nodes /= np.sqrt((nodes**2).mean(0))
        return nodes, np.full(len(nodes), -np.log(len(nodes)))


def default(dims: int) -> Grid | Points:
    """48 nodes on [-6, 6] in one dimension, product grids to three, quasi-random points beyond."""
    return {1: Grid(48, 6.0), 2: Grid(17), 3: Grid(11, 4.0)}.get(dims) or Points(2048)
