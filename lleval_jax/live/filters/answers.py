"""What models picked, the options shown in cyclic orders: a liking for a position cannot look like knowledge."""

import dataclasses
from collections.abc import Iterable, Sequence

from lleval_jax.live import ask, options
from lleval_jax.live.values import Element, Question
from lleval_jax.lm.client import Reply, Request

BLIND = (0, 1, 2)  # rotations that a blind model sees: the key stands in three different places
JUDGE = (1, 3)  # and a judge: none is the order in which the question is shown
CAPTION = "caption"  # the role of a blind model that is given the caption too


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model picked of a question's options, shown in one order.

    `role` is "blind", "caption" or "judge". `pick` is the place in `Question.options`, None where the reply cannot be
    read or there is none: then `reason` says why. `request` is the key of the request.
    """

    question: str
    role: str
    model: str
    order: int
    pick: int | None
    reason: str = ""
    request: str = ""


def turned(choices: Sequence[str], order: int) -> tuple[str, ...]:
    """Options in a cyclic order.

    Example:
        >>> turned("abcd", 1)
        ('b', 'c', 'd', 'a')
    """
    return tuple(choices[(place + order) % len(choices)] for place in range(len(choices)))


def request(question: Question, element: Element, role: str, order: int, *, seed: int = 0) -> Request:
    """The request of one role in one order. The key is in none of them."""
    shown = turned(question.options, order)
    if role == "judge":
        context = "" if element.image else ask.HEADS + ask.markdown(element.cells)
        return ask.pick(question.text, shown, image=element.image, context=context, seed=seed)
    context = f"Caption of a {element.kind}: {element.caption}" if role == CAPTION else ""
    return ask.pick(question.text, shown, context=context, seed=seed)


def answer(
    question: Question, role: str, model: str, order: int, reply: Reply | None, *, why: str = "", key: str = ""
) -> Answer:
    """What a reply says; `why` there is none, where there is none. `key` is that of the request."""
    place = None if reply is None else ask.picked(reply)
    if reply is not None and place is None:
        why = ask.why_not(reply) or "the reply is not the JSON that was asked for"
    pick = None if place is None else (place + order) % options.COUNT
    words = {"question": question.id, "role": role, "model": model, "order": order}
    return Answer(**words, pick=pick, reason=why, request=key)


def of_role(answers: Iterable[Answer], role: str) -> dict[str, list[Answer]]:
    """Question id -> what was picked in one role."""
    found: dict[str, list[Answer]] = {}
    for each in answers:
        if each.role == role:
            found.setdefault(each.question, []).append(each)
    return found
