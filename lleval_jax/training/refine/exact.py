"""The exact lines of `concept`: what naive training is never below, and how fast refinement forgets the wrong concept.

Derived for the model of `concept`; `b = beta_w - beta_1` is the teacher's bias and p = beta_P - beta_1 the strong
model's own. Each is checked against simulation in the tests.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, roots_genlaguerre

from lleval_jax.errors import require
from lleval_jax.training.refine.concept import Concept, Teacher

LAGUERRE = 80  # points for how far the concepts' answers lie from each other
NORMAL = np.linspace(-12, 12, 2001)  # points for the labels' errors: the trapezoid rule, exponentially exact here


class Naive(NamedTuple):
    """The least risk on a segment, and where.

    risk  |beta - beta_1|^2 there
    mix   share t of the strong model's own answers, from 0 (the weak labels) to 1
    """

    risk: float
    mix: float


class Refined(NamedTuple):
    """What refinement reaches with two concepts, by the number of labels shown; each (shown,).

    error  E[1 - pi_1], the expected probability of the wrong concept
    fixed  risk of the student, one set of labels for all answers: E |pi - e_1|^2
    fresh  risk of the student, a set for each answer: |E pi - e_1|^2
    """

    error: NDArray[np.float64]
    fixed: NDArray[np.float64]
    fresh: NDArray[np.float64]


def naive_limit(concept: Concept, teacher: Teacher) -> Naive:
    """What no mixture of weak labels and the strong model's own answers is below, however many labels there are.

    The least of |(1-t) b + t p|^2 for t in [0, 1]: (|p|^2 |b|^2 - (p.b)^2) / |p - b|^2 inside. Shrinking to the strong
    model, and the confidence loss, whose targets are such mixtures, are points of the segment.

    Example:
        >>> concept = Concept(10, (0.2,) * 5)
        >>> risk, mix = naive_limit(concept, Teacher.orthogonal(concept, 1.0))
        >>> round(risk, 4), round(mix, 4)
        (0.4444, 0.5556)
    """
    weak, own = _biases(concept, teacher)
    return _least(weak, own)


def smoothing_limit(concept: Concept, teacher: Teacher) -> Naive:
    """What label smoothing is never below: the least of |(1-t) beta_w - beta_1|^2, since it shrinks to a constant."""
    weak, _ = _biases(concept, teacher)
    return _least(weak, -concept.wanted)


def naive(concept: Concept, teacher: Teacher, labels: int) -> float:
    """The risk of least squares on `labels` weak labels: |b|^2 + tau^2 d / (n - d - 1).

    Raises:
        BadInput: there are no more labels than dimensions and one; the risk is then infinite.
    """
    least = concept.dims + 2
    require(labels >= least, f"there are {labels} labels; in {concept.dims} dimensions it takes {least}")
    weak, _ = _biases(concept, teacher)
    return float(weak @ weak + teacher.noise**2 * concept.dims / (labels - concept.dims - 1))


def ridge(
    concept: Concept,
    teacher: Teacher,
    labels: int,
    penalty: float,
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """The risk of naive training that is drawn to the strong model, (X'X + eta)^-1 (X'y + eta beta_P), and its error.

    Features are rotation invariant, so the risk needs the eigenvalues l of a Wishart matrix alone: with t = eta /
    (l + eta) it is the mean over l of |(1-t) b + t p|^2 + tau^2 d (1-t)^2 / l. These are drawn.

    Args:
        concept: what the strong model knows.
        teacher: who labels.
        labels: n.
        penalty: eta, above 0.
        draws: Wishart matrices.
        seed: of the draws.

    Returns:
        (risk, standard error of the simulation).
    """
    require(labels >= 1 and penalty > 0, f"labels is {labels} and penalty {penalty:g}; both must be above 0")
    x = np.random.default_rng(seed).standard_normal((draws, labels, concept.dims))
    values = np.maximum(np.linalg.eigvalsh(np.einsum("dnj,dnk->djk", x, x)), 0)
    t = penalty / (values + penalty)
    weak, own = _biases(concept, teacher)
    bias = (1 - t) ** 2 * (weak @ weak) + t**2 * (own @ own) + 2 * t * (1 - t) * (weak @ own)
    noise = teacher.noise**2 * concept.dims * values / (values + penalty) ** 2
    each = np.mean(bias + noise, axis=1)
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(draws))


def refined(concept: Concept, teacher: Teacher, shown: tuple[int, ...]) -> Refined:
    """What refinement reaches with two concepts, by quadrature.

    With D = sum_i (x_i1 - x_i2)^2, twice a chi-square with n degrees of freedom, the log-odds of the wanted concept are
    Normal(log(alpha_1 / alpha_2) + D / (2 sigma^2), D V / sigma^4) given D, with V = |b|^2 + tau^2.

    Raises:
        BadInput: there are other than two concepts, or the bias leans to one of them.

    Example:
        >>> refined(Concept(3, (0.5, 0.5)), Teacher(), (1, 8)).error.round(4)
        array([0.369 , 0.0591])
    """
    spread = _spread(concept, teacher)
    odds = np.log(concept.prior[0] / concept.prior[1])
    each = [_moments(odds, spread, concept.noise, n) for n in shown]
    error, square = np.array(each).T
    return Refined(error, 2 * square, 2 * error**2)


def bound(concept: Concept, teacher: Teacher, shown: tuple[int, ...]) -> NDArray[np.float64]:
    """What `refined(...).error` is never above: (alpha_2/alpha_1)^s (1 + 1/(2V))^(-n/2), s = sigma^2 / (2V).

    Chernoff's bound. The noise that the strong model assumes enters through s alone: what counts is the teacher's V.

    Raises:
        BadInput: as `refined`; or V < sigma^2 / 2, where s would be above 1.
    """
    spread = _spread(concept, teacher)
    s = concept.noise**2 / (2 * spread) if spread > 0 else np.inf
    text = f"bias and noise of the teacher have the square {spread:g}; the bound holds from {concept.noise**2 / 2:g} on"
    require(s <= 1, text)
    n = np.array(shown, float)
    return (concept.prior[1] / concept.prior[0]) ** s * (1 + 1 / (2 * spread)) ** (-n / 2)


def misled(concept: Concept, teacher: Teacher) -> bool:
    """Whether refinement converges to a wrong concept: (beta_1 - beta_k) . beta_w is not above 0 for all k."""
    weak = teacher.direction(concept.dims)[: len(concept.prior)]
    return bool(weak[0] <= weak[1:].max())


def _biases(concept: Concept, teacher: Teacher) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return teacher.direction(concept.dims) - concept.wanted, concept.mean - concept.wanted


def _least(weak: NDArray[np.float64], other: NDArray[np.float64]) -> Naive:
    """The point nearest to 0 of the segment from `weak` to `other`."""
    along = weak - other
    t = float(np.clip(weak @ along / (along @ along), 0, 1)) if along.any() else 0.0
    found = (1 - t) * weak + t * other
    return Naive(float(found @ found), t)


def _spread(concept: Concept, teacher: Teacher) -> float:
    """V, of a teacher for whom the exact lines hold."""
    kinds = len(concept.prior)
    require(kinds == 2, f"there are {kinds} concepts; the exact lines are of two. Draw instead: concept.risks")
    weak, _ = _biases(concept, teacher)
    require(not weak[:2].any(), "the teacher's bias leans to a concept; the exact lines are of biases that do not")
    return float(weak @ weak + teacher.noise**2)


def _moments(odds: float, spread: float, noise: float, shown: int) -> tuple[float, float]:
    """First and second moment of 1 - pi_1."""
    if shown == 0:
        return float(expit(-odds)), float(expit(-odds) ** 2)
    points, weights = roots_genlaguerre(LAGUERRE, shown / 2 - 1)
    distance = 4 * points[:, None]  # twice a chi-square is four times a gamma variable
    wrong = expit(-(odds + distance / (2 * noise**2) + np.sqrt(distance * spread) / noise**2 * NORMAL))
    density = np.exp(-(NORMAL**2) / 2)
    both = weights / weights.sum() @ (np.stack([wrong, wrong**2]) @ (density / density.sum())).T
    return float(both[0]), float(both[1])
