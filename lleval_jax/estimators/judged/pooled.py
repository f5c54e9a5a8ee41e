"""The judge's scores on the scale of the labels, learned from the labels of all models."""

import warnings
from typing import NamedTuple

import numpy as np

from lleval_jax.errors import BadInput, DataWarning, outside, require
from lleval_jax.values.responses import Responses, positions
from lleval_jax.values.sparse import SparseResponses, as_dense

FOLDS = 10  # of items: the line that an item's score goes through was learned without it
FEWEST = 5  # labels of a model
PRIOR = 2.0  # labels that the spread of all labels counts for in that of a model
FLAT = 1e-12


class Pooled(NamedTuple):
    """Models that have labels enough, (models,) each.

    rows      names
    labels    number of labels
    scored    number of answers that the judge scored
    mean      of the labels
    gap       mean of h on the labelled answers less that on all
    share     lambda
    spread    variance of labels
    rest      variance of label - lambda h
    label, told  all labels and their h, each less its model's mean, one after the other
    """

    rows: tuple[str, ...]
    labels: np.ndarray
    scored: np.ndarray
    mean: np.ndarray
    gap: np.ndarray
    share: np.ndarray
    spread: np.ndarray
    rest: np.ndarray
    label: np.ndarray
    told: np.ndarray


def aligned(judge: Responses | SparseResponses, human: Responses | SparseResponses) -> tuple[Responses, Responses]:
    """Both on the judge's rows and items.

    Raises:
        BadInput: a label of an answer that the judge has not scored; the message names model and item.
    """
    judge, human = as_dense(judge), as_dense(human)
    for what, named, there in (("model", human.rows, judge.rows), ("item", human.items, judge.items)):
        more = sorted(set(named) - set(there))[:1]
        require(not more, f"{what} {more} has labels, and no score of the judge")
    scores, seen = np.zeros(judge.scores.shape), np.zeros(judge.seen.shape, bool)
    cells = np.ix_(positions(human.rows, judge.rows), positions(human.items, judge.items))
    scores[cells], seen[cells] = human.scores, human.seen
    for row, item in np.argwhere(seen & ~judge.seen)[:1]:
        raise BadInput(
            f"the answer of {judge.rows[row]!r} to {judge.items[item]!r} has a label and no score of the judge. "
            "Score it, or leave the label out."
        )
    return judge, Responses.build(scores, seen=seen, rows=judge.rows, items=judge.items)


def pooled(judge: Responses, human: Responses) -> Pooled:
    """What is needed of each model; those with fewer than FEWEST labels are left out with a `DataWarning`.

    Raises:
        BadInput: no model has labels enough.
    """
    y, seen, scored = human.scores.astype(float), human.seen, judge.seen
    few = np.flatnonzero(seen.sum(1) < FEWEST)
    kept = np.flatnonzero(seen.sum(1) >= FEWEST)
    require(len(kept) > 0, f"no model has {FEWEST} human labels or more; label some answers drawn at random")
    if len(few):
        names = ", ".join(f"{judge.rows[i]!r} ({int(seen[i].sum())})" for i in few[:4])
        text = f"models with fewer than {FEWEST} labels are left out: {names}{', ...' * (len(few) > 4)}"
        warnings.warn(DataWarning(text), stacklevel=outside())
    h = _lines(judge.scores.astype(float), y, seen)
    p = (y[seen].sum() + 1) / (seen.sum() + 2)
    lines, label, told = [], [], []
    for i in kept:
        here, all_of = seen[i], scored[i]
        own, mine = y[i, here], h[i, here]
        off, about = own - own.mean(), mine - mine.mean()
        share = float(np.clip(off @ about / max(about @ about, FLAT), 0, 1))
        n, prior = len(own), PRIOR * p * (1 - p)
        spread = (off @ off + prior) / (n - 1 + PRIOR)
        rest = ((off - share * about) ** 2).sum() + prior
        rest /= n - 1 - (share > 0) + PRIOR
        gap = mine.mean() - h[i, all_of].mean()
        lines.append((n, all_of.sum(), own.mean(), gap, share, spread, min(rest, spread)))
        label.append(off)
        told.append(about)
    rows, (n, m, mean, gap, share, spread, rest) = tuple(judge.rows[i] for i in kept), np.array(lines, float).T
    return Pooled(rows, n, m, mean, gap, share, spread, rest, np.concatenate(label), np.concatenate(told))


def _lines(f: np.ndarray, y: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(models, items) h: a line through the labels of all models on the items of other folds."""
    fold, h = np.arange(f.shape[1]) % FOLDS, np.empty_like(f)
    for k in range(FOLDS):
        rest = seen & (fold != k)[None, :]
        rest = rest if rest.sum() > 1 else seen
        x, z = f[rest], y[rest]
        about = x - x.mean()
        slope = about @ z / (about @ about) if about @ about > FLAT else 0.0
        h[:, fold == k] = z.mean() + slope * (f[:, fold == k] - x.mean())
    return h
