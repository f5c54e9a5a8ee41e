"""Ask only what still matters: the next best items, when to stop, and an estimate that holds when stopped so.

What an item is worth is how much its answer lowers the variance of the full-benchmark score (`core.irt.sequential`): it
tells of ability, and it is one answer less to guess. That a session stops when its own error looks small would not
harm the interval if the item curves were true. They are not, so `sessions.prepare` replays whole sessions on models
that were left out of the fit and learns how much larger the real errors are, at each length.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.irt import irf, sequential
from lleval_jax.core.precision import jit
from lleval_jax.core.shapes import few, pad
from lleval_jax.errors import BankMismatch, require, require_known, require_level
from lleval_jax.estimators.adaptive.stopping import Stop, always_reach, dispersion_of, reach_of, widen_of
from lleval_jax.estimators.irt import ability, kind_items
from lleval_jax.estimators.tiny import reach
from lleval_jax.renamed import renamed
from lleval_jax.values.bank import ItemBank, require_bank
from lleval_jax.values.prices import prices_of
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Choice, Estimate, Source
from lleval_jax.values.sparse import SparseResponses

Rule = Literal["score", "information", "random"]
CITE = ("lord1980",)
LONGEST = 512  # items in a plan
SHORTEST = 8  # columns of answers, for each number of columns is compiled once
NEWTON = 12  # scoring steps from nothing


@renamed(size="k", rule="by")
def choose(
    responses: Responses | SparseResponses | None,
    *,
    bank: ItemBank,
    k: int | None = 1,
    by: Rule = "score",
    stop: Stop | None = None,
    among: Sequence[str] | None = None,
    compare: tuple[str, str] | None = None,
    price: Mapping[str, float] | None = None,
    balance: bool = False,
    exposure: int = 1,
    level: float = 0.95,
    seed: int = 0,
    strict: bool = False,
) -> Choice:
    """The next items of each row, or "enough".

    Args:
        responses: answers so far; None starts one session from nothing.
        bank: calibrated items, best with what `sessions.prepare` adds.
        k: how many items at a time; they are chosen as a set, each as if the others were answered as expected.
            None: as many as `stop` is expected to need, at most 512 (`LONGEST`).
        by: "score" lowers the variance of the full score most, "information" that of ability, "random" is random.
        stop: when to say "enough"; None never does before all items were asked.
        among: only these items can be asked; None: all.
        compare: ask two rows the same items, those that lower the variance of their difference most, and say "enough"
            when the sign of the difference is certain (`stop.certainty`, 0.95).
        price: of each item, by its name; what is gained is divided by it.
        balance: ask each group in proportion to its share of the score.
        exposure: draw each item from the best so many, so that no item is asked of all models.
        level: of the intervals that `stop.width` looks at.
        seed: of what is drawn.
        strict: items that the bank does not know are an error; otherwise a `DataWarning` counts them.

    Raises:
        BadInput: an unknown rule, row, price or item.
        BankMismatch: no answer to any item of the bank, or a bank that holds only part of its benchmark.
    """
    require_known(by, sequential.RULES, "rule")
    require_whole(bank)
    require(k is None or k > 0, f"k is {k}; ask for at least one item")
    require(k is not None or compare is None, "a comparison needs k: how many items at a time")
    require(0 < exposure <= len(bank.items), f"exposure is {exposure}; it must lie between 1 and the number of items")
    rows = () if responses is None else _rows_to_compare(responses.rows, compare)
    here = _answers(responses if compare is None else _only(responses, rows), bank, strict)
    pool, now = pool_of(bank, price), believe(here, bank)
    why = [""] * len(here.rows)
    if responses is not None:
        found = estimate_of(here, bank, now, level)
        goal = stop or Stop()
        why = goal.reasons(found, bank) if compare is None else _decided(here, bank, goal, level)
    free = ~here.seen & _allowed(bank, among)[None, :]
    if compare is not None:
        free = np.broadcast_to(free.all(0), free.shape)
    left = free.sum(1)
    why = [reason or ("" if n else "all items were asked") for reason, n in zip(why, left, strict=True)]
    if stop is not None and stop.budget is not None:
        left = np.minimum(left, np.maximum(stop.budget - here.n_seen, 0))
    most = int(left.max())
    count = min(1 << max(most - 1, 0).bit_length(), LONGEST) if k is None else min(k, most)
    picked = np.zeros((len(here.rows), 0), int)
    if count > 0 and not all(why):
        picked = _pick(here, bank, pool, now, free, (by, count, exposure, balance, compare is not None), seed)
        if k is None:
            left = np.minimum(left, _needed(here, bank, pool, now, picked, stop or Stop(), level))
    items = [
        () if reason else tuple(bank.items[i] for i in row[: int(n)])
        for reason, row, n in zip(why, picked, left, strict=True)
    ]
    told = [reason or f"lowers the variance of the {_goal(by)} most" for reason in why]
    return Choice(here.rows, tuple(items), tuple(told), here.source.merge(Source(bank=bank.name, seed=seed, cite=CITE)))


def estimate(
    responses: Responses | SparseResponses, *, bank: ItemBank, level: float = 0.95, strict: bool = False
) -> Estimate:
    """Full-benchmark score of each row from the items that it was asked, however they were chosen.

    What was answered counts as it is, the rest as the curves predict at the most probable ability (p-IRT). The
    interval holds when the answers were chosen and stopped by this module, as far as `sessions.prepare` saw.

    Args:
        responses: answers so far.
        bank: calibrated items, best with what `sessions.prepare` adds.
        level: coverage of the intervals.
        strict: items that the bank does not know are an error; otherwise a `DataWarning` counts them.

    Raises:
        BankMismatch: no answer to any item of the bank, or a bank that holds only part of its benchmark.
    """
    require_level(level)
    require_whole(bank)
    here = ability.known_answers(responses, bank, strict)
    return estimate_of(here, bank, believe(here, bank), level)


def difference(
    responses: Responses | SparseResponses,
    first: str,
    second: str,
    *,
    bank: ItemBank,
    level: float = 0.95,
    strict: bool = False,
) -> Estimate:
    """Score of `first` minus that of `second`, from the items that both were asked.

    On common items the two errors go together, and the replayed sessions say how far.

    Args:
        responses: answers so far.
        first: a row.
        second: another row.
        bank: as in `estimate`.
        level: coverage of the interval.
        strict: as in `estimate`.

    Raises:
        BadInput: rows that are not there, or without a common item.
    """
    require_whole(bank)
    rows = _rows_to_compare(responses.rows, (first, second))
    here = _common(ability.known_answers(_only(responses, rows), bank, strict))
    return _difference(here, bank, believe(here, bank), level)


def curve_of(bank: ItemBank) -> irf.Curve:
    """The form of the bank's item curves."""
    return irf.Curve(bank.dims, floor=bool((bank.floor > 0).any()), ceiling=bool((bank.ceiling < 1).any()))


def pool_of(bank: ItemBank, price: Mapping[str, float] | None = None) -> sequential.Pool:
    """The bank's items, their shares of the whole score and their prices, on the device."""
    items = ability.bank_items(bank, np.arange(len(bank.items)))
    weight, phi, doubt = (
        jnp.asarray(x, jnp.float32) for x in (bank.target_weight[0], dispersion_of(bank), bank.covariance)
    )
    cost = None if price is None else jnp.asarray(prices_of(price, bank.items, "items"), jnp.float32)
    return sequential.Pool(items, weight, cost, phi, doubt)


def prior_of(bank: ItemBank) -> sequential.Normal:
    """The calibration models' distribution of ability."""
    return sequential.Normal(jnp.asarray(bank.prior_mean, jnp.float32), jnp.asarray(bank.prior_cov, jnp.float32))


class State(NamedTuple):
    """Normal and outlook of each row, on the host: value and nominal variance (rows,)."""

    posterior: sequential.Normal
    outlook: sequential.Outlook
    value: np.ndarray
    variance: np.ndarray


def require_whole(bank: ItemBank) -> None:
    """Refuse a bank that holds only part of its benchmark, or items that sessions do not know."""
    require_bank(bank)
    kind_items.refuse(bank.answers, f"bank {bank.name!r}", "asking item by item")
    if bank.calibration is not None and bank.calibration.outside:
        raise BankMismatch(
            f"bank {bank.name!r} holds only part of its benchmark (its full scores came from a table), so "
            "sessions would estimate that part; calibrate on all items"
        )


def _answers(responses: Responses | SparseResponses | None, bank: ItemBank, strict: bool = False) -> Responses:
    """Answers so far in the bank's order; one row without any where there are none."""
    if responses is not None:
        return ability.known_answers(responses, bank, strict)
    group = [bank.groups[g] for g in bank.group]
    nothing = np.zeros((1, len(bank.items)), np.float32)
    return Responses.build(nothing, seen=nothing > 0, rows=("",), items=bank.items, group=group)


def believe(here: Responses, bank: ItemBank) -> State:
    """Abilities and what follows from them. Columns without answers are left out of the first."""
    asked = np.flatnonzero(here.seen.any(0))
    rows, k = len(here.rows), few(max(len(asked), SHORTEST))
    size = few(rows)
    weight = pad((here.seen * here.weight)[:, asked].astype(np.float32), (size, k))
    scores = pad(here.scores[:, asked].astype(np.float32), (size, k))
    right = pad((here.scores * here.seen).astype(float) @ bank.target_weight[0], (size,)).astype(np.float32)
    seen = pad(here.seen, (size, len(bank.items)))
    items = ability.bank_items(bank, asked, k)
    doubt = jnp.asarray(pad(bank.covariance[asked].astype(np.float32), (k, *bank.covariance.shape[1:])))
    data = items, doubt, scores, weight, right, jnp.asarray(seen)
    posterior, outlook = _see(curve_of(bank), pool_of(bank), prior_of(bank), *data)
    return State(posterior, outlook, np.asarray(outlook.value)[:rows], np.asarray(outlook.variance)[:rows])


@functools.partial(jit, static_argnames="curve")
def _see(curve, pool, prior, items, doubt, scores, weight, right, seen):
    each, doubt = jax.tree.map(lambda x: jnp.broadcast_to(x[None], (len(scores), *x.shape)), (items, doubt))
    start = jnp.broadcast_to(prior.mean[None, :], (len(scores), len(prior.mean)))
    posterior = sequential.learn(curve, each, prior, start, scores, weight, pool.phi, doubt, NEWTON)
    return posterior, sequential.outlook(curve, pool, posterior, seen, right)


def estimate_of(here: Responses, bank: ItemBank, now: State, level: float) -> Estimate:
    """What is believed, as scores with intervals; what was answered bounds them."""
    error = np.sqrt(np.maximum(now.variance, 0)) * widen_of(bank, here.n_seen)
    half = reach_of(bank, level) * error
    sure = np.clip((here.scores * here.seen).astype(float) @ bank.target_weight[0], 0, 1)
    most = np.clip(sure + 1 - here.seen @ bank.target_weight[0], sure, 1)
    value = np.clip(now.value, sure, most)
    n = len(here.rows)
    return Estimate(
        target="accuracy",
        method="adaptive",
        rows=here.rows,
        group=("all",) * n,
        value=value,
        low=np.maximum(value - half, sure),
        high=np.minimum(value + half, most),
        level=level,
        std_error=error,
        n_seen=here.n_seen,
        status=("ok",) * n,
        source=here.source.merge(Source(bank=bank.name, cite=CITE)),
        remark=tuple(np.where(reach.exact(here, bank, np.zeros(1, int))[:, 0], reach.EXACT, "").tolist()),
        caveats=bank.caveats,
    )


def _difference(here: Responses, bank: ItemBank, now: State, level: float) -> Estimate:
    error = np.sqrt(np.maximum(now.variance.sum(keepdims=True), 0)) * widen_of(bank, here.n_seen[:1], "pair")
    half = reach_of(bank, level, "pair") * error
    value = now.value[:1] - now.value[1:2]
    return Estimate(
        target="difference in accuracy",
        method="adaptive",
        rows=(f"{here.rows[0]} - {here.rows[1]}",),
        group=("all",),
        value=value,
        low=np.maximum(value - half, -1),
        high=np.minimum(value + half, 1),
        level=level,
        std_error=error,
        n_seen=here.n_seen[:1],
        status=("ok",),
        source=here.source.merge(Source(bank=bank.name, cite=CITE)),
        caveats=bank.caveats,
    )


def _decided(here: Responses, bank: ItemBank, goal: Stop, level: float) -> list[str]:
    """Why two rows need no more answers, the same for both, or ""."""
    both = _common(here)
    if both.n_seen[0] == 0:
        return ["", ""]
    gap = _difference(both, bank, believe(both, bank), level)
    goal = dataclasses.replace(goal, threshold=0.0 if goal.threshold is None else goal.threshold)
    why = goal.reasons(gap, bank, "always_pair")[0]
    return [f"{gap.rows[0]}: {why}" if why else ""] * 2


def _common(here: Responses) -> Responses:
    """Only what all rows answered."""
    seen = np.broadcast_to(here.seen.all(0), here.seen.shape)
    return dataclasses.replace(here, seen=seen, scores=np.where(seen, here.scores, 0))


def _rows_to_compare(rows: tuple[str, ...], compare: tuple[str, str] | None) -> tuple[str, ...]:
    if compare is None:
        return rows
    require(compare[0] != compare[1], f"two different rows are needed to compare; both are {compare[0]!r}")
    for name in compare:
        require(name in rows, f"there is no row {name!r} to compare; there are {', '.join(map(repr, rows[:6]))}")
    return compare


def _only(responses: Responses | SparseResponses | None, rows: tuple[str, ...]) -> Responses | SparseResponses:
    require(responses is not None, "a comparison needs answers of both rows")
    return responses.take([responses.rows.index(name) for name in rows])  # type: ignore[union-attr]


def _allowed(bank: ItemBank, among: Sequence[str] | None) -> np.ndarray:
    """(items,) which can be asked."""
    if among is None:
        return np.ones(len(bank.items), bool)
    unknown = sorted(set(among) - set(bank.items))
    require(not unknown, f"{len(unknown)} items to choose among are not in bank {bank.name!r} (first: {unknown[:1]})")
    named = set(among)
    return np.array([item in named for item in bank.items], bool)


def _goal(rule: str) -> str:
    return {"score": "score", "information": "ability", "random": "score, drawn at random, not"}[rule]


def _pick(here: Responses, bank: ItemBank, pool, now: State, free: np.ndarray, how: tuple, seed: int) -> np.ndarray:
    """(rows, size) positions of the items to ask."""
    rule, size, exposure, balance, paired = how
    rows, padded = len(here.rows), len(now.posterior.mean)
    key = jax.random.key(seed)
    together = 2 if paired else 1
    if not balance:
        return np.asarray(
            _choose(rule, pool, now.posterior, now.outlook, _padded(free, padded), size, key, exposure, together)
        )[:rows]
    picked, count = np.zeros((rows, size), int), _asked(here, bank)
    free = free.copy()
    share = np.bincount(bank.group, bank.target_weight[0], len(bank.groups))
    for s in range(size):  # one at a time, each from the group that lags most behind its share
        lag = share[None, :] * (count.sum(1, keepdims=True) + 1) - count
        lag[np.stack([~free[:, bank.group == g].any(1) for g in range(len(share))], 1)] = -np.inf
        turn = lag.sum(0, keepdims=True).repeat(rows, 0).argmax(1) if paired else lag.argmax(1)
        allowed = _padded(free & (bank.group[None, :] == turn[:, None]), padded)
        step = _choose(
            rule, pool, now.posterior, now.outlook, allowed, 1, jax.random.fold_in(key, s), exposure, together
        )
        picked[:, s] = np.asarray(step)[:rows, 0]
        free[np.arange(rows), picked[:, s]] = False
        count[np.arange(rows), turn] += 1
    return picked


def _needed(
    here: Responses, bank: ItemBank, pool, now: State, picked: np.ndarray, goal: Stop, level: float
) -> np.ndarray:
    """(rows,) how many of the picked items bring the standard error to where `goal` stops, if all goes as expected."""
    enough = np.zeros(len(picked))
    if goal.std_error is not None:
        enough = np.maximum(enough, goal.std_error)
    if goal.width is not None:
        enough = np.maximum(enough, goal.width / 2 / reach_of(bank, level))
    if goal.threshold is not None:
        enough = np.maximum(enough, np.abs(now.value - goal.threshold) / always_reach(bank, goal.certainty))
    size = picked.shape[1]
    variance = np.asarray(
        _predict_variance(pool, now.posterior, now.outlook, pad(picked, (len(now.posterior.mean), size)))
    )
    length = here.n_seen[:, None] + np.arange(1, size + 1)[None, :]
    error = np.sqrt(np.maximum(variance[: len(picked)], 0)) * widen_of(bank, length)
    reached = error <= enough[:, None]
    return np.where(reached.any(1), reached.argmax(1) + 1, size)


_predict_variance = jit(sequential.predict_variance)
_choose = jit(sequential.choose, static_argnames=("rule", "size", "exposure", "together"))


def _padded(free: np.ndarray, rows: int) -> jax.Array:
    return jnp.asarray(pad(np.ascontiguousarray(free), (rows, free.shape[1])))


def _asked(here: Responses, bank: ItemBank) -> np.ndarray:
    """(rows, groups) answers given in each group."""
    return np.stack([here.seen[:, bank.group == g].sum(1) for g in range(len(bank.groups))], axis=1)
