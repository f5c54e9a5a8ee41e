"""People look at questions: a page in one file, worked by keyboard alone, and what comes back from it.

The page holds pictures, questions and keys, asks for one of four judgements each, and gives them back as a JSON file.
The share of wrong keys in a sample then has an interval; a question that was judged wrong or unusable is left out of
the next export.
"""

import dataclasses
import hashlib
import html
import json
import pathlib
from collections.abc import Sequence
from importlib import resources
from typing import Any, Literal

import msgspec

from lleval_jax import writing
from lleval_jax.errors import BadInput, require
from lleval_jax.live import ask, options, shares
from lleval_jax.live.exports import items
from lleval_jax.live.run import Version
from lleval_jax.live.shares import Share
from lleval_jax.live.steps import Blobs
from lleval_jax.live.values import Question, Verdict

SCHEMA = "lleval/live-review/1"
NAME = "human"  # the filter of these verdicts
CHOICES = {
    "right": "the key is right",
    "wrong": "the key is wrong",
    "several": "several fit, or none",
    "unusable": "cannot be read",
}
FOLDER = "reviews"  # of a run


class Review(msgspec.Struct, forbid_unknown_fields=True):
    """Of one question."""

    question: str
    judgement: Literal["right", "wrong", "several", "unusable"]
    right: int | None = None  # the place of the option that is right, where the key is wrong
    key: int | None = None  # the place of the key that was shown; that of the version as it was made if not named


class Reviews(msgspec.Struct):
    """What a page gives back."""

    schema: str
    name: str
    reviews: list[Review]


def sample(version: Version, count: int, *, suspects: Sequence[str] = ()) -> list[Question]:
    """Questions for the page: suspects in their order, then others, drawn by the hash of their ids.

    Raises:
        BadInput: no question is kept, or none of the suspects is in this version.
    """
    kept = {each.id: each for each in version.kept}
    require(bool(kept), f"version {version.recipe.name} has no question to review")
    first = [kept[id] for id in dict.fromkeys(suspects) if id in kept]
    text = f"none of the {len(suspects)} suspects is a question of version {version.recipe.name}"
    require(bool(first) or not suspects, text)
    rest = [] if suspects else sorted(kept.values(), key=lambda each: hashlib.sha256(each.id.encode()).digest())
    return [*first, *rest][:count]


def page(version: Version, questions: Sequence[Question], blobs: Blobs) -> str:
    """The page, with all that it needs in one file."""
    elements = {each.name: each for each in version.elements}
    papers = {each.name: each for each in version.papers}
    shown, pictures = [], dict[str, str]()
    for each in questions:
        element = elements[each.element]
        if element.image and element.image not in pictures:
            pictures[element.image] = ask.data_url(blobs.get(element.image))
        shown.append(
            {
                "id": each.id,
                "text": each.text,
                "options": each.options,
                "key": each.key,
                "evidence": each.evidence,
                "image": element.image,
                "cells": [] if element.image else element.cells,
                "caption": element.caption,
                "from": f"{element.name} · {papers[element.paper].title}",
            }
        )
    facts = {
        "name": version.recipe.name,
        "schema": SCHEMA,
        "questions": shown,
        "pictures": pictures,
        "choices": CHOICES,
    }
    held = json.dumps(facts, ensure_ascii=False).replace("<", "\\u003c")  # so that no text ends the script
    template = resources.files("lleval_jax.live").joinpath("review.html").read_text(encoding="utf-8")
    return template.replace("TITLE", html.escape(f"Review of {version.recipe.name}")).replace("FACTS", held)


def read(path: pathlib.Path) -> Reviews:
    """What came back. `BadInput` where it is no such file."""
    require(path.is_file(), f"there is no file {path}")
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Reviews)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not what the page gives back: {error}") from error
    require(found.schema == SCHEMA, f"{path} has the schema {found.schema!r}; {SCHEMA} is wanted")
    return found


def keep(folder: pathlib.Path, path: pathlib.Path, version: Version) -> Reviews:
    """Put what came back into the run's folder, where the next export reads it.

    Raises:
        BadInput: it is of another version, or names a question that this one does not have.
    """
    found = read(path)
    text = f"{path} is of version {found.name!r}, this one is {version.recipe.name!r}"
    require(found.name == version.recipe.name, text)
    known = {each.id for each in version.questions}
    strange = [each.question for each in found.reviews if each.question not in known]
    require(not strange, f"{path} names the question {strange and strange[0]!r}, which this version does not have")
    keys = {each.id: each.key for each in version.questions}
    for each in found.reviews:
        good = each.right is None or each.judgement == "wrong" and 0 <= each.right < options.COUNT
        require(good, f"{path}: {each.question} names a right option, {each.right}; only a wrong key has one, 0 to 3")
        shown = keys[each.question] if each.key is None else each.key
        require(each.right != shown, f"{path}: {each.question} has the same option called wrong, and right")
    content = path.read_bytes()
    (folder / FOLDER).mkdir(exist_ok=True)
    writing.put(folder / FOLDER / f"{hashlib.sha256(content).hexdigest()[:16]}.json", content)
    return found


def reviewed(folder: pathlib.Path, version: Version) -> Version:
    """A version as it was made, with what people said of it: keys corrected, and verdicts.

    A question is kept where all who looked name the same option as right; a key that it replaces has a verdict with a
    score of 0. Where they differ, or name none, it is dropped.
    """
    keys = {each.id: each.key for each in version.questions}
    named: dict[str, set[tuple[str, int | None]]] = {}
    for each in _kept(folder):
        right = keys.get(each.question) if each.key is None else each.key
        said = right if each.judgement == "right" else each.right
        named.setdefault(each.question, set()).add((each.judgement if said is None else "", said))
    found = [_verdict(question, named[question], keys.get(question)) for question in sorted(named)]
    right = {id: said for id, ((_, said), *others) in named.items() if said is not None and not others}
    fixed = (dataclasses.replace(each, key=right.get(each.id, each.key)) for each in version.questions)
    return dataclasses.replace(version, questions=tuple(fixed)).judged(found)


def _kept(folder: pathlib.Path) -> list[Review]:
    return [each for path in sorted((folder / FOLDER).glob("*.json")) for each in read(path).reviews]


def _verdict(question: str, named: set[tuple[str, int | None]], key: int | None) -> Verdict:
    words = {"question": question, "filter": NAME}
    bad, places = sorted({judgement for judgement, _ in named} - {""}), {place for _, place in named}
    if bad or len(places) > 1:
        said = CHOICES[bad[0]] if bad else "another key is right than another person says"
        return Verdict(**words, keep=False, score=0.0, reason=f"a person says: {said}")
    (place,) = places
    if place == key or place is None:
        return Verdict(**words, keep=True, score=1.0, reason="")
    return Verdict(**words, keep=True, score=0.0, reason=f"a person says: the key is {ask.LETTERS[place]}")


def wrong_keys(reviews: Reviews, version: Version) -> Share:
    """The share of wrong keys among the questions reviewed, with Wilson's interval, widened by paper."""
    elements = {each.name: each.paper for each in version.elements}
    papers = {each.id: elements[each.element] for each in version.questions}
    hits = [each.judgement == "wrong" for each in reviews.reviews]
    return shares.share_of(hits, [papers[each.question] for each in reviews.reviews])


def suspects_in(path: pathlib.Path, version: Version) -> list[str]:
    """The questions whose keys `lleval check --json` doubts, the likeliest wrong first.

    Raises:
        BadInput: it is no such file.
    """
    require(path.is_file(), f"there is no file {path}")
    names = items.ids(version)
    try:
        found: Any = json.loads(path.read_bytes())
        listed = sorted(found["suspects"], key=lambda each: -each["wrong_key"])
        return [names.get(item, item) for each in listed if (item := str(each["item"]).rpartition("/")[2])]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is not the JSON of 'lleval check': it lists no suspects") from error
