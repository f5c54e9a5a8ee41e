"""Token rows of any lengths into full batches of few shapes: rows packed end to end, common beginnings read once."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lleval_jax.core.shapes import SMALL, few, rung

ROOM = 128  # tokens of a packed row, unless one piece is longer: longer rows only add to what attention leaves out
WORTH = 0.1  # share of all tokens that common beginnings must save


class Row(NamedTuple):
    """Tokens, of which those from `start` are scored.

    tokens  int32 (length,)
    start   at least 1: the first token has nothing before it
    """

    tokens: np.ndarray
    start: int


class Piece(NamedTuple):
    """What is put into a packed row: a whole row, or what follows a beginning that it shares.

    tokens  int32 (length,)
    begin   position of its first token in its text
    start   its tokens from here are scored, at least 1
    into    where the first of these stands among the scored tokens of all rows
    """

    tokens: np.ndarray
    begin: int
    start: int
    into: int


class Batch(NamedTuple):
    """Packed rows of one shape.

    tokens, positions, segments  int32 (rows, length); segment 0 is padding
    owners  int32 (rows,)  row of the stage's beginnings that each goes on from
    places  int32 (n,)     where scored tokens stand in tokens.reshape(-1); -1 is padding
    into    int64 (m,)     where the first m results go, among the scored tokens of all rows
    """

    tokens: np.ndarray
    positions: np.ndarray
    segments: np.ndarray
    owners: np.ndarray
    places: np.ndarray
    into: np.ndarray

    @property
    def count(self) -> int:
        """Tokens that are no padding."""
        return int((self.segments > 0).sum())


class Stage(NamedTuple):
    """Batches that go on from the same beginnings.

    tokens, segments  int32 (beginnings, length); of length 0 if the batches hold whole rows
    batches
    """

    tokens: np.ndarray
    segments: np.ndarray
    batches: tuple[Batch, ...]

    @property
    def beginnings(self) -> int:
        """Tokens of the beginnings that are no padding."""
        return int((self.segments > 0).sum())

    @property
    def count(self) -> int:
        """Tokens that are no padding."""
        return self.beginnings + sum(batch.count for batch in self.batches)


class Group(NamedTuple):
    """Rows (by number) that begin with the same tokens."""

    length: int
    rows: tuple[int, ...]


def plan(rows: Sequence[Row], *, batch: int, share: int, multiple: int = 1) -> tuple[Stage, ...]:
    """How rows are computed. What each scores does not depend on it but by rounding.

    Args:
        rows: what is scored.
        batch: tokens of a batch, about; a longer row is a batch of its own.
        share: beginnings of at least so many tokens that rows have in common are read once; 0 for none.
        multiple: of the number of rows of every batch, as the devices that share them.
    """
    into = np.cumsum([0, *(len(row.tokens) - row.start for row in rows)])
    groups = _worth(shared(rows, share), rows) if share else []
    alone = sorted(set(range(len(rows))).difference(*(group.rows for group in groups)))
    sizes = _Sizes(batch, multiple)
    stages = list(_go_on(groups, rows, into, sizes))
    pieces = [Piece(rows[i].tokens, 0, rows[i].start, int(into[i])) for i in alone]
    if pieces:
        none = np.zeros((0, 0), np.int32)
        bins = list(_packed(pieces, 0, sizes))
        stages.append(Stage(none, none, tuple(_batches(bins, sizes, 0))))
    return tuple(stages)


def pack(lengths: Sequence[int], room: int = ROOM) -> list[tuple[int, list[int]]]:
    """First-fit decreasing: (size, pieces by number) of each packed row (Johnson, "Near-optimal bin packing", 1973).

    A row has `room` tokens, fewer if all pieces together do, or as many as its first piece needs, on the ladder of
    sizes.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    spare, bins = np.zeros(len(lengths), int), []
    usual = ladder(min(room, sum(lengths)))
    for i in order.tolist():
        fits = spare[: len(bins)] >= lengths[i]
        k = int(fits.argmax()) if fits.any() else len(bins)
        if k == len(bins):
            spare[k] = max(ladder(lengths[i]), usual)
            bins.append((int(spare[k]), []))
        bins[k][1].append(i)
        spare[k] -= lengths[i]
    return bins


def shared(rows: Sequence[Row], least: int) -> list[Group]:
    """The groups of rows whose common beginnings, of at least `least` tokens, save most when each is read once.

    A beginning ends before the token that predicts the first scored one. Of rows in the order of their tokens, those
    that share a beginning are neighbours; such runs lie in one another like brackets, and of each it is settled from
    the inside out whether it, or the runs within it, save more.
    """
    order = sorted(range(len(rows)), key=lambda i: rows[i].tokens[: rows[i].start - 1].astype(">u4").tobytes())
    levels = [_common(rows[a], rows[b]) for a, b in itertools.pairwise(order)]
    open_runs = [_Run(0, 0, [], 0)]
    for at, level in enumerate([*(level * (level >= least) for level in levels), 0]):
        inner = _Run(0, at, [], 0)
        while open_runs[-1].length > level:
            inner = open_runs.pop().joined(inner).settled(order[: at + 1])
        if open_runs[-1].length < level:
            open_runs.append(inner._replace(length=level))
        else:
            open_runs[-1] = open_runs[-1].joined(inner)
    return open_runs[0].groups


def ladder(size: int) -> int:
    """The next of few sizes: 8, 16, 32, 64, 96, 128, 192, 256, ..."""
    return few(size) if size <= SMALL else rung(size, 2)


class _Run(NamedTuple):
    """Neighbours from `first` on that share `length` tokens: the best groups within it, and what they save."""

    length: int
    first: int
    groups: list[Group]
    saved: int

    def joined(self, inner: "_Run") -> "_Run":
        self.groups.extend(inner.groups)
        return self._replace(saved=self.saved + inner.saved)

    def settled(self, order: Sequence[int]) -> "_Run":
        """As one group, where that saves no less."""
        members = tuple(sorted(order[self.first :]))
        whole = self.length * (len(members) - 1)
        return self._replace(groups=[Group(self.length, members)], saved=whole) if whole >= self.saved else self


class _Sizes(NamedTuple):
    """How many rows of a length make a batch."""

    batch: int
    multiple: int

    def rows(self, length: int, count: int, again: bool = False) -> int:
        """A power of two times `multiple`: as many as the batch takes, no more than needed for `count` rows.

        What is left `again` after a full batch is filled up to one, unless it is little: that saves a program.
        """
        most = 1 << (max(1, self.batch // (length * self.multiple)).bit_length() - 1)
        need = 1 << (-(-count // self.multiple) - 1).bit_length()
        return (most if again and 4 * need > most else min(most, need)) * self.multiple


def _common(one: Row, other: Row) -> int:
    """Tokens that two rows have in common at their beginnings, and need not read again."""
    most = min(len(one.tokens), len(other.tokens), one.start - 1, other.start - 1)
    differ = np.flatnonzero(one.tokens[:most] != other.tokens[:most])
    return int(differ[0]) if len(differ) else most


def _worth(groups: list[Group], rows: Sequence[Row]) -> list[Group]:
    """All of the groups, longest first, or none if they save little."""
    saved = sum(group.length * (len(group.rows) - 1) for group in groups)
    enough = saved >= WORTH * sum(len(row.tokens) for row in rows)
    return sorted(groups, key=lambda group: -group.length) if enough else []


def _go_on(groups: list[Group], rows: Sequence[Row], into: np.ndarray, sizes: _Sizes) -> Iterator[Stage]:
    """A stage for as many beginnings of about the same length as make a batch."""
    for length, alike in itertools.groupby(groups, lambda group: ladder(group.length)):
        rest = list(alike)
        while rest:
            count = sizes.rows(length, len(rest))
            now, rest = rest[:count], rest[count:]
            tokens, segments = np.zeros((2, count, length), np.int32)
            bins = []
            for k, (known, members) in enumerate(now):
                tokens[k, :known], segments[k, :known] = rows[members[0]].tokens[:known], 1
                pieces = [Piece(rows[i].tokens[known:], known, rows[i].start - known, int(into[i])) for i in members]
                bins += _packed(pieces, k, sizes)
            yield Stage(tokens, segments, tuple(_batches(bins, sizes, length)))


def _packed(pieces: list[Piece], owner: int, sizes: _Sizes) -> Iterator[tuple[int, int, list[Piece]]]:
    """Packed rows: size, owner, pieces."""
    for size, inside in pack([len(piece.tokens) for piece in pieces], min(ROOM, sizes.batch)):
        yield size, owner, [pieces[i] for i in inside]


def _batches(bins: list[tuple[int, int, list[Piece]]], sizes: _Sizes, earlier: int) -> Iterator[Batch]:
    """Packed rows (size, owner, pieces), longest first, into batches of one shape each."""
    for size, alike in itertools.groupby(sorted(bins, key=lambda one: -one[0]), lambda one: one[0]):
        rest, count, asked = list(alike), 0, 0
        while rest:
            count = sizes.rows(size + earlier, len(rest), again=count > 0)
            now, rest = rest[:count], rest[count:]
            batch = _laid_out(now, count, size, asked)
            asked = len(batch.places)
            yield batch


def _laid_out(bins: list[tuple[int, int, list[Piece]]], count: int, size: int, least: int) -> Batch:
    """One batch of `count` rows; `places` has room for `least` at least."""
    tokens, positions, segments = np.zeros((3, count, size), np.int32)
    owners, places, into = np.zeros(count, np.int32), [], []
    for k, (_, owner, pieces) in enumerate(bins):
        owners[k], at = owner, 0
        for number, (piece, begin, start, first) in enumerate(pieces, 1):
            end = at + len(piece)
            tokens[k, at:end], segments[k, at:end] = piece, number
            positions[k, at:end] = np.arange(begin, begin + len(piece))
            places.append(np.arange(k * size + at + start, k * size + end))
            into.append(np.arange(first, first + len(piece) - start))
            at = end
    asked = np.concatenate(places)
    padded = np.full(max(least, ladder(len(asked))), -1, np.int32)
    padded[: len(asked)] = asked
    return Batch(tokens, positions, segments, owners, padded, np.concatenate(into))
