"""Preferences: answers that are wanted and answers that are not, and what they answer; or wanted ones alone."""

import dataclasses
import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from lleval_jax.errors import BadInput, DataWarning, outside, require, require_known
from lleval_jax.values import turns
from lleval_jax.values.results import Source
from lleval_jax.values.turns import Prompt, Unfit, require_fit
from lleval_jax.values.value import Value

GOOD, BAD = ("1", "true", "yes", "good", "chosen", "desirable"), ("0", "false", "no", "bad", "rejected", "undesirable")

Place = Callable[[int], str]  # row of the table -> where it is found, for messages
WhenUnfit: TypeAlias = Literal["refuse", "drop"]
NEEDS = (
    "it needs 'prompt', 'chosen' and 'rejected'; 'prompt', 'completion' and 'label'; or, to be learned without "
    "alternatives, 'prompt' and 'completion', or 'messages'."
)


class Side(NamedTuple):
    """Answers of one kind.

    prompts  (n,) what each answers: text, or the turns of a chat
    answers  (n,) their texts
    rows     (n,) where each was found, for messages
    """

    prompts: tuple[Prompt, ...]
    answers: tuple[str, ...]
    rows: tuple[str, ...]


NOTHING = Side((), (), ())


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Preferences(Value):
    """What a model is aligned by.

    chosen    answers that are wanted
    rejected  answers that are not; of a pair the same row of both sides, with the same prompt; none of text that is
              learned without alternatives
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
        if not self.rejected.answers:
            return f"{len(self.chosen.answers):,} answers without alternatives"
        return f"{len(self.chosen.answers):,} chosen and {len(self.rejected.answers):,} rejected answers, unpaired"

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        place: Place | None = None,
        source: Source | None = None,
        unfit: WhenUnfit = "refuse",
    ) -> "Preferences":
        r"""From a table of pairs, of labelled answers, or of answers that are all wanted.

        pairs     `prompt, chosen, rejected`; or `chosen, rejected`, two chats that differ in their last turn only
        labelled  `prompt, completion, label`; a label is 1 or 0, true or false, good or bad
        wanted    `prompt, completion`; or `messages`, a chat whose last turn is the assistant's

        A prompt is text or a list of messages `{"role": ..., "content": ...}`; an answer is text or such a list with
        one message of the assistant. A chat is such a list, or text with "\n\nHuman:" and "\n\nAssistant:" before the
        turns. Of pairs with a prompt the answers may be chats that begin with that prompt.

        Args:
            frame: the table.
            place: where a row is found, for messages.
            source: where the table came from.
            unfit: what to do with a row that nothing can be learned from: an answer is empty or its own alternative,
                or two chats differ before their last turn. "refuse" the table, or "drop" such rows with a warning.

        Raises:
            BadInput: a column is missing, a prompt or answer is of another kind, a label is something else, all labels
                are the same, or a row is unfit and shall be refused.

        Example:
            >>> Preferences.from_frame(pd.DataFrame({"prompt": ["2+2="], "chosen": ["4"], "rejected": ["5"]}))
            <Preferences: 1 pairs>
        """
        require_known(unfit, ("refuse", "drop"), "unfit")
        have = set(frame.columns)
        for columns, optional, read, build in KINDS:
            if set(columns) <= have:
                named = [name for name in (*columns, *optional) if name in have]
                given = (dict(zip(named, row, strict=True)) for row in zip(*(frame[n] for n in named), strict=True))
                return build(_rows(given, read, place or (lambda row: f"row {row} of the table"), unfit), source)
        there = ", ".join(map(repr, frame.columns[:12])) or "none"
        raise BadInput(
            f"the table has the columns {there}; {NEEDS}",
            python='Name others: columns={"prompt": "question", "completion": "answer"}.',
            shell='Name others in the recipe: [columns] prompt = "question", completion = "answer".',
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

    def wanted(self) -> "Preferences":
        """The chosen answers alone, to be learned without alternatives."""
        return dataclasses.replace(self, rejected=NOTHING, paired=False)

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
            full = [bool(each) or not side.answers for each, side in zip(rows, self.sides, strict=True)]
            word = f"holding out {share:g} of {len(prompts):,} prompts leaves a part without answers"
            require(all(full), word + (" of both kinds" if self.rejected.answers else ""))
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


def _rows(given: Iterable[dict[str, Any]], read: Callable, place: Place, unfit: WhenUnfit) -> list[Any]:
    """What is read of each row; those that are unfit are left out where they shall be."""
    found, left = [], []
    for number, row in enumerate(given):
        try:
            found.append(read(row, place(number)))
        except Unfit as error:
            if unfit == "refuse":
                raise
            left.append(error.what)
    require(bool(found or left), "the table has no rows")
    require(bool(found), f"no row can be learned from; {left[0] if left else ''}")
    if left:
        text = f"{len(left):,} of {len(found) + len(left):,} rows are left out, the first because {left[0]}"
        warnings.warn(DataWarning(text), stacklevel=outside())
    return found


def _pair(row: Mapping[str, Any], at: str) -> tuple[Prompt, str, str, str]:
    """(prompt, chosen, rejected, where)."""
    given, *texts = _parted(row.get("prompt"), row["chosen"], row["rejected"], at)
    prompt = _prompt(given, at)
    chosen, rejected = (_answer(text, name, at) for text, name in zip(texts, ("chosen", "rejected"), strict=True))
    require_fit(chosen != rejected, f"{at}: the chosen and the rejected answer are equal.")
    return prompt, chosen, rejected, at


def _parted(prompt: Any, one: Any, other: Any, at: str) -> tuple[Any, Any, Any]:
    """Prompt and answers; taken out of two chats, where these hold the prompt too."""
    if prompt is not None and not turns.is_list(one):
        return prompt, one, other
    chats = [turns.whole_chat(each, at) for each in (one, other)]
    if prompt is not None and None in chats:
        return prompt, one, other
    what = "must be chats: lists of messages, or text with"
    require(None not in chats, f"{at}: there is no 'prompt', so 'chosen' and 'rejected' {what} {turns.MARKS}")
    found, chosen, rejected = turns.shared(*chats, at)  # type: ignore[arg-type]
    begins = found[-1].content == prompt if isinstance(prompt, str) else prompt is None or found == _prompt(prompt, at)
    require(begins, f"{at}: 'chosen' is a chat that does not begin with the prompt")
    return found, chosen, rejected


def _completion(row: Mapping[str, Any], at: str) -> tuple[Prompt, str, str]:
    """(prompt, answer, where)."""
    return _prompt(row["prompt"], at), _answer(row["completion"], "completion", at), at


def _labelled(row: Mapping[str, Any], at: str) -> tuple[bool, tuple[Prompt, str, str]]:
    return _label(row["label"], at), _completion(row, at)


def _chat(row: Mapping[str, Any], at: str) -> tuple[Prompt, str, str]:
    """(prompt, answer, where) of a whole chat."""
    found = turns.messages(row["messages"], at) if turns.is_list(row["messages"]) else ()
    require(bool(found), f"{at}: 'messages' is {row['messages']!r}; it must be a list of messages")
    prompt, answer = turns.last_answer(found, "messages", at)
    return prompt, _answer(answer, "messages", at), at


def _of_pairs(rows: Sequence[tuple], source: Source | None) -> Preferences:
    prompts, chosen, rejected, places = map(tuple, zip(*rows, strict=True))
    return Preferences(Side(prompts, chosen, places), Side(prompts, rejected, places), True, source or Source())


def _of_labelled(rows: Sequence[tuple], source: Source | None) -> Preferences:
    sides = [[row for label, row in rows if label is which] for which in (True, False)]
    for word, side in zip(("good", "bad"), sides, strict=True):
        require(bool(side), f"no answer has the label {word}; alignment needs good and bad answers")
    good, bad = (Side(*map(tuple, zip(*side, strict=True))) for side in sides)
    return Preferences(good, bad, False, source or Source())


def _of_wanted(rows: Sequence[tuple], source: Source | None) -> Preferences:
    return Preferences(Side(*map(tuple, zip(*rows, strict=True))), NOTHING, False, source or Source())


KINDS: tuple[tuple[tuple[str, ...], tuple[str, ...], Callable, Callable], ...] = (  # columns -> how to read and build
    (("chosen", "rejected"), ("prompt",), _pair, _of_pairs),
    (("prompt", "completion", "label"), (), _labelled, _of_labelled),
    (("prompt", "completion"), (), _completion, _of_wanted),
    (("messages",), (), _chat, _of_wanted),
)


def _prompt(given: Any, at: str) -> Prompt:
    if turns.is_list(given):
        found = turns.messages(given, at)
        require(bool(found), f"{at}: the prompt is a chat without messages")
        require(
            found[-1].role != "assistant", f"{at}: the prompt ends with the assistant's turn, which is the answer's"
        )
        return found
    require(isinstance(given, str), f"{at}: the prompt is {given!r}; it must be text or a list of messages")
    return given


def _answer(given: Any, name: str, at: str) -> str:
    if turns.is_list(given):
        found = turns.messages(given, at)
        one = len(found) == 1 and found[0].role == "assistant"
        require(one, f"{at}: '{name}' is a chat of {len(found)} messages; it must be one message of the assistant")
        given = found[0].content
    require(isinstance(given, str), f"{at}: '{name}' is {given!r}; it must be text")
    require_fit(bool(given.strip()), f"{at}: '{name}' is empty.")
    return given


def _label(given: Any, at: str) -> bool:
    word = str(given).strip().lower().removesuffix(".0")
    require(word in GOOD + BAD, f"{at}: the label is {given!r}; it must be 1 or 0, true or false, good or bad")
    return word in GOOD


def _take(side: Side, rows: Sequence[int]) -> Side:
    return Side(
        tuple(side.prompts[row] for row in rows),
        tuple(side.answers[row] for row in rows),
        tuple(side.rows[row] for row in rows),
    )
