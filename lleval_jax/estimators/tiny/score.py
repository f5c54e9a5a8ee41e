"""A benchmark's score from few of its items (tinyBenchmarks, Maia Polo et al. 2024, arXiv:2402.14992, and beyond).

    weighted   sum_k omega_k y_k                                   "IRT" in the paper
    pirt       answered items as they are, the rest as predicted   eq. 5 to 7
    gpirt      lambda weighted + (1 - lambda) pirt                 eq. 8, lambda from signed held-out bias
    kriged     p-IRT of two abilities plus the kriged residual of what was answered (`kriging`)
    head       Gaussian-process regression of the full score on the answers (`head`)
    mixed      kriged and head; the share was best on models left out
    auto       what the calibration models allow: head if only their full scores are known, else the mixture of kriged
               and head that was best on models left out, else gpirt

All intervals hold the finite population, the ability's error, the items' error, and the misfit seen on models that were
left out of everything. None leaves [0, 1], nor what the answers already given make certain.

`METHODS` has what each is; other packages bring more (`methods`).
"""

from typing import cast

import numpy as np
from scipy.stats import t as student

from lleval_jax import outside
from lleval_jax.errors import BankMismatch, require_known, require_level
from lleval_jax.estimators.irt.ability import known_answers
from lleval_jax.estimators.tiny import kriging, linear, plans, reach
from lleval_jax.estimators.tiny import regression as head
from lleval_jax.estimators.tiny.method import (
    CHECKED,
    FEWEST_MODELS,
    LEARNED,
    MODELS,
    WHOLE,
    Method,
    Spread,
    require_needs,
)
from lleval_jax.renamed import renamed
from lleval_jax.values.bank import Calibration, ItemBank, Learned
from lleval_jax.values.responses import Responses, positions
from lleval_jax.values.results import Estimate, Source
from lleval_jax.values.sparse import SparseResponses

CITE = ("polo2024tiny",)
WIDEN_DF = 4.0  # prior strength of the nominal width, in models
LEAVES = 0.3  # standard errors beyond the known scores at which the head's say begins to go ...
APART = 2.0  # ... and by how many the head and the curves may differ
LITTLE = 0.5  # a say that is less is remarked
GROUP = "lleval_jax.methods"  # of the entry points by which other packages bring a `Method`, under its name


@renamed(method="by")
def estimate(
    responses: Responses | SparseResponses,
    *,
    bank: ItemBank,
    by: str = "auto",
    level: float = 0.95,
    groups: bool = False,
    seed: int = 0,
    strict: bool = False,
) -> Estimate:
    """Full-benchmark score of each row, from answers to any of the bank's items.

    Args:
        responses: answers; none of them to an item of the bank is an error.
        bank: calibrated items, with what the calibration models teach.
        by: "auto" or one of `methods()`.
        level: coverage of the intervals.
        groups: also each group's score, one entry each.
        seed: of the regression's random subsets.
        strict: items that the bank does not know are an error; otherwise a `DataWarning` counts them.

    Raises:
        BadInput: an unknown method or level.
        BankMismatch: no answer to any item of the bank, with `strict` an item that it does not know, or a method
            for which the bank lacks something.
    """
    known = methods()
    require_known(by, ("auto", *known), "method")
    require_level(level)
    here = known_answers(responses, bank, strict)
    name = default_method(bank) if by == "auto" else by
    require_needs(name, bank, known)
    chosen, targets = known[name], _targets(bank, groups)
    found = chosen.call(here, bank, targets, level, seed)
    found = _stretched(found, bank, name, targets) if chosen.widen else found
    found = _certain(found, here, bank, targets)
    names = [bank.targets[t] for t in targets]
    n = len(here.rows)
    return Estimate(
        target="accuracy",
        method=name,
        rows=tuple(row for row in here.rows for _ in names),
        group=tuple(names * n),
        value=found.value.ravel(),
        low=found.low.ravel(),
        high=found.high.ravel(),
        level=level,
        std_error=found.std_error.ravel(),
        n_seen=np.repeat(here.n_seen, len(names)),
        status=("ok",) * (n * len(names)),
        source=here.source.merge(Source(bank=bank.name, seed=seed, cite=chosen.cite)),
        caveats=bank.caveats,
        remark=reach.remarks(found.value, _words(found, here, bank, targets), bank, targets),
    )


def _words(found: Spread, here: Responses, bank: ItemBank, targets: np.ndarray) -> np.ndarray:
    """(rows, targets) what is to be said of each entry: that it is exact, or else the method's own words."""
    own = np.full(found.value.shape, "", object) if found.remark is None else found.remark.astype(object)
    return np.where(reach.exact(here, bank, targets), reach.EXACT, own)


def methods() -> dict[str, Method]:
    """Name -> method: those of `METHODS`, then those that installed packages bring."""
    return outside.joined(METHODS, GROUP, Method)


def default_method(bank: ItemBank) -> str:
    """What "auto" stands for with this bank."""
    if bank.calibration is not None and bank.calibration.outside:
        return "head"
    if bank.learned is not None:
        return "mixed" if bank.anchors is not None and bank.anchors.mix[0] > 0.05 else "kriged"
    return "gpirt"


def weighted(here: Responses, bank: ItemBank, targets: np.ndarray, level: float, seed: int) -> Spread:
    """Weighted mean of the answers; anchors carry their clusters' weights."""
    return _planned("weighted", plans.weighted, here, bank, targets, level)


def pirt(here: Responses, bank: ItemBank, targets: np.ndarray, level: float, seed: int) -> Spread:
    """Answered items as they are, the rest as the item curves predict."""
    return _planned("pirt", plans.pirt, here, bank, targets, level)


def gpirt(here: Responses, bank: ItemBank, targets: np.ndarray, level: float, seed: int) -> Spread:
    """Mixture of the two; the share of the weighted mean is b^2 / (v + b^2)."""
    plain, curve = (method(here, bank, targets, level, seed) for method in (weighted, pirt))
    bias = np.zeros(len(targets)) if bank.misfit is None else bank.misfit.bias[targets]
    squared = bias[None, :] ** 2
    share = squared / (plain.std_error**2 + squared + 1e-12)
    value = share * plain.value + (1 - share) * curve.value
    sd = share * plain.std_error + (1 - share) * curve.std_error
    return _student(value, sd, _widen(bank, "pirt", targets)[1], level)


def kriged(here: Responses, bank: ItemBank, targets: np.ndarray, level: float, seed: int) -> Spread:
    """Two abilities' p-IRT plus the kriged residual, learned from the calibration models' complete answers."""
    learned, known = cast(Learned, bank.learned), cast(Calibration, bank.calibration)  # LEARNED
    w = bank.target_weight[targets]
    answers, seen = here.scores.astype(float), here.seen
    value, sd = kriging.predict(learned, known.answers.astype(float), w, targets, answers, seen)
    return _student(value, sd, kriging.TAIL_DF, level)


def regression(here: Responses, bank: ItemBank, targets: np.ndarray, level: float, seed: int) -> Spread:
    """Gaussian-process regression of the full score on the answers of the calibration models."""
    known = cast(Calibration, bank.calibration)  # MODELS
    out, by_name = np.empty((4, len(here.rows), len(targets))), positions(sorted(bank.items), bank.items)
    patterns, which = np.unique(here.seen, axis=0, return_inverse=True)
    for j, pattern in enumerate(patterns):
        rows, index = np.flatnonzero(which.ravel() == j), by_name[pattern[by_name]]
        teachers, x = _teachers(known, index)
        for column, t in enumerate(targets):
            out[:, rows, column] = head.estimate(
                x, known.full[teachers, t], here.scores[np.ix_(rows, index)].astype(float), level, seed
            )
    return _wider(Spread(*out), reach.answers_beyond(here, known))


def mixed(here: Responses, bank: ItemBank, targets: np.ndarray, level: float, seed: int) -> Spread:
    """Mixture of kriged and head; the share was best on models left out, and less for a model unlike them (`_say`)."""
    share = 0.0 if bank.anchors is None else float(bank.anchors.mix[0])
    a = kriged(here, bank, targets, level, seed)
    b = _stretched(regression(here, bank, targets, level, seed), bank, "head", targets)
    say = _say(a, b, reach.known_reach(cast(Calibration, bank.calibration), targets))
    part = share * say
    remark = np.where((say < LITTLE) & (share > 0), "regression on known models given little weight", "")
    value, sd, low, high = ((1 - part) * x + part * y for x, y in zip(a[:4], b[:4], strict=True))
    return Spread(value, sd, low, high, remark)


METHODS: dict[str, Method] = {
    "weighted": Method(weighted, CITE, needs=(WHOLE, CHECKED), widen=False),
    "pirt": Method(pirt, CITE, needs=(WHOLE, CHECKED), widen=False),
    "gpirt": Method(gpirt, CITE, needs=(WHOLE, CHECKED), widen=False),
    "kriged": Method(kriged, CITE, needs=(LEARNED,), widen=False),
    "head": Method(regression, CITE, needs=(MODELS,)),
    "mixed": Method(mixed, CITE, needs=(LEARNED, MODELS), widen=False),
}


def _teachers(known: Calibration, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Calibration models that answered at least half of these items; their answers, gaps at the items' means."""
    seen, answers = known.seen[:, index], known.answers[:, index].astype(float)
    rows = np.flatnonzero(seen.mean(1) >= 0.5)
    if not known.outside:
        rows = rows[known.seen[rows].all(1)]  # their full score is not known otherwise
    rows = rows[np.argsort(np.array(known.rows, object)[rows], kind="stable")]  # subsets are drawn by name
    if len(rows) < FEWEST_MODELS:
        raise BankMismatch(f"only {len(rows)} calibration models answered the items that were answered here")
    return rows, plans.filled(answers[rows], seen[rows])


def _planned(name: str, plan: plans.Plan, here: Responses, bank: ItemBank, targets: np.ndarray, level: float) -> Spread:
    """A linear estimator by its plan, as wide as its errors on models left out."""
    w = bank.target_weight[targets]
    found = linear.apply(here, bank, w, *plan(here, bank, w))
    widen, df = _widen(bank, name, targets)
    return _student(found.value, np.sqrt(found.variance) * widen, df, level)


def _certain(found: Spread, here: Responses, bank: ItemBank, targets: np.ndarray) -> Spread:
    """Within [0, 1]; and within what the answers make certain, where the bank holds the whole benchmark."""
    low, high = np.zeros_like(found.value), np.ones_like(found.value)
    if bank.calibration is None or not bank.calibration.outside:
        w = bank.target_weight[targets]
        low = np.clip((here.scores * here.seen).astype(float) @ w.T, 0, 1)
        high = np.clip(low + 1 - here.seen @ w.T, low, 1)
    value = np.clip(found.value, low, high)
    lower = np.minimum(np.clip(found.low, low, high), value)
    return Spread(value, found.std_error, lower, np.maximum(np.clip(found.high, low, high), value), found.remark)


def _stretched(found: Spread, bank: ItemBank, name: str, targets: np.ndarray) -> Spread:
    """As wide as a method's errors on models left out."""
    return _times(found, _widen(bank, name, targets)[0])


def _times(found: Spread, wide: np.ndarray) -> Spread:
    value, sd, low, high, remark = found
    return Spread(value, sd * wide, value - wide * (value - low), value + wide * (high - value), remark)


def _wider(found: Spread, more: np.ndarray) -> Spread:
    """With one more error, independent of the rest, whose standard deviation is (rows,)."""
    sd = np.maximum(found.std_error, 1e-9)
    return _times(found, np.hypot(1, more[:, None] / sd))


def _say(a: Spread, b: Spread, ends: reach.Reach) -> np.ndarray:
    """(rows, targets) from 1 to 0: what say the head has, as a share of that which was best on models left out.

    A regression takes scores that it has not met for nearer to those that it has. So its say goes as the kriged
    estimate leaves the range of the known scores, in units of its error; and where the two differ by more than their
    errors allow.
    """
    left = reach.beyond(a.value, ends) / np.maximum(LEAVES * a.std_error, 1e-9)
    apart = np.abs(a.value - b.value) / np.maximum(np.hypot(a.std_error, b.std_error), 1e-9)
    return np.exp(-0.5 * (left**2 + np.maximum(apart - APART, 0) ** 2))


def _student(value: np.ndarray, sd: np.ndarray, df: float, level: float) -> Spread:
    half = student.ppf(0.5 + level / 2, df) * sd
    return Spread(value, sd, value - half, value + half)


def _widen(bank: ItemBank, name: str, targets: np.ndarray) -> tuple[np.ndarray, float]:
    """Left-out error in units of the nominal one, (targets,), and its degrees of freedom.

    Of a bank that was not checked, the nominal one, known no better than its models tell.
    """
    if bank.misfit is None:
        known = bank.calibration
        return np.ones(len(targets)), np.inf if known is None else WIDEN_DF + len(known.rows)
    return bank.misfit.width_of(name)[targets], float(bank.misfit.df)


def _targets(bank: ItemBank, groups: bool) -> np.ndarray:
    """Positions in `bank.targets` of what is asked for and known."""
    known = bank.calibration
    count = len(bank.targets) if groups else 1
    if known is not None and known.outside:
        count = min(count, known.full.shape[1])
    return np.arange(count)
