"""Multidimensional results turned to simple structure, their dimensions named by the groups of items they load on."""

from typing import Literal

import numpy as np

from lleval_jax.core.linalg import rotation
from lleval_jax.errors import chosen, require
from lleval_jax.values.params import IrtParams
from lleval_jax.values.results import FitResult
from lleval_jax.values.trust import Rotation

OGIVE = 1.702  # logits in a standard deviation of the normal curve that is nearest to the logistic one
LOADS = 0.75  # of the strongest group's mean square loading: groups above it give a dimension its name
EVEN = 0.6  # a dimension on which the weakest group loads so much of the strongest is a general one


def rotate(
    fit: FitResult[IrtParams], *, by: Literal["varimax", "oblimin", "geomin"] = "oblimin", seed: int = 0
) -> Rotation:
    """Rotate a fit of two or more dimensions.

    The criterion sees standardised loadings a / sqrt(1.702^2 + a'a), so that steep items do not decide alone; the turn
    found is then applied to slopes and abilities, whose product does not change.

    Args:
        fit: with two or more dimensions.
        by: varimax keeps abilities uncorrelated; oblimin and geomin let them correlate.
        seed: of the random starts.

    Raises:
        BadInput: one dimension, or an unknown criterion.
    """
    slope = fit.params.slope.astype(float)
    require(slope.shape[1] > 1, "there is one dimension: nothing to rotate")
    criterion, oblique = chosen(rotation.CRITERIA, by, "rotation")
    loadings = slope / np.sqrt(OGIVE**2 + (slope**2).sum(1, keepdims=True))
    found = rotation.best(loadings, criterion, oblique=oblique, rng=np.random.default_rng(seed))
    new = rotation.rotated(loadings, found.turn, oblique=oblique)
    order = np.argsort(-(new**2).sum(0), kind="stable")
    sign = np.where(new.sum(0) < 0, -1.0, 1.0)[order]
    turn = found.turn[:, order] * sign
    new = new[:, order] * sign
    return Rotation(
        by=by,
        turn=turn,
        slope=rotation.rotated(slope, turn, oblique=oblique),
        loadings=new,
        ability=fit.params.ability @ turn,
        correlation=turn.T @ turn,
        names=names(new, fit.params.group, fit.axes["groups"]),
        converged=found.converged,
    )


def names(loadings: np.ndarray, group: np.ndarray, groups: tuple[str, ...]) -> tuple[str, ...]:
    """A name for each dimension: the groups whose items load on it most, or "general" if all do about alike."""
    if len(groups) < 2:
        return tuple(f"dimension-{d + 1}" for d in range(loadings.shape[1]))
    used = np.unique(group)
    strength = np.stack([(loadings[group == g] ** 2).mean(0) for g in used])
    out: list[str] = []
    for column in strength.T:
        top = [groups[used[g]] for g in np.argsort(-column, kind="stable") if column[g] >= LOADS * column.max()]
        word = "general" if column.min() >= EVEN * column.max() else " + ".join(top[:3])
        word += f" + {len(top) - 3} more" if len(top) > 3 and word != "general" else ""
        out.append(word if word not in out else f"{word} ({sum(w.startswith(word) for w in out) + 1})")
    return tuple(out)
