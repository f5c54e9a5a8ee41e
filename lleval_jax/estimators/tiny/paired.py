"""Two models on a whole benchmark from the same few answers: the predicted difference, and how well it is known.

The bank's difference has the standard error sqrt(s1^2 + s2^2) if the errors of two models are independent. Between
models like those of the calibration they are: the bank has taken out what makes questions hard. Between models above
all of the calibration they are not, since both are predicted too low; and two models that answer alike differ by less
than two errors can say.

Both answered the same questions, so the mean difference on these is known by itself (`plain.paired`), with a standard
error that is small where the two answer alike. The interval is the bank's difference plus or minus the smaller of the
two half widths. How often it contains the difference of models left out: bench/plain, `plain.with_bank`.
"""

import dataclasses
import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from lleval_jax.errors import BadInput, DataWarning, nearest, require
from lleval_jax.estimators.irt.ability import known_answers
from lleval_jax.estimators.plain.paired import POWER, reach
from lleval_jax.estimators.tiny.score import estimate
from lleval_jax.values.bank import ItemBank
from lleval_jax.values.comparison import Comparison
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Estimate
from lleval_jax.values.sparse import SparseResponses

FEWEST = 10  # common answers from which their own standard error is taken
PAIRED = "Standard error of the differences on the questions that both answered."
APART = "Errors treated as independent (conservative when both answered the same questions)."


def compare(
    responses: Responses | SparseResponses,
    *,
    bank: ItemBank,
    first: str,
    second: str,
    by: str = "auto",
    level: float = 0.95,
    groups: bool = False,
    seed: int = 0,
    strict: bool = False,
) -> Comparison:
    """The full-benchmark score of `first` minus that of `second`, from their answers to some of the bank's items.

    Args:
        responses: answers of both, among others.
        bank: calibrated items.
        first: name of a model.
        second: name of another.
        by: "auto" or one of `methods()`, as in `estimate`.
        level: confidence level of the interval.
        groups: also the difference on each group.
        seed: of the regression's random subsets.
        strict: items that the bank does not know are an error.

    Returns:
        A `Comparison`. The p value is that of the normal distribution, so that it is below 1 - level where the interval
        leaves out 0.

    Raises:
        BadInput: an unknown model, or twice the same.
        BankMismatch: as in `estimate`.
    """
    require(first != second, f"two different models are needed to compare; both are {first!r}")
    for name in (first, second):
        if name not in responses.rows:
            raise BadInput(f"there is no model {name!r} to compare{nearest(name, responses.rows)}")
    pair = responses.take([responses.rows.index(first), responses.rows.index(second)])
    found = estimate(pair, bank=bank, by=by, level=level, groups=groups, seed=seed, strict=strict)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # said by `estimate`
        here = known_answers(pair, bank, strict)
    return between(found, here, bank=bank)


def between(found: Estimate, here: Responses, *, bank: ItemBank) -> Comparison:
    """The comparison of two models that were estimated, from their answers in the bank's order of items."""
    first, second = here.rows
    common, gap = np.asarray(here.seen.all(0)), (here.scores[0] - here.scores[1]).astype(float)
    one, two = (np.array([i for i, row in enumerate(found.rows) if row == name]) for name in (first, second))
    targets = [bank.targets.index(found.group[i]) for i in one]
    z = float(ndtri(0.5 + found.level / 2))
    apart = z * np.hypot(found.std_error[one], found.std_error[two])
    shared = np.array([_reach(common, gap, bank, target, found.level) for target in targets])
    half, value = np.minimum(apart, shared), found.value[one] - found.value[two]
    error = half / z
    inside = common & (bank.target_weight[targets] > 0)
    difference = dataclasses.replace(
        found,
        target=f"difference in {found.target}",
        rows=(f"{first} - {second}",) * len(one),
        group=tuple(found.group[i] for i in one),
        value=value,
        low=np.minimum(np.maximum(value - half, -1), value),
        high=np.maximum(np.minimum(value + half, 1), value),
        std_error=error,
        n_seen=inside.sum(1),
        status=("ok",) * len(one),
        remark=(),
    )
    return Comparison(
        difference=difference,
        first=first,
        second=second,
        p_value=_normal(value, error),
        tests=("normal",) * len(one),
        won=(inside & (gap > 0)).sum(1),
        lost=(inside & (gap < 0)).sum(1),
        detectable=(z + float(ndtri(POWER))) * error,
        power=POWER,
        how=PAIRED if shared[0] < apart[0] else APART,
    )


def _normal(value: NDArray, error: NDArray) -> NDArray:
    """Two-sided p values; of an exact difference 0, or 1 where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(value == 0, 1.0, 2 * ndtr(-np.abs(value) / error))


def _reach(common: NDArray, gap: NDArray, bank: ItemBank, target: int, level: float) -> float:
    """Half width from the differences on common items alone; infinite where these are few.

    The anchors count by their weights, other items by their shares of the target.
    """
    weight, anchors = bank.target_weight[target], bank.anchors
    asked = np.flatnonzero(common & (weight > 0))
    if len(asked) < FEWEST:
        return np.inf
    share = weight[asked]
    if target == 0 and anchors is not None and set(asked) == set(anchors.index):
        asked, share = np.asarray(anchors.index), anchors.weight
    if not (share > 0).any():
        return np.inf
    outside = bank.calibration is not None and bank.calibration.outside
    size = None if outside else int((weight > 0).sum())
    return reach(gap[asked], np.asarray(share, float), size, level=level)
