"""What was predicted of one model before each draw, and what each draw says of its score."""

import dataclasses
from typing import NamedTuple, cast

import numpy as np

from lleval_jax.errors import BadInput, BankMismatch
from lleval_jax.estimators.adaptive.choice import require_whole
from lleval_jax.estimators.irt.ability import known_answers
from lleval_jax.estimators.tiny import kriging
from lleval_jax.values.bank import Calibration, ItemBank, Learned
from lleval_jax.values.draws import Draws
from lleval_jax.values.responses import Responses, positions
from lleval_jax.values.sparse import SparseResponses

OFTEN = 16  # answers up to which each new one changes the predictions; then an eighth more of them does
SELDOM = 1 / 8


@dataclasses.dataclass(frozen=True)
class Known:
    """What a bank teaches of its items: their shares of the whole (items,), and what predicts answers to them."""

    weight: np.ndarray
    curves: kriging.Curves
    near: np.ndarray

    @classmethod
    def of(cls, bank: ItemBank) -> "Known":
        """`BankMismatch` for a bank that cannot predict single answers, or holds only part of its benchmark."""
        require_whole(bank)
        if bank.learned is None or bank.calibration is None:
            raise BankMismatch(
                f"bank {bank.name!r} keeps no complete answers of calibration models, from which answers are predicted",
                python="Draw items at random, and pass them to ll.plain.estimate with population=.",
                shell="Draw items at random, and pass their answers to 'lleval estimate --population N'.",
            )
        kept, scores = cast(Learned, bank.learned), cast(Calibration, bank.calibration).answers.astype(float)
        curves = kriging.Curves(kept.coef, kept.phi, kept.single, kept.ability)
        return cls(bank.target_weight[0].astype(float), curves, kriging.embedding(curves, scores[kept.models]))


class Trace(NamedTuple):
    """One model's draws, (draws,) each, and what is predicted after them, (items,) each.

    score     Z_t with what the bank predicts
    plain     Z_t with the mean of the answers in place of predictions
    left      share of the whole that was not answered before the draw
    off       answer less what the bank predicted
    plain_off answer less the mean of those before
    nominal   variance of the answer, as the bank predicts it
    chance    of the draw, in units of the item's share of what was left
    first     variance of the first Z_t, as the bank predicts it, for draws in proportion to the items' shares
    mean, variance   of answers to each item, as the bank predicts them now
    centre    mean of the answers
    """

    score: np.ndarray
    plain: np.ndarray
    left: np.ndarray
    off: np.ndarray
    plain_off: np.ndarray
    nominal: np.ndarray
    chance: np.ndarray
    first: float
    mean: np.ndarray
    variance: np.ndarray
    centre: float


def follow(known: Known, index: np.ndarray, chance: np.ndarray, answers: np.ndarray) -> Trace:
    """Draw by draw.  index, chance, answers (draws,): which item, with what chance, and the model's score on it."""
    w, free, last = known.weight, known.weight > 0, 0
    mean, variance = kriging.each(known.curves, known.near, index[:0], answers[:0])
    first = float(w @ variance)
    lines = np.empty((7, len(index)))
    for t, (i, q, y) in enumerate(zip(index, chance, answers, strict=True)):
        if t - last >= (1 if t <= OFTEN else SELDOM * t):
            mean, variance = kriging.each(known.curves, known.near, index[:t], answers[:t])
            last = t
        centre, left = _centre(answers[:t]), w[free].sum()
        told = w[index[:t]] @ answers[:t]
        corrected = told + w[free] @ mean[free] + w[i] * (y - mean[i]) / q
        plain = told + left * centre + w[i] * (y - centre) / q
        lines[:, t] = corrected, plain, left, y - mean[i], y - centre, variance[i], q * left / w[i]
        free = free.copy()
        free[i] = False
    mean, variance = kriging.each(known.curves, known.near, index, answers)
    corrected, plain, left, off, plain_off, nominal, share = lines
    return Trace(corrected, plain, left, off, plain_off, nominal, share, first, mean, variance, _centre(answers))


def _centre(answers: np.ndarray) -> float:
    """Their mean, as if there were one right and one wrong answer more."""
    return float((answers.sum() + 1) / (len(answers) + 2))


class Drawn(NamedTuple):
    """Answers to drawn items: places in the bank (draws,), scores (rows, draws), how many were answered (rows,)."""

    here: Responses
    index: np.ndarray
    scores: np.ndarray
    count: np.ndarray


def drawn(responses: Responses | SparseResponses, bank: ItemBank, draws: Draws, strict: bool) -> Drawn:
    """The answers to what was drawn; each row's are the first draws, without a gap."""
    index = places(bank, draws)
    here = known_answers(responses, bank, strict)
    seen = here.seen[:, index]
    count = seen.argmin(1) if seen.shape[1] else np.zeros(len(seen), int)
    count = np.where(seen.all(1), seen.shape[1], count)
    for row, (n, answered) in enumerate(zip(count, seen.sum(1), strict=True)):
        if answered > n:
            raise BadInput(
                f"{here.rows[row]!r} has no answer to item {draws.items[n]!r}, draw {n + 1} of {len(draws)}, but has "
                "some to later draws. Run it: an interval holds only if no drawn item is left out."
            )
    return Drawn(here, index, here.scores[:, index].astype(float), count)


def places(bank: ItemBank, draws: Draws) -> np.ndarray:
    """Where the drawn items stand in the bank."""
    unknown = sorted(set(draws.items) - set(bank.items))
    if draws.bank != bank.name or unknown:
        what = f"draws of bank {draws.bank!r} do not go with bank {bank.name!r}"
        raise BankMismatch(what + (f"; it has no item {unknown[0]!r}" if unknown else ""))
    return positions(draws.items, bank.items)
