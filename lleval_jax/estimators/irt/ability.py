"""A model's ability, given a bank: MAP, EAP, maximum likelihood or Warm's weighted likelihood, with standard errors."""

import functools
import warnings
from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.irt import irf, scoring
from lleval_jax.core.precision import jit
from lleval_jax.core.shapes import few, pad
from lleval_jax.errors import BankMismatch, DataWarning, outside, require_known, require_level
from lleval_jax.estimators.irt import kind_items, unbounded
from lleval_jax.estimators.irt.guard import FEWEST
from lleval_jax.renamed import renamed
from lleval_jax.types import Array, Status
from lleval_jax.values.bank import ItemBank, require_bank
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Estimate, Source
from lleval_jax.values.sparse import SparseResponses, as_dense, require_responses

METHODS = {
    "map": "most probable ability under the calibration models' distribution",
    "eap": "posterior mean under the calibration models' distribution",
    "mle": "maximum likelihood; rows that are all right or all wrong have none, and an interval open on that side",
    "wle": "Warm's weighted likelihood: no prior, less bias, always finite",
}
BATCH = 2048  # rows scored at once


@renamed(method="by")
def estimate(
    responses: Responses | SparseResponses,
    *,
    bank: ItemBank,
    by: str = "map",
    level: float = 0.95,
    strict: bool = False,
) -> Estimate:
    """Ability of each row on the bank's scale, one entry a dimension ("ability" alone, or "ability-1", ...).

    Args:
        responses: answers to any items of the bank.
        bank: calibrated items.
        by: one of `METHODS`. MAP and EAP are Lord's (1980) and Bock & Mislevy's (1982), WLE is Warm's (1989).
        level: coverage of the normal interval. A row without a finite maximum likelihood has a likelihood ratio
            interval, open on the side that its answers do not bound (on both sides where answers are graded or
            continuous), and the status "no finite maximum".
        strict: items that the bank does not know are an error; otherwise a `DataWarning` counts them.

    Raises:
        BadInput: an unknown method, or a score that an item's kind of answers does not take.
        BankMismatch: none of the bank's items was answered, or with `strict` an item that it does not know.
    """
    require_known(by, METHODS, "method")
    require_level(level)
    here = known_answers(responses, bank, strict)
    value, cov, status = score(here, bank, by)
    std_error = np.sqrt(np.maximum(np.diagonal(cov, axis1=1, axis2=2), 0))
    half = NormalDist().inv_cdf(0.5 + level / 2) * std_error
    low, high, words = value - half, value + half, [Status(int(s)).word for s in status]
    if by == "mle" and bank.answers is not None:
        far = unbounded.held(value)[:, None]
        value, std_error = np.where(far, np.sign(value) * np.inf, value), np.where(far, np.inf, std_error)
        low, high = np.where(far, -np.inf, low), np.where(far, np.inf, high)
        words = [unbounded.WORD if out else word for out, word in zip(far[:, 0], words, strict=True)]
    elif by == "mle":
        value, std_error, low, high = (np.array(part, float) for part in (value, std_error, low, high))
        weight = here.seen * here.weight
        side = unbounded.sides(bank, here.scores, weight, value)
        for r in np.flatnonzero(side.any(1) | unbounded.held(value)):
            found = unbounded.ends(bank, here.scores[r], weight[r], value[r], side[r], level)
            value[r], low[r], high[r], words[r] = found
            std_error[r] = np.where(np.isfinite(high[r] - low[r]), std_error[r], np.inf)
    names = ["ability"] if bank.dims == 1 else [f"ability-{d + 1}" for d in range(bank.dims)]
    n = len(here.rows)
    return Estimate(
        target="ability",
        method=by,
        rows=tuple(row for row in here.rows for _ in names),
        group=tuple(names * n),
        value=value.ravel(),
        low=low.ravel(),
        high=high.ravel(),
        level=level,
        std_error=std_error.ravel(),
        n_seen=np.repeat(here.n_seen, len(names)),
        status=tuple(word for word in words for _ in names),
        source=here.source.merge(Source(bank=bank.name, cite=("lord1980",))),
        caveats=bank.caveats,
    )


def known_answers(responses: Responses | SparseResponses, bank: ItemBank, strict: bool = False) -> Responses:
    """The answers to the bank's items, in the bank's order, as a matrix. Raises `BankMismatch` if there are none.

    Items that the bank does not know are counted in a `DataWarning`; with `strict` they are a `BankMismatch`.
    """
    require_responses(responses)
    require_bank(bank)
    unknown = sorted(set(responses.items) - set(bank.items))
    if len(unknown) == len(responses.items):
        raise BankMismatch(
            f"none of the {len(unknown)} items answered is in bank {bank.name!r} (first: {unknown[:1]}); "
            f"its items look like {bank.items[0]!r}. Is it the right bank, and are items named as in it?",
            python="Without a bank, ll.estimate(responses) is the plain mean.",
            shell="Leave out --bank for the plain mean of these answers.",
        )
    if unknown:
        found = (
            f"{len(unknown)} of {len(responses.items)} items answered are not in bank {bank.name!r} ({unknown[0]!r})"
        )
        if strict:
            raise BankMismatch(f"{found}; drop their answers, or name them as the bank does")
        warnings.warn(f"{found}; their answers were left out", DataWarning, stacklevel=outside())
    _require_calibrated(bank)
    part = responses.select(bank.items)
    part = as_dense(part)
    empty = [row for row, n in zip(part.rows, part.n_seen, strict=True) if n == 0]
    if empty:
        raise BankMismatch(f"{empty[0]!r} answered no item of bank {bank.name!r} ({len(empty)} such rows); drop it")
    return part


def _require_calibrated(bank: ItemBank) -> None:
    """`BankMismatch` for a bank of so few models that its items are what the prior says of any item."""
    made = bank.calibration
    if made is None or made.outside or len(made.rows) >= FEWEST:
        return
    few = f"{len(made.rows)} model{'s' * (len(made.rows) != 1)}"
    what = (
        f"bank {bank.name!r} was calibrated with {few}; at least {FEWEST} are needed for intervals that can be trusted"
    )
    raise BankMismatch(f"{what}. Calibrate with more, or estimate without a bank")


def score(here: Responses, bank: ItemBank, method: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ability (rows, dims), covariance (rows, dims, dims) and status (rows,) of answers in the bank's order."""
    if bank.answers is not None:
        return kind_items.score(here, bank, prior(bank, method), method)
    asked = np.flatnonzero(here.seen.any(0))
    weight = (here.seen * here.weight)[:, asked].astype(np.float32)
    rows, items = few(len(here.rows)), few(len(asked))
    scores = pad(here.scores[:, asked].astype(np.float32), (rows, items))
    answers = scoring.Answers(jnp.asarray(scores), jnp.asarray(pad(weight, (rows, items))))
    value, cov, status = _score(answers, bank_items(bank, asked, items), prior(bank, method), method, is_logistic(bank))
    n = len(here.rows)
    return np.asarray(value)[:n], np.asarray(cov)[:n], np.asarray(status)[:n]


def bank_items(bank: ItemBank, index: np.ndarray, size: int | None = None) -> irf.Items:
    """The bank's parameters at `index` on the device, padded with items without answers."""
    size = size or len(index)
    parts = bank.slope[index], bank.intercept[index], bank.floor[index], bank.ceiling[index]
    fill = 0, 0, 0, 1
    return irf.Items(
        *(jnp.asarray(pad(p.astype(np.float32), (size, *p.shape[1:]), f)) for p, f in zip(parts, fill, strict=True))
    )


def prior(bank: ItemBank, method: str = "map") -> scoring.Normal:
    """The calibration models' distribution, or nothing for the methods without a prior."""
    precision = np.linalg.inv(bank.prior_cov) * (method in ("map", "eap"))
    return scoring.Normal(jnp.asarray(bank.prior_mean, jnp.float32), jnp.asarray(precision, jnp.float32))


def is_logistic(bank: ItemBank) -> bool:
    """Whether all items run from 0 to 1."""
    return bool((bank.floor == 0).all() and (bank.ceiling == 1).all())


@functools.partial(jit, static_argnames=("method", "logistic"))
def _score(answers: scoring.Answers, items: irf.Items, posterior: scoring.Normal, method: str, logistic: bool):
    curve = irf.Curve(dims=items.slope.shape[1], floor=not logistic, ceiling=not logistic)

    def one(row: scoring.Answers) -> tuple[Array, Array, Array]:
        if method == "eap":
            found = scoring.mean(curve, items, row, posterior)
        else:
            found = scoring.mode(curve, items, row, posterior, warm=method == "wle")
        return found.value, found.covariance, found.status

    return jax.lax.map(one, answers, batch_size=BATCH)
