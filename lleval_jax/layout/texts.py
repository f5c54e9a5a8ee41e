"""Texts scored under elements of a prompt as arrays: comparable columns, equal elements merged, padded to few sizes."""

from typing import Any, Literal, NamedTuple

import numpy as np

from lleval_jax.core.shapes import few, pad
from lleval_jax.errors import require
from lleval_jax.values.logprobs import LogProbs

Kind = Literal["texts", "pairs"]


class Texts(NamedTuple):
    """One fit of weights.

    columns  (texts, groups)  log-probability under each different element, less its mean over these
    target   (texts,)         under the full prompt, less that mean; of pairs that mean itself
    fitted   (texts,)         1 where a text teaches the weights; 0 also for padding
    count    (groups,)        elements that a column stands for
    weight   (texts,)         of each text in the loss
    penalty  ()               pulls weights to be equal
    scale    ()               of pairs, log-odds a unit of log-probability
    """

    columns: Any
    target: Any
    fitted: Any
    count: Any
    weight: Any
    penalty: Any
    scale: Any


SAME_TEXTS = Texts(None, None, None, None, 0, 0, 0)
"""Axes of many fits of the same texts, as `jax.vmap` takes them."""


class Table(NamedTuple):
    """Columns, target and which texts are fitted, as in `Texts`, without padding."""

    columns: np.ndarray
    target: np.ndarray
    fitted: np.ndarray


class Scored(NamedTuple):
    """What of the texts stays on the host.

    kind    texts or pairs
    table   without padding
    share   (texts,)                  the mean score is share @ each
    mass    (texts,)                  how much of the mean a text is; with sum one
    each    (texts, elements)         log-probabilities, of pairs differences
    level   (texts,)                  mean of the different elements
    sides   (sides, texts, groups)    the columns before differences are taken
    joint   (texts, subsets)          log-probabilities under combinations, of pairs differences
    expand  (elements, groups)        weight of an element from that of its group: shared evenly
    """

    kind: Kind
    table: Table
    share: np.ndarray
    mass: np.ndarray
    each: np.ndarray
    level: np.ndarray
    sides: np.ndarray
    joint: np.ndarray
    expand: np.ndarray

    @property
    def twin(self) -> np.ndarray:
        """(elements,) the group of each."""
        return self.expand.argmax(1)


def lay_out(data: LogProbs, per: str) -> tuple[Texts, Scored]:
    """Columns of comparable texts, equal elements merged: one fit without penalty, and what stays on the host.

    Raises:
        BadInput: lengths are needed and missing, no text was scored under the full prompt, or too few.
    """
    joint, seen, desired = data.joint, data.seen, data.desired
    size, mass = _sizes(data, per)
    single, joint = data.single / size[:, :, None], joint / size[:, :, None]
    group = _groups(single[0] - single[-1] if data.pairs else single[0])
    count = np.bincount(group)
    expand = (group[:, None] == np.arange(len(count))[None, :]) / count[None, :]
    different = single[:, :, [int((group == g).argmax()) for g in range(len(count))]]
    level = different.mean(2)
    sides = different - level[:, :, None]
    each, columns, middle, together = (_difference(part) for part in (single, sides, level, joint))
    whole = np.flatnonzero(data.member.all(1))
    if data.pairs:
        target, fitted = middle, np.ones(len(data.texts), bool)
    else:
        require(len(whole) > 0, "no text was scored under the full prompt; rows with element 'full' are needed")
        target, fitted = together[:, whole[0]] - middle, seen[:, whole[0]]
    how = "scored as pairs" if data.pairs else "scored under the full prompt"
    k, n = len(count), int(fitted.sum())
    require(n > k, f"{n} texts were {how}; {k} different elements need {k + 1} at least, ten times as many is better")
    require(bool(desired.any()), "no text is desired; the score is the mean of those that are")
    table = Table(columns, np.where(fitted, target, 0), fitted.astype(float))
    mass = mass * desired / (mass @ desired)
    share = mass / size[0] if per == "length" else mass
    kind: Kind = "pairs" if data.pairs else "texts"
    scored = Scored(kind, table, share, mass, each, middle, sides, together, expand)
    return _padded(table, expand), scored


def _padded(table: Table, expand: np.ndarray) -> Texts:
    """A table on the device's terms."""
    rows = few(len(table.columns))
    columns, target, fitted = (pad(part, (rows, *part.shape[1:])) for part in table)
    return Texts(columns, target, fitted, 1 / expand.max(0), fitted, np.zeros(()), np.ones(()))


def _sizes(data: LogProbs, per: str) -> tuple[np.ndarray, np.ndarray]:
    """(sides, texts) what log-probabilities are divided by, and (texts,) how much each text counts in the mean."""
    if per == "text":
        return np.ones((len(data.single), len(data.texts))), np.ones(len(data.texts))
    what = "tokens_preferred and tokens_rejected" if data.pairs else "tokens"
    require(data.tokens is not None, f"per={per!r} needs the texts' lengths: there is no column {what}")
    tokens = np.asarray(data.tokens, float)
    if per == "token":
        return tokens, np.ones(len(data.texts))
    require(not data.pairs, "per='length' has no meaning for pairs, whose texts have two lengths; take 'token'")
    return np.sqrt(tokens), tokens[0]


def _groups(each: np.ndarray) -> np.ndarray:
    """(elements,) one number for all elements with the same log-probabilities."""
    near = 1e-9 * (1 + np.abs(each).max(initial=0))
    group = np.full(each.shape[1], -1)
    for k in range(each.shape[1]):
        same = [j for j in range(k) if np.abs(each[:, j] - each[:, k]).max() <= near]
        group[k] = group[same[0]] if same else group.max() + 1
    return group


def _difference(sides: np.ndarray) -> np.ndarray:
    return sides[0] - sides[1] if len(sides) == 2 else sides[0]
