"""What can go wrong between us and a server, each in one line that says what happened and what to do."""

import dataclasses
from typing import Any

from lleval_jax.errors import nearest
from lleval_jax.lm.client import Request
from lleval_jax.words import brief

BUSY = 429
PASSING = (408, 409, 425, BUSY)  # states that another try may find changed, as from 500 on


@dataclasses.dataclass(frozen=True)
class Fault:
    """Why a try gave no reply.

    what        happened, with the server's address
    hint        what to do about it
    python      what to do in the words of Python, where that is another thing
    again       another try may do better
    everywhere  if the tries are used up, other requests will fare no better
    unknown     the server does not know the path or the model
    after       seconds that it asks to wait
    """

    what: str
    hint: str = ""
    python: str = ""
    again: bool = False
    everywhere: bool = False
    unknown: bool = False
    after: float | None = None


def of_connection(server: str, error: Exception, timeout: float) -> Fault:
    """No connection, or one that broke, or no answer in time; `error` is the package's, its cause the transport's."""
    cause = error.__cause__
    kind = type(cause).__name__
    if kind in ("ConnectError", "ConnectTimeout"):
        text = f"{server} cannot be reached ({brief(cause or 'no connection')})"
        hint = "Start the server, or put its address into OPENAI_BASE_URL."
        return Fault(text, hint, again=True, everywhere=True)
    if "Timeout" in kind:
        python = "Pass a larger timeout=, or a smaller limit= in the request."
        return Fault(f"{server} gave no answer within {timeout:g} seconds", "", python, again=True)
    hint = "Look at the server's log: it may have failed on this request."
    return Fault(f"{server} broke off its answer ({brief(cause or kind)})", hint, again=True)


def of_status(server: str, status: int, body: Any, after: float | None) -> Fault:
    """An answer that says it is none: an HTTP status from 300 on, and what came with it."""
    said = f"({status}: {said_in(body)})" if said_in(body) else f"({status})"
    if status in (401, 403):
        return Fault(f"{server} refuses the key {said}", "Set OPENAI_API_KEY to one that it takes.", everywhere=True)
    if status == 402 or (isinstance(body, dict) and body.get("code") == "insufficient_quota"):
        return Fault(f"{server} says that the account has no credit left {said}", "Add credit.", everywhere=True)
    if status == 404:
        return Fault(f"{server} has not what was asked for {said}", everywhere=True, unknown=True)
    if status == BUSY:
        hint = "Run it again later, or ask more slowly."
        python = "Pass requests_per_minute=, tokens_per_minute= or a smaller at_once=."
        return Fault(f"{server} takes no more requests {said}", hint, python, again=True, everywhere=True, after=after)
    if status in PASSING or status >= 500:
        return Fault(f"{server} failed {said}", "Look at the server's log.", again=True, after=after)
    if status < 400:
        return Fault(f"{server} points elsewhere {said}", "Put the new address into OPENAI_BASE_URL.", everywhere=True)
    return Fault(f"{server} refuses the request {said}", "Change the request.")


def of_unknown(server: str, request: Request, fault: Fault, models: list[str]) -> Fault:
    """A 404 explained by the models that the server names; none: it named none."""
    if not models:
        hint = f"Does it have the model {request.model!r}? Does OPENAI_BASE_URL end where its version does, as in /v1?"
        return dataclasses.replace(fault, hint=hint)
    if request.model in models:
        hint = "It has the model, but no such way to ask it; " + (
            "ask by messages, not by a prompt." if request.prompt is not None else "ask by a prompt, not by messages."
        )
        return dataclasses.replace(fault, hint=hint)
    more = f" and {len(models) - 10} more" if len(models) > 10 else ""
    known = f"it has {', '.join(models[:10])}{more}{nearest(request.model, models)}"
    return dataclasses.replace(fault, what=f"{server} knows no model {request.model!r}; {brief(known)}")


def of_answer(server: str, what: str, content: bytes) -> Fault:
    """An answer that should have been a reply and cannot be read as one."""
    start = brief(content[:800].decode(errors="replace"), 80)
    hint = "Is OPENAI_BASE_URL its address up to the version, as in /v1? Look at the server's log."
    return Fault(f"{server} answered {what}: {start!r}" if start else f"{server} answered {what}", hint, again=True)


def said_in(body: Any) -> str:
    """What a server says in an error, as one line; servers differ in where they put it."""
    while isinstance(body, dict):
        body = next((body[name] for name in ("message", "error", "detail", "msg") if body.get(name)), "")
    return brief(body) if body else ""
