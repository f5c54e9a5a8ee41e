"""What is asked of a language model and what comes back, in the same words for a server, a local model and a recording.

A client is anything with one method, `complete(request) -> Reply`. There are three, and two things that go around any:

    lm.OpenAIClient("gpt-4o-mini")          an OpenAI-compatible server: hosted, vLLM, llama.cpp (openai_client.py)
    lm.LocalClient(lm.load("smollm2"))      a model in this process (local.py)
    lm.Recording("replies.jsonl")           replies from a file (recording.py)
    lm.cached(client)                       what was answered once is never asked again (replies.py)
    lm.complete_all(client, requests)       many requests, several at a time, failures kept apart (asking.py)

Example:
    >>> request = Request.ask("What is the capital of France?", system="One word.", limit=8)
    >>> request.messages[0].role, request.temperature
    ('system', 0.0)
    >>> request.key[:12]
    'e65ba33d4450'
"""

import dataclasses
import hashlib
import json
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lleval_jax.errors import require

ROLES = ("system", "developer", "user", "assistant")
MOST_SEED = 2**31 - 1  # what every server takes
MOST_ALTERNATIVES = 20  # tokens at a place that a server tells the log-probabilities of


@dataclasses.dataclass(frozen=True)
class Message:
    """One turn of a conversation.

    role    "system", "developer", "user" or "assistant"
    content its text
    images  addresses of pictures that follow the text, `https://...` or `data:image/png;base64,...`
    """

    role: str
    content: str
    images: Sequence[str] = ()

    def __post_init__(self) -> None:
        require(self.role in ROLES, f"a message's role is {self.role!r}; it is one of {', '.join(ROLES)}")
        _require_text(self.content, f"the content of a {self.role} message")
        _set(self, images=_texts(self.images, "images"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """All that shapes a reply, and nothing else: two requests with the same `key` ask for the same thing.

    Fields that are left at their defaults are no part of the key, so a later version can add one and keep every key.

    Args:
        messages: the conversation, for a model that chats; `Message`s, or mappings with their fields.
        prompt: the text to continue, as it is. Exactly one of `messages` and `prompt` is given.
        model: its name; "" is the client's own.
        limit: tokens to write at most.
        temperature: 0 takes the most probable token; None leaves it to the server, as some models insist.
        top_p: share of the probability to sample from.
        stop: texts that end the reply; they are not part of it.
        seed: of the sampling; None sends none.
        draw: number of the repeat. The same request with another draw is another sample.
        logprobs: None for none; 0 for the log-probability of each token written, k for k alternatives to each too.
        schema: JSON schema that the reply follows, as text; "" for free text.

    Raises:
        BadInput: a field cannot be what was meant; the message names it.

    Example:
        >>> again = [Request(prompt="Once upon a time", temperature=0.8, draw=draw) for draw in range(2)]
        >>> again[0].canonical()
        '{"prompt":"Once upon a time","temperature":0.8}'
        >>> again[0].key == again[1].key
        False
    """

    messages: Sequence[Message] = ()
    prompt: str | None = None
    model: str = ""
    limit: int = 256
    temperature: float | None = 0.0
    top_p: float = 1.0
    stop: Sequence[str] = ()
    seed: int | None = 0
    draw: int = 0
    logprobs: int | None = None
    schema: str = ""

    @classmethod
    def ask(cls, question: str, *, system: str = "", **rest: Any) -> "Request":
        """One question to a model that chats, after a system message if there is one; `rest` as in the class."""
        first = (Message("system", system),) if system else ()
        return cls(messages=(*first, Message("user", question)), **rest)

    def __post_init__(self) -> None:
        _set(self, messages=_messages(self.messages), stop=_texts(self.stop, "stop"))
        require(bool(self.messages) != (self.prompt is not None), "a request has either messages or a prompt")
        for name in ("prompt", "model", "schema"):
            _require_text(getattr(self, name) or "", name)
        _set(self, limit=_whole(self.limit, "limit", 1), draw=_whole(self.draw, "draw", 0))
        _set(self, seed=_whole(self.seed, "seed", 0, MOST_SEED, optional=True))
        _set(self, logprobs=_whole(self.logprobs, "logprobs", 0, MOST_ALTERNATIVES, optional=True))
        if self.temperature is not None:
            _set(self, temperature=_number(self.temperature, "temperature"))
        _set(self, top_p=_number(self.top_p, "top_p"))
        require(0 < self.top_p <= 1, f"top_p is {self.top_p:g}; it must lie in (0, 1]")
        _require_json(self.schema)

    def canonical(self) -> str:
        """The request as JSON, one text for one request: fields at their defaults left out, keys sorted, no spaces."""
        said = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        defaults = {each.name: each.default for each in dataclasses.fields(self)}
        said = {name: value for name, value in said.items() if value != defaults[name]}
        if self.messages:
            said["messages"] = [_said(message) for message in self.messages]
        return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    @property
    def key(self) -> str:
        """The SHA-256 of `canonical()`, in hexadecimal: the name under which a reply is stored."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    @property
    def draw_seed(self) -> int | None:
        """The seed of this draw: `seed` for the first, for later ones a number that no other seed is likely to give."""
        if self.seed is None or self.draw == 0:
            return self.seed
        return int.from_bytes(hashlib.sha256(f"{self.seed} {self.draw}".encode()).digest()[:4], "big") & MOST_SEED

    def of(self, model: str) -> "Request":
        """The same request, of this model where it names none."""
        return self if self.model or not model else dataclasses.replace(self, model=model)


@dataclasses.dataclass(frozen=True)
class TokenLogprob:
    """A token that was written.

    token        its text
    logprob      its log-probability, natural
    alternatives (token, log-probability) of the most probable ones at its place
    """

    token: str
    logprob: float
    alternatives: Sequence[tuple[str, float]] = ()

    def __post_init__(self) -> None:
        _set(self, alternatives=tuple((token, value) for token, value in self.alternatives))


@dataclasses.dataclass(frozen=True)
class Reply:
    """What a model wrote.

    text      as it wrote it, without the stop text
    ended     why it ended: "stop" (the model, or a stop text), "limit" (its tokens were used up: the text is cut),
              "filter" (the server withheld the rest), "refusal" (the server says that the model refused)
    model     as the server names it, which may be more exact than what was asked for
    asked     tokens of the request; None where the server does not say
    written   tokens of the reply; None likewise
    logprobs  of each token, where asked for
    cached    it was not asked now: it comes from a cache or a recording
    """

    text: str
    ended: str
    model: str
    asked: int | None = None
    written: int | None = None
    logprobs: Sequence[TokenLogprob] = ()
    cached: bool = False

    def __post_init__(self) -> None:
        found = (each if isinstance(each, TokenLogprob) else TokenLogprob(**each) for each in self.logprobs)
        _set(self, logprobs=tuple(found))


@dataclasses.dataclass(frozen=True)
class Failed:
    """A request that got no reply, and why, in one line. It has no text, so it cannot be taken for an empty reply."""

    request: Request
    reason: str


class Client(Protocol):
    """Anything that answers. Attributes that it may have, and what is assumed where it has not:

    model       name of the model that answers a request that names none; ""
    server      what answers, for the key of the cache: an address, or the hash of a model's weights; must then be told
    at_once     requests that `complete_all` hands it at a time; 1
    batch       requests that `complete_batch(requests) -> list[Reply | Failed]` answers together; 0: has none
    """

    def complete(self, request: Request) -> Reply:
        """The reply to one request.

        Raises:
            NoReply: this request got none; `NoServer`: none will get one.
            BadInput: the request cannot be answered by this client.
        """
        ...


def _set(value: Any, **fields: Any) -> None:
    for name, field in fields.items():
        object.__setattr__(value, name, field)


def _said(message: Message) -> dict[str, Any]:
    pictures = {"images": list(message.images)} if message.images else {}
    return {"role": message.role, "content": message.content} | pictures


def _messages(found: Sequence[Message | Mapping[str, Any]]) -> tuple[Message, ...]:
    text = "messages is a text; it must be a sequence of Message: Request.ask(text) makes one"
    require(not isinstance(found, str), text)
    return tuple(each if isinstance(each, Message) else _message(each) for each in found)


def _message(found: Mapping[str, Any]) -> Message:
    fields = {each.name for each in dataclasses.fields(Message)}
    good = isinstance(found, Mapping) and {"role", "content"} <= found.keys() <= fields
    require(good, f"a message is {found!r}; it has role, content and, if there are any, images")
    return Message(**found)


def _texts(found: Sequence[str], name: str) -> tuple[str, ...]:
    texts = (found,) if isinstance(found, str) else tuple(found)
    for text in texts:
        _require_text(text, name)
        require(text != "", f"{name} holds an empty text; leave it out")
    return texts


def _require_text(text: Any, name: str) -> None:
    require(isinstance(text, str), f"{name} is {text!r}; it must be a text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        place = f"character {error.start} ({text[error.start]!r})"
        require(False, f"{name} has a half of a character at {place}; read the text with its right encoding")


def _whole(found: Any, name: str, least: int, most: float = math.inf, *, optional: bool = False) -> int | None:
    if found is None and optional:
        return None
    try:
        value = operator.index(found)  # pyright: ignore[reportArgumentType]
    except TypeError:
        value = None
    bounds = f"at least {least}" if math.isinf(most) else f"from {least} to {most:.0f}"
    good = value is not None and not isinstance(found, bool) and least <= value <= most
    require(good, f"{name} is {found!r}; it must be a whole number, {bounds}")
    return value


def _number(found: Any, name: str) -> float:
    try:
        value = math.nan if isinstance(found, str) else float(found)
    except (TypeError, ValueError):
        value = math.nan
    require(0 <= value < math.inf, f"{name} is {found!r}; it must be a number, at least 0")
    return value


def _require_json(schema: str) -> None:
    try:
        good = not schema or isinstance(json.loads(schema), dict)
    except ValueError:
        good = False
    require(good, f"schema is {schema[:60]!r}; it must be a JSON schema, as text: json.dumps(schema)")
