"""Near-copies among the models: re-uploads, merges and light fine-tunes, which count as less than a model each.

Two models that are no copies miss different items once ability and difficulty are allowed for. With p the additive
(Rasch) probability of a right answer and e = x - p, rows r and s are near-copies if what they have in common beyond
ability is large, and too much for chance:

    share_rs = sum_i e_ri e_si / sqrt(sum_i e_ri^2 sum_i e_si^2) > 0.7
    odds_rs  = prod_i [0.9 1(x_ri = x_si) + 0.1 P(x_si)] / P(x_si) > 100 pairs

The second is the likelihood ratio of "s copies nine answers in ten from r" against "s answers for itself". For
strangers its mean is 1, so that it exceeds K with probability 1/K at most, however few and easy the items (Markov).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit

SHARED = 0.7  # residual correlation from which two rows are near-copies: half their variance is the same
COPIED = 0.9  # of the answers, in the likelihood ratio
FALSE_ALARM = 0.01  # chance of any false pair, were the additive model true
SWEEPS = 8  # Newton steps on abilities and difficulties in turn


class Copies(NamedTuple):
    """Near-copies found.

    leader  (rows,) position of the row that stands for this one; itself where it has no earlier near-copy
    share   (rows,) residual correlation with the leader; 1 for a leader
    """

    leader: np.ndarray
    share: np.ndarray

    @property
    def distinct(self) -> int:
        """How many rows are left when copies count once."""
        return int(np.sum(self.leader == np.arange(len(self.leader))))

    @property
    def clusters(self) -> list[np.ndarray]:
        """Positions of the rows of each set of near-copies, largest first."""
        size = np.bincount(self.leader, minlength=len(self.leader))
        many = np.flatnonzero(size > 1)
        return [np.flatnonzero(self.leader == i) for i in many[np.argsort(-size[many], kind="stable")]]


def additive(scores: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """P(correct) of the additive logistic model, penalised as if each row and item had one more half-right answer."""
    ability, ease = np.zeros((len(scores), 1), np.float32), np.zeros((1, scores.shape[1]), np.float32)
    asked = [seen.sum(axis, keepdims=True, dtype=np.float32) for axis in (1, 0)]
    right = [scores.sum(axis, keepdims=True, dtype=np.float32) for axis in (1, 0)]
    for sweep in range(2 * SWEEPS):
        side = sweep % 2
        p = expit(ability + ease)
        here = (ability, ease)[side]
        own = expit(here)
        pull = right[side] - (p * seen).sum(1 - side, keepdims=True) + 0.5 - own
        worth = (p * (1 - p) * seen).sum(1 - side, keepdims=True) + own * (1 - own) + 1e-3 * (asked[side] == 0)
        here += np.clip(pull / worth, -1, 1)
        if side == 0:
            ability -= ability.mean()
    return expit(ability + ease)


def find(scores: np.ndarray, seen: np.ndarray) -> Copies:
    """Near-copies among the rows of scores (rows, items); matrix products only, and one pass over the rows."""
    seen = seen.astype(np.float32)
    p = additive(scores, seen)
    residual = (scores - p) * seen
    size = np.sqrt(np.maximum((residual**2).sum(1), 1e-9))
    share = (residual @ residual.T) / (size[:, None] * size[None, :])
    pairs = max(1, len(scores) * (len(scores) - 1) / 2)
    odds = _log_odds(scores > 0.5, seen, np.clip(p, 1e-6, 1 - 1e-6))
    alike = (share > SHARED) & (np.minimum(odds, odds.T) > np.log(pairs / FALSE_ALARM))
    leader, nearest = np.arange(len(scores)), np.ones(len(scores), np.float32)
    for row in range(1, len(scores)):
        earlier = np.flatnonzero(alike[row, :row] & (leader[:row] == np.arange(row)))
        if len(earlier):
            best = earlier[share[row, earlier].argmax()]
            leader[row], nearest[row] = best, share[row, best]
    return Copies(leader, nearest)


def _log_odds(right: np.ndarray, seen: np.ndarray, p: np.ndarray) -> np.ndarray:
    """(rows, rows) log odds that the second row copies the first."""
    right, wrong = right * seen, ~right * seen
    agree = (
        right @ (right * np.log(1 - COPIED + COPIED / p)).T + wrong @ (wrong * np.log(1 - COPIED + COPIED / (1 - p))).T
    )
    return agree + np.log(1 - COPIED) * (right @ wrong.T + wrong @ right.T)
