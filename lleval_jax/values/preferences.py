"""Preferences: answers that are wanted and answers that are not, and what they answer."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from lleval_jax.errors import BadInput, require
from lleval_jax.values.results import Source
from lleval_jax.values.value import Value

ROLES = ("system", "user", "assistant")
GOOD, BAD = ("1", "true", "yes", "good", "chosen", "desirable"), ("0", "false", "no", "bad", "rejected", "undesirable")

Place = Callable[[int], str]  # row of the table -> where it is found, for messages


class Message(NamedTuple):
    """One turn of a chat: who ("system", "user" or "assistant"), and what."""

    role: str
    content: str


Prompt: TypeAlias = str | tuple[Message, ...]  # plain text, or the turns of a chat up to the answer


class Side(NamedTuple):
    """Answers of one kind.

    prompts  (n,) what each answers: text, or the turns of a chat
    answers  (n,) their texts
    rows     (n,) where each was found, for messages
    """

    prompts: tuple[Prompt, ...]
    answers: tuple[str, ...]
    rows: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Preferences(Value):
    """What a model is aligned by.

    chosen    answers that are wanted
    rejected  answers that are not; of a pair the same row of both sides, with the same prompt
    paired    whether rows are pairs of one prompt; if not, the sides may differ in size
    source    the files that it was read from
    """

    chosen: Side
    rejected: Side
    paired: bool
    source: Source = dataclasses.field(default_factory=Source)

    def brief(self) -> str:
        """How many answers of each kind."""
        if self.paired:
            return f"{len(self.chosen.answers):,} pairs"
        return f"{len(self.chosen.answers):,} chosen and {len(self.rejected.answers):,} rejected answers, unpaired"

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, *, place: Place | None = None, source: Source | None = None
    ) -> "Preferences":
        """From a table of pairs (`prompt, chosen, rejected`) or of labelled answers (`prompt, completion, label`).

        A prompt is text or a list of messages `{"role": ..., "content": ...}`; an answer is text or such a list with
        one message of the assistant. Pairs may lack `prompt` if both are chats that share all but their last message.
        A label is 1 or 0, true or false, good or bad.

        Raises:
            BadInput: a column is missing, a prompt or answer is empty or of another kind, an answer is its own
                alternative, a label is something else, or all labels are the same.

        Example:
            >>> Preferences.from_frame(pd.DataFrame({"prompt": ["2+2="], "chosen": ["4"], "rejected": ["5"]}))
            <Preferences: 1 pairs>
        """
        where: Place = place or (lambda row: f"row {row} of the table")
        source = source or Source()
        if {"chosen", "rejected"} <= set(frame.columns):
            return _pairs(frame, where, source)
        if {"prompt", "completion", "label"} <= set(frame.columns):
            return _labelled(frame, where, source)
        have = ", ".join(map(repr, frame.columns[:12])) or "none"
        raise BadInput(
            f"the table has the columns {have}; it needs 'prompt', 'chosen' and 'rejected', or 'prompt', 'completion' "
            "and 'label'"
        )

    @property
    def fingerprint(self) -> str:
        """The hash of all that is learned, wherever it was read."""
        told = repr(
            (self.paired, self.chosen.prompts, self.chosen.answers, self.rejected.prompts, self.rejected.answers)
        )
        return hashlib.sha256(told.encode()).hexdigest()

    def unpaired(self) -> "Preferences":
        """The same answers without their pairing."""
        return dataclasses.replace(self, paired=False)

    def split(self, share: float, rng: np.random.Generator) -> tuple["Preferences", "Preferences"]:
        """All but a share, and that share; of pairs both answers go together, and rows of one prompt always do.

        Raises:
            BadInput: a part would be empty.
        """
        prompts = list(dict.fromkeys((*self.chosen.prompts, *self.rejected.prompts)))
        apart = {prompts[i] for i in rng.permutation(len(prompts))[: round(share * len(prompts))]}
        parts = []
        for inside in (False, True):
            rows = [[i for i, prompt in enumerate(side.prompts) if (prompt in apart) == inside] for side in self.sides]
            word = f"holding out {share:g} of {len(prompts):,} prompts leaves a part without answers of both kinds"
            require(all(rows), word)
            sides = (_take(side, each) for side, each in zip(self.sides, rows, strict=True))
            parts.append(dataclasses.replace(self, **dict(zip(("chosen", "rejected"), sides, strict=True))))
        return parts[0], parts[1]

    @property
    def sides(self) -> tuple[Side, Side]:
        """Chosen, rejected."""
        return self.chosen, self.rejected

    def take(self, rows: Sequence[int]) -> "Preferences":
        """These pairs only, by their number; `BadInput` if there are no pairs."""
        require(self.paired, "rows can only be taken of pairs; these answers are unpaired")
        return dataclasses.replace(self, chosen=_take(self.chosen, rows), rejected=_take(self.rejected, rows))


def _pairs(frame: pd.DataFrame, where: Place, source: Source) -> Preferences:
    prompts, chosen, rejected, rows = [], [], [], []
    given = frame["prompt"].tolist() if "prompt" in frame else [None] * len(frame)
    for row, (prompt, one, other) in enumerate(zip(given, frame["chosen"], frame["rejected"], strict=True)):
        at = where(row)
        if prompt is None:
            prompt, one, other = _shared(one, other, at)
        found, texts = _prompt(prompt, at), [_answer(x, name, at) for x, name in ((one, "chosen"), (other, "rejected"))]
        require(texts[0] != texts[1], f"{at}: the chosen and the rejected answer are equal; leave the pair out")
        prompts.append(found)
        chosen.append(texts[0])
        rejected.append(texts[1])
        rows.append(at)
    require(bool(rows), "the table has no rows")
    return Preferences(
        Side(tuple(prompts), tuple(chosen), tuple(rows)),
        Side(tuple(prompts), tuple(rejected), tuple(rows)),
        True,
        source,
    )


def _labelled(frame: pd.DataFrame, where: Place, source: Source) -> Preferences:
    sides: dict[bool, list[tuple[Prompt, str, str]]] = {True: [], False: []}
    for row, (prompt, text, label) in enumerate(zip(frame["prompt"], frame["completion"], frame["label"], strict=True)):
        at = where(row)
        sides[_label(label, at)].append((_prompt(prompt, at), _answer(text, "completion", at), at))
    for is_good, side in sides.items():
        word = "good" if is_good else "bad"
        require(bool(side), f"no answer has the label {word}; alignment needs good and bad answers")
    good, bad = (Side(*map(tuple, zip(*sides[which], strict=True))) for which in (True, False))
    return Preferences(good, bad, False, source)


def _shared(one: Any, other: Any, at: str) -> tuple[list, list, list]:
    """The turns that two chats have in common, and the last turn of each."""
    chats = (
        f"{at}: there is no 'prompt', so 'chosen' and 'rejected' must be chats that differ in their last message only"
    )
    require(_is_list(one) and _is_list(other) and len(one) == len(other) > 1, chats)
    first, second = list(one), list(other)
    require(_messages(first[:-1], at) == _messages(second[:-1], at), chats)
    return first[:-1], first[-1:], second[-1:]


def _prompt(given: Any, at: str) -> Prompt:
    if _is_list(given):
        turns = _messages(given, at)
        require(bool(turns), f"{at}: the prompt is a chat without messages")
        require(
            turns[-1].role != "assistant", f"{at}: the prompt ends with the assistant's turn, which is the answer's"
        )
        return turns
    require(isinstance(given, str), f"{at}: the prompt is {given!r}; it must be text or a list of messages")
    return given


def _answer(given: Any, name: str, at: str) -> str:
    if _is_list(given):
        turns = _messages(given, at)
        one = len(turns) == 1 and turns[0].role == "assistant"
        require(one, f"{at}: '{name}' is a chat of {len(turns)} messages; it must be one message of the assistant")
        given = turns[0].content
    require(isinstance(given, str), f"{at}: '{name}' is {given!r}; it must be text")
    require(bool(given.strip()), f"{at}: '{name}' is empty; leave the row out")
    return given


def _messages(given: Iterable[Any], at: str) -> tuple[Message, ...]:
    turns = []
    for number, turn in enumerate(given):
        is_turn = isinstance(turn, Mapping) and isinstance(turn.get("content"), str)
        require(is_turn, f'{at}: message {number} is {turn!r}; it must be {{"role": ..., "content": ...}}')
        known = f"{at}: message {number} has the role {turn.get('role')!r}; it is one of {', '.join(ROLES)}"
        require(turn.get("role") in ROLES, known)
        turns.append(Message(turn["role"], turn["content"]))
    return tuple(turns)


def _label(given: Any, at: str) -> bool:
    word = str(given).strip().lower().removesuffix(".0")
    require(word in GOOD + BAD, f"{at}: the label is {given!r}; it must be 1 or 0, true or false, good or bad")
    return word in GOOD


def _is_list(given: Any) -> bool:
    """Whether it is a list, as JSON has it, or an array, as parquet gives it."""
    return not isinstance(given, str) and hasattr(given, "__len__") and hasattr(given, "__getitem__")


def _take(side: Side, rows: Sequence[int]) -> Side:
    return Side(
        tuple(side.prompts[row] for row in rows),
        tuple(side.answers[row] for row in rows),
        tuple(side.rows[row] for row in rows),
    )
