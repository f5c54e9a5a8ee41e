"""Sixty-four small text tasks: a text before an arrow, and the short answer after it.

No text says which task it is: what is asked for is in the adapter alone, so that one adapter cannot stand in for
another. 57 tasks are made from word lists and numbers; 7 are of problems of GSM8K and of dialogues of HH (both MIT).
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence

import numpy as np

from bench.compress import texts
from bench.compress import words as w

Draw = Callable[[np.random.Generator], tuple[str, str]]
Pairs = list[tuple[str, str]]


def pairs(name: str, count: int) -> Pairs:
    """Up to `count` questions of a task with their answers, no question twice, the same at every call."""
    if name in texts.TASKS:
        found = texts.TASKS[name]()
    elif name in LISTS:
        found = list(LISTS[name].items())
    else:
        rng = np.random.default_rng(0)
        found = list(dict(DRAWN[name](rng) for _ in range(4 * count)).items())
    order = np.random.default_rng(1).permutation(len(found))
    return [found[i] for i in order[:count]]


def learned_and_held_out(name: str, learned: int, held_out: int) -> tuple[Pairs, Pairs]:
    """Questions to learn from and others; of short lists a third is held out."""
    found = pairs(name, learned + held_out)
    apart = min(held_out, len(found) // 3)
    return found[apart:], found[:apart]


def prompt(question: str) -> str:
    """What a model reads before the answer."""
    return f"{question} ->"


def _some(rng: np.random.Generator, given: Sequence[str], count: int = 3) -> list[str]:
    return [given[int(i)] for i in rng.permutation(len(given))[:count]]


def _one(rng: np.random.Generator, given: Sequence[str]) -> str:
    return given[int(rng.integers(len(given)))]


def _word(change: Callable[[str], str]) -> Draw:
    """Of one noun."""
    return lambda rng: (noun := _one(rng, w.NOUNS), change(noun))


def _words(change: Callable[[list[str]], str], count: int = 3, joint: str = ", ") -> Draw:
    """Of several nouns."""
    return lambda rng: (joint.join(some := _some(rng, w.NOUNS, count)), change(some))


def _numbers(change: Callable[[list[int]], int | str], count: int, high: int, joint: str = ", ") -> Draw:
    """Of several numbers."""
    return lambda rng: (joint.join(map(str, some := rng.integers(1, high, count).tolist())), str(change(some)))


def plural(noun: str) -> str:
    """The plural of a noun in the lists."""
    if noun in w.UNEVEN:
        return w.UNEVEN[noun]
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return noun + ("es" if noun.endswith(("s", "ch", "sh", "x")) else "s")


def spelled(number: int) -> str:
    """A number below 100 in words."""
    if number < 20:
        return w.ONES[number]
    tens, ones = divmod(number, 10)
    return w.TENS[tens - 2] + (f"-{w.ONES[ones]}" if ones else "")


def roman(number: int) -> str:
    """A number below 400 in Roman numerals."""
    found = ""
    for value, sign in zip((100, 90, 50, 40, 10, 9, 5, 4, 1), "C XC L XL X IX V IV I".split(), strict=True):
        times, number = divmod(number, value)
        found += times * sign
    return found


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def going(verb: str) -> str:
    """The form with -ing."""
    if verb in ("run", "sit", "win", "stop", "plan"):
        return f"{verb}{verb[-1]}ing"
    return f"{verb[:-1] if verb.endswith('e') and not verb.endswith('ee') else verb}ing"


def _date(form: str, into: str) -> Draw:
    def drawn(rng: np.random.Generator) -> tuple[str, str]:
        day = datetime.date(1950, 1, 1) + datetime.timedelta(int(rng.integers(27_000)))
        words = {"year": day.year, "m": day.month, "d": day.day, "month": w.MONTHS[day.month - 1]}
        return form.format(**words), into.format(**words)

    return drawn


def _day(step: int) -> Draw:
    def drawn(rng: np.random.Generator) -> tuple[str, str]:
        day = int(rng.integers(7))
        return f"{_one(rng, w.NOUNS)} on {w.DAYS[day]}", w.DAYS[(day + step) % 7]

    return drawn


def _clock(rng: np.random.Generator) -> tuple[str, str]:
    hour, minute = int(rng.integers(24)), int(rng.integers(60))
    return f"{hour:02}:{minute:02}", f"{(hour - 1) % 12 + 1}:{minute:02} {'am' if hour < 12 else 'pm'}"


def _kind(labels: dict[str, str]) -> Draw:
    def drawn(rng: np.random.Generator) -> tuple[str, str]:
        kind = _one(rng, list(w.KINDS))
        return f"{_one(rng, w.KINDS[kind])} {rng.integers(1, 30)}", labels[kind]

    return drawn


def _review(rng: np.random.Generator) -> tuple[str, str]:
    good = bool(rng.integers(2))
    word = _one(rng, w.PRAISED if good else w.SCOLDED)
    return f"The {_one(rng, w.NOUNS)} was {word}.", "positive" if good else "negative"


def _person(change: Callable[[str, str], str]) -> Draw:
    return lambda rng: (
        f"{(first := _one(rng, w.PEOPLE))} {(last := _one(rng, w.SURNAMES))}",
        change(first, last),
    )


def _record(rng: np.random.Generator) -> tuple[str, str]:
    noun, count = _one(rng, w.NOUNS), int(rng.integers(1, 100))
    return f"{noun} {count}", f'{{"{noun}": {count}}}'


def _threshold(at: int, low: str, high: str) -> Draw:
    return lambda rng: (str(number := int(rng.integers(100))), high if number >= at else low)


LISTS: dict[str, dict[str, str]] = {
    "past tense": w.VERBS,
    "ing form": {verb: going(verb) for verb in w.VERBS},
    "opposite": w.OPPOSITES,
    "comparative": w.COMPARED,
    "capital": w.CAPITALS,
    "country": {city: country for country, city in w.CAPITALS.items()},
    "spanish": dict(zip(w.ENGLISH.split(), w.SPANISH.split(), strict=True)),
    "french": dict(zip(w.ENGLISH.split(), w.FRENCH.split(), strict=True)),
    "german": dict(zip(w.ENGLISH.split(), w.GERMAN.split(), strict=True)),
}

DRAWN: dict[str, Draw] = {
    "upper case": _word(str.upper),
    "plural": _word(plural),
    "first letter": _word(lambda noun: noun[0]),
    "last letter": _word(lambda noun: noun[-1]),
    "letters": _word(lambda noun: str(len(noun))),
    "spelled out": _word("-".join),
    "article": _word(lambda noun: f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"),
    "twice": _word(lambda noun: f"{noun} {noun}"),
    "has an a": _word(lambda noun: "yes" if "a" in noun else "no"),
    "reverse list": _words(lambda some: ", ".join(some[::-1])),
    "sort words": _words(lambda some: ", ".join(sorted(some))),
    "first word": _words(lambda some: some[0]),
    "last word": _words(lambda some: some[-1]),
    "middle word": _words(lambda some: some[1]),
    "with and": _words(lambda some: f"{some[0]}, {some[1]} and {some[2]}"),
    "snake case": _words("_".join, joint=" "),
    "camel case": _words(lambda some: some[0] + "".join(each.title() for each in some[1:]), joint=" "),
    "swap": _words(lambda some: " ".join(some[::-1]), 2, " "),
    "longest word": _words(lambda some: max(some, key=len)),
    "numbered": _words(lambda some: " ".join(f"{i}. {each}" for i, each in enumerate(some, 1)), 2),
    "sort numbers": _numbers(lambda some: ", ".join(map(str, sorted(some))), 3, 100),
    "largest": _numbers(max, 3, 1000),
    "smallest": _numbers(min, 3, 1000),
    "sum": _numbers(sum, 2, 20),
    "difference": _numbers(lambda some: some[0] - some[1], 2, 20),
    "double": _numbers(lambda some: 2 * some[0], 1, 500),
    "next number": _numbers(lambda some: some[0] + 1, 1, 1000),
    "number before": _numbers(lambda some: some[0] - 1, 1, 1000),
    "even or odd": _numbers(lambda some: "odd" if some[0] % 2 else "even", 1, 1000),
    "in words": _numbers(lambda some: spelled(some[0]), 1, 100),
    "in digits": lambda rng: (spelled(number := int(rng.integers(100))), str(number)),
    "roman": _numbers(lambda some: roman(some[0]), 1, 100),
    "ordinal": _numbers(lambda some: ordinal(some[0]), 1, 200),
    "date in words": _date("{year}-{m:02}-{d:02}", "{month} {d}, {year}"),
    "date in digits": _date("{month} {d}, {year}", "{year}-{m:02}-{d:02}"),
    "year": _date("{d} {month} {year}", "{year}"),
    "day after": _day(1),
    "day before": _day(-1),
    "clock": _clock,
    "kind": _kind({kind: kind for kind in w.KINDS}),
    "code of kind": _kind({"animal": "K7", "food": "B2", "tool": "X9", "clothing": "M4"}),
    "sentiment": _review,
    "initials": _person(lambda first, last: f"{first[0]}.{last[0]}."),
    "email": _person(lambda first, last: f"{first.lower()}.{last.lower()}@mail.com"),
    "last name first": _person(lambda first, last: f"{last}, {first}"),
    "json": _record,
    "pass or fail": _threshold(50, "fail", "pass"),
    "warm or cold": _threshold(20, "cold", "warm"),
}

NAMES: tuple[str, ...] = (*DRAWN, *LISTS, *texts.TASKS)


def folder_of(name: str) -> str:
    """What the adapter of a task is called on disk."""
    return name.replace(" ", "-")
