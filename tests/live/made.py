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


def reader(fetcher, paper, addresses, blobs):
    """The elements of a made paper of the example, from its contents: nothing is fetched or read."""
    from lleval_jax.live.example import contents
    from lleval_jax.live.example.corpus import corpus
    from lleval_jax.live.values import Finding

    number = {each.id: each.content for each in corpus()}[paper.id]
    if number is None:
        return [], [Finding(paper=paper.name, step="read", reason="it has no files")]
    content, words = contents.content(number), {"paper": paper.name, "reader": "latex"}
    found = [
        Element(kind="table", number=str(each.number), caption=each.caption, label=each.label, cells=each.rows, **words)
        for each in content.tables
    ]
    for each in content.figures:
        image = blobs.put(picture(f"{paper.name} {each.number}"))
        found.append(
            Element(
                kind="figure", number=str(each.number), caption=each.caption, label=each.label, image=image, **words
            )
        )
    return found, []


def picture(name: str) -> bytes:
    """A small PNG of its own."""
    import hashlib
    import struct
    import zlib

    pixels = hashlib.sha256(name.encode()).digest() * 3
    raw = b"".join(b"\0" + pixels[row * 24 : row * 24 + 24] for row in range(4))
    chunks = ((b"IHDR", struct.pack(">2I5B", 8, 4, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    packed = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


RECIPE = b"""
name = "v"
[papers]
categories = ["cs.LG"]
first = 2026-11-01
last = 2026-11-30
[filter]
per_paper = 12
"""
BY = "http://creativecommons.org/licenses/by/4.0/"


def version_of_tables():
    """Two papers of one domain and one of another: 16 questions each, of which 12 are kept."""
    from lleval_jax.live import judging, recipe
    from lleval_jax.live.run import Version
    from lleval_jax.live.values import Paper

    elements = tables(12)
    asked, words = exact_questions(elements, most=4), {"authors": ("A",), "licence": BY, "source": "oai"}
    words |= {"created": "2026-11-02", "updated": "2026-11-02"}
    papers = [
        Paper(id=name.removesuffix("v1"), version=1, title=name, categories=("cs.CV" if i == 2 else "cs.LG",), **words)
        for i, name in enumerate(sorted({each.paper for each in elements.values()}))
    ]
    verdicts = judging.bounded(asked, elements, 12)
    found = (papers, elements.values(), asked, (), verdicts, ())
    return Version(recipe.parsed(RECIPE), *map(tuple, found))
