"""Filters that need no model: form, options, and whether what a key states is in the element at all."""

import re
from collections.abc import Sequence
from decimal import Decimal

from lleval_jax.live import ask, exact, options
from lleval_jax.live.numbers import numbers_in
from lleval_jax.live.values import Element, Question, Verdict, normalised

SCHEMA, OPTIONS, SUPPORT = "schema", "options", "support"
LONGEST = 600  # letters of a question
LEANS = re.compile(r"\b(according to|as (stated|described|mentioned|given) in) the (caption|paragraph|text|paper)\b")
COMPUTED = {*exact.COMPUTED, *ask.COMPUTED}
NAME = re.compile(r"[^\W\d_][\w-]*\w")


def schema(question: Question) -> Verdict:
    """Four options, the key among them, a whole sentence that does not lean on caption or text."""
    text = question.text.strip()
    reason = ""
    if len(question.options) != options.COUNT or not 0 <= question.key < len(question.options):
        reason = f"there are {len(question.options)} options, and the key is number {question.key + 1}"
    elif not text.endswith(("?", ".")):
        reason = "the question ends without a question mark or full stop"
    elif len(text) > LONGEST:
        reason = f"the question has {len(text)} letters; {LONGEST} are allowed"
    elif found := LEANS.search(normalised(text)):
        reason = f"it leans on the text: {found[0]!r}"
    return _verdict(question, SCHEMA, reason)


def choices(question: Question) -> Verdict:
    """The rules of `live.options`."""
    return _verdict(question, OPTIONS, options.wrong_with(question.options))


def support(question: Question, element: Element, *, text: str = "") -> Verdict:
    """Numbers and names of the key must be in the element: cells, caption, panels, or the text found in its picture.

    A key that is computed stands nowhere: then the numbers of its evidence must.

    Args:
        question: its key and evidence are looked at.
        element: the figure or table.
        text: what OCR or a text layer found in the picture. Without it and without cells numbers are not checked.
    """
    around = [element.caption, *(panel.caption for panel in element.panels), text]
    within = [cell for row in element.cells for cell in row]
    if not within and not text.strip():
        return _verdict(question, SUPPORT, "", score=float("nan"))
    computed = question.kind in COMPUTED
    said = question.evidence if computed else question.options[question.key]
    if computed and not numbers_in(said):
        return _verdict(question, SUPPORT, "it is computed, and its evidence names no numbers")
    there = {each for part in (*within, *around) for each in numbers_in(part)}
    lost = [each for each in numbers_in(said) if not _among(each, there)]
    words = set(re.findall(r"\w+", normalised(" ".join([*within, *around]))))
    names = [] if computed else [each for each in _names(said) if not _words(each) <= words]
    missing = [*map(str, lost), *names]
    reason = f"{missing[0]} is in neither cells nor caption nor picture" if missing else ""
    return _verdict(question, SUPPORT, reason, score=float(not missing))


def _among(value: Decimal, there: set[Decimal]) -> bool:
    return value in there


def _names(text: str) -> list[str]:
    """Capitalised words that do not merely begin the text."""
    found = list(NAME.finditer(text))
    return [each[0] for each in found if (each.start() and each[0][0].isupper()) or re.search(r"\w[A-Z]", each[0])]


def _words(name: str) -> set[str]:
    return set(re.findall(r"\w+", normalised(name)))


def _verdict(question: Question, name: str, reason: str, *, score: float | None = None) -> Verdict:
    value = float(not reason) if score is None else score
    return Verdict(question=question.id, filter=name, keep=not reason, score=value, reason=reason)


def all_of(questions: Sequence[Question], elements: dict[str, Element]) -> list[Verdict]:
    """The three of every question."""
    each = ((schema(one), choices(one), support(one, elements[one.element])) for one in questions)
    return [verdict for three in each for verdict in three]
