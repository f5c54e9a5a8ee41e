"""Posteriors to disk and back: netCDF files that ArviZ and xarray read, and of which `load` makes an equal one."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any, get_type_hints

import numpy as np
import xarray

from lleval_jax.bayes import trees
from lleval_jax.bayes.contract import Laid, Target
from lleval_jax.bayes.diagnostics import Diagnostics
from lleval_jax.bayes.models.agents import Agents
from lleval_jax.bayes.models.answers import Known
from lleval_jax.bayes.models.covariates import Covariates
from lleval_jax.bayes.models.irt import Irt
from lleval_jax.bayes.models.judges import Judges
from lleval_jax.bayes.models.kinds import Kinds
from lleval_jax.bayes.models.pairwise import Pairwise
from lleval_jax.bayes.models.prompts import Prompts
from lleval_jax.bayes.models.refresh import Refresh
from lleval_jax.bayes.models.sloth import Sloth
from lleval_jax.bayes.posterior import Posterior
from lleval_jax.curves import Curve
from lleval_jax.errors import BadFile, chosen, require
from lleval_jax.values.results import Source
from lleval_jax.writing import put

SCHEMA = "lleval/posterior/1"
MODELS: dict[str, type] = {
    kind.__name__: kind for kind in (Agents, Irt, Judges, Kinds, Pairwise, Prompts, Refresh, Sloth)
}
PARTS: dict[str, type] = {
    "curve": Curve,
    "features": Covariates,
    "item_features": Covariates,
}  # settings that are classes of their own


def save(posterior: Posterior, path: str | pathlib.Path) -> None:
    """Write a posterior to a netCDF file; whole, or not at all.

    Raises:
        BadInput: the model is not one of ours, which alone can be made again from a file.

    Example:
        >>> bayes.save(posterior, "posterior.nc")  # doctest: +SKIP
    """
    kind = type(posterior.model).__name__
    require(kind in MODELS, f"a model of class {kind} cannot be saved; to_datatree() gives its draws")
    tree = trees.of(posterior)
    tree.attrs["lleval"] = json.dumps(_said(posterior))
    put(pathlib.Path(path), bytes(tree.to_netcdf(None, engine="h5netcdf")))


def load(path: str | pathlib.Path) -> Posterior:
    """A posterior that `save` wrote.

    Raises:
        BadInput: there is no such file, or it is of another kind.
        BadFile: it is damaged.
    """
    require(pathlib.Path(path).is_file(), f"there is no file {path}")
    try:
        with xarray.open_datatree(path, engine="h5netcdf") as opened:
            tree = opened.load()
    except (OSError, ValueError) as error:
        raise BadFile(f"{path} is no netCDF file, or damaged: {error}") from error
    said = json.loads(str(tree.attrs.get("lleval", "{}")))
    require(said.get("schema") == SCHEMA, f"{path} does not hold a posterior of bayes.save")
    return _posterior(tree, said)


def _said(posterior: Posterior) -> dict[str, Any]:
    """All but the arrays."""
    laid, model = posterior.laid, posterior.model
    return {
        "schema": SCHEMA,
        "model": {"class": type(model).__name__} | dataclasses.asdict(model),
        "axes": laid.axes,
        "dims": laid.dims,
        "targets": {name: [t.rows, t.groups, t.n_seen.tolist()] for name, t in laid.targets.items()},
        "source": laid.source.to_dict(),
        "diagnostics": {name: _plain(x) for name, x in vars(posterior.diagnostics).items()},
        **{name: getattr(posterior, name) for name in ("engine", "precision", "seed")},
    }


def _plain(x: Any) -> Any:
    return x.tolist() if isinstance(x, np.ndarray) else x


def _posterior(tree: xarray.DataTree, said: Mapping[str, Any]) -> Posterior:
    model = _model(dict(said["model"]))
    arrays = {str(name): x.to_numpy() for name, x in tree["constant_data"].data_vars.items()}
    targets = {name: Target(tuple(r), tuple(g), np.asarray(n, int)) for name, (r, g, n) in said["targets"].items()}
    source = Source(**said["source"] | {"cite": tuple(said["source"]["cite"])})
    axes, dims = ({name: tuple(x) for name, x in said[what].items()} for what in ("axes", "dims"))
    data = _made(model.data, "", arrays)
    data = data._replace(known=Known(axes["kinds"])) if hasattr(data, "known") and "kinds" in axes else data
    checked: dict[str, Any] = dict(said["diagnostics"])
    checked |= {name: np.asarray(checked[name], float) for name in ("rhat", "bulk", "tail", "bfmi")}
    checked["sites"] = tuple(checked["sites"])
    return Posterior(
        model=model,
        laid=Laid(data, axes, dims, targets, source),
        draws=_group(tree, "posterior"),
        stats=_group(tree, "sample_stats") if "sample_stats" in tree.children else {},
        diagnostics=Diagnostics(**checked),
        engine=said["engine"],
        precision=said["precision"],
        seed=said["seed"],
    )


def _group(tree: xarray.DataTree, name: str) -> dict[str, np.ndarray]:
    return {str(site): x.to_numpy() for site, x in tree[name].data_vars.items()}


def _made(kind: type, prefix: str, arrays: Mapping[str, np.ndarray]) -> Any:
    """A NamedTuple from the arrays under its dotted names; what is not there stays as it is by default."""
    parts = {}
    for name, hint in get_type_hints(kind).items():
        if hasattr(hint, "_fields"):
            parts[name] = _made(hint, f"{prefix}{name}.", arrays)
        elif f"{prefix}{name}" in arrays:
            parts[name] = arrays[f"{prefix}{name}"]
    return kind(**parts)


def _model(said: dict[str, Any]) -> Any:
    kind = chosen(MODELS, said.pop("class"), "model")
    return kind(**{name: _setting(name, x) for name, x in said.items()})


def _setting(name: str, x: Any) -> Any:
    if name in PARTS and x is not None:
        return PARTS[name](**{part: _settled(value) for part, value in x.items()})
    return _settled(x)


def _settled(x: Any) -> Any:
    """Lists of JSON as the tuples that they were."""
    return tuple(map(_settled, x)) if isinstance(x, list) else x
