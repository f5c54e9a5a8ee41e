"""LogProbs: how probable a model finds texts under the elements of a prompt, alone and together."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from lleval_jax.errors import BadInput, require
from lleval_jax.values.results import Source
from lleval_jax.values.value import Value

FULL = "full"  # the name of all elements together
BARE = "bare"  # the name of the prompt without any element: no weight depends on it
JOINT = "+"  # stands between the names of elements that stand together
AGREE = 1e-6  # nats: log-probabilities closer than this are the same, and so much above 0 is rounding
SIDES = ("preferred", "rejected")

Place = Callable[[int], str]  # row of the table -> where it stands, for messages


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LogProbs(Value):
    """Log-probabilities in nats, natural logarithms summed over the tokens of a text, given its input and a prompt.

    texts     names of the texts, or of the pairs
    elements  names of the library's elements, in the library's order
    single    (sides, texts, elements)  under each element alone; one side, or preferred and rejected
    subsets   names of the combinations that were scored too, such as "full" and "a+b"
    member    (subsets, elements) bool  which elements stand in each
    joint     (sides, texts, subsets)   under each combination; 0 where it was not scored
    seen      (texts, subsets) bool     where it was
    tokens    (sides, texts)            tokens of each text; None where the table does not say
    desired   (texts,) bool             texts whose log-probability shall be large; the others only teach the weights
    """

    texts: tuple[str, ...]
    elements: tuple[str, ...]
    single: np.ndarray
    subsets: tuple[str, ...]
    member: np.ndarray
    joint: np.ndarray
    seen: np.ndarray
    tokens: np.ndarray | None
    desired: np.ndarray
    incomplete: tuple[str, ...] = ()
    source: Source = dataclasses.field(default_factory=Source)

    @property
    def pairs(self) -> bool:
        """Whether these are pairs of a preferred and a rejected text."""
        return len(self.single) == 2

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        parts: Sequence[str] | None = None,
        pairs: bool | None = None,
        place: Place | None = None,
        source: Source | None = None,
    ) -> "LogProbs":
        """From a long table: one row is one text (or pair) under one element or combination.

        Columns: `text`, `element`, `logprob` and, if wanted, `tokens` and `desired` (1 or 0). For pairs `preferred`
        and `rejected` stand in place of `logprob`, `tokens_preferred` and `tokens_rejected` in place of `tokens`.
        `element` is the name of an element ("a"), of several joined by "+" ("a+b"), or "full" for all of them; rows
        of "bare", the prompt without any, are set aside.
        The order of the library is that of `parts`, or of first appearance.

        A text that lacks an element cannot be used; the names of such texts are in `incomplete`.

        Raises:
            BadInput: a column is missing, a log-probability is not a finite number up to 0, a text has two different
                values for one element or two lengths, an element of a combination was never scored alone, `parts`
                are not the elements of the table, or no text has all elements.
        """
        where: Place = place or (lambda row: f"row {row} of the table")
        frame, where = _with_elements(frame, where)
        pairs = pairs_of(frame.columns) if pairs is None else pairs
        needed = ("text", "element", *columns(pairs))
        for name in needed:
            have = ", ".join(map(repr, frame.columns[:12]))
            require(name in frame, f"the table has no column {name!r}; it has {have}. It needs {', '.join(needed)}.")
        numbers = np.stack([_numbers(frame, name, where) for name in columns(pairs)])
        text, texts = _coded(frame["text"])
        code, names = _coded(frame["element"])
        elements = _library(names, parts)
        member = np.stack([_members(name, elements, where, int((code == i).argmax())) for i, name in enumerate(names)])
        subsets, cell = _by_subset(member, len(elements), names)
        grid, seen = _grid(numbers, text, cell[code], (len(texts), len(elements) + len(subsets)), where, frame)
        whole = np.asarray(seen[:, : len(elements)].all(axis=1))
        if not whole.any():
            short = [name for k, name in enumerate(elements) if not seen[0, k]]
            raise BadInput(f"no text was scored under every element; {texts[0]!r} lacks {', '.join(map(repr, short))}")
        tokens = _lengths(frame, text, len(texts), pairs, where)
        desired = np.ones(len(texts), bool)
        if "desired" in frame:
            desired = _per_text(_yes(frame, where), text, len(texts), "desired", where) > 0
        k = len(elements)
        return cls(
            texts=tuple(name for name, kept in zip(texts, whole, strict=True) if kept),
            elements=elements,
            single=grid[:, whole, :k],
            subsets=tuple(name_of(row, elements) for row in subsets),
            member=subsets,
            joint=grid[:, whole, k:],
            seen=seen[whole, k:],
            tokens=None if tokens is None else tokens[:, whole],
            desired=desired[whole],
            incomplete=tuple(name for name, kept in zip(texts, whole, strict=True) if not kept),
            source=source or Source(),
        )

    def ordered(self, parts: Sequence[str]) -> "LogProbs":
        """The same with the elements in the order of `parts`. `BadInput` if these are not all of them."""
        _library(self.elements, parts)
        order = [self.elements.index(part) for part in parts]
        member = self.member[:, order]
        return dataclasses.replace(
            self,
            elements=tuple(parts),
            single=self.single[:, :, order],
            member=member,
            subsets=tuple(name_of(row, parts) for row in member),
        )


def columns(pairs: bool) -> tuple[str, ...]:
    """Columns of log-probabilities in a table."""
    return SIDES if pairs else ("logprob",)


def pairs_of(found: Sequence[str] | pd.Index) -> bool:
    """Whether a table with these columns holds pairs, if it is not said."""
    return "logprob" not in found and any(side in found for side in SIDES)


def name_of(members: np.ndarray, elements: Sequence[str]) -> str:
    """The name of a combination (elements,) bool, in the library's order."""
    if members.all() and len(elements) > 1:
        return FULL
    return JOINT.join(name for name, inside in zip(elements, members, strict=True) if inside)


def members_of(subset: str | Sequence[str], elements: Sequence[str]) -> np.ndarray:
    """(elements,) bool of a combination by name ("a+b", "full") or by the names of its elements.

    Raises:
        BadInput: an element is not in the library, stands twice, or none is named.
    """
    if subset == FULL:
        return np.ones(len(elements), bool)
    parts = subset.split(JOINT) if isinstance(subset, str) else list(subset)
    parts = [part.strip() for part in parts]
    shown = JOINT.join(parts)
    require(any(parts), "a combination of elements needs the name of one at least")
    for part in parts:
        have = ", ".join(map(repr, elements[:12]))
        require(part in elements, f"combination {shown!r} names {part!r}, which is no element; there are {have}")
    require(len(set(parts)) == len(parts), f"combination {shown!r} names an element twice")
    return np.isin(np.asarray(elements, object), np.asarray(parts, object))


def _with_elements(frame: pd.DataFrame, where: Place) -> tuple[pd.DataFrame, Place]:
    """The rows of prompts that have an element, and where each stands."""
    kept = np.flatnonzero(frame["element"].astype(str) != BARE) if "element" in frame else np.arange(len(frame))
    if len(kept) == len(frame):
        return frame, where
    return frame.iloc[kept], lambda row: where(int(kept[row]))


def _coded(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """(codes, names) of a column, in the order of first appearance."""
    code, names = pd.factorize(column.astype(str))
    return code, names.tolist()


def _library(names: Sequence[str], parts: Sequence[str] | None) -> tuple[str, ...]:
    """The elements in order: those that stand alone somewhere."""
    alone = [name for name in names if name != FULL and JOINT not in name]
    require(bool(alone), "no element was scored alone; PEPR needs every text under each element by itself")
    if parts is None:
        return tuple(alone)
    require(len(set(parts)) == len(parts), "parts name an element twice")
    missing, more = [p for p in parts if p not in alone], [a for a in alone if a not in parts]
    require(not missing, f"parts name {missing[:1]}, which was not scored alone; there are {alone[:12]}")
    require(not more, f"the table has {more[:1]}, which parts do not name; leave out its rows if it is not meant")
    return tuple(parts)


def _members(name: str, elements: tuple[str, ...], where: Place, row: int) -> np.ndarray:
    try:
        return members_of(name, elements)
    except BadInput as error:
        hint = f" A name must not hold {JOINT!r}." if JOINT in name else ""
        raise BadInput(f"{where(row)}: {error}.{hint}") from error


def _by_subset(member: np.ndarray, k: int, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Different combinations (subsets, elements), and of each name its column: elements first, then combinations."""
    cell, known = np.zeros(len(member), int), {}
    for i, row in enumerate(member):
        single = row.sum() == 1 and names[i] != FULL
        cell[i] = int(row.argmax()) if single else known.setdefault(row.tobytes(), k + len(known))
    subsets = [np.frombuffer(key, bool) for key in known]
    return np.stack(subsets) if subsets else np.zeros((0, k), bool), cell


def _grid(
    numbers: np.ndarray, text: np.ndarray, cell: np.ndarray, shape: tuple[int, int], where: Place, frame: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """(sides, texts, cells) values and (texts, cells) where there is one; twice the same value is one."""
    grid, seen = np.zeros((len(numbers), *shape)), np.zeros(shape, bool)
    grid[:, text, cell] = numbers
    seen[text, cell] = True
    apart = np.abs(numbers - grid[:, text, cell]).max(0) > AGREE
    for row in np.flatnonzero(apart)[:1]:
        last = int(np.flatnonzero((text == text[row]) & (cell == cell[row]))[-1])
        what = f"text {frame['text'].iloc[row]!r} has two values under {frame['element'].iloc[row]!r}"
        raise BadInput(f"{where(int(row))}: {what}; the other is at {where(last)}. Keep one.")
    return grid, seen


def _numbers(frame: pd.DataFrame, name: str, where: Place) -> np.ndarray:
    """(rows,) a column of log-probabilities."""
    found = pd.to_numeric(frame[name], errors="coerce").to_numpy(float, na_value=np.nan)
    for row in np.flatnonzero(~(np.isfinite(found) & (found <= AGREE)))[:1]:
        what = f"{name} is {frame[name].iloc[row]!s}"
        raise BadInput(f"{where(int(row))}: {what}; a log-probability is a finite number, 0 or less")
    return np.minimum(found, 0)


def _yes(frame: pd.DataFrame, where: Place) -> np.ndarray:
    """(rows,) 1 or 0 of the column `desired`."""
    words = frame["desired"].astype(str).str.lower().map({"1": 1.0, "true": 1.0, "1.0": 1.0} | _NO)
    for row in np.flatnonzero(words.isna())[:1]:
        raise BadInput(f"{where(int(row))}: desired is {frame['desired'].iloc[row]!r}; it must be 1 or 0")
    return words.to_numpy(float)


_NO = {"0": 0.0, "false": 0.0, "0.0": 0.0}


def _lengths(frame: pd.DataFrame, text: np.ndarray, texts: int, pairs: bool, where: Place) -> np.ndarray | None:
    """(sides, texts) tokens; None where the table does not say."""
    names = [f"tokens_{side}" for side in SIDES] if pairs else ["tokens"]
    if not all(name in frame for name in names):
        return None
    out = []
    for name in names:
        found = pd.to_numeric(frame[name], errors="coerce").to_numpy(float, na_value=np.nan)
        for row in np.flatnonzero(~(np.isfinite(found) & (found > 0)))[:1]:
            raise BadInput(f"{where(int(row))}: {name} is {frame[name].iloc[row]!s}; it must be a number above 0")
        out.append(_per_text(found, text, texts, name, where))
    return np.stack(out)


def _per_text(values: np.ndarray, text: np.ndarray, texts: int, name: str, where: Place) -> np.ndarray:
    """(texts,) the one value of each text."""
    found = np.zeros(texts)
    found[text[::-1]] = values[::-1]
    for row in np.flatnonzero(values != found[text])[:1]:
        first = int(np.flatnonzero(text == text[row])[0])
        what = f"{name} is {values[row]:g}, and {found[text[row]]:g} at {where(first)}"
        raise BadInput(f"{where(int(row))}: {what}; all rows of a text must agree on it")
    return found
