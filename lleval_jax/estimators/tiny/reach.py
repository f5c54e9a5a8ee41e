"""How far a model lies beyond all calibration models: what is learned from those is extrapolated there."""

from typing import NamedTuple

import numpy as np

from lleval_jax.values.bank import Calibration, ItemBank
from lleval_jax.values.responses import Responses

EXACT = "all items answered: the exact score of this set, without sampling error"
HALF = 0.5  # share of the items asked that a calibration model must have answered to be compared


class Reach(NamedTuple):
    """Lowest and highest score of the calibration models, (targets,) each."""

    low: np.ndarray
    high: np.ndarray


def reach(full: np.ndarray) -> Reach:
    """What the scores of known models span.  (models, targets) -> two (targets,)."""
    return Reach(full.min(0), full.max(0))


def exact(here: Responses, bank: ItemBank, targets: np.ndarray) -> np.ndarray:
    """(rows, targets) whether a row answered all items that a target is the score of."""
    if bank.calibration is not None and bank.calibration.outside:
        return np.zeros((len(here.rows), len(targets)), bool)  # the bank holds only a part of them
    needed = bank.target_weight[targets] > 0
    return here.seen.astype(int) @ needed.T.astype(int) == needed.sum(1)


def known_reach(known: Calibration, targets: np.ndarray) -> Reach:
    """What the scores of a bank's calibration models span."""
    return reach(known.full[_whole(known)][:, targets])


def beyond(value: np.ndarray, ends: Reach) -> np.ndarray:
    """How far above the highest known score an estimate lies, or below the lowest: (models, targets), not negative."""
    return np.maximum(np.maximum(value - ends.high, ends.low - value), 0)


def answers_beyond(here: Responses, known: Calibration) -> np.ndarray:
    """(rows,) how far a row's mean lies above the best of the known models on the same items, or below the worst."""
    asked, count = here.seen.astype(float).T, np.maximum(here.n_seen, 1)
    answered = known.seen.astype(float) @ asked
    theirs = (known.answers * known.seen).astype(float) @ asked / np.maximum(answered, 1)
    enough = answered >= HALF * count
    best, worst = np.where(enough, theirs, -np.inf).max(0), np.where(enough, theirs, np.inf).min(0)
    mean = (here.scores * here.seen).astype(float).sum(1) / count
    return np.where(enough.any(0), np.maximum(np.maximum(mean - best, worst - mean), 0), 0.0)


def remarks(value: np.ndarray, own: np.ndarray | None, bank: ItemBank, targets: np.ndarray) -> tuple[str, ...]:
    """What a reader must know of each entry: that a model is above or below all known ones, and the method's own words.

    value  (rows, targets);  own (rows, targets) words of the method, or None
    """
    words: list[str] = [""] * value.size if own is None else own.ravel().tolist()
    known = bank.calibration
    if known is None or not _whole(known).any():
        return tuple(words)
    ends, count = known_reach(known, targets), int(_whole(known).sum())
    for place, found in (("above", value > ends.high), ("below", value < ends.low)):
        for at in np.flatnonzero(found):
            words[at] = "; ".join(filter(None, (f"{place} all {count} calibration models", words[at])))
    return tuple(words)


def _whole(known: Calibration) -> np.ndarray:
    """(models,) whose full score is known: they answered all, or it came from a table."""
    return np.ones(len(known.rows), bool) if known.outside else np.all(known.seen, axis=1)
