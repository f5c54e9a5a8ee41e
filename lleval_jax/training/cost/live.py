"""How many bytes of passing values a program holds at a time, estimated from its trace: nothing is compiled or run.

Steps are gone through in order. A value lives from the step that makes it to the last that uses it, and so does what
stands behind one that compilers fuse into its user. Loops hold what one turn needs besides what they carry and collect.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

ALIASES = {"reshape", "squeeze", "expand_dims", "stop_gradient", "copy", "sharding_constraint", "optimization_barrier"}
FUSED = ALIASES | {
    *("add", "sub", "mul", "div", "neg", "max", "min", "abs", "sign", "pow", "integer_pow", "square", "sqrt", "rsqrt"),
    *("exp", "exp2", "log", "log1p", "tanh", "logistic", "erf", "sin", "cos", "add_any", "clamp", "rem", "floor"),
    *("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "xor", "select_n", "is_finite", "iota", "pad", "rev"),
    *("convert_element_type", "broadcast_in_dim", "slice", "mul_no_nan", "shift_right_logical", "real", "imag"),
}
LOOPS = ("scan", "while")
Size = Callable[[Any], int]


class Step(NamedTuple):
    """One operation: its name, what goes in and comes out, and bytes that it holds besides."""

    name: str
    taken: tuple[Any, ...]
    made: tuple[Any, ...]
    inside: int


def whole(value: Any) -> int:
    """Bytes of a value that lies in one piece."""
    return int(np.prod(value.shape, dtype=np.int64)) * _width(value.dtype)


def live(program: Callable[..., Any], *arguments: Any, size: Size = whole) -> int:
    """Bytes of passing values at the fullest moment; neither what goes in nor what comes out counts.

    Args:
        program: what is traced, as `jax.make_jaxpr` takes it.
        arguments: arrays, or their shapes.
        size: bytes of a value of a shape and type, for those that lie in parts over devices.
    """
    return fullest(jax.make_jaxpr(program)(*arguments).jaxpr, size)


def fullest(jaxpr: Any, size: Size, sliced: Sequence[Any] = ()) -> int:
    """That of a traced program; `sliced` are those of its arguments that are cut from others and count."""
    steps = list(_steps(jaxpr, {}, size))
    behind = _behind(steps, {id(each) for each in jaxpr.outvars})
    last: dict[int, int] = {}
    for number, step in enumerate(steps):
        for each in step.taken:
            last |= dict.fromkeys(_roots(each, behind), number)
    for each in jaxpr.outvars:
        last |= dict.fromkeys(_roots(each, behind), len(steps))
    kept = {id(each) for each in jaxpr.outvars}
    ends: dict[int, int] = {}
    now = sum(_begin(each, 0, last, ends, size) for each in sliced)
    most = now
    for number, step in enumerate(steps):
        for each in step.made:
            if id(each) not in behind and id(each) not in kept:
                now += _begin(each, number, last, ends, size)
        most = max(most, now + step.inside)
        now -= ends.pop(number, 0)
    return most


def _begin(value: Any, number: int, last: dict[int, int], ends: dict[int, int], size: Size) -> int:
    """Bytes of a value that begins to live; where they end is noted."""
    bytes_ = size(value.aval)
    end = last.get(id(value), number)
    ends[end] = ends.get(end, 0) + bytes_
    return bytes_


def _behind(steps: Iterable[Step], results: set[int]) -> dict[int, tuple[int, ...]]:
    """Of each value that is never made, because it is fused into its user, those that it is made from."""
    users: dict[int, list[Step]] = {}
    steps = list(steps)
    for step in steps:
        for each in step.taken:
            users.setdefault(id(each), []).append(step)
    behind: dict[int, tuple[int, ...]] = {}
    for step in steps:
        (first, *_), fused = step.made or (None,), step.name in FUSED
        if first is None or not fused or id(first) in results:
            continue
        of = users.get(id(first), [])
        alone = len(of) == 1 and (of[0].name in FUSED or of[0].name.startswith("reduce"))
        if step.name in ALIASES or alone or step.name in ("iota", "broadcast_in_dim"):
            behind[id(first)] = tuple(root for each in step.taken for root in _roots(each, behind))
    return behind


def _roots(value: Any, behind: dict[int, tuple[int, ...]]) -> tuple[int, ...]:
    return behind.get(id(value), (id(value),))


def _steps(jaxpr: Any, names: dict[int, Any], size: Size) -> Iterator[Step]:
    """All operations, those inside calls too."""

    def known(value: Any) -> Any:
        return names.get(id(value), value)

    for eqn in jaxpr.eqns:
        taken = tuple(known(each) for each in eqn.invars if not hasattr(each, "val"))
        inner = _inner(eqn)
        if eqn.primitive.name in LOOPS or inner is None:
            made = tuple(each for each in eqn.outvars)
            yield Step(eqn.primitive.name, taken, made, _turn(eqn, size))
            continue
        names |= {id(one): known(other) for one, other in zip(inner.invars, eqn.invars, strict=False)}
        yield from _steps(inner, names, size)
        names |= {id(one): known(other) for one, other in zip(eqn.outvars, inner.outvars, strict=False)}


def _inner(eqn: Any) -> Any:
    """What a call runs; None where the operation is none."""
    for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        found = eqn.params.get(name)
        if found is not None:
            return getattr(found, "jaxpr", found)
    return None


def _turn(eqn: Any, size: Size) -> int:
    """Bytes that one turn of a loop holds besides what the loop takes in and brings out."""
    if eqn.primitive.name == "scan":
        body, first = eqn.params["jaxpr"].jaxpr, eqn.params["num_consts"] + eqn.params["num_carry"]
        return fullest(body, size, body.invars[first:])
    if eqn.primitive.name == "while":
        return fullest(eqn.params["body_jaxpr"].jaxpr, size)
    return 0


def _width(dtype: Any) -> int:
    return getattr(dtype, "itemsize", 8)  # keys of random numbers have none
