"""Requests asked once each: what came of them, which replies are answers, and what all of it cost."""

import collections
from collections.abc import Iterable, Sequence

from lleval_jax.lm.asking import complete_all
from lleval_jax.lm.client import Client, Failed, Reply, Request
from lleval_jax.values.pool import Spent
from lleval_jax.values.progress import Tell, silent
from lleval_jax.words import brief

ENDED = {"limit": "cut", "refusal": "refused", "filter": "filtered"}  # why an answer is no answer
Found = dict[Request, Reply | Failed]


def ask_once(client: Client, requests: Sequence[Request], *, at_once: int | None = None, tell: Tell = silent) -> Found:
    """The reply to each request, equal ones asked once; by the request as it was given.

    Args:
        client: any; with `lm.cached(client)` nothing is asked again after a stop or a kill.
        requests: of any number.
        at_once: requests under way at a time; None: as many as the client says.
        tell: is told how far the work is.

    Raises:
        NoServer: no further request would get a reply.
    """
    once = list(dict.fromkeys(requests))
    named = [request.of(model_of(client)) for request in once]
    return dict(zip(once, complete_all(client, named, at_once=at_once, tell=tell), strict=True))


def model_of(client: Client, replies: Iterable[Reply] = ()) -> str:
    """Who answered: as most replies say, else as the client says."""
    names = collections.Counter(reply.model for reply in replies).most_common(1)
    return names[0][0] if names else getattr(client, "model", "")


def judged(found: Reply | Failed) -> tuple[str, str]:
    """(reason, detail) of what is no answer; ("", text) of an answer."""
    if isinstance(found, Failed):
        return "no reply", brief(found.reason)
    if found.ended in ENDED:
        return ENDED[found.ended], ""
    text = found.text.strip()
    return ("", text) if text else ("empty", "")


def replies(found: Found) -> list[Reply]:
    """Those that came."""
    return [reply for reply in found.values() if isinstance(reply, Reply)]


def spent(found: Found) -> Spent:
    """What they cost."""
    came = replies(found)
    return Spent(
        requests=len(came),
        cached=sum(reply.cached for reply in came),
        asked=sum(reply.asked or 0 for reply in came),
        written=sum(reply.written or 0 for reply in came),
        unknown=sum(reply.asked is None or reply.written is None for reply in came),
    )
