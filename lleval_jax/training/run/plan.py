"""The shape of a run's micro-batches: how long packed rows are, how many there are, room for how many scored tokens.

It is chosen once, by the lengths of the rows that the steps take. One shape means one program to compile, and a tight
one little work on padding: in rows as long as the longest answer of a batch 40% of the tokens may be padding.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from lleval_jax.core.shapes import rung
from lleval_jax.lm.packing import Row, ladder, pack

LOOKED_AT = 32  # steps, evenly over the run
LONGEST = 4  # times the longest answer: packed rows are no longer
ATTENTION = 2.0  # a row's attention costs as much as its products with weights at this many times the width in tokens
OVER = 1.125  # micro-batches may hold this many times the tokens that were asked for, rather than be one more


class Plan(NamedTuple):
    """The shape of micro-batches.

    length  tokens of a packed row
    wide    rows
    room    scored tokens
    """

    length: int
    wide: int
    room: int


def plan(steps: Sequence[Sequence[Row]], *, batch: int, width: int, longest: int = 0, multiple: int = 1) -> Plan:
    """One shape that all steps fit, those that were not looked at most likely too.

    Args:
        steps: the rows of some steps.
        batch: tokens of a micro-batch, about.
        width: of the model.
        longest: tokens of the longest row of all.
        multiple: of the rows, as the devices that share them.
    """
    lengths = [[len(row.tokens) for row in rows] for rows in steps]
    least = ladder(max(longest, *itertools.chain(*lengths)))
    length = min(_candidates(least, batch), key=lambda size: _work(lengths, size, width))
    bins = [[inside for _, inside in pack(each, length)] for each in lengths]
    wide = even(max(map(len, bins)), length, batch, multiple)
    groups = (
        sum(len(rows[i].tokens) - rows[i].start for inside in found[first : first + wide] for i in inside)
        for rows, found in zip(steps, bins, strict=True)
        for first in range(0, len(found), wide)
    )
    return Plan(length, wide, rung(max(groups)))


def even(bins: int, length: int, batch: int, multiple: int) -> int:
    """Packed rows of each micro-batch, where so many are shared out evenly."""
    count = math.ceil(bins * length / (OVER * max(batch, length)))
    return math.ceil(math.ceil(bins / count) / multiple) * multiple


def spread(steps: int) -> list[int]:
    """The steps that are looked at."""
    return sorted({round(k * (steps - 1) / (LOOKED_AT - 1)) for k in range(LOOKED_AT)})


def _candidates(least: int, batch: int) -> list[int]:
    """Lengths on the ladder, from that of the longest answer on."""
    found = [least]
    while (longer := ladder(found[-1] + 1)) <= min(LONGEST * least, batch):
        found.append(longer)
    return found


def _work(lengths: Sequence[Sequence[int]], size: int, width: int) -> float:
    """Of all tokens, padding too: products with weights, and attention, which grows with the length of the row."""
    return sum(len(pack(each, size)) for each in lengths) * size * (1 + size / (ATTENTION * width))
