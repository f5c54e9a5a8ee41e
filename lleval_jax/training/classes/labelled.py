"""Texts with labels: what is checked of them, and accuracy with intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import norm

from lleval_jax.core.share import wilson
from lleval_jax.errors import BadInput, require, require_level
from lleval_jax.values.results import WHOLE, Estimate

Label = str | int | bool


def checked(
    texts: Sequence[Any], labels: Sequence[Any], classes: tuple[Label, ...] | None, what: str
) -> tuple[tuple[Label, ...], np.ndarray]:
    """The classes in order, and int32 (texts,) the number of each text's class.

    Args:
        texts: texts, or pairs of them.
        labels: of each.
        classes: those that there may be; None: those that the labels are, two at least.
        what: a text is called in messages.

    Raises:
        BadInput: their numbers differ, a text is empty, a label is none or of no class, or there is one class.
    """
    require(not isinstance(texts, str), "texts is one text; give a list of texts")
    count, given = len(texts), len(labels)
    require(count == given, f"there are {count:,} {what}s and {given:,} labels; each {what} needs one")
    require(count > 0, f"there is no {what}")
    for at, text in enumerate(texts):
        parts = text if isinstance(text, tuple) else (text,)
        require(all(not isinstance(part, str) or part.strip() for part in parts), f"{what} {at} is empty; leave it out")
    found = [_label(label, f"{what} {at}") for at, label in enumerate(labels)]
    if classes is None:
        kinds = sorted({type(label).__name__ for label in found})
        require(len(kinds) == 1, f"labels are of several kinds, {' and '.join(kinds)}; make them all text")
        classes = tuple(sorted(set(found)))  # type: ignore[type-var]
        require(len(classes) > 1, f"all {count:,} labels are {classes[0]!r}; a classifier needs two classes at least")
    number = {label: i for i, label in enumerate(classes)}
    for at, label in enumerate(found):
        known = f"{what} {at} has the label {label!r}; the classes are {', '.join(map(repr, classes))}"
        require(label in number and type(label) is type(classes[0]), known)
    return classes, np.array([number[label] for label in found], np.int32)


def accuracy(
    probabilities: np.ndarray, truth: np.ndarray, classes: Sequence[Label], name: str, level: float = 0.95
) -> Estimate:
    """The share of texts whose likeliest class is theirs: of all ("all"), and of the texts of each class.

    Args:
        probabilities: (texts, classes).
        truth: (texts,) number of each text's class.
        classes: by number.
        name: of the classifier, the row of the estimate.
        level: of Wilson's intervals.
    """
    require_level(level)
    right = probabilities.argmax(1) == truth
    groups = {WHOLE: right} | {str(each): right[truth == i] for i, each in enumerate(classes) if (truth == i).any()}
    value, size = np.array([[each.mean(), len(each)] for each in groups.values()]).T
    low, high = wilson(value, norm.isf((1 - level) / 2) ** 2 / size)
    return Estimate(
        target="accuracy",
        method="held out",
        rows=(name,) * len(groups),
        group=tuple(groups),
        value=value,
        low=low,
        high=high,
        level=level,
        std_error=np.sqrt(value * (1 - value) / size),
        n_seen=size.astype(int),
        status=("ok",) * len(groups),
    )


def _label(given: Any, at: str) -> Label:
    """A label as a plain value: numpy's whole numbers and truth values are Python's."""
    value = given.item() if isinstance(given, np.generic) else given
    if not isinstance(value, str | bool | int):
        raise BadInput(f"{at} has the label {given!r}; a label is text, a whole number, or true or false")
    return value
