"""Rows that fit a model: what is cut is the middle of a text that is too long, never a mark and never a correction."""

from typing import TYPE_CHECKING, NamedTuple

from lleval_jax.errors import require
from lleval_jax.training.aligners.marks import LEFT_OUT, turns
from lleval_jax.values.turns import Turns

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel
    from lleval_jax.lm.tokens import Tokens

LEAST = 16  # tokens that question and answer keep together


class Fitted(NamedTuple):
    """What is read before a correction.

    turns  the chat; `marks.turns`
    cut    whether a part of the question or the answer was left out
    """

    turns: Turns
    cut: bool


def room_of(model: "LanguageModel", correction: int, longest: int | None = None) -> int:
    """Tokens that question and answer may have together.

    Args:
        model: with its marks.
        correction: tokens that are kept for the correction and its end.
        longest: of a row; None: the model's context.
    """
    context = model.config.context
    most = context if longest is None else longest
    require(most <= context, f"longest is {most:,}; {model.name} reads {context:,} tokens")
    around = model.tokens.chat_tokens([turn._asdict() for turn in turns("", "")])
    return most - correction - len(around)


def fitted(tokens: "Tokens", question: str, answer: str, room: int) -> Fitted:
    """The turns of a question and an answer, the middle of either left out where both have more tokens than `room`.

    Raises:
        BadInput: there is room for fewer than 16 tokens.
    """
    require(room >= LEAST, f"there is room for {room} tokens of question and answer; {LEAST} are needed")
    asked, given = map(len, tokens.encode_all([question, answer]))
    if asked + given <= room:
        return Fitted(turns(question, answer), False)
    short = min(asked, max(room // 4, room - given))
    return Fitted(turns(cut_middle(tokens, question, short), cut_middle(tokens, answer, room - short)), True)


def cut_middle(tokens: "Tokens", text: str, room: int) -> str:
    """The beginning and the end of a text that has more tokens than `room`; of a shorter one all."""
    ids = tokens.encode(text)
    if len(ids) <= room:
        return text
    left = room - len(tokens.encode(LEFT_OUT))
    while left > 0:
        begin, end = ids[: (left + 1) // 2], ids[len(ids) - left // 2 :]
        found = f"{tokens.decode(begin)}{LEFT_OUT}{tokens.decode(end)}"
        if len(tokens.encode(found)) <= room:  # a letter cut in two takes more tokens than it had
            return found
        left -= 1
    return tokens.decode(ids[: max(0, room - 3)])
