"""One contract for every fit, so that one fit, many side by side, and many devices are the same code.

    layout/<x>.py           lay_out(value) -> (data, axes)       host: names of models and items stay here
    <method>/kernel.py      Kernel.solve(data, key) -> found     pure: jit, vmap and shard from outside
    <method>/<face>.py      result(found, axes) -> FitResult     host: the names back on, and how the fit ended

`solve` and `solve_many` below are the only places where a kernel is compiled. The number type is that of `data`, which
the face decides with `precision.precise`.
"""

import functools
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lleval_jax.core.precision import jit, light_jit
from lleval_jax.core.solvers import loop
from lleval_jax.scale.kept import Kept
from lleval_jax.types import Array, Status
from lleval_jax.values.progress import Progress, Tell, silent

Found = TypeVar("Found")


class Kernel(Protocol):
    """A fit on arrays. A frozen dataclass of settings: equal settings compare equal, and share one compilation."""

    @property
    def light(self) -> bool:
        """Compile without XLA's expensive passes: where compilation is what takes the time."""
        ...

    def solve(self, data: Any, key: Array) -> Any:
        """What is found: a NamedTuple of arrays, among them `steps`, `status` and `error`. Nothing of the host."""
        ...


@runtime_checkable
class Stepwise(Protocol):
    """A kernel that can be watched, stopped and taken up again; its `solve` is `whole`."""

    @property
    def light(self) -> bool:
        """As of a `Kernel`."""
        ...

    @property
    def piece(self) -> int:
        """Steps between two looks at the clock."""
        ...

    def begin(self, data: Any, key: Array) -> loop.Progress:
        """Before the first step."""
        ...

    def advance(self, data: Any, progress: loop.Progress, at_most: int) -> loop.Progress:
        """`at_most` more steps, or fewer if the fit ends."""
        ...

    def finish(self, data: Any, progress: loop.Progress) -> Any:
        """What is found there."""
        ...


def whole(kernel: Stepwise, data: Any, key: Array) -> Any:
    """From the beginning to the end, without a look in between."""
    return kernel.finish(data, kernel.advance(data, kernel.begin(data, key), at_most=2**30))


def solve(
    kernel: Kernel | Stepwise,
    data: Any,
    key: Array,
    tell: Tell = silent,
    *,
    mesh: Mesh | None = None,
    kept: Kept | None = None,
) -> Any:
    """One fit. One that goes in pieces can be interrupted between them, and says there how far it is.

    Args:
        kernel: of the fit.
        data: of the fit.
        key: a random key.
        tell: called between pieces.
        mesh: of devices over which `data` lies; what is found is on all of them.
        kept: states of the fit, which goes on from the last; of a kernel that goes in one piece what it found.
    """
    if mesh is not None:
        data, key = on_all((data, key), mesh)
    if not isinstance(kernel, Stepwise):
        shape = functools.partial(jax.eval_shape, kernel.solve, data, key)
        return found_once(lambda: _compiled(kernel, "solve", mesh)(data, key), shape, kept)
    progress, advance = _compiled(kernel, "begin", mesh)(data, key), _compiled(kernel, "advance", mesh)
    if kept is not None:
        progress = _advance_kept(advance, data, progress, kept, tell, mesh)
    while int(progress.status) == Status.RUNNING:
        progress = advance(data, progress, at_most=kernel.piece)
        tell(_fitting(int(progress.steps), float(progress.now.error)))
    return _compiled(kernel, "finish", mesh)(data, progress)


def found_once(solve: Callable[[], Any], shape: Callable[[], Any], kept: Kept | None) -> Any:
    """What a call finds, of a shape, or found before."""
    if kept is None:
        return solve()
    found = kept.last(shape())
    if found is None:
        found = solve()
        kept.keep(1, found)
    return found


def _advance_kept(advance: Callable, data: Any, progress: Any, kept: Kept, tell: Tell, mesh: Mesh | None) -> Any:
    """To the end from the last state that was kept, keeping one every few steps."""
    last = kept.last(progress)
    if last is not None:
        progress = last if mesh is None else on_all(last, mesh)
    with kept.until_asked_to_leave():
        while int(progress.status) == Status.RUNNING:
            progress = advance(data, progress, at_most=kept.every)
            kept.keep(int(progress.steps), progress)
            tell(_fitting(int(progress.steps), float(progress.now.error)))
    return progress


def on_all(tree: Any, mesh: Mesh) -> Any:
    """A tree whose arrays lie over a mesh; those that do not yet are put whole on all of its devices."""
    whole = NamedSharding(mesh, PartitionSpec())

    def put(leaf: Any) -> Array:
        if isinstance(leaf, Array) and isinstance(leaf.sharding, NamedSharding) and leaf.sharding.mesh == mesh:
            return leaf
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(put(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        value = np.asarray(leaf)
        return jax.make_array_from_callback(value.shape, whole, lambda index: value[index])

    return jax.tree.map(put, tree)


def solve_many(
    kernel: Kernel, data: Any, keys: Array, *, axes: Any = 0, at_once: int | None = None, tell: Tell = silent
) -> Any:
    """Many fits in one call, each what `solve` finds alone.

    Fits that go in pieces and all at once can be interrupted between them, as one can.

    Args:
        kernel: of all fits.
        data: of all fits; arrays of their own are stacked along their first axis.
        keys: (fits,) random keys.
        axes: 0 for what is stacked and None for what all fits share: a prefix of `data`, as for `jax.vmap`.
        at_once: fits that run side by side; None: all. Few at once need less memory, and none waits long for another.
        tell: called between pieces with the steps and the error of the fit that is furthest from its end.
    """
    if at_once is not None or not isinstance(kernel, Stepwise):
        return compiled_lanes(kernel, "solve")(data, keys, axes=axes, at_once=at_once)
    progress, advance = compiled_lanes(kernel, "begin")(data, keys, axes=axes), compiled_lanes(kernel, "advance")
    while (running := np.asarray(progress.status) == Status.RUNNING).any():
        progress = advance(data, progress, axes=axes, at_most=kernel.piece)
        tell(_fitting(int(np.max(progress.steps)), float(np.asarray(progress.now.error)[running].max())))
    return compiled_lanes(kernel, "finish")(data, progress, axes=axes)


def _fitting(steps: int, error: float) -> Progress:
    return Progress("fitting", steps, error=error, unit="steps")


def _lanes(
    kernel: Any,
    part: str,
    data: Any,
    carried: Any,
    *,
    axes: Any,
    at_once: int | None = None,
    at_most: int | None = None,
) -> Any:
    """`part` of each fit, from its own data, and from its key or from how far it is."""
    leaves, shape = jax.tree.flatten(data, is_leaf=is_none)
    along = jax.tree.leaves(jax.tree.broadcast(axes, data, is_leaf=is_none), is_leaf=is_none)
    stacked = [leaf if axis == 0 else None for leaf, axis in zip(leaves, along, strict=True)]
    step = getattr(kernel, part) if at_most is None else functools.partial(getattr(kernel, part), at_most=at_most)

    def one(lane: tuple[list[Array | None], Any]) -> Any:
        own, carried = lane
        one_fit = [leaf if mine is None else mine for leaf, mine in zip(leaves, own, strict=True)]
        return step(shape.unflatten(one_fit), carried)

    lanes = stacked, carried
    if at_once is None:
        return jax.vmap(one)(lanes)
    return jax.lax.map(one, lanes, batch_size=None if at_once == 1 else at_once)  # one alone needs no batch


def shape_of_lanes(kernel: Kernel, data: Any, keys: Array, axes: Any) -> Any:
    """The shapes and number types of what `solve_many` finds, of which nothing is computed."""
    return jax.eval_shape(functools.partial(_lanes, kernel, "solve", axes=axes), data, keys)


def is_none(leaf: Any) -> bool:
    """Whether a leaf is None: what all fits share, among axes."""
    return leaf is None


@functools.cache
def _compiled(kernel: Any, part: str, mesh: Mesh | None = None) -> Callable:
    options: dict[str, Any] = {"static_argnames": "at_most" if part == "advance" else None}
    if mesh is not None:
        options["out_shardings"] = NamedSharding(mesh, PartitionSpec())
    return (light_jit if kernel.light else jit)(getattr(kernel, part), **options)


_STATIC = ("kernel", "part", "axes", "at_once", "at_most")
_LANES, _LIGHT_LANES = (made(_lanes, static_argnames=_STATIC) for made in (jit, light_jit))


def compiled_lanes(kernel: Any, part: str) -> Callable:
    """One program for equal kernels, also where threads ask for it at the same time."""
    return functools.partial(_LIGHT_LANES if kernel.light else _LANES, kernel, part)
