"""Questions by a model: what is sent, as JSON schema, and a strict reading of what comes back.

Two requests an element: a description of the picture, then questions from picture and description. Caption and citing
paragraphs are given, with the instruction that the answer must need the picture. A model says what it saw (`evidence`)
and, where it computed, from which numbers (`operands`), so that the key is computed again here. What cannot be read
is a `Finding` with its reason, never a guess.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Literal

import msgspec

from lleval_jax.live import options
from lleval_jax.live.numbers import number
from lleval_jax.live.values import Element, Finding, Question, question
from lleval_jax.lm.client import Message, Reply, Request

IMAGE = "sha256:"  # before the hash of a picture in the store, where a request will carry the picture itself
LETTERS = "ABCD"
HEADS = "Cells:\n"  # before the cells of a table, the last part of a request about one
KINDS = ("look-up", "comparison", "trend", "arithmetic", "count", "reasoning")
OPERATIONS = ("none", "sum", "difference", "mean", "ratio", "count")
COMPUTED = ("arithmetic", "count")  # kinds whose key may stand nowhere in the picture
MENTIONS = 3
SYSTEM = "You read figures and tables of scientific papers with care, and state only what they show."


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    kind: Literal[KINDS]  # type: ignore[valid-type]
    question: str
    answer: str
    distractors: list[str]
    evidence: str
    operation: Literal[OPERATIONS] = "none"  # type: ignore[valid-type]
    operands: list[str] = []


class _Many(msgspec.Struct, forbid_unknown_fields=True):
    questions: list[_Asked]


class _Described(msgspec.Struct, forbid_unknown_fields=True):
    description: str


class _Picked(msgspec.Struct, forbid_unknown_fields=True):
    answer: Literal["A", "B", "C", "D"]


def describe(element: Element, *, limit: int = 800, seed: int = 0) -> Request:
    """The request for a description of what an element shows."""
    text = f"Describe everything that this {element.kind} shows: axes, series, labels, numbers, relations.\n\n"
    return _request(text + _around(element), (element.image,), _schema(_Described), limit, seed)


def ask(element: Element, description: str, *, count: int = 5, limit: int = 2000, seed: int = 0) -> Request:
    """The request for questions about an element."""
    panel = " It has several panels: each question names its panel." if element.compound else ""
    text = (
        f"Write {count} questions, each with one right answer and three wrong ones that are near misses.{panel} "
        f"The answer must need the {element.kind} itself: it cannot be had from the caption, from the text below or "
        "from general knowledge. Do not mention the caption or the text. Options are alike in length and form. "
        "In `evidence` say what in the picture shows the answer. Where the answer is computed, give `operation` and "
        f"the `operands` as they are printed.\n\nWhat it shows: {description}\n\n"
    )
    return _request(text + _around(element), (element.image,), _schema(_Many), limit, seed)


def pick(
    text: str, shown: Sequence[str], *, image: str = "", context: str = "", limit: int = 64, seed: int = 0
) -> Request:
    """The request to answer a question, its options in the order given. Without image it is the blind one."""
    lines = [f"{letter}. {each}" for letter, each in zip(LETTERS, shown, strict=True)]
    content = "\n".join([*([context, ""] if context else []), text, *lines, "", "Answer with the letter."])
    return _request(content, (image,) if image else (), _schema(_Picked), limit, seed)


def described(reply: Reply) -> str | None:
    """The description in a reply; None where it cannot be read."""
    found = None if why_not(reply) else _decoded(reply.text, _Described)
    return found.description.strip() or None if isinstance(found, _Described) else None


def picked(reply: Reply) -> int | None:
    """The option that a reply picks, by its place; None where it is not the JSON that was asked for."""
    found = None if why_not(reply) else _decoded(reply.text, _Picked)
    return LETTERS.index(found.answer) if isinstance(found, _Picked) else None


def read(reply: Reply, element: Element, *, made_by: str) -> tuple[list[Question], list[Finding]]:
    """(questions, what failed) of a reply. What is wrong with one question does not touch the others."""
    why = why_not(reply)
    found = _decoded(reply.text, _Many) if not why else None
    if not isinstance(found, _Many):
        return [], [failure(element, why or f"the reply is not as asked: {found}")]
    good, bad = dict[str, Question](), list[Finding]()
    for each in found.questions:
        wrong = _wrong(each)
        if wrong:
            bad.append(failure(element, f"{each.question[:80]!r}: {wrong}"))
            continue
        shown = [each.answer.strip(), *(option.strip() for option in each.distractors)]
        evidence = each.evidence + (f" [{'; '.join(each.operands)}]" if each.operands else "")
        words = {"kind": each.kind, "text": each.question.strip(), "made_by": made_by, "evidence": evidence}
        made = question(element=element.name, options=shown, answer=shown[0], **words)
        if made.id in good:
            bad.append(failure(element, f"{each.question[:80]!r}: it is asked twice"))
        good.setdefault(made.id, made)
    return list(good.values()), bad


def failure(element: Element, reason: str) -> Finding:
    """What gave no question, and why."""
    return Finding(paper=element.name, step="ask", reason=reason)


def why_not(reply: Reply) -> str:
    """Why a reply is not read at all; "" where it ended by itself."""
    reasons = {"limit": "truncated: its tokens were used up", "refusal": "refused", "filter": "withheld by the server"}
    return "" if reply.ended == "stop" else reasons.get(reply.ended, f"ended by {reply.ended!r}")


def data_url(content: bytes) -> str:
    """A picture as an address that a server takes."""
    kind = "jpeg" if content.startswith(b"\xff\xd8") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def bytes_of(address: str) -> bytes:
    """The picture in such an address."""
    return base64.b64decode(address.partition(",")[2])


def computed_again(operation: str, operands: Sequence[str], answer: str) -> str:
    """What is wrong with a computed key; "" where it follows from its operands, or nothing can be computed.

    Example:
        >>> computed_again("difference", ["75.9", "69.0"], "6.8")
        'the difference of 75.9 and 69.0 is 6.9, the key says 6.8'
    """
    key, values = number(answer), [number(each) for each in operands]
    if operation in ("none", "count") or key is None or not values or any(each is None for each in values):
        return ""
    try:
        exact = _OPERATIONS[operation]([each.value for each in values if each is not None])
    except (InvalidOperation, ZeroDivisionError, ValueError):
        return f"the {operation} of {' and '.join(operands)} cannot be computed"
    said = exact.quantize(Decimal(1).scaleb(-key.places))
    near = abs(exact - key.value) <= Decimal(1).scaleb(-key.places) * Decimal("0.5")
    return "" if near else f"the {operation} of {' and '.join(operands)} is {said}, the key says {answer}"


def _two(values: Sequence[Decimal]) -> tuple[Decimal, Decimal]:
    one, other = values
    return one, other


_OPERATIONS = {
    "sum": lambda values: sum(values, Decimal(0)),
    "difference": lambda values: _two(values)[0] - _two(values)[1],
    "mean": lambda values: sum(values, Decimal(0)) / len(values),
    "ratio": lambda values: _two(values)[0] / _two(values)[1],
}


def _wrong(asked: _Asked) -> str:
    """What is wrong with a question as it was written; the filters look at what it says."""
    if len(asked.distractors) != options.COUNT - 1:
        return f"it has {len(asked.distractors)} wrong answers; three were asked for"
    if not asked.question.strip() or not asked.answer.strip():
        return "its text or its answer is empty"
    return computed_again(asked.operation, asked.operands, asked.answer)


def _around(element: Element) -> str:
    """Caption and citing paragraphs, and a table's cells as they were read."""
    parts = [f"Caption: {element.caption}"] if element.caption else []
    parts += [f"From the paper: {each}" for each in element.mentions[:MENTIONS]]
    parts += [HEADS + markdown(element.cells)] if element.cells else []
    return "\n\n".join(parts)


def markdown(cells: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    return "\n".join([*lines[:1], "|" + " --- |" * len(cells[0]), *lines[1:]]) if lines else ""


def _request(text: str, images: Sequence[str], schema: str, limit: int, seed: int) -> Request:
    pictures = tuple(f"{IMAGE}{each}" for each in images if each)
    messages = (Message("system", SYSTEM), Message("user", text, pictures))
    return Request(messages=messages, schema=schema, limit=limit, seed=seed)


def _schema(kind: type[msgspec.Struct]) -> str:
    """As servers with strict schemas take it: all fields required, none besides."""
    _, defs = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    root = defs.pop(kind.__name__)
    return json.dumps(_strict(root | {"$defs": defs} if defs else root))


def _strict(part: object) -> object:
    if isinstance(part, Mapping):
        found = {name: _strict(each) for name, each in part.items() if name not in ("default", "title")}
        return found | {"required": list(part["properties"])} if "properties" in part else found
    return [_strict(each) for each in part] if isinstance(part, list) else part


def _decoded(text: str, kind: type[msgspec.Struct]) -> msgspec.Struct | str:
    """The value, or what is wrong with the text."""
    try:
        return msgspec.json.decode(text.encode(), type=kind)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        return str(error)
