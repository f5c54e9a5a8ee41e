"""From preferences to the token rows of a training step: which rows, in which order, packed how."""

import dataclasses
import functools
import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from lleval_jax.core.shapes import rung
from lleval_jax.errors import BadInput, require, require_known
from lleval_jax.lm.packing import Row, ladder, pack
from lleval_jax.training.losses import Sides
from lleval_jax.training.run.plan import Plan, even
from lleval_jax.values.preferences import Preferences, Side

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel

Long = Literal["refuse", "drop", "cut"]
NUMBERED = re.compile(r"(.*?)(\d+)(\D*)")  # a place: what is before its last number, that number, and what is after


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """Preferences as tokens.

    chosen    one row an answer: its prompt, the answer, and the token that ends it
    rejected  likewise; of pairs as many as `chosen`, in the same order
    paired    whether rows are pairs
    places    where each row of both sides was found, for messages
    dropped   how many answers (or pairs) were too long and left out
    cut       how many prompts were shortened at their beginning
    """

    chosen: tuple[Row, ...]
    rejected: tuple[Row, ...]
    paired: bool
    places: tuple[tuple[str, ...], tuple[str, ...]]
    dropped: int = 0
    cut: int = 0

    @property
    def tokens(self) -> int:
        """Of all rows."""
        return sum(len(row.tokens) for row in (*self.chosen, *self.rejected))

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(len(row.tokens) for row in (*self.chosen, *self.rejected))

    @property
    def lengths(self) -> Sides:
        """Tokens of the answers, without their prompts."""
        sides = self.chosen, self.rejected
        return Sides(*(jnp.asarray([len(row.tokens) - row.start for row in side], jnp.float32) for side in sides))

    def said(self, taken: Sequence[Sequence[int]]) -> str:
        """Where some rows of both sides were found, in words."""
        chosen, rejected = (named([of[i] for i in side]) for of, side in zip(self.places, taken, strict=True))
        if self.paired:
            return f"the step's pairs are {chosen}"
        return f"the step's chosen answers are {chosen}" + (f", its rejected ones {rejected}" if rejected else "")


class Packed(NamedTuple):
    """A micro-batch: answers packed end to end into rows of one shape.

    tokens, positions, segments  int32 (rows, length); segment 0 is padding
    places  int32 (n,)  where scored tokens stand in tokens.reshape(-1); -1 is padding
    answer  int32 (n,)  number of the answer that each belongs to; that of padding is past the last
    """

    tokens: np.ndarray
    positions: np.ndarray
    segments: np.ndarray
    places: np.ndarray
    answer: np.ndarray


def rows_of(model: "LanguageModel", data: Preferences, *, longest: int | None = None, long: Long = "refuse") -> Rows:
    """Tokens of all answers after their prompts.

    A prompt that is a chat goes through the model's template. The answer is encoded by itself and ends with the model's
    first token of `eos`, so that the model learns to stop.

    Args:
        model: whose tokens and context count.
        data: what is learned.
        longest: tokens of a row, at most; None: the model's context.
        long: what to do with a row that is longer: "refuse" all, "drop" it (with its pair), or "cut" its prompt.

    Raises:
        BadInput: rows are too long and shall be refused, an answer alone is too long to cut its prompt, nothing is
            left, or the model has no chat template for a chat.
    """
    require_known(long, ("refuse", "drop", "cut"), "long")
    context = model.config.context
    most = context if longest is None else longest
    require(2 <= most <= context, f"longest is {most}; {model.name} reads from 2 to {context:,} tokens")
    sides = (data.chosen, data.rejected)
    rows = [_encoded(model, side) for side in sides]
    over = [[len(row.tokens) > most for row in each] for each in rows]
    count = sum(map(sum, over))
    if long == "refuse" and count:
        raise _too_long(sides, over, most)
    if long == "cut":
        cut = [
            tuple(_cut(*one, most) for one in zip(each, side.rows, strict=True))
            for each, side in zip(rows, sides, strict=True)
        ]
        return Rows(cut[0], cut[1], data.paired, (data.chosen.rows, data.rejected.rows), cut=count)
    if data.paired:
        over = [[one or other for one, other in zip(*over, strict=True)]] * 2
    kept = [
        tuple(row for row, far in zip(each, out, strict=True) if not far) for each, out in zip(rows, over, strict=True)
    ]
    left = [bool(some) or not every for some, every in zip(kept, rows, strict=True)]
    none = f"every answer of a side is longer than {most:,} tokens with its prompt; nothing is left to learn"
    require(all(left), none)
    out = [[not far for far in each] for each in over]
    places = [tuple(itertools.compress(side.rows, some)) for side, some in zip(sides, out, strict=True)]
    return Rows(kept[0], kept[1], data.paired, (places[0], places[1]), sum(over[0]) if data.paired else count)


def _too_long(sides: tuple[Side, Side], over: list[list[bool]], most: int) -> BadInput:
    first = next(place for side, far in zip(sides, over, strict=True) for place in itertools.compress(side.rows, far))
    count, all_of_them = sum(map(sum, over)), sum(map(len, over))
    return BadInput(
        f"{count:,} of {all_of_them:,} answers have more than {most:,} tokens with their prompt, the first {first}.",
        python='Pass long="drop" or long="cut".',
        shell='Say long = "drop" or long = "cut" in the recipe.',
    )


def _encoded(model: "LanguageModel", side: Side) -> list[Row]:
    tokens = model.tokens
    answers = tokens.encode_all(side.answers)
    end = list(tokens.eos[:1])
    return [_row(_prompt(model, prompt), [*answer, *end]) for prompt, answer in zip(side.prompts, answers, strict=True)]


def _prompt(model: "LanguageModel", prompt: str | Sequence) -> list[int]:
    if not isinstance(prompt, str):
        return model.tokens.chat_tokens([turn._asdict() for turn in prompt])
    first = model.tokens.prompt(prompt)
    start = [model.tokens.eos[0] if model.tokens.bos is None else model.tokens.bos]
    return first or start


def _row(prompt: list[int], answer: list[int]) -> Row:
    return Row(np.array([*prompt, *answer], np.int32), len(prompt))


def _cut(row: Row, at: str, most: int) -> Row:
    """The row with the beginning of its prompt left out, so that it has `most` tokens."""
    extra = max(0, len(row.tokens) - most)
    answer = len(row.tokens) - row.start
    require(row.start > extra, f"{at}: the answer alone has {answer:,} tokens, no fewer than the {most:,} of a row")
    return Row(row.tokens[extra:], row.start - extra)


@dataclasses.dataclass(frozen=True)
class Order:
    """Which rows each step takes: shuffled again in each pass, the same for the same seed, whatever was done before.

    size   rows there are
    batch  rows a step; none where there are none
    seed   of the shuffling
    """

    size: int
    batch: int
    seed: int

    def __post_init__(self) -> None:
        what = f"a step takes {self.batch} rows and there are {self.size}"
        allowed = 1 <= self.batch <= self.size or self.batch == self.size == 0
        require(allowed, f"{what}; a step takes each row once at most")

    def rows(self, step: int) -> list[int]:
        """The rows of a step, from 0."""
        source = _shuffled(self.size, self.seed) if self.size else ()
        return [int(source[i]) for i in range(step * self.batch, (step + 1) * self.batch)]


def orders(rows: Rows, *, batch: int, seed: int) -> tuple[Order, Order]:
    """The order of both sides: the same for pairs; else each its own, in proportion.

    Args:
        rows: of both sides.
        batch: chosen ones a step.
        seed: of the shuffling.
    """
    chosen, rejected = len(rows.chosen), len(rows.rejected)
    first = Order(chosen, batch, seed)
    if rows.paired:
        return first, first
    share = max(1, round(batch * rejected / chosen)) if rejected else 0
    return first, Order(rejected, share, seed + 1)


def named(places: Sequence[str]) -> str:
    """Places in few words: "pairs.jsonl:3, 17, 29" of "pairs.jsonl:3", "pairs.jsonl:17" and so on."""
    groups: dict[tuple[str, str], list[str]] = {}
    for place in places:
        found = NUMBERED.fullmatch(place)
        before, number, after = found.groups() if found else (place, "", "")
        groups.setdefault((before, after), []).append(number)
    return "; ".join(f"{before}{', '.join(numbers)}{after}" for (before, after), numbers in groups.items())


@functools.cache
def _shuffled(size: int, seed: int) -> Any:
    import grain

    return grain.MapDataset.range(size).seed(seed).shuffle().repeat()


def packed(
    rows: Sequence[Row], *, batch: int, length: int = 0, multiple: int = 1, planned: Plan | None = None
) -> list[Packed]:
    """Micro-batches of all rows, of one shape: one that was planned, or of very few without a plan.

    Args:
        rows: answers after their prompts.
        batch: tokens of a micro-batch, about.
        length: of a packed row, at least that of the longest; a run gives the longest of all its rows.
        multiple: of the rows of each, as the devices that share them.
        planned: the shape to take, which has room for the longest row.
    """
    lengths = [len(row.tokens) for row in rows]
    length = ladder(max(length, *lengths)) if planned is None else planned.length
    bins = [inside for _, inside in pack(lengths, length)]
    wide = even(rung(len(bins), 2), length, batch, multiple) if planned is None else planned.wide
    groups = [bins[first : first + wide] for first in range(0, len(bins), wide)]
    scored = max(sum(len(rows[i].tokens) - rows[i].start for inside in group for i in inside) for group in groups)
    room = planned.room if planned is not None and scored <= planned.room else rung(scored, 2)
    return [_laid_out(rows, group, wide, length, room) for group in groups]


def _laid_out(rows: Sequence[Row], bins: Sequence[Sequence[int]], wide: int, length: int, room: int) -> Packed:
    """Bins of rows, by number, as arrays of one shape."""
    tokens, positions, segments = np.zeros((3, wide, length), np.int32)
    places, answer = [], []
    for k, inside in enumerate(bins):
        at = 0
        for number, i in enumerate(inside, 1):
            here = slice(at, at + len(rows[i].tokens))
            tokens[k, here], segments[k, here] = rows[i].tokens, number
            positions[k, here] = np.arange(len(rows[i].tokens))
            found = np.arange(k * length + at + rows[i].start, k * length + here.stop)
            places.append(found)
            answer.append(np.full(len(found), i))
            at = here.stop
    asked = np.concatenate(places)
    padded = np.full((2, room), -1, np.int32)
    padded[1] = len(rows)
    padded[0, : len(asked)], padded[1, : len(asked)] = asked, np.concatenate(answer)
    return Packed(tokens, positions, segments, *padded)
