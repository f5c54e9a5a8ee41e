"""The tasks of `bench.compress.tasks` that are made of real texts: problems of GSM8K, dialogues of HH."""

from __future__ import annotations

import functools
import gzip
import json
import re
from collections.abc import Callable, Iterable

from bench.kit.problems import shared

Pairs = list[tuple[str, str]]
WORDS = 14  # of a text that are read
TURN = re.compile(r"\n\n(Human|Assistant): ?")
SENTENCES = re.compile(r"(?<=[.?!])\s+")
MONEY = re.compile(r"\$|dollar|cost|pay|earn|spend|spent|money|price|cents|profit|save|charge|owe", re.I)
TIME = re.compile(r"hour|minute|day|week|month|year|old|age|time|long", re.I)
FIRST_SUM = re.compile(r"<<\s*[\d.]+\s*([-+*/])")
NUMBER = re.compile(r"\d+")


@functools.cache
def _lines(name: str) -> tuple[dict, ...]:
    with gzip.open(shared("data", "preference", f"{name}.jsonl.gz"), "rt", encoding="utf-8") as file:
        return tuple(json.loads(line) for line in file)


def _problems() -> Iterable[tuple[str, str, str]]:
    """What stands before the question, the question, and the solution of GSM8K's problems."""
    for row in _lines("gsm8k_train"):
        *before, last = SENTENCES.split(row["question"].strip())
        if before and last.endswith("?"):
            yield " ".join(before), last, row["answer"]


def _turns() -> Iterable[tuple[str, str]]:
    """Who speaks and what is said, in turns of HH's dialogues with words enough; each turn once."""
    found = {}
    for row in _lines("hh_harmless_base_test"):
        parts = TURN.split(row["chosen"])[1:]
        found |= {text.strip(): who for who, text in zip(parts[::2], parts[1::2], strict=True) if len(text.split()) > 3}
    return ((who, text) for text, who in found.items())


def _short(text: str) -> str:
    return " ".join(text.split()[:WORDS])


def _asked() -> Pairs:
    """Whether a question is about money, time or something else."""
    kind = lambda text: "money" if MONEY.search(text) else "time" if TIME.search(text) else "other"  # noqa: E731
    return [(_short(question), kind(question)) for _, question, _ in _problems()]


def _operation() -> Pairs:
    """The first step of the solution."""
    names = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}
    found = ((question, FIRST_SUM.search(answer)) for _, question, answer in _problems())
    return [(_short(question), names[first[1]]) for question, first in found if first]


def _size() -> Pairs:
    """How large the answer is."""
    found = ((question, answer.rpartition("####")[2].strip().replace(",", "")) for _, question, answer in _problems())
    kind = lambda number: "small" if len(number) < 2 else "medium" if len(number) < 3 else "large"  # noqa: E731
    return [(_short(question), kind(number)) for question, number in found if number.isdigit()]


def _first_number() -> Pairs:
    found = ((_short(before), NUMBER.search(_short(before))) for before, _, _ in _problems())
    return [(text, number[0]) for text, number in found if number]


def _speaker() -> Pairs:
    return [(_short(text), who) for who, text in _turns()]


def _asks() -> Pairs:
    """Whether the turn asks something, from its beginning."""
    return [(_short(text), "question" if "?" in text else "statement") for _, text in _turns()]


def _third_word() -> Pairs:
    return [(_short(text), text.split()[2]) for _, text in _turns()]


TASKS: dict[str, Callable[[], Pairs]] = {
    "what is asked": _asked,
    "operation": _operation,
    "size of answer": _size,
    "first number": _first_number,
    "speaker": _speaker,
    "asks": _asks,
    "third word": _third_word,
}
