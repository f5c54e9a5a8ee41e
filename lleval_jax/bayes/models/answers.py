"""Answers as arrays for a posterior, and the scores that follow from probabilities."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.bayes.contract import Laid, Target
from lleval_jax.core.irt import kinds
from lleval_jax.errors import nearest, require
from lleval_jax.types import Array
from lleval_jax.values.responses import WHOLE, Responses
from lleval_jax.values.sparse import SparseResponses, as_dense

Numbers = Array | np.ndarray  # a layout is made on the host


RIGHT_OR_WRONG = np.zeros(0, np.int32)


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Known:
    """The kinds that there are, by name: part of the program, not of the numbers."""

    names: tuple[str, ...]

    @property
    def kinds(self) -> tuple[kinds.Kind, ...]:
        """Themselves."""
        return tuple(map(kinds.of, self.names))

    @property
    def shapes(self) -> int:
        """Of the kind with the most; one where none has any, which then only its prior moves."""
        return max(1, *(kind.shapes for kind in self.kinds))


class Data(NamedTuple):
    """Answers.

    scores    (models, items)     in [0, 1]; 0 where not seen
    weight    (models, items)     answers behind a score; 0 where not seen
    group     (items,)            index of the item's group
    share     (groups, items)     1 / number of the group's items, where an item is of the group
    family    (models,)           index of the model's family
    families  (families,)         how many models each has
    anchors   (dims,)             items whose loadings are triangular
    features  (items, features)   standardised; none, unless the model has them
    told      (items,)            information about an item, as of `effects`, where it is needed
    kind      (items,)            index into `known`; none, where all answers are right or wrong
    known     the kinds of answers
    """

    scores: Numbers
    weight: Numbers
    group: Numbers
    share: Numbers
    family: Numbers
    families: Numbers
    anchors: Numbers
    features: Numbers
    told: Numbers
    kind: Numbers = RIGHT_OR_WRONG
    known: Known = Known(("bernoulli",))


class Scored(Protocol):
    """What scores are made of: `scores`, `weight` and `share` as of `Data`."""

    @property
    def scores(self) -> Numbers: ...  # noqa: D102

    @property
    def weight(self) -> Numbers: ...  # noqa: D102

    @property
    def share(self) -> Numbers: ...  # noqa: D102


def lay_out(
    value: Responses | SparseResponses,
    families: Sequence[tuple[str, str]],
    anchors: np.ndarray,
    kept: Mapping[str, tuple[str, ...]],
    precision: str,
) -> Laid:
    """Names and arrays apart.

    Raises:
        BadInput: there are no answers, or a model has no family.
    """
    responses = as_dense(value)
    require(bool(responses.seen.any()), "there are no answers; a posterior needs one at least")
    names, family = _families(responses.rows, families)
    member = np.arange(len(responses.groups))[:, None] == responses.group[None]
    numbers = {
        "scores": np.where(responses.seen, responses.scores, 0).astype(precision),
        "weight": (responses.seen * responses.weight).astype(precision),
        "share": (member / np.maximum(member.sum(1, keepdims=True), 1)).astype(precision),
    }
    data = Data(
        group=responses.group,
        family=family,
        families=np.bincount(family, minlength=len(names)),
        anchors=anchors,
        features=np.zeros((len(responses.items), 0), precision),
        told=np.zeros(len(responses.items), precision),
        **numbers,
    )
    dims = tuple(f"ability-{d + 1}" for d in range(len(anchors))) if len(anchors) > 1 else ("ability",)
    groups = responses.groups if len(responses.groups) > 1 else ()
    seen = np.concatenate([responses.n_seen[:, None], responses.seen @ member[: len(groups)].T.astype(int)], 1)
    scored = Target(responses.rows, (WHOLE, *groups), seen)
    axes = {"models": responses.rows, "items": responses.items, "groups": responses.groups}
    axes |= {"dims": dims, "families": names}
    ability = Target(responses.rows, dims if len(dims) > 1 else (WHOLE,), np.repeat(seen[:, :1], len(dims), 1))
    return Laid(data, axes, kept, {"rate": scored, "score": scored, "ability": ability}, responses.source)


def outcome(target: str, data: Scored, probability: Array, key: Array) -> Array:
    """(models, 1 + groups) mean over all items, and over those of each group where there are several.

    rate   of the probabilities: where the score tends to if the same questions are asked again and again
    score  of the benchmark's answers: those seen as they are, the others drawn
    """
    if target == "score":
        drawn = jax.random.bernoulli(key, probability).astype(probability.dtype)
        probability = jnp.where(data.weight > 0, data.scores, drawn)
    return averaged(data.share, probability)


def averaged(share: Numbers, probability: Array) -> Array:
    """(rows, 1 + groups) of (rows, items): mean over all items, and over those of each group if there are several."""
    whole = jnp.mean(probability, 1, keepdims=True)
    return jnp.concatenate([whole, probability @ share.T], 1) if len(share) > 1 else whole


def _families(rows: tuple[str, ...], families: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], np.ndarray]:
    """The families' names, and (models,) which each is of."""
    known = dict(families)
    if not known:
        return (), np.zeros(len(rows), int)
    for row in [row for row in rows if row not in known][:1]:
        require(False, f"model {row!r} has no family; families are given for {len(known)}{nearest(row, known)}")
    names = tuple(dict.fromkeys(known[row] for row in rows))
    return names, np.array([names.index(known[row]) for row in rows])
