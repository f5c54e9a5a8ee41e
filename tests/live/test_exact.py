"""Keys that are computed: recomputed here by another way, and the options around them."""

import re
from statistics import fmean

import numpy as np
import pytest
from live.made import exact_questions, planted, table, tables

from lleval_jax.live import exact, options
from lleval_jax.live.filters import rules
from lleval_jax.live.numbers import alike, number, numbers_in
from lleval_jax.live.values import Element


def value(text: str) -> float:
    return float(text.replace("%", "").split()[0])


def answer(element: Element, kind: str, text: str) -> str:
    """The right answer, from the question's words and the cells alone."""
    heads, *rows = element.cells
    names = [row[0] for row in rows]
    column = max((head for head in heads[1:] if head in text), key=len)
    cells = dict(zip(names, [value(row[heads.index(column)]) for row in rows], strict=True))
    asked = [name for name in names if re.search(rf"{re.escape(name)}\b", text)]
    order = sorted(cells, key=lambda name: -cells[name])
    if kind in ("maximum", "minimum", "rank"):
        return order[{"maximum": 0, "minimum": -1, "rank": 2 if "third" in text else 1}[kind]]
    if kind == "count":
        return str(sum(each > value(text.split("above ")[1].rstrip("?")) for each in cells.values()))
    number = {
        "look-up": lambda: cells[asked[0]],
        "difference": lambda: max(cells[a] for a in asked) - min(cells[a] for a in asked),
        "sum": lambda: sum(cells[a] for a in asked),
        "mean": lambda: fmean(cells.values()),
    }[kind]()
    return f"{number:.6f}"


def test_every_key_is_right_and_alone():
    elements = tables(30)
    questions = exact_questions(elements, most=16)
    assert {each.kind for each in questions} == set(exact.KINDS)
    for each in questions:
        right = answer(elements[each.element], each.kind, each.text)
        said = each.options[each.key]
        if number(said) is None:
            assert said == right, each
        else:
            places = number(said).places  # type: ignore[union-attr]
            assert abs(value(said) - float(right)) <= 0.5001 * 10**-places, each
        assert options.wrong_with(each.options) == "", each
        assert sum(alike(said, other) for other in each.options) == 1


def test_letters_are_even_and_ids_follow_from_content():
    questions = exact_questions(tables(60))
    counts = np.bincount([each.key for each in questions], minlength=4)
    expected = len(questions) / 4
    assert ((counts - expected) ** 2 / expected).sum() < 21.1  # chi-square of 3 degrees of freedom: p = .0001
    assert exact_questions(tables(60)) == questions
    assert len({each.id for each in questions}) == len(questions)


@pytest.mark.parametrize(
    "cells",
    [
        (),
        (("a", "b"), ("x", "1")),
        (("a", "b"), *((name, "1") for name in "xxyz")),  # names repeat
        (("a", "b"), *((name, "text") for name in "wxyz")),
        (("a", "b", "c"), *((name, "1") for name in "wxyz")),  # ragged
        (("a", "b"), *((name, "") for name in "wxyz")),
    ],
)
def test_no_question_where_the_table_allows_none(cells):
    element = Element(paper="p", kind="table", number="1", caption="", reader="latex", cells=cells)
    assert exact.questions(element) == []


def test_ties_are_not_asked_about():
    cells = (("Model", "Score"), ("A", "9.0"), ("B", "9.00"), ("C", "1"), ("D", "2"))
    element = Element(paper="p", kind="table", number="1", caption="", reader="latex", cells=cells)
    assert not [each for each in exact.questions(element, most=20) if "highest" in each.text and each.kind == "maximum"]


def test_numbers_as_papers_print_them():
    assert alike("−3.50", "-3.5")
    assert alike("1,204", "1204")
    assert not alike("12 ms", "12 %")
    assert number("12 ± 3") is None
    assert [str(each) for each in numbers_in("−0.5 (2,100)")] == ["0.5", "2100"]


def test_support_finds_planted_numbers_and_spares_true_ones():
    import dataclasses

    elements = tables(30)
    questions = exact_questions(elements)
    alarms = [each for each in questions if not rules.support(each, elements[each.element]).keep]
    assert len(alarms) <= 0.01 * len(questions)
    rng, caught, count = np.random.default_rng(1), 0, 200
    looked = [each for each in questions if each.kind in ("look-up", "difference", "sum")][:count]
    assert len(looked) > 80
    for each in looked:
        false = f"{rng.uniform(100, 900):.2f}"
        evidence = re.sub(r"[\d.]+$", false, each.evidence)
        shown = tuple(false if i == each.key else option for i, option in enumerate(each.options))
        bad = dataclasses.replace(each, evidence=evidence, options=shown)
        caught += not rules.support(bad, elements[each.element]).keep
    assert caught >= 0.95 * len(looked)


def test_planted_keys_are_wrong():
    questions = exact_questions({"t": table(3)})
    turned, wrong = planted(questions, 0.5, np.random.default_rng(0))
    assert {a.id for a, b in zip(questions, turned, strict=True) if a.key != b.key} == wrong != set()
