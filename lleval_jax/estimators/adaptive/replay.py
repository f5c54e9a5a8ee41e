"""Adaptive sessions of models whose answers are known already: what asking well saves, and how far errors go."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit
from scipy.stats import t as student

from lleval_jax.core.irt import irf, sequential
from lleval_jax.core.precision import jit
from lleval_jax.core.shapes import rung
from lleval_jax.errors import BadInput, require, require_known
from lleval_jax.estimators import irt
from lleval_jax.estimators.adaptive import choice, stopping
from lleval_jax.estimators.irt import ability
from lleval_jax.estimators.irt.kind_items import refuse
from lleval_jax.estimators.irt.order import in_order
from lleval_jax.estimators.tiny import anchors
from lleval_jax.estimators.tiny.method import FEWEST_MODELS
from lleval_jax.renamed import renamed
from lleval_jax.types import Array
from lleval_jax.values.bank import ItemBank, Replayed
from lleval_jax.values.progress import Progress, Tell, silent
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import FitResult
from lleval_jax.values.sparse import SparseResponses, as_dense

BATCH = 256  # rows at once: their predictions stay in the cache
NEWTON = 2  # scoring steps after each look; the start is near
WIDEN_DF = 4.0  # prior strength of the nominal width, in models
LENGTHS = (1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 135, 200, 300, 450, 700, 1000)
NEIGHBOURS = 5  # places in the ranking that two models to compare may lie apart
PAIRS = 500  # compared at most
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995)
TAILS = (3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 30.0, 100.0)  # degrees of freedom that are tried
SETTLED = 1e-3  # a standard error below this is no longer in units of anything


class Sessions(NamedTuple):
    """Sessions as they went, one a row.

    asked     (rows, budget)  positions of the items in the order asked
    length    (looks,)        answers given at each look
    value     (rows, looks)   estimate of the score
    variance  (rows, looks)   nominal, by the item curves
    """

    asked: np.ndarray
    length: np.ndarray
    value: np.ndarray
    variance: np.ndarray


@renamed(size="k", rule="by")
def replay(
    responses: Responses,
    *,
    bank: ItemBank,
    budget: int = 100,
    k: int = 1,
    by: choice.Rule = "score",
    price: Mapping[str, float] | None = None,
    exposure: int = 1,
    together: int = 1,
    seed: int = 0,
    tell: Tell = silent,
) -> Sessions:
    """Sessions of many rows whose answers are known or simulated: thousands at once.

    Args:
        responses: answers to any of the bank's items; only those can be asked.
        bank: calibrated items.
        budget: answers a session.
        k: items asked between two looks.
        by: as in `adaptive.choose`.
        price: as in `adaptive.choose`.
        exposure: as in `adaptive.choose`.
        together: so many consecutive rows are asked the same items: 2 compares pairs.
        seed: of what is drawn.
        tell: called with the sessions done, of how many.

    Raises:
        BadInput: an unknown rule, or more items at a time than a row has answered.
    """
    require_known(by, sequential.RULES, "rule")
    refuse(bank.answers, f"bank {bank.name!r}", "replaying sessions")
    here = responses if responses.items == bank.items else ability.known_answers(responses, bank)
    scores, seen = here.scores, here.seen
    return _sessions(scores, seen, bank, budget, k, by, price, exposure, together, seed, tell)


@renamed(rule="by")
def prepare(
    bank: ItemBank,
    *,
    fit: FitResult[irt.IrtParams],
    responses: Responses | SparseResponses,
    by: choice.Rule = "score",
    budget: int = 200,
    folds: int = 5,
    most: int = 1000,
    seed: int = 0,
    tell: Tell = silent,
) -> ItemBank:
    """The bank with what sessions of models left out of the fit teach about the errors.

    The items are refitted without each fold of models, which are then asked in sessions of `budget` answers, alone
    and in pairs of neighbours in the ranking.

    Args:
        bank: from `anchors.choose`.
        fit: what the bank was made from.
        responses: the answers that it was fitted to.
        by: how items will be asked.
        budget: longest session.
        folds: of the models.
        most: models replayed at most.
        seed: of the folds.
        tell: called with a word before each longer part.

    Raises:
        BadInput: fewer than 8 models with complete answers.
    """
    refuse(bank.answers, f"bank {bank.name!r}", "replaying sessions")
    given, bank = bank, bank.arranged(sorted(bank.items))
    fit, answers = in_order(fit), as_dense(responses.select(bank.items)).ordered()
    complete = np.flatnonzero(answers.seen.all(1))
    if len(complete) < FEWEST_MODELS:
        raise BadInput(f"{len(complete)} models answered all items; at least {FEWEST_MODELS} are needed to replay")
    settings = irt.again(fit)
    count = min(folds, len(complete))
    fold = np.full(len(answers.rows), -1)
    fold[complete] = np.random.default_rng(seed).permutation(len(complete)) % count
    phi, alone, paired = _dispersion(fit, answers), [], []
    for f in range(count):
        tell(Progress("replaying sessions", f, count, unit="parts"))
        refit = irt.fit(answers.take(np.flatnonzero(fold != f)), **settings)
        trial = anchors.choose(refit, responses=None, k=None, name=bank.name)
        trial = dataclasses.replace(trial, weight=bank.weight, replayed=_nothing(phi))
        out = np.flatnonzero(fold == f)[: -(-most // count)]
        scores = answers.scores[out]
        truth = scores.astype(float) @ bank.target_weight[0]
        run = functools.partial(_sessions, bank=trial, budget=budget, rule=by, seed=seed)
        alone.append(_errors(run(scores, answers.seen[out]), truth))
        two = _neighbours(truth, -(-PAIRS // count), seed)
        both = run(scores[two], answers.seen[out][two], together=2)
        paired.append(_errors(_halved(both), truth[two[::2]] - truth[two[1::2]]))
    length, widen, tail, always = _widths(alone)
    _, pair, tail_pair, always_pair = _widths(paired)
    models = len(always)
    level = np.array([level for level in LEVELS if (1 - level) * models >= 1])  # rarer than one session: not told
    always, always_pair = (np.quantile(worst, level) for worst in (always, always_pair))
    tails = np.array([tail, tail_pair])
    found = Replayed(length, widen, pair, tails, phi, np.array([models]), level, always, always_pair)
    return dataclasses.replace(given, replayed=found)


def _sessions(
    scores: np.ndarray,
    seen: np.ndarray,
    bank: ItemBank,
    budget: int = 100,
    size: int = 1,
    rule: str = "score",
    price: Mapping[str, float] | None = None,
    exposure: int = 1,
    together: int = 1,
    seed: int = 0,
    tell: Tell = silent,
) -> Sessions:
    budget = min(budget, int(seen.sum(1).min()))
    require(0 < size <= budget, f"{size} items at a time do not fit into the {budget} that every row answered")
    require(len(scores) % together == 0, f"{len(scores)} rows cannot be asked in sets of {together}")
    looks = budget // size
    pool, curve, prior = choice.pool_of(bank, price), choice.curve_of(bank), choice.prior_of(bank)
    n, parts = len(scores), []
    batch = min(BATCH, rung(n))
    batch += -batch % together
    for start in range(0, n, batch):
        rows = np.arange(start, start + batch) % n  # the last batch is filled up with rows that are dropped again
        key = jax.random.fold_in(jax.random.key(seed), start)
        data = jnp.asarray(scores[rows], jnp.float32), jnp.asarray(seen[rows])
        found = _run(curve, pool, prior, *data, key, rule, size, looks, exposure, together)
        parts.append(jax.tree.map(np.asarray, found))
        tell(Progress("replaying sessions", min(start + batch, n), n, unit="sessions"))
    asked, value, variance = (np.concatenate(column)[:n] for column in zip(*parts, strict=True))
    return Sessions(asked, np.arange(looks + 1) * size, value, variance)


@functools.partial(jit, static_argnames=("curve", "rule", "size", "looks", "exposure", "together"))
def _run(
    curve: irf.Curve,
    pool: sequential.Pool,
    prior: sequential.Normal,
    scores: Array,
    seen: Array,
    key: Array,
    rule: str,
    size: int,
    looks: int,
    exposure: int,
    together: int,
) -> tuple[Array, Array, Array]:
    """A batch of sessions.  -> asked (rows, looks * size), value and variance (rows, looks + 1)."""
    rows, budget = len(scores), looks * size
    at = jnp.arange(rows)[:, None]
    free = seen if together == 1 else jnp.repeat(seen.reshape(-1, together, seen.shape[1]).all(1), together, axis=0)

    def look(now, key):
        posterior, asked, given, free, done, right = now
        outlook = sequential.outlook(curve, pool, posterior, done, right)
        picked = sequential.choose(rule, pool, posterior, outlook, free, size, key, exposure, together).astype(
            jnp.int32
        )
        count = jnp.sum(given > 0, 1)[:1]
        place = count + jnp.arange(size)
        asked = asked.at[:, place].set(picked)
        given = given.at[:, place].set(1)
        answered = jnp.take_along_axis(scores, asked, 1)
        items, doubt = jax.tree.map(lambda x: x[asked], (pool.items, pool.doubt))
        posterior = sequential.learn(curve, items, prior, posterior.mean, answered, given, pool.phi, doubt, NEWTON)
        right = right + jnp.sum(pool.weight[picked] * jnp.take_along_axis(scores, picked, 1), 1)
        free, done = free.at[at, picked].set(False), done.at[at, picked].set(True)
        return (posterior, asked, given, free, done, right), (outlook.value, outlook.variance)

    mean = jnp.broadcast_to(prior.mean[None, :], (rows, len(prior.mean)))
    cov = jnp.broadcast_to(prior.covariance[None], (rows, *prior.covariance.shape))
    zero = jnp.zeros((rows, budget), jnp.int32), jnp.zeros((rows, budget), scores.dtype)
    begin = sequential.Normal(mean, cov), *zero, free, jnp.zeros(seen.shape, bool), jnp.zeros(rows, scores.dtype)
    end, (value, variance) = jax.lax.scan(look, begin, jax.random.split(key, looks))
    posterior, asked, _, _, done, right = end
    last = sequential.outlook(curve, pool, posterior, done, right)
    value = jnp.concatenate([value.T, last.value[:, None]], axis=1)
    return asked, value, jnp.concatenate([variance.T, last.variance[:, None]], axis=1)


def _dispersion(fit: FitResult[irt.IrtParams], answers: Responses) -> np.ndarray:
    """(1,) variance of fractional answers around their curves in units of p (1 - p); 1 where all are 0 or 1."""
    seen = answers.seen
    scores = answers.scores[seen]
    if bool(((scores == 0) | (scores == 1)).all()):
        return np.ones(1)
    place = {name: i for i, name in enumerate(fit.rows)}
    theta = fit.params.ability[[place[row] for row in answers.rows]]
    span = fit.params.ceiling - fit.params.floor
    p = fit.params.floor + span * expit(theta @ fit.params.slope.T + fit.params.intercept)
    p = p[seen]
    return np.clip(np.array([((scores - p) ** 2).sum() / (p * (1 - p)).sum()]), 0.05, 1.0)


def _nothing(phi: np.ndarray) -> Replayed:
    """Before any session was replayed."""
    one = np.ones(1)
    tails = np.full(2, stopping.TAIL)
    return Replayed(one, one, one, tails, phi, np.zeros(1), one, one, one)


def _neighbours(truth: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Rows of models near to each other in the ranking, pair after pair."""
    order, rng = np.argsort(truth), np.random.default_rng(seed)
    pairs = [(order[i], order[j]) for i in range(len(order)) for j in range(i + 1, min(i + 1 + NEIGHBOURS, len(order)))]
    chosen = [pairs[i] for i in rng.permutation(len(pairs))[:most]]
    return np.array([row for pair in chosen for row in (pair if rng.random() < 0.5 else pair[::-1])])


def _halved(both: Sessions) -> Sessions:
    """Pairs of rows as sessions of their difference."""
    value, variance = both.value[::2] - both.value[1::2], both.variance[::2] + both.variance[1::2]
    return both._replace(asked=both.asked[::2], value=value, variance=variance)


def _errors(found: Sessions, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(looks,) lengths, and (rows, looks) errors and nominal variances."""
    return found.length, found.value - truth[:, None], found.variance


def _widths(
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """What errors in units of the nominal ones teach: lengths and widths (lengths,), the tail, each session's largest.

    At each length the errors are Student's t, its scale by maximum likelihood, its degrees of freedom common to all
    lengths: a model unlike all others makes the tail heavier and not every interval wider.
    """
    looks = min(len(length) for length, _, _ in parts)
    length = parts[0][0][:looks]
    error, variance = (np.concatenate([part[i][:, :looks] for part in parts]) for i in (1, 2))
    kept = np.unique([np.abs(length - wanted).argmin() for wanted in LENGTHS if wanted <= length[-1]])
    kept = kept[length[kept] > 0]
    nominal = np.sqrt(np.maximum(variance, SETTLED**2))
    z = error[:, kept] / nominal[:, kept]
    scales = {df: _scale(z, df) for df in TAILS}
    df = max(TAILS, key=lambda df: np.sum(student.logpdf(z, df, scale=scales[df])))
    width = scales[df] * student.ppf(stopping.ONE_SIGMA, df)
    unit = nominal * np.interp(np.log(np.maximum(length, 1)), np.log(length[kept]), width)
    worst = np.where((unit > SETTLED) & (length > 0), np.abs(error) / unit, 0).max(1)
    return length[kept].astype(float), width, df, worst


def _scale(z: np.ndarray, df: float) -> np.ndarray:
    """(lengths,) scale of Student's t by EM (Liu & Rubin 1995), with a few models' worth of posterior that it is 1."""
    square = np.ones(z.shape[1])
    for _ in range(50):
        weight = (df + 1) / (df + z**2 / square)
        square = (WIDEN_DF + (weight * z**2).sum(0)) / (WIDEN_DF + len(z))
    return np.sqrt(square)
