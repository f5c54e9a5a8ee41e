"""A request as OpenAI-compatible servers want it, and their answers as replies."""

from typing import Any

import msgspec

from lleval_jax.lm import openai_faults
from lleval_jax.lm.client import Message, Reply, Request, TokenLogprob
from lleval_jax.lm.openai_faults import Fault

LETTERS = 3  # of a token, at least about: what a request costs is guessed a little high
ENDED = {"stop": "stop", "length": "limit", "content_filter": "filter", None: "stop"}


class _Alternative(msgspec.Struct):
    token: str
    logprob: float


class _Token(msgspec.Struct):
    token: str
    logprob: float
    top_logprobs: list[_Alternative] | None = None


class _Logprobs(msgspec.Struct):
    """Of a chat: `content`; of a continued prompt: three lists."""

    content: list[_Token] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []
    model: str | None = None
    usage: _Usage | None = None
    error: Any = None


class _Named(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Named] = []


def sent(request: Request, limit_as: str) -> tuple[str, dict[str, Any]]:
    """(path, body) of a request; what is left at the server's own default is not sent."""
    body: dict[str, Any] = {"model": request.model, "seed": request.draw_seed, "temperature": request.temperature}
    body |= {"stop": list(request.stop) or None, "top_p": request.top_p if request.top_p < 1 else None}
    body |= {"response_format": _format(request.schema) if request.schema else None}
    if request.prompt is not None:
        path, more = "/completions", {"prompt": request.prompt, "max_tokens": request.limit}
        more["logprobs"] = request.logprobs
    else:
        path, more = "/chat/completions", {"messages": [_turn(each) for each in request.messages]}
        more |= {limit_as: request.limit, "logprobs": None if request.logprobs is None else True}
        more["top_logprobs"] = request.logprobs or None
    return path, {name: value for name, value in (body | more).items() if value is not None}


def guess(request: Request) -> float:
    """Tokens that a request and its reply take at most, about."""
    texts = [request.prompt or "", *(each.content for each in request.messages)]
    return sum(map(len, texts)) / LETTERS + request.limit


def read(content: bytes, request: Request, server: str) -> Reply | Fault:
    """The reply in a server's answer, or what is wrong with it."""
    try:
        answer = msgspec.json.decode(content, type=_Answer)
    except msgspec.ValidationError as error:
        return openai_faults.of_answer(server, f"JSON that is no reply ({error})", content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return openai_faults.of_answer(server, "what is not JSON", content)
    if not answer.choices:
        said = openai_faults.said_in({"error": answer.error}) or "it has no choice"
        return openai_faults.of_answer(server, f"without a reply ({said})", b"")
    choice = answer.choices[0]
    if (choice.message if request.prompt is None else choice.text) is None:
        return openai_faults.of_answer(server, "a choice without a text", content)
    return _reply(answer, choice, request, server)


def models(content: bytes) -> list[str]:
    """The names in a server's list of models; none where it is no such list."""
    try:
        return sorted(each.id for each in msgspec.json.decode(content, type=_Models).data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


def _reply(answer: _Answer, choice: _Choice, request: Request, server: str) -> Reply | Fault:
    message = choice.message or _Message()
    found = _logprobs(choice.logprobs) if request.logprobs is not None else ()
    if found is None:
        text, hint = f"{server} gave no log-probabilities", "It may have none to give: ask without logprobs."
        return Fault(text, hint)
    ended = "refusal" if message.refusal else ENDED.get(choice.finish_reason, str(choice.finish_reason))
    text = message.refusal or message.content or choice.text or ""
    usage, name = answer.usage or _Usage(), answer.model or request.model
    return Reply(text, ended, name, usage.prompt_tokens, usage.completion_tokens, found)


def _logprobs(found: _Logprobs | None) -> tuple[TokenLogprob, ...] | None:
    """Of each token; None where there are none."""
    if found is None:
        return None
    if found.content is not None:
        return tuple(_token(each) for each in found.content)
    if found.tokens is None or found.token_logprobs is None:
        return None
    best = found.top_logprobs or [None] * len(found.tokens)
    rows = zip(found.tokens, found.token_logprobs, best, strict=False)
    rows = ((token, value, tuple((top or {}).items())) for token, value, top in rows if value is not None)
    return tuple(TokenLogprob(*row) for row in rows)


def _token(found: _Token) -> TokenLogprob:
    best = ((each.token, each.logprob) for each in found.top_logprobs or ())
    return TokenLogprob(found.token, found.logprob, tuple(best))


def _turn(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.content}
    pictures = [{"type": "image_url", "image_url": {"url": address}} for address in message.images]
    return {"role": message.role, "content": [{"type": "text", "text": message.content}, *pictures]}


def _format(schema: str) -> dict[str, Any]:
    named = {"name": "reply", "strict": True, "schema": msgspec.json.decode(schema)}
    return {"type": "json_schema", "json_schema": named}
