"""What devices send each other in one run of a compiled program, counted from its HLO text."""

from __future__ import annotations

import collections
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute", "ragged-all-to-all")
SIZES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8, "f64": 8}

_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_LINE = re.compile(r"^\s*(?:ROOT )?%?[\w.\-]+ = (\(.*?\)|\S+) ([\w\-]+)\((.*)$")
_CALLED = re.compile(r"(?:body|condition|to_apply|calls|branch_computations)=(\{[^}]*\}|%?[\w.\-]+)")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\]")
_LISTED = re.compile(r"replica_groups=\{\{([\d,]*)\}")  # {{0,2},{1,3}}
_COUNTED = re.compile(r"replica_groups=\[\d+,(\d+)\]<=")  # [4,2]<=[8]
_NAMED = re.compile(r"replica_groups=mesh\[(.*?)\] \{(.*?)\}")  # mesh['a'=2,'b'=4] {'b'}


class Sent(NamedTuple):
    """One collective operation.

    kind   "all-reduce", "all-gather", ...
    shape  of what each device holds afterwards: "f32[8,128,2048]"
    bytes  of that
    times  it runs in one run of the program: the trips of the loops around it
    devices that take part in one; 0 where the program does not say
    """

    kind: str
    shape: str
    bytes: int
    times: int
    devices: int


def collectives(text: str) -> list[Sent]:
    """All collective operations of a program, `compiled.as_text()`. A loop whose trips are not known counts once."""
    bodies, entry = _computations(text)
    return list(_sent(bodies, entry, 1))


def counted(sent: list[Sent]) -> dict[str, dict[str, int]]:
    """By kind: how many run, and their bytes."""
    found: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for each in sent:
        found[each.kind] += collections.Counter(count=each.times, bytes=each.times * each.bytes)
    return {kind: dict(numbers) for kind, numbers in found.items()}


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    """The lines of each computation by its name, and the name of the first one that runs."""
    bodies: dict[str, list[str]] = {}
    entry = name = ""
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            name = head[2]
            bodies[name] = []
            entry = name if head[1] else entry
        elif name:
            bodies[name].append(line)
    return bodies, entry


def _sent(bodies: dict[str, list[str]], name: str, times: int) -> Iterator[Sent]:
    for line in bodies.get(name, ()):
        found = _LINE.match(line)
        if not found:
            continue
        shape, operation, rest = found.groups()
        kind = operation.removesuffix("-start")
        if kind in KINDS:
            yield Sent(kind, shape, _bytes(shape), times, _devices(rest))
        trips = _TRIPS.search(rest) if operation == "while" else None
        for called in _CALLED.findall(rest):
            for each in called.strip("{}").replace("%", "").split(", "):
                yield from _sent(bodies, each, times * int(trips[1]) if trips else times)


def _bytes(shape: str) -> int:
    total = 0
    for kind, sizes in _SHAPE.findall(shape):
        size = SIZES.get(kind, 0)
        for one in filter(None, sizes.split(",")):
            size *= int(one)
        total += size
    return total


def _devices(rest: str) -> int:
    if found := _LISTED.search(rest):
        return found[1].count(",") + 1
    if found := _COUNTED.search(rest):
        return int(found[1])
    if found := _NAMED.search(rest):
        sizes = dict(part.split("=") for part in found[1].split(","))
        return math.prod(int(sizes[axis]) for axis in found[2].split(","))
    return 0
