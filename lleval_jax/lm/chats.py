"""Chats in a model's own form: its Jinja template, run in a sandbox, over messages of plain text."""

import datetime
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import ext, nodes, parser, sandbox

from lleval_jax.errors import BadInput, require

Message = Mapping[str, Any]  # {"role": "user", "content": "..."}
OPEN, CLOSE = "\ufdd0", "\ufdd1"  # no characters of any text (Unicode's "noncharacters"): they mark quoted tokens


class _Generation(ext.Extension):
    """`{% generation %}`, with which templates mark the assistant's part for training: its text as it is."""

    tags = {"generation"}

    def parse(self, parser: parser.Parser) -> nodes.Node | list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _today(form: str) -> str:
    return datetime.datetime.now().strftime(form)


@lru_cache(maxsize=16)
def _compiled(template: str) -> jinja2.Template:
    extensions = [_Generation, ext.loopcontrols]
    place = sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
    place.filters["tojson"] = _json  # Jinja's own escapes HTML
    place.globals |= {"raise_exception": _refuse, "strftime_now": _today}
    return place.from_string(template)


def render(template: str, messages: Sequence[Message], values: Mapping[str, Any], where: str) -> str:
    """The text of a chat.

    Args:
        template: the Jinja text that comes with the model.
        messages: in order.
        values: what else the template may read: `bos_token`, `add_generation_prompt`, `tools`, ...
        where: whose template it is, for messages.

    Raises:
        BadInput: the template is wrong, or refuses these messages.
    """
    try:
        return _compiled(template).render(messages=[dict(each) for each in messages], **values)
    except (jinja2.TemplateError, TypeError, ValueError, LookupError, OverflowError) as error:
        raise BadInput(f"the chat template of {where} cannot write these messages: {error}") from error


def checked(messages: str | Sequence[Message]) -> list[Message]:
    """Messages as templates read them; a text alone is the user's. `BadInput` names the message that is wrong."""
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    require(len(messages) > 0, "a chat needs a message; there is none")
    for i, each in enumerate(messages):
        _check(i, each)
    return list(messages)


def _check(i: int, message: Any) -> None:
    form = '{"role": "user", "content": "..."}'
    require(isinstance(message, Mapping), f"message {i} is a {type(message).__name__}; it must be {form}")
    wrong = [key for key in ("role", "content") if not isinstance(message.get(key), str)]
    require(not wrong, f"message {i} has no text as its {' and '.join(wrong)}; it must be {form}")


def quoted(messages: Iterable[Message], controls: re.Pattern[str]) -> list[Message]:
    """The messages with the control tokens that users wrote marked, so that `parts` finds them in the chat."""
    return [dict(each) | {"content": _quote(each["content"], controls)} for each in messages]


def _quote(text: str, controls: re.Pattern[str]) -> str:
    bare = text.replace(OPEN, "").replace(CLOSE, "")
    return controls.sub(lambda found: f"{OPEN}{found.group()}{CLOSE}", bare)


def parts(chat: str) -> list[tuple[str, bool]]:
    """A chat in pieces: text, and whether its control tokens are the template's own."""
    pieces = re.split(f"{OPEN}([^{CLOSE}]*){CLOSE}", chat)
    bare = [re.sub(f"[{OPEN}{CLOSE}]", "", piece) for piece in pieces]
    return [(piece, i % 2 == 0) for i, piece in enumerate(bare) if piece]
