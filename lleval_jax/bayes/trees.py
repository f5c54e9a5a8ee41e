"""Posteriors as `xarray.DataTree` after ArviZ, with our axis names.

posterior       each site: (chain, draw, then axes of ours: models, items, groups, dims, families, ...)
sample_stats    diverging, energy, steps, accept: (chain, draw)
log_likelihood  of each observation, where it is asked for: (chain, draw, ...)
constant_data   what the model was given, by name
"""

from typing import Any

import arviz_base
import jax
import numpy as np
import xarray


def of(posterior: Any, *, log_likelihood: bool = False) -> xarray.DataTree:
    """The tree of a `Posterior`."""
    groups: dict[str, dict[str, np.ndarray]] = {"posterior": dict(posterior.draws)}
    if posterior.stats:
        groups["sample_stats"] = dict(posterior.stats)
    dims = {name: list(axes) for name, axes in posterior.laid.dims.items()}
    if log_likelihood:
        groups["log_likelihood"] = {"observed": posterior.log_likelihood()}
        dims["observed"] = list(posterior.model.observed)
    used = {axis for axes in dims.values() for axis in axes}
    coords = {axis: list(names) for axis, names in posterior.laid.axes.items() if axis in used}
    tree = arviz_base.from_dict(groups, coords=coords, dims=dims, check_conventions=False)
    arrays = {name: _bare(name, x) for name, x in leaves(posterior.laid.data).items()}
    tree["constant_data"] = xarray.DataTree(xarray.Dataset(arrays))
    return tree


def leaves(data: Any) -> dict[str, np.ndarray]:
    """The arrays of a NamedTuple by dotted name: "scores", "rows.inputs"."""
    found = jax.tree_util.tree_flatten_with_path(data)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf) for path, leaf in found}


def _bare(name: str, x: np.ndarray) -> xarray.DataArray:
    return xarray.DataArray(x, dims=[f"{name}_{k}" for k in range(x.ndim)])
