"""Questions, answers and tables with planted truth, for the studies of the living benchmark."""

from __future__ import annotations

import dataclasses

import numpy as np

from lleval_jax.live import exact
from lleval_jax.live.filters.answers import BLIND, JUDGE, Answer
from lleval_jax.live.values import Element, Question, question

HEADS = ("Method", "Accuracy", "Recall", "Seconds")


def plain(n: int, papers: int = 100) -> tuple[list[Question], dict[str, str]]:
    """So many questions about nothing, and element -> paper."""
    shown = ("a", "b", "c", "d")
    words = {"kind": "look-up", "made_by": "exact", "options": shown}
    made = [question(element=f"p{i % papers}/t{i}", text=f"Which {i}?", answer=shown[i % 4], **words) for i in range(n)]
    return made, {each.element: each.element.partition("/")[0] for each in made}


def tables(count: int) -> dict[str, Element]:
    """Tables of random numbers, four a paper."""
    found = {}
    for n in range(count):
        rng = np.random.default_rng(n)
        values = zip(*rng.uniform(40, 99, (2, 6)), rng.integers(3, 500, 6), strict=True)
        rows = [(f"M-{'ABCDEF'[i]}{n}", f"{a:.1f}", f"{b:.1f}", f"{t}") for i, (a, b, t) in enumerate(values)]
        words = {"kind": "table", "caption": "Results.", "reader": "latex", "cells": (HEADS, *rows)}
        each = Element(paper=f"2611.{n // 4:05d}v1", number=str(n), **words)
        found[each.name] = each
    return found


def asked(elements: dict[str, Element], most: int = 8) -> list[Question]:
    """Their questions, with computed keys."""
    return [one for each in elements.values() for one in exact.questions(each, most=most)]


def planted(questions: list[Question], share: float, rng: np.random.Generator) -> tuple[list[Question], set[str]]:
    """Some with a wrong key, and their ids."""
    hits = rng.random(len(questions)) < share
    steps = rng.integers(1, 4, len(questions))
    turned = [
        dataclasses.replace(q, key=int((q.key + hit * step) % 4))
        for q, hit, step in zip(questions, hits, steps, strict=True)
    ]
    return turned, {q.id for q, hit in zip(questions, hits, strict=True) if hit}


def blind(questions: list[Question], share: float, rng: np.random.Generator) -> list[Answer]:
    """A model that knows a share, and guesses the rest."""
    knows, guesses = rng.random(len(questions)) < share, rng.integers(0, 4, (len(questions), len(BLIND)))
    words = {"role": "blind", "model": "m"}
    return [
        Answer(question=q.id, order=order, pick=q.key if knows[i] else int(guesses[i, j]), **words)
        for i, q in enumerate(questions)
        for j, order in enumerate(BLIND)
    ]


def judged(questions: list[Question], error: float, rng: np.random.Generator, model: str = "one") -> list[Answer]:
    """A judge that finds what is true, but for errors, each order for itself."""
    slips, other = rng.random((len(questions), len(JUDGE))) < error, rng.integers(1, 4, (len(questions), len(JUDGE)))
    return [
        Answer(question=q.id, role="judge", model=model, order=o, pick=int((q.key + slips[i, j] * other[i, j]) % 4))
        for i, q in enumerate(questions)
        for j, o in enumerate(JUDGE)
    ]
