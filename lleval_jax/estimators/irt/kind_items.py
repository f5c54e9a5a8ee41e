"""Banks whose items have answers of several kinds: what goes to the device, abilities, expected scores, refusals."""

import functools
from collections.abc import Sequence
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.irt import kinds, predicted, scoring
from lleval_jax.core.precision import jit
from lleval_jax.core.shapes import few, pad
from lleval_jax.errors import BankMismatch, require
from lleval_jax.layout.answers import NEUTRAL, Columns, columns
from lleval_jax.types import Array
from lleval_jax.values.bank import ItemBank
from lleval_jax.values.params import AnswerKinds
from lleval_jax.values.responses import Responses

BATCH = 64  # rows scored at once


class Items(NamedTuple):
    """Items of a bank on the device.

    where   the kinds, and positions among the items asked for
    blocks  (items, 2 + shapes) of each: slope, intercept, shape; padded with zeros
    """

    where: Columns
    blocks: tuple[Array, ...]

    @property
    def order(self) -> np.ndarray:
        """Where the items asked for are in the padded blocks, one after another."""
        sizes = np.cumsum([0, *(len(block) for block in self.blocks)])
        at = np.concatenate([start + np.arange(len(i)) for start, i in zip(sizes, self.where.index, strict=False)])
        return at[np.argsort(np.concatenate(self.where.index), kind="stable")]


def items_of(bank: ItemBank, index: Sequence[int] | np.ndarray, known: AnswerKinds, *, padded: bool = True) -> Items:
    """The bank's items at `index`."""
    names = known.of_items
    where, blocks = columns([names[i] for i in index]), []
    for kind, at in zip(where.kinds, where.index, strict=True):
        mine = np.asarray(index)[at]
        whole = np.column_stack([bank.slope[mine, 0], bank.intercept[mine], known.shape[mine][:, : kind.shapes]])
        size = few(len(mine)) if padded else len(mine)
        blocks.append(jnp.asarray(pad(whole.astype(np.float32), (size, whole.shape[1]))))
    return Items(where, tuple(blocks))


def score(
    here: Responses, bank: ItemBank, prior: scoring.Normal, method: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `ability.score`: ability (rows, 1), covariance (rows, 1, 1), status (rows,)."""
    known = cast(AnswerKinds, bank.answers)
    require_taken(here, bank, known)
    asked = np.flatnonzero(here.seen.any(0))
    items = items_of(bank, asked, known)
    rows, parts = few(len(here.rows)), []
    for block, at in zip(items.blocks, items.where.index, strict=True):
        seen = here.seen[:, asked[at]]
        scores = np.where(seen, here.scores[:, asked[at]], NEUTRAL)
        weight = seen * here.weight[:, asked[at]]
        shape = rows, len(block)
        parts.append(
            scoring.Answers(
                jnp.asarray(pad(scores, shape, NEUTRAL, "float32")), jnp.asarray(pad(weight, shape, dtype="float32"))
            )
        )
    found = _score(tuple(parts), items.blocks, prior, kinds_=items.where.kinds, method=method)
    value, cov, status = (np.asarray(part)[: len(here.rows)] for part in found)
    return value, cov, status


@functools.partial(jit, static_argnames=("kinds_", "method"))
def _score(
    answers: tuple[scoring.Answers, ...],
    items: tuple[Array, ...],
    prior: scoring.Normal,
    kinds_: tuple[kinds.Kind, ...],
    method: str,
) -> tuple[Array, Array, Array]:
    def one(row: tuple[scoring.Answers, ...]) -> tuple[Array, Array, Array]:
        found = predicted.score(kinds_, items, row, prior, by=method)
        return found.value, found.covariance, found.status

    return jax.lax.map(one, answers, batch_size=BATCH)


def expected(bank: ItemBank, abilities: np.ndarray) -> predicted.Predicted:
    """What all items say at abilities (n,): arrays (n, items) and (n, items, k)."""
    items = items_of(bank, np.arange(len(bank.items)), cast(AnswerKinds, bank.answers), padded=False)
    found = _expected(jnp.asarray(abilities, jnp.float32)[:, None], items.blocks, kinds_=items.where.kinds)
    return jax.tree.map(lambda part: np.asarray(part)[:, items.order], found)


@functools.partial(jit, static_argnames="kinds_")
def _expected(abilities: Array, items: tuple[Array, ...], kinds_: tuple[kinds.Kind, ...]) -> predicted.Predicted:
    return jax.vmap(predicted.predict_all, (None, None, 0))(kinds_, items, abilities)


def require_taken(here: Responses, bank: ItemBank, known: AnswerKinds) -> None:
    """`BadInput` with the first score that its item's kind does not take."""
    where = columns(known.of_items)
    for kind, index in zip(where.kinds, where.index, strict=True):
        scores, weight = here.scores[:, index], np.asarray(here.weight)[:, index]
        wrong = here.seen[:, index] & ~kind.allows(scores, weight)
        for row, at in np.argwhere(wrong)[:1] if kind.name != "bernoulli" else ():
            require(
                False,
                f"item {bank.items[index[at]]!r} of bank {bank.name!r} has answers of kind {kind.name!r}, which takes "
                f"{kind.takes}; model {here.rows[row]!r} has {scores[row, at]:.6g}. Leave that answer out, or "
                "calibrate with another kind",
            )


def refuse(answers: AnswerKinds | None, whose: str, what: str) -> None:
    """`BankMismatch` where a method knows only answers that are right or wrong, or k of n."""
    if answers is not None:
        names = ", ".join(answers.names)
        raise BankMismatch(
            f"{what} takes answers that are right or wrong; {whose} was fitted to answers of kind {names}.",
            python="Fit it with answers='bernoulli' for this.",
            shell="Calibrate with --answers bernoulli for this.",
        )
