"""A fit as a `Plan` says: on which devices, how much of it at once, and where its state is kept. One seam for all.

A face names its fit and what makes it this fit, and calls `solve` or `solve_many` here as it would those of `contract`.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

import jax
import numpy as np
import pandas as pd

from lleval_jax.errors import require
from lleval_jax.estimators import contract
from lleval_jax.estimators.contract import Kernel, Stepwise
from lleval_jax.estimators.lanes import solve_in_turn
from lleval_jax.scale.kept import Kept, require_alike
from lleval_jax.scale.plan import HERE, Plan
from lleval_jax.scale.store import store_at
from lleval_jax.types import Array
from lleval_jax.values.progress import Progress, Tell, silent

LETTERS = 12  # of a hash, in the name of a part
NOT_THE_FIT = ("source",)  # fields of a value: where it comes from


def solve(
    kernel: Kernel | Stepwise,
    data: Any,
    key: Array,
    tell: Tell = silent,
    *,
    plan: Plan,
    name: str,
    facts: Mapping[str, Any],
) -> Any:
    """`contract.solve`: one fit, on one device.

    Args:
        kernel: as of `contract.solve`, and so are the next three.
        data: of the fit.
        key: a random key.
        tell: called between pieces.
        plan: its `out` and `every`.
        name: of the fit, as it is called: "sloth.fit".
        facts: name -> value, settings and answers: what makes it this fit.

    Raises:
        BadInput: a plan with `mesh` or `chunk`; or another fit is kept in `out`, and what differs is named.
    """
    require_one(plan, name)
    return contract.solve(kernel, data, key, tell, kept=kept(plan, name, facts))


def solve_many(
    kernel: Kernel,
    data: Any,
    keys: Array,
    *,
    axes: Any = 0,
    tell: Tell = silent,
    plan: Plan,
    name: str,
    facts: Mapping[str, Any],
) -> Any:
    """`contract.solve_many`: lanes over the devices of a mesh, `plan.chunk` at a time, what they found kept.

    Args:
        kernel: as of `contract.solve_many`, and so are the next four.
        data: of all fits.
        keys: (fits,) random keys.
        axes: of `data`.
        tell: called between pieces.
        plan: all of it.
        name: as of `solve`.
        facts: as of `solve`.

    Raises:
        BadInput: a mesh of several hosts; or another fit is kept in `out`, and what differs is named.
    """
    if plan == HERE:
        return contract.solve_many(kernel, data, keys, axes=axes, tell=tell)
    count = len(keys)
    turns = functools.partial(solve_in_turn, kernel, axes=axes, chunk=plan.chunk or count, mesh=plan.mesh)
    if plan.out is None:
        return turns(data, keys, tell=tell)
    size, parts, of_part = (plan.chunk or count) * plan.every, [], kept_parts(plan, name, facts)
    for first in range(0, count, size):
        own, own_keys = _lanes(data, axes, slice(first, first + size)), keys[first : first + size]
        part = fingerprint([kernel, own, own_keys])[:LETTERS]
        shape = functools.partial(contract.shape_of_lanes, kernel, own, own_keys, axes)
        alone = functools.partial(turns, own, own_keys)
        parts.append(contract.found_once(alone, shape, of_part(part)))
        tell(Progress("fitting", min(first + size, count), count, unit="fits"))
    return jax.tree.map(lambda *each: np.concatenate(each), *parts)


def require_one(plan: Plan, name: str) -> None:
    """`BadInput` for a plan that one fit on one device cannot follow."""
    require(plan.chunk is None, f"{name} is one fit, and chunk is of many; leave it out of the plan")
    require(plan.mesh is None, f"{name} is one fit that one device does; leave mesh out of the plan")


def kept(plan: Plan, name: str, facts: Mapping[str, Any]) -> Kept | None:
    """Where the state of a fit is kept, if anywhere.

    Raises:
        BadInput: another fit is kept there, or processes were called with other facts; what differs is named.
    """
    return kept_parts(plan, name, facts)("step")


def kept_parts(plan: Plan, name: str, facts: Mapping[str, Any]) -> Callable[[str], Kept | None]:
    """`kept` of each part of a fit, by its name."""
    if plan.out is None and jax.process_count() == 1:
        return lambda part: None
    about = {"version": metadata.version("lleval-jax"), "fit": name}
    about |= {key: value if _is_plain(value) else fingerprint(value) for key, value in facts.items()}
    about = json.loads(json.dumps(about, default=str))
    require_alike(json.dumps(about).encode())
    store = None if plan.out is None else store_at(plan.out)
    return lambda part: None if store is None else Kept(store, about, plan.every, part)


def fingerprint(value: Any) -> str:
    """Hash of the arrays, names and numbers that a value holds, in their order."""
    digest = hashlib.sha256()
    for piece in _pieces(value):
        digest.update(piece)
    return digest.hexdigest()


def _is_plain(value: Any) -> bool:
    """Whether a message can quote it."""
    if isinstance(value, Mapping | tuple):
        return all(map(_is_plain, value.values() if isinstance(value, Mapping) else value))
    return value is None or isinstance(value, bool | int | float | str)


def _pieces(value: Any) -> Iterator[Any]:
    """All that a value holds, as bytes; each array after its type and shape."""
    if isinstance(value, jax.Array) and jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
        yield from _pieces(jax.random.key_data(value))
    elif isinstance(value, np.ndarray | jax.Array | np.generic) and value.dtype.kind != "O":
        array = np.ascontiguousarray(value)
        yield f"{array.dtype} {np.shape(value)}".encode()
        yield array.reshape(-1).view(np.uint8).data
    elif isinstance(value, pd.DataFrame):
        yield from _pieces({str(name): value[name].to_numpy() for name in value})
    elif dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value) if field.name not in NOT_THE_FIT]
        yield type(value).__name__.encode()
        yield from _pieces({name: getattr(value, name) for name in fields})
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield f"{name}: ".encode()
            yield from _pieces(each)
    elif isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes):
        yield f"{len(value)} ".encode()
        if all(isinstance(each, str) for each in value):
            yield json.dumps(list(value)).encode()
            return
        for each in value:
            yield from _pieces(each)
    else:
        yield f"{value!r} ".encode()


def _lanes(data: Any, axes: Any, some: slice) -> Any:
    """Some fits of `data`."""
    leaves, shape = jax.tree.flatten(data, is_leaf=contract.is_none)
    along = jax.tree.leaves(jax.tree.broadcast(axes, data, is_leaf=contract.is_none), is_leaf=contract.is_none)
    own = [leaf[some] if axis == 0 and leaf is not None else leaf for leaf, axis in zip(leaves, along, strict=True)]
    return shape.unflatten(own)
