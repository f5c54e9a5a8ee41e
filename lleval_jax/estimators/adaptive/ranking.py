"""Ask until the order of a leaderboard is clear: who is asked next, and which pairs are still open.

The order of two models is clear when an interval of their difference that holds at every look at once leaves zero, or
lies within a tolerance. Who has no open pair is asked nothing more. Of the others those are asked whose next answer
lowers the expected number of open pairs in the wrong order most, each the items that tell most of its own score:
asking all the same items lets errors of the item curves cancel, but measured that gains less than items of one's own
(bench/adaptive/ranking.py).
"""

import numpy as np
from scipy.stats import norm

from lleval_jax.core.irt import sequential
from lleval_jax.core.precision import jit
from lleval_jax.errors import require, require_level
from lleval_jax.estimators.adaptive import choice
from lleval_jax.estimators.irt import ability
from lleval_jax.renamed import renamed
from lleval_jax.values.bank import ItemBank
from lleval_jax.values.ranks import Ranking
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Choice, Estimate, Source
from lleval_jax.values.sparse import SparseResponses

NAMED = 3  # open rivals that a reason names
TINY = 1e-12
ELSE = "others tell more of the order"


def estimate(
    responses: Responses | SparseResponses,
    *,
    bank: ItemBank,
    certainty: float = 0.95,
    tolerance: float = 0.0,
    neighbours: bool = False,
    level: float = 0.95,
    strict: bool = False,
) -> Ranking:
    """The order of the rows by full-benchmark score, and which pairs it leaves open.

    Args:
        responses: answers so far.
        bank: calibrated items, best with what `sessions.prepare` adds.
        certainty: of each pair by itself, looked at as often as one likes; not of all pairs at once.
        tolerance: pairs that are surely closer than this are not open.
        neighbours: only pairs next to each other on the leaderboard count.
        level: of the scores' intervals.
        strict: items that the bank does not know are an error; otherwise a `DataWarning` counts them.

    Raises:
        BadInput: fewer than two rows, or a certainty or tolerance that cannot be meant.
        BankMismatch: no answer to any item of the bank, or a bank that holds only part of its benchmark.
    """
    choice.require_whole(bank)
    require_level(level)
    here = ability.known_answers(responses, bank, strict)
    return _ranked(here, bank, choice.believe(here, bank), certainty, tolerance, neighbours, level)


@renamed(size="k")
def choose(
    responses: Responses | SparseResponses,
    *,
    bank: ItemBank,
    k: int = 1,
    models: int | None = None,
    certainty: float = 0.95,
    tolerance: float = 0.0,
    neighbours: bool = False,
    budget: int | None = None,
    strict: bool = False,
) -> Choice:
    """The next items of each row whose place is open; nothing for the others.

    Args:
        responses: answers so far; `adaptive.choose` has the first items of models that have none.
        bank: as in `estimate`.
        k: how many items at a time.
        models: ask at most so many rows, those whose next answer lowers the expected number of wrongly ordered pairs
            most; None: all whose place is open.
        certainty: as in `estimate`.
        tolerance: as in `estimate`.
        neighbours: as in `estimate`.
        budget: answers of one row at most.
        strict: items that the bank does not know are an error; otherwise a `DataWarning` counts them.

    Raises:
        BadInput: fewer than two rows, or settings that cannot be meant.
        BankMismatch: no answer to any item of the bank, or a bank that holds only part of its benchmark.
    """
    require(models is None or models > 0, f"models is {models}; ask at least one")
    choice.require_whole(bank)
    stop = choice.Stop(budget=budget)
    here = ability.known_answers(responses, bank, strict)
    now = choice.believe(here, bank)
    found = _ranked(here, bank, now, certainty, tolerance, neighbours)
    own = choice.choose(here, bank=bank, k=k, stop=stop)
    can = found.open.any(1) & np.array([len(items) > 0 for items in own.items])
    worth = np.where(can, _worth(here, bank, now, found, tolerance), -1)
    asked = can & np.isin(np.arange(len(can)), np.argsort(-worth, kind="stable")[:models])
    items = tuple(row if is_asked else () for row, is_asked in zip(own.items, asked, strict=True))
    told = tuple(_why(found, i, "" if asked[i] else own.why[i] if not own.items[i] else ELSE) for i in range(len(can)))
    return Choice(here.rows, items, told, here.source.merge(Source(bank=bank.name, cite=choice.CITE)))


def _ranked(
    here: Responses,
    bank: ItemBank,
    now: choice.State,
    certainty: float,
    tolerance: float,
    neighbours: bool,
    level: float = 0.95,
) -> Ranking:
    require(len(here.rows) > 1, f"a leaderboard needs at least two rows; there is {len(here.rows)}")
    require(0.5 < certainty < 1, f"certainty is {certainty}; it must lie between 0.5 and 1")
    require(0 <= tolerance < 1, f"tolerance is {tolerance}; it must be at least 0 and below 1")
    scores = choice.estimate_of(here, bank, now, level)
    gap, error = _gaps(scores)
    half = choice.always_reach(bank, certainty) * error
    order = np.argsort(-scores.value, kind="stable")
    place = np.argsort(order)
    apart = np.abs(place[:, None] - place[None, :])
    counts = (apart == 1) if neighbours else (apart > 0)
    open_ = counts & (np.abs(gap) <= half) & (np.abs(gap) + half > tolerance)
    wrong = np.triu(np.where(open_, _wrong(np.hypot(gap, error) + tolerance, error), 0)).sum()
    above = gap > half
    best, worst = 1 + above.sum(0)[order], len(order) - above.sum(1)[order]
    return Ranking(order, best, worst, scores, above, open_, float(wrong))


def _gaps(scores: Estimate) -> tuple[np.ndarray, np.ndarray]:
    """(rows, rows) differences and their standard errors, the errors of two rows taken as independent."""
    value, error = scores.value, scores.std_error
    return value[:, None] - value[None, :], np.hypot(error[:, None], error[None, :])


def _wrong(gap: np.ndarray, error: np.ndarray) -> np.ndarray:
    """P(wrong order) of pairs whose true gap is this, once it is known with this standard error."""
    return norm.cdf(-gap / np.maximum(error, TINY))


def _worth(here: Responses, bank: ItemBank, now: choice.State, found: Ranking, tolerance: float) -> np.ndarray:
    """(rows,) how many fewer open pairs are expected in the wrong order after one more answer of each row.

    For the true gap stands the root mean square of what it may be: a seeming tie is worth asking while its error is
    large, and nothing once a gap beyond the tolerance is unlikely.
    """
    gap, error = _gaps(found.scores)
    gain = np.asarray(_gain(choice.pool_of(bank), now.posterior, now.outlook))[: len(gap)]
    fall = np.where(here.seen, 0, gain).max(1) * choice.widen_of(bank, here.n_seen) ** 2
    after = np.sqrt(np.maximum(error**2 - fall[:, None], 0))
    likely = np.hypot(gap, error) + tolerance
    return np.where(found.open, _wrong(likely, error) - _wrong(likely, after), 0).sum(1)


def _why(found: Ranking, row: int, silent: str) -> str:
    """Why a row is asked, or why it is not."""
    rivals = [found.scores.rows[i] for i in np.flatnonzero(found.open[row])]
    if not rivals:
        return "its place is clear"
    more = f" and {len(rivals) - NAMED} more" if len(rivals) > NAMED else ""
    return f"order not clear against {', '.join(rivals[:NAMED])}{more}" + (f", but {silent}" if silent else "")


_gain = jit(lambda pool, belief, outlook: sequential.gain("score", pool, belief, outlook, outlook.pull))
