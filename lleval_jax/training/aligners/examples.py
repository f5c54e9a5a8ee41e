"""Examples for an aligner, made by any client in three steps: topics, questions, corrections.

    maker = lm.cached(lm.OpenAIClient("qwen3-8b"))           # stopped or killed, it goes on where it was
    polite = read_criterion("polite")
    listed = topics(maker, Making(topics=200))
    asked = questions(maker, polite, listed.texts)
    found = corrections(maker, polite, asked.texts, answers(other, asked.texts).texts)

Each step is a table of requests whose replies are kept under their hashes; what is left out is counted by its reason.
"""

import dataclasses
import hashlib
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lleval_jax.errors import require
from lleval_jax.lm import once
from lleval_jax.lm.client import Client, Failed, Request
from lleval_jax.training.aligners import filters
from lleval_jax.training.aligners.criterion import Criterion
from lleval_jax.training.aligners.filters import Rule
from lleval_jax.training.aligners.prompts import Asking, read_correction
from lleval_jax.values.corrections import Corrections, Example
from lleval_jax.values.pool import Dropped, Spent
from lleval_jax.values.progress import Tell, silent
from lleval_jax.values.text_columns import named
from lleval_jax.words import brief

BULLET = re.compile(r"^\s*(?:[-*•]|\(?\d+[.):])\s*")  # what models put before the lines of a list


@dataclasses.dataclass(frozen=True)
class Making:
    """How many, and how they are asked.

    topics  topics that are wanted
    listed  topics of a request
    about   topics that one request asks questions about
    shown   examples of questions in it
    tries   requests for topics, at most, in multiples of those that would do if all replies were good
    asking  limits, sampling, words
    """

    topics: int = 50
    listed: int = 10
    about: int = 5
    shown: int = 3
    tries: int = 3
    asking: Asking = Asking()

    def __post_init__(self) -> None:
        for name in ("topics", "listed", "about", "shown", "tries"):
            require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}; it is at least 1")


class Listed(NamedTuple):
    """What a step gave.

    texts    topics, questions or answers
    dropped  what was left out, and why
    spent    what it cost
    """

    texts: tuple[str, ...]
    dropped: tuple[Dropped, ...] = ()
    spent: Spent = Spent()


def topics(client: Client, how: Making = Making(), *, at_once: int | None = None, tell: Tell = silent) -> Listed:  # noqa: B008
    """Topics that people ask about, each once; fewer than wanted where replies give no more.

    Args:
        client: who lists them.
        how: how many.
        at_once: requests under way at a time.
        tell: is told how far the work is.

    Raises:
        NoServer: no further request would get a reply.
    """
    needed = math.ceil(how.topics / how.listed)
    requests = [how.asking.topics(how.listed, draw) for draw in range(needed * how.tries)]
    found: once.Found = {}
    lines: list[str] = []
    for first in range(0, len(requests), needed):
        came = once.ask_once(client, requests[first : first + needed], at_once=at_once, tell=tell)
        found |= came
        lines += [BULLET.sub("", line).strip() for text in _texts(came) for line in text.splitlines() if line.strip()]
        sifted = filters.sift(lines, filters.TOPICS)
        if len(sifted.kept) >= how.topics:
            break
    kept = sifted.kept[: how.topics]
    return Listed(tuple(kept), (*_failures(found), *_named(sifted.dropped)), once.spent(found))


def questions(
    client: Client,
    criterion: Criterion,
    topics: Sequence[str],
    how: Making = Making(),  # noqa: B008
    *,
    at_once: int | None = None,
    tell: Tell = silent,
) -> Listed:
    """A question about each topic, like those of the criterion; fewer where replies leave topics out.

    Args:
        client: who writes them.
        criterion: whose questions are examples.
        topics: about what.
        how: how many a request.
        at_once: requests under way at a time.
        tell: is told how far the work is.

    Raises:
        BadInput: there are no topics.
        NoServer: no further request would get a reply.
    """
    require(len(topics) > 0, "there are no topics to ask about")
    blocks = [tuple(topics[first : first + how.about]) for first in range(0, len(topics), how.about)]
    requests = [how.asking.questions(_examples(criterion, block, how), block) for block in blocks]
    found = once.ask_once(client, requests, at_once=at_once, tell=tell)
    lines: list[str] = []
    stray: list[tuple[str, str]] = []
    for block, request in zip(blocks, requests, strict=True):
        for line in "".join(_texts({request: found[request]})).splitlines():
            topic, mark, question = BULLET.sub("", line).partition(":")
            if mark and topic.strip().casefold() in {each.casefold() for each in block}:
                lines.append(question.strip())
            elif line.strip():
                stray.append((line.strip(), "of no topic that was asked"))
    sifted = filters.sift(lines, filters.QUESTIONS)
    return Listed(tuple(sifted.kept), (*_failures(found), *_named([*stray, *sifted.dropped])), once.spent(found))


def answers(
    client: Client,
    questions: Sequence[str],
    asking: Asking = Asking(),  # noqa: B008
    *,
    at_once: int | None = None,
    tell: Tell = silent,
) -> Listed:
    """What a model answers to each question, "" where it gives no answer: that is to be corrected.

    Args:
        client: the model.
        questions: any texts.
        asking: limit and seed; the most probable answer is taken.
        at_once: requests under way at a time.
        tell: is told how far the work is.
    """
    requests = [Request.ask(question, limit=asking.limit, seed=asking.seed) for question in questions]
    found = once.ask_once(client, requests, at_once=at_once, tell=tell)
    texts = [once.judged(found[request]) for request in requests]
    return Listed(tuple("" if reason else text for reason, text in texts), _failures(found), once.spent(found))


def corrections(
    client: Client,
    criterion: Criterion,
    questions: Sequence[str],
    answers: Sequence[str],
    how: Making = Making(),  # noqa: B008
    *,
    ids: Sequence[str] | None = None,
    rules: Sequence[Rule[Example]] = filters.CORRECTIONS,
    at_once: int | None = None,
    tell: Tell = silent,
) -> Corrections:
    """A critique and a correction of each answer.

    Args:
        client: who corrects.
        criterion: what answers shall be.
        questions: of each row.
        answers: to each; a row whose answer is empty is dropped and counted.
        how: limits, seed, words.
        ids: names of the rows; None: hashes of the questions.
        rules: what is left out, after what is no correction and what holds a banned text.
        at_once: requests under way at a time.
        tell: is told how far the work is.

    Raises:
        BadInput: questions and answers are not of one number.
        NoServer: no further request would get a reply.
    """
    many = len(questions), len(answers)
    require(many[0] == many[1], f"there are {many[0]:,} questions and {many[1]:,} answers; each has one")
    names = named(questions) if ids is None else tuple(ids)
    rows = [each for each in zip(names, questions, answers, strict=True) if each[2].strip()]
    without = [
        Dropped(name, "no answer") for name, _, text in zip(names, questions, answers, strict=True) if not text.strip()
    ]
    requests = [how.asking.correction(criterion, question, answer) for _, question, answer in rows]
    found = once.ask_once(client, requests, at_once=at_once, tell=tell)
    made: list[Example] = []
    for (name, question, answer), request in zip(rows, requests, strict=True):
        reply = found[request]
        reason, text = once.judged(reply)
        parts = None if reason else read_correction(text)
        if parts is None or not parts[1]:
            without.append(Dropped(name, reason or "no correction", text if reason else brief(text)))
            continue
        model = "" if isinstance(reply, Failed) else reply.model
        key = request.of(once.model_of(client)).key
        made.append(Example(name, question, answer, parts[1], parts[0], model, key))
    sifted = filters.sift(made, [filters.holding(criterion.banned), *rules])
    out = [Dropped(row.id, why, brief(row.correction)) for row, why in sifted.dropped]
    return Corrections(criterion.name, tuple(sifted.kept), (*without, *out), once.spent(found))


def _texts(found: once.Found) -> list[str]:
    """Of replies that are answers, or were cut: whole lines of a list are of use all the same."""
    judged = [(reply, *once.judged(reply)) for reply in found.values()]
    cut = [
        reply.text.rpartition("\n")[0] if why == "cut" else text
        for reply, why, text in judged
        if not isinstance(reply, Failed) and why in ("", "cut")
    ]
    return [text for text in cut if text]


def _failures(found: once.Found) -> tuple[Dropped, ...]:
    judged = [(request, *once.judged(reply)) for request, reply in found.items()]
    return tuple(Dropped(request.key[:12], why, text) for request, why, text in judged if why)


def _named(dropped: Sequence[tuple[str, str]]) -> list[Dropped]:
    return [Dropped(brief(text), why) for text, why in dropped]


def _examples(criterion: Criterion, block: Sequence[str], how: Making) -> list[str]:
    """Questions that are shown with these topics: others for others."""
    name = f"{how.asking.seed} {' '.join(block)}"
    seed = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    order = np.random.default_rng(seed).permutation(len(criterion.questions))
    return [criterion.questions[i] for i in order[: how.shown]]
