"""What a fitted item says of each answer when that answer itself is set aside: the base of all item diagnostics.

With z = slope . ability + intercept, the posterior of a row gives z mean m and variance s^2. Taking the answer x out
(a rank-one downdate, w the information of the answer about z and g = (x - p) p' / (p (1 - p)) its score)

    s_rest^2 = s^2 / (1 - w s^2)        m_rest = m - g s_rest^2
    P(x = 1 | the other answers) = floor + (ceiling - floor) sigmoid(m_rest / sqrt(1 + pi s_rest^2 / 8))

the last by MacKay (1992). So a short test needs no correction for the item being part of its own score.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from lleval_jax.errors import require
from lleval_jax.estimators.irt.kind_items import refuse
from lleval_jax.values.params import IrtParams
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import FitResult
from lleval_jax.values.sparse import SparseResponses, as_dense

CELLS = 4_000_000  # of a chunk
SAFE = 1e-6


class Chunk(NamedTuple):
    """Some items; all arrays (rows, items of the chunk), numpy, 0 where not seen unless said.

    items     positions in the fit
    scores    in [0, 1]
    weight    answers behind each score; 0 where not seen
    place     m_rest: where the item sees the model, in logits; also where not seen
    ability   the same along the bank's main direction, in standard deviations of ability
    expected  P(x = 1 | the other answers); also where not seen
    fitted    P(x = 1) at the posterior mean, this answer included
    """

    items: np.ndarray
    scores: np.ndarray
    weight: np.ndarray
    place: np.ndarray
    ability: np.ndarray
    expected: np.ndarray
    fitted: np.ndarray

    @property
    def residual(self) -> np.ndarray:
        """Weighted score minus expectation."""
        return self.weight * (self.scores - self.expected)

    @property
    def variance(self) -> np.ndarray:
        """Of the residual under the model; scores that are no 0 or 1 vary less."""
        return self.weight * self.expected * (1 - self.expected)


def aligned(fit: FitResult[IrtParams], responses: Responses | SparseResponses) -> Responses:
    """The answers in the order of the fit's rows and items, as a matrix."""
    refuse(fit.params.answers, "this fit", "the check of items and fits")
    place = {name: i for i, name in enumerate(responses.rows)}
    missing = [name for name in fit.rows if name not in place]
    require(not missing, f"{len(missing)} models of the fit have no answers here (first: {missing[:1]})")
    require(
        set(fit.items) <= set(responses.items), "the fit has items that the answers lack; give those it was made from"
    )
    part = responses.take([place[name] for name in fit.rows]).select(fit.items)
    return as_dense(part)


def chunks(fit: FitResult[IrtParams], here: Responses) -> Iterator[Chunk]:
    """The items of a fit a chunk at a time, so that memory stays small. `here` comes from `aligned`."""
    step = max(1, CELLS // max(1, len(fit.rows)))
    for start in range(0, len(fit.items), step):
        yield chunk(fit, here, np.arange(start, min(start + step, len(fit.items))))


def direction(fit: FitResult[IrtParams]) -> np.ndarray:
    """(dims,) unit vector along the mean slope: better models lie further that way."""
    mean = fit.params.slope.mean(0)
    return mean / max(float(np.linalg.norm(mean)), 1e-9)


def chunk(fit: FitResult[IrtParams], here: Responses, items: np.ndarray) -> Chunk:
    """These items."""
    p = fit.params
    slope, floor, span = p.slope[items], p.floor[items], (p.ceiling - p.floor)[items]
    middle = p.ability @ slope.T + p.intercept[items]
    dims = slope.shape[1]
    pairs = (slope[:, :, None] * slope[:, None, :]).reshape(-1, dims * dims)
    spread = p.ability_cov.reshape(-1, dims * dims) @ pairs.T
    scores = here.scores[:, items].astype(np.float32)
    weight = here.seen[:, items] * here.weight[:, items].astype(np.float32)
    bare = expit(np.clip(middle, -30, 30))
    fitted = floor + span * bare
    inverse = 1 / np.maximum(fitted * (1 - fitted), SAFE)
    by_z = span * bare * (1 - bare)
    rest = spread / np.maximum(1 - weight * by_z**2 * inverse * spread, 0.1)
    shift = weight * (scores - fitted) * by_z * inverse
    place = middle - shift * rest
    main = direction(fit)
    along = (p.ability_cov @ main) @ slope.T * (rest / np.maximum(spread, 1e-9))
    ability = (p.ability @ main)[:, None] - shift * along
    expected = floor + span * expit(np.clip(place / np.sqrt(1 + np.pi / 8 * rest), -30, 30))
    return Chunk(
        items, scores, weight, place, ability, np.clip(expected, 1e-4, 1 - 1e-4), np.clip(fitted, SAFE, 1 - SAFE)
    )
