"""Elements, questions and answers that tests of the living benchmark make."""

import numpy as np

from lleval_jax.live import exact
from lleval_jax.live.filters.answers import BLIND, JUDGE, Answer
from lleval_jax.live.values import Element, Question, question

HEADS = ("Method", "Accuracy", "Recall", "Seconds")


def table(n: int, rows: int = 6) -> Element:
    """A table with numbers that follow from n."""
    rng = np.random.default_rng(n)
    lines = [
        (f"M-{chr(65 + i)}{n}", f"{a:.1f}", f"{b:.1f}", f"{t}")
        for i, (a, b, t) in enumerate(zip(*rng.uniform(40, 99, (2, rows)), rng.integers(3, 500, rows), strict=True))
    ]
    paper = f"2611.{n // 4:05d}v1"
    return Element(paper=paper, kind="table", number=f"{n}", caption="Results.", reader="latex", cells=(HEADS, *lines))


def tables(count: int) -> dict[str, Element]:
    return {each.name: each for each in map(table, range(count))}


def exact_questions(elements: dict[str, Element], most: int = 8) -> list[Question]:
    return [one for each in elements.values() for one in exact.questions(each, most=most)]


def planted(questions: list[Question], share: float, rng: np.random.Generator) -> tuple[list[Question], set[str]]:
    """Some with a wrong key, and their ids."""
    import dataclasses

    wrong = {each.id for each, hit in zip(questions, rng.random(len(questions)) < share, strict=True) if hit}
    turned = [
        dataclasses.replace(q, key=(q.key + int(rng.integers(1, 4))) % 4) if q.id in wrong else q for q in questions
    ]
    return turned, wrong


def plain(n: int, papers: int = 100) -> tuple[list[Question], dict[str, str]]:
    """So many questions about nothing, and element -> paper."""
    found = [
        question(
            element=f"p{i % papers}/table-{i}", kind="look-up", text=f"Which {i}?", options=("a", "b", "c", "d"),
            answer="abcd"[i % 4], made_by="exact",
        )
        for i in range(n)
    ]  # fmt: skip
    return found, {each.element: each.element.split("/")[0] for each in found}


def blind_answers(questions: list[Question], share: float, rng: np.random.Generator) -> list[Answer]:
    """A model that knows a share, and guesses the rest."""
    knows = rng.random(len(questions)) < share
    guesses = rng.integers(0, 4, (len(questions), len(BLIND)))
    return [
        Answer(question=each.id, role="blind", model="m", order=order, pick=each.key if known else int(guesses[i, j]))
        for i, (each, known) in enumerate(zip(questions, knows, strict=True))
        for j, order in enumerate(BLIND)
    ]


def judge_answers(questions: list[Question], error: float, rng: np.random.Generator, model: str = "j") -> list[Answer]:
    """A judge that picks the key, but for errors, each order for itself."""
    slips = rng.random((len(questions), len(JUDGE))) < error
    other = rng.integers(1, 4, (len(questions), len(JUDGE)))
    return [
        Answer(
            question=each.id,
            role="judge",
            model=model,
            order=order,
            pick=int((each.key + slips[i, j] * other[i, j]) % 4),
        )
        for i, each in enumerate(questions)
        for j, order in enumerate(JUDGE)
    ]
