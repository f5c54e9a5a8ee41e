"""What OpenAI's protocol says and what we make of it: requests checked field by field, replies as it has them."""

import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from lleval_jax.errors import BadInput, require
from lleval_jax.lm.generate import Written
from lleval_jax.lm.sampling import Sampling
from lleval_jax.training.serve.asking import Request

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel

ENDS = {"eos": "stop", "stop": "stop", "limit": "length"}  # ours -> theirs
DEFAULT = 64  # tokens, where a request does not say


class Part(msgspec.Struct):
    """A part of a turn; only text is read here."""

    type: Literal["text"]
    text: str


class Message(msgspec.Struct):
    """A turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str | list[Part]

    @property
    def turn(self) -> dict[str, str]:
        """As tokenizers want it."""
        parts = self.content
        text = parts if isinstance(parts, str) else "".join(each.text for each in parts)
        return {"role": self.role, "content": text}


class Asked(msgspec.Struct):
    """The fields of a request that are known; those that would change what is written and are not known are refused."""

    model: str
    messages: list[Message] | None = None
    prompt: str | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    stop: str | list[str] | None = None
    stream: bool = False
    n: int = 1
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: dict[str, float] | None = None
    logprobs: bool | int | None = None
    tools: list[Any] | None = None
    response_format: Any = None

    def request(self, model: "LanguageModel", base: str, most: int) -> Request:
        """What the engine is asked.

        Args:
            model: whose tokens count.
            base: the name under which the model without an adapter is asked for.
            most: tokens that a request may ask for.

        Raises:
            BadInput: a field is out of range, or asks for what is not done here; it is named.
        """
        for name, plain in (("n", 1), ("frequency_penalty", 0.0), ("presence_penalty", 0.0)):
            value = getattr(self, name)
            require(value == plain, f"{name} is {value}; only {plain} is done here")
        for name in ("logit_bias", "logprobs", "tools", "response_format"):
            require(not getattr(self, name), f"{name} is not done here")
        limit = self.max_completion_tokens or self.max_tokens or DEFAULT
        require(1 <= limit <= most, f"max_tokens is {limit}; it is from 1 to {most}")
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        require(len(stop) <= 4 and all(stop), "stop is at most 4 texts, none empty")
        if self.messages is not None:
            tokens = model.tokens.chat_tokens([each.turn for each in self.messages])
        else:
            tokens = model.tokens.prompt(self.prompt or "")
        how = Sampling(temperature=self.temperature, top_p=self.top_p)
        return Request(tuple(tokens), None if self.model == base else self.model, how, limit, stop, self.seed)


def asked(body: bytes, chat: bool) -> Asked:
    """The request in a body.

    Raises:
        BadInput: it is not JSON, lacks a field or has one of another kind.
    """
    try:
        found = msgspec.json.decode(body, type=Asked)
    except msgspec.MsgspecError as error:
        raise BadInput(f"the request cannot be read: {error}") from error
    given, word = (found.messages, "messages") if chat else (found.prompt, "prompt")
    require(given is not None, f"the request has no {word}")
    return found


class Reply:
    """The replies to one request, whole or in pieces."""

    def __init__(self, found: Asked, chat: bool, prompt: int) -> None:
        self.chat, self.prompt = chat, prompt
        kind = "chat.completion" if chat else "text_completion"
        name = f"{'chatcmpl' if chat else 'cmpl'}-{uuid.uuid4().hex}"
        self._head = {"id": name, "created": int(time.time()), "model": found.model}
        self._kind, self._chunk = kind, "chat.completion.chunk" if chat else kind

    def whole(self, written: Written) -> dict[str, Any]:
        """All at once, with what it took."""
        content = {"message": {"role": "assistant", "content": written.text}} if self.chat else {"text": written.text}
        count = len(written.tokens)
        usage = {"prompt_tokens": self.prompt, "completion_tokens": count, "total_tokens": self.prompt + count}
        choice = {"index": 0, **content, "finish_reason": ENDS[written.ended], "logprobs": None}
        return {**self._head, "object": self._kind, "choices": [choice], "usage": usage}

    def piece(self, text: str) -> bytes:
        """More of the text."""
        return self._event({"delta": {"content": text}} if self.chat else {"text": text}, None)

    def last(self, written: Written) -> bytes:
        """The end."""
        return self._event({"delta": {}} if self.chat else {"text": ""}, ENDS[written.ended]) + b"data: [DONE]\n\n"

    def _event(self, content: dict[str, Any], ended: str | None) -> bytes:
        choice = {"index": 0, **content, "finish_reason": ended}
        return b"data: " + msgspec.json.encode({**self._head, "object": self._chunk, "choices": [choice]}) + b"\n\n"


def problem(message: str, kind: str) -> dict[str, Any]:
    """An error as the protocol has it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def models(names: Callable[[], tuple[str, ...]], base: str) -> dict[str, Any]:
    """The list of models: the base and all adapters."""
    rows = [{"id": name, "object": "model", "created": 0, "owned_by": "lleval"} for name in (base, *names())]
    return {"object": "list", "data": rows}
