"""Weak answers refined by a strong model: by demonstrations, by a rule inferred from them, or by improving each.

Somerstep et al. 2024, arXiv:2405.16236, algorithms 1 to 3, on any client:

    strong = lm.cached(lm.OpenAIClient("qwen3-8b"))          # stopped or killed, it goes on where it was
    found = refine(strong, pool, Demonstrate(4))
    student = training.fit(model, found.learned(), loss=training.SFT())

With `lm.cached` a reply is kept under the hash of its request the moment it comes; a kill loses those under way alone.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from numpy.typing import NDArray

from lleval_jax.lm import once
from lleval_jax.lm.client import Client, Failed, Request
from lleval_jax.lm.once import Found
from lleval_jax.training.refine.demonstrate import Demonstrate
from lleval_jax.training.refine.prompts import Decoding
from lleval_jax.values.pool import Dropped, Pool, Refined, Row
from lleval_jax.values.progress import Tell, silent


def refine(
    client: Client,
    pool: Pool,
    how: Demonstrate = Demonstrate(),  # noqa: B008  (frozen)
    *,
    decoding: Decoding = Decoding(),  # noqa: B008
    vectors: NDArray | None = None,
    at_once: int | None = None,
    tell: Tell = silent,
) -> Refined:
    """The strong model's own answers, after a few weak ones to other questions (algorithm 1).

    Args:
        client: the strong model.
        pool: questions and weak answers.
        how: which are shown; none with `many=0`, which gives the strong model's answers as they are.
        decoding: how it writes.
        vectors: (rows, width) of the questions, where `how.near` asks for them.
        at_once: requests under way at a time; None: as many as the client says. The result does not depend on it.
        tell: is told how far the work is.

    Raises:
        BadInput: as `Demonstrate.choose`.
        NoServer: no further request would get a reply.
    """
    shown = how.choose(pool, vectors)
    requests = [decoding.by_examples(q, _pairs(pool, rows)) for q, rows in zip(pool.questions, shown, strict=True)]
    found = once.ask_once(client, requests, at_once=at_once, tell=tell)
    return _refined("refine", client, pool, [_Asked(*each) for each in zip(requests, shown, strict=True)], found)


def infer_and_respond(
    client: Client,
    pool: Pool,
    how: Demonstrate = Demonstrate(way="block"),  # noqa: B008
    *,
    decoding: Decoding = Decoding(),  # noqa: B008
    vectors: NDArray | None = None,
    at_once: int | None = None,
    tell: Tell = silent,
) -> Refined:
    """The strong model's answers by a rule that it inferred from weak answers to other questions (algorithm 2).

    Questions that are shown the same are answered by one rule: one a block, or one in all.

    Args:
        client: the strong model.
        pool: questions and weak answers.
        how: from which the rule is inferred.
        decoding: how it writes; a rule has the same limit as an answer.
        vectors: as in `refine`.
        at_once: as in `refine`.
        tell: is told how far the work is.

    Raises:
        BadInput: as `Demonstrate.choose`, or nothing is to be shown.
        NoServer: no further request would get a reply.
    """
    shown = how.choose(pool, vectors)
    rules = [decoding.rule(_pairs(pool, rows)) for rows in shown]
    inferred = once.ask_once(client, rules, at_once=at_once, tell=tell)
    asked = []
    for question, rows, rule in zip(pool.questions, shown, rules, strict=True):
        reason, text = once.judged(inferred[rule])
        request = None if reason else decoding.by_rule(question, text)
        asked.append(_Asked(request, rows, text if request else "", reason and f"{reason} {text}".strip()))
    wanted = [each.request for each in asked if each.request is not None]
    answers = once.ask_once(client, wanted, at_once=at_once, tell=tell)
    return _refined("infer", client, pool, asked, inferred | answers)


def ask_to_improve(
    client: Client,
    pool: Pool,
    *,
    decoding: Decoding = Decoding(),  # noqa: B008
    at_once: int | None = None,
    tell: Tell = silent,
) -> Refined:
    """Each weak answer improved by the strong model, which sees it (algorithm 3).

    Args:
        client: the strong model.
        pool: questions and weak answers.
        decoding: how it writes.
        at_once: as in `refine`.
        tell: is told how far the work is.

    Raises:
        NoServer: no further request would get a reply.
    """
    requests = [decoding.better(*pair) for pair in zip(pool.questions, pool.weak, strict=True)]
    found = once.ask_once(client, requests, at_once=at_once, tell=tell)
    return _refined("improve", client, pool, list(map(_Asked, requests)), found)


class _Asked(NamedTuple):
    """What is asked for a row: `request` is None where there is no guideline, and `why` says why."""

    request: Request | None
    shown: tuple[int, ...] = ()
    guideline: str = ""
    why: str = ""


def _pairs(pool: Pool, rows: Iterable[int]) -> list[tuple[str, str]]:
    return [(pool.questions[row], pool.weak[row]) for row in rows]


def _refined(how: str, client: Client, pool: Pool, asked: Sequence[_Asked], found: Found) -> Refined:
    """Answers and drops, in the order of the pool."""
    rows, dropped = [], []
    for name, question, each in zip(pool.ids, pool.questions, asked, strict=True):
        if each.request is None:
            dropped.append(Dropped(name, "no guideline", each.why))
            continue
        reply = found[each.request]
        reason, text = once.judged(reply)
        if reason or isinstance(reply, Failed):
            dropped.append(Dropped(name, reason, text))
            continue
        shown, request = tuple(pool.ids[row] for row in each.shown), each.request.of(once.model_of(client))
        counts = reply.asked, reply.written
        rows.append(Row(name, question, text, shown, each.guideline, reply.ended, *counts, request.key))
    model = once.model_of(client, once.replies(found))
    return Refined(how, model, tuple(rows), tuple(dropped), once.spent(found), pool.source)
