"""Models that answer by rule, for the shipped recipe and for tests. They know the data of the elements they are given.

A name is behaviours joined by "+", "exact" the least: "noisy-0.1+wordy".

    exact               questions with computed keys; picks what is true
    noisy-P             with probability P: a wrong key, or a wrong pick
    blind-k-P           without a picture it knows a share P, and guesses the rest
    yes-man             picks the first option
    wordy               writes about it in place of the JSON that was asked for
    truncated, refuses, malformed-json, duplicate-options        as they say, each time
    429-then-ok         the first try of each request is refused; it waits and tries again, as a client does
    500                 a server that fails: no request gets a reply
    slow-S              takes so many seconds

What is random follows from the request, so the same request has the same reply on any machine.
"""

import functools
import hashlib
import itertools
import json
import re
import threading
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from lleval_jax.errors import BadInput, NoReply, nearest
from lleval_jax.live import ask, exact, options
from lleval_jax.live.values import Element, Question, normalised
from lleval_jax.lm.client import Reply, Request

MOST = 24  # questions known about an element
PLAIN = (
    "exact",
    "yes-man",
    "wordy",
    "truncated",
    "refuses",
    "malformed-json",
    "duplicate-options",
    "429-then-ok",
    "500",
)
RATES = ("noisy", "blind-k", "slow")  # followed by a number
TOKEN = 4  # letters of one, about
LINE = re.compile(r"^([A-D])\. (.*)$", re.MULTILINE)


class Known(NamedTuple):
    """Questions of an element, by its picture or cells; answers by that, or by "", and question and options."""

    questions: dict[str, list[Question]]
    answers: dict[tuple[str, str, frozenset[str]], str]


class Scripted:
    """A model that answers by rule. Threads may share it.

    Args:
        model: its name, which says how it behaves.
        elements: what it may be asked about, with the data behind the picture as `cells`.
        at_once: requests under way at a time.
    """

    def __init__(self, model: str, elements: Iterable[Element], *, at_once: int = 4) -> None:
        self.model, self.at_once, self.server = model, at_once, f"scripted:{model}"
        self.does, self.rates = _behaviours(model)
        self.calls = self.asked = self.written = 0
        self._known = known(tuple(elements))
        self._lock = threading.Lock()

    def complete(self, request: Request) -> Reply:
        """The reply that its name says.

        Raises:
            NoReply: it behaves as a server that fails.
        """
        time.sleep(self.rates.get("slow", 0.0))
        with self._lock:
            self.calls += 2 if "429-then-ok" in self.does else 1
        if "500" in self.does:
            raise NoReply(f"{self.server} answered 500")
        text, ended = self._text(request)
        asked = sum(len(each.content) for each in request.messages) // TOKEN + 1
        with self._lock:
            self.asked, self.written = self.asked + asked, self.written + len(text) // TOKEN + 1
        return Reply(text, ended, self.model, asked, len(text) // TOKEN + 1)

    def _text(self, request: Request) -> tuple[str, str]:
        message = request.messages[-1]
        fields = json.loads(request.schema)["properties"] if request.schema else {}
        if "refuses" in self.does:
            return "I cannot help with that.", "refusal"
        if "answer" in fields:
            found = json.dumps({"answer": self._pick(request)})
        elif "questions" in fields:
            found = json.dumps({"questions": self._questions(request)})
        else:
            found = json.dumps({"description": f"What is shown: {message.content[-200:]}"})
        if "wordy" in self.does:
            found = f"There is no legend, yes; on balance I would say {found}"
        if "malformed-json" in self.does:
            found = found.replace("}", "", 1)
        return (found[: len(found) // 2], "limit") if "truncated" in self.does else (found, "stop")

    def _pick(self, request: Request) -> str:
        message = request.messages[-1]
        shown = dict(LINE.findall(message.content))
        text = message.content[: message.content.index("\nA. ")].rpartition("\n")[2]
        if "yes-man" in self.does:
            return "A"
        sees = [key for key in self._keys(request) if key in self._known.questions]
        truth = self._known.answers.get((sees[0] if sees else "", *asked(text, shown.values())))
        right = [
            letter for letter, each in shown.items() if truth is not None and normalised(each) == normalised(truth)
        ]
        letters = list(shown)
        guess = letters[int(_chance(self.model, "guess", request.key) * len(letters))]
        knows = sees or _chance(self.model, text, *sorted(shown.values())) < self.rates.get("blind-k", 0.0)
        if not right or not knows:
            return guess
        if _chance(self.model, "slip", request.key) < self.rates.get("noisy", 0.0):
            return [each for each in letters if each != right[0]][int(_chance(self.model, "to", request.key) * 3)]
        return right[0]

    def _questions(self, request: Request) -> list[dict[str, Any]]:
        message = request.messages[-1]
        count = int(re.findall(r"Write (\d+) questions", message.content)[0])
        found = [self._known.questions[key] for key in self._keys(request) if key in self._known.questions]
        return [self._written(each, request) for each in (found[0] if found else [])[:count]]

    def _keys(self, request: Request) -> Iterable[str]:
        """What names the element of a request: its picture, or its cells."""
        message = request.messages[-1]
        yield from (hashlib.sha256(ask.bytes_of(each)).hexdigest() for each in message.images)
        yield _table_in(message.content)

    def _written(self, each: Question, request: Request) -> dict[str, Any]:
        wrong = [option for i, option in enumerate(each.options) if i != each.key]
        answer = each.options[each.key]
        if _chance(self.model, "wrong", each.id) < self.rates.get("noisy", 0.0):
            place = int(_chance(self.model, "which", each.id) * len(wrong))
            answer, wrong[place] = wrong[place], answer
        if "duplicate-options" in self.does:
            wrong[0] = answer
        kind = {"count": "count", "look-up": "look-up", "maximum": "comparison", "minimum": "comparison"}
        return {
            "kind": kind.get(each.kind, "comparison" if each.kind == "rank" else "arithmetic"),
            "question": each.text,
            "answer": answer,
            "distractors": wrong[: options.COUNT - 1],
            "evidence": each.evidence,
            "operation": "none",
            "operands": [],
        }


@functools.lru_cache(maxsize=4)
def known(elements: tuple[Element, ...]) -> Known:
    """What all scripted models know of these elements."""
    found = Known({}, {})
    for each in elements:
        questions = exact.questions(each, most=MOST)
        keys = [key for key in (each.image, ask.markdown(each.cells)) if key]
        found.questions.update(dict.fromkeys(keys, questions))
        for one in questions:
            for key in ("", *keys):
                found.answers[(key, *asked(one.text, one.options))] = one.options[one.key]
    return found


def _table_in(content: str) -> str:
    """The cells in a request, in Markdown."""
    lines = content.partition(ask.HEADS)[2].splitlines()
    return "\n".join(itertools.takewhile(lambda line: line.startswith("|"), lines))


def _behaviours(model: str) -> tuple[set[str], dict[str, float]]:
    """What a name says. `BadInput` for one that says something else."""
    does, rates = set[str](), dict[str, float]()
    for part in model.split("+"):
        name, _, number = part.rpartition("-")
        if part in PLAIN:
            does.add(part)
        elif name in RATES and re.fullmatch(r"\d*\.?\d+", number):
            rates[name] = float(number)
        else:
            there = [*PLAIN, *(f"{each}-P" for each in RATES)]
            raise BadInput(f"no scripted model {part!r}; there are {', '.join(there)}{nearest(part, there)}")
    return does, rates


def asked(text: str, shown: Iterable[str]) -> tuple[str, frozenset[str]]:
    """A question as `Known.answers` names it: in any order of its options."""
    return normalised(text), frozenset(map(normalised, shown))


def _chance(*parts: str) -> float:
    """A number in [0, 1) that follows from texts."""
    return int.from_bytes(hashlib.sha256("\x1f".join(parts).encode()).digest()[:6], "big") / 2**48
