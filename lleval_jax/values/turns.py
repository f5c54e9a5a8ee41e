"""The turns of a chat: as lists of messages, or as a dialogue in one text; and what two chats have in common."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from lleval_jax.errors import BadInput, require

ROLES = ("system", "user", "assistant")
SPEAKERS = {"Human": "user", "Assistant": "assistant"}
SPEAKS = re.compile(r"\n\n(Human|Assistant):")
MARKS = '"\\n\\nHuman:" and "\\n\\nAssistant:"'  # as messages show them


class Unfit(BadInput):
    """A row that nothing can be learned from, in a file that is otherwise what it should be."""

    def __init__(self, what: str) -> None:
        super().__init__(
            what,
            python='Leave the row out, or pass unfit="drop" to leave out all such rows.',
            shell='Leave the row out, or say unfit = "drop" in the recipe to leave out all such rows.',
        )


class Message(NamedTuple):
    """One turn of a chat: who ("system", "user" or "assistant"), and what."""

    role: str
    content: str


Turns: TypeAlias = tuple[Message, ...]
Prompt: TypeAlias = str | Turns  # plain text, or the turns of a chat up to the answer


def require_fit(condition: bool, message: str) -> None:
    """Raise `Unfit(message)` unless `condition` holds."""
    if not condition:
        raise Unfit(message)


def is_list(given: Any) -> bool:
    """Whether it is a list, as JSON has it, or an array, as parquet gives it."""
    return not isinstance(given, str | Mapping) and hasattr(given, "__len__") and hasattr(given, "__getitem__")


def messages(given: Iterable[Any], at: str) -> Turns:
    """A list of messages.

    Raises:
        BadInput: one is none, or its role is not known; it starts with `at`.
    """
    turns = []
    for number, turn in enumerate(given):
        if isinstance(turn, Message):
            turn = turn._asdict()
        is_turn = isinstance(turn, Mapping) and isinstance(turn.get("content"), str)
        require(is_turn, f'{at}: message {number} is {turn!r}; it must be {{"role": ..., "content": ...}}')
        known = f"{at}: message {number} has the role {turn.get('role')!r}; it is one of {', '.join(ROLES)}"
        require(turn.get("role") in ROLES, known)
        turns.append(Message(turn["role"], turn["content"]))
    return tuple(turns)


def dialogue(text: str) -> Turns | None:
    r"""The turns of a dialogue in one text, each after a mark, as HH has them (Bai et al. 2022, arXiv:2204.05862).

    None if it does not begin with a mark. Blanks around what is said are no part of it.

    >>> dialogue("\n\nHuman: 2+2?\n\nAssistant: 4")
    (Message(role='user', content='2+2?'), Message(role='assistant', content='4'))
    """
    head, *parts = SPEAKS.split("\n\n" + text.lstrip())
    if head or not parts:
        return None
    return tuple(Message(SPEAKERS[who], said.strip()) for who, said in zip(parts[::2], parts[1::2], strict=True))


def whole_chat(given: Any, at: str) -> Turns | None:
    """A chat with its beginning: a list of two messages or more, or a dialogue in one text; None if it is neither."""
    if isinstance(given, str):
        return dialogue(given)
    return messages(given, at) if is_list(given) and len(given) > 1 else None


def last_answer(turns: Turns, name: str, at: str) -> tuple[Turns, str]:
    """What comes before the last turn, and that turn, which is the assistant's.

    Raises:
        Unfit: it is another's, or there is nothing before it.
    """
    ends = f"{at}: '{name}' ends with a turn of the {turns[-1].role}; it must end with the assistant's answer"
    require_fit(turns[-1].role == "assistant", ends)
    require_fit(len(turns) > 1, f"{at}: '{name}' has nothing before the answer")
    return turns[:-1], turns[-1].content


def shared(chosen: Turns, rejected: Turns, at: str) -> tuple[Turns, str, str]:
    """The turns that two chats have in common, and the answer of each.

    Raises:
        Unfit: they differ before their last turns, or these are not the assistant's.
    """
    same = next((k for k, (one, other) in enumerate(zip(chosen, rejected, strict=False)) if one != other), None)
    length = len(chosen), len(rejected)
    if length[0] != length[1] or (same is not None and same < length[0] - 1):
        turn = min(length) if same is None else same + 1
        what = f"differ from turn {turn} on, and have {length[0]} and {length[1]} turns"
        raise Unfit(f"{at}: 'chosen' and 'rejected' {what}; they must differ in their last turn only")
    prompt, answer = last_answer(chosen, "chosen", at)
    return prompt, answer, last_answer(rejected, "rejected", at)[1]
