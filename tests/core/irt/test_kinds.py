"""Kinds of answers: against scipy's distributions, closed forms, finite differences, and their own draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from lleval_jax.core.irt import kinds
from lleval_jax.errors import BadInput

FALSE_ALARM = 1e-5  # of this file
NAMES = ("bernoulli", "binomial", "graded-2", "graded-5", "gpcm-2", "gpcm-5", "beta", "logit-normal", "normal")
POINTS = ((-1.3, 0), (0.4, 1), (2.1, 2))
LOGITS = np.linspace(-150, 150, 60001)
every = pytest.mark.parametrize("name", NAMES)


def at(name: str, point: int) -> tuple[kinds.Kind, jax.Array, jax.Array]:
    """A kind, and z and shape somewhere."""
    kind, (z, seed) = kinds.of(name), POINTS[point]
    shape = np.asarray(kind.usual) + np.random.default_rng(seed).normal(size=kind.shapes) * 0.5
    return kind, jnp.asarray(z), jnp.asarray(shape)


def possible(kind: kinds.Kind) -> np.ndarray:
    """All scores of a kind that has few; some of one that has more."""
    if isinstance(kind, kinds.GradedResponse | kinds.PartialCredit):
        return np.linspace(0, 1, kind.grades)
    return np.array([0.0, 1.0]) if kind.name in ("bernoulli", "binomial") else np.array([0.02, 0.3, 0.71, 0.999])


def log_density(kind, scores, z, shape, weight=1.0):
    scores = jnp.asarray(scores)
    weight = jnp.broadcast_to(jnp.asarray(weight, scores.dtype), scores.shape)
    return np.asarray(
        jax.jit(jax.vmap(kinds.log_density, (None, 0, 0, None, None)), static_argnums=0)(kind, scores, weight, z, shape)
    )


def by_scipy(name: str, z: float, shape: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Log densities by scipy or by the definition."""
    m = special.expit(z)
    if name in ("bernoulli", "binomial"):
        return np.asarray(stats.bernoulli.logpmf(scores, m))
    if name == "beta":
        return np.asarray(stats.beta.logpdf(scores, m * np.exp(shape[0]), (1 - m) * np.exp(shape[0])))
    if name == "logit-normal":
        return np.asarray(stats.norm.logpdf(special.logit(scores), z, np.exp(shape[0]))) - np.log(scores * (1 - scores))
    if name == "normal":
        return np.asarray(stats.norm.logpdf(scores, m, np.sqrt(np.exp(shape[0]) * (m * (1 - m) + 0.01))))
    grades = len(shape) + 2
    if name.startswith("graded"):
        threshold = np.r_[0, np.cumsum(np.exp(shape))]
        reach = np.r_[1, special.expit(z - threshold + threshold[(grades - 1) // 2]), 0]
        p = reach[:-1] - reach[1:]
    else:
        steps = np.r_[shape, -shape.sum()]
        p = special.softmax(np.r_[0, np.cumsum(z + steps[: grades - 1])])
    return np.log(p[np.round(scores * (grades - 1)).astype(int)])


@every
@pytest.mark.parametrize("point", range(3))
def test_log_density_is_that_of_scipy(name, point):
    kind, z, shape = at(name, point)
    scores = possible(kind)
    found, wanted = log_density(kind, scores, z, shape), by_scipy(name, float(z), np.asarray(shape), scores)
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10)


def test_k_of_n_repeats_is_the_binomial():
    kind, z, shape = at("binomial", 1)
    found = log_density(kind, np.arange(8) / 7, z, shape, weight=7.0)
    np.testing.assert_allclose(found, stats.binom.logpmf(np.arange(8), 7, special.expit(float(z))), rtol=1e-10)


def scores_and_mass(name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What sums over all scores are made of: a fine grid of the logit where scores are continuous, and its mass."""
    if name == "normal":
        m = special.expit(x[0])
        sd = np.sqrt(np.exp(x[1]) * (m * (1 - m) + 0.01))
        y = m + sd * np.linspace(-10, 10, 20001)
        return y, np.exp(by_scipy(name, x[0], x[1:], y)) * sd * 1e-3
    if name not in ("beta", "logit-normal"):
        y = possible(kinds.of(name))
        return y, np.exp(by_scipy(name, x[0], x[1:], y))
    return LOGITS, np.exp(of_logit(name, x[0], x[1], LOGITS)) * (LOGITS[1] - LOGITS[0])


def of_logit(name: str, z: float, shape: float, u: np.ndarray) -> np.ndarray:
    """Log density of the logit, which has no pole, of a score in (0, 1)."""
    if name == "logit-normal":
        return np.asarray(stats.norm.logpdf(u, z, np.exp(shape)))
    a, b = special.expit(z) * np.exp(shape), special.expit(-z) * np.exp(shape)
    return a * special.log_expit(u) + b * special.log_expit(-u) - special.betaln(a, b)


@every
@pytest.mark.parametrize("point", range(3))
def test_moments_are_those_of_the_density(name, point):
    kind, z, shape = at(name, point)
    found = jax.jit(kind.moments)(z, shape)
    y, mass = scores_and_mass(name, np.r_[float(z), np.asarray(shape)])
    y = special.expit(y) if name in ("beta", "logit-normal") else y
    mean = y @ mass
    assert mass.sum() == pytest.approx(1, abs=1e-8)
    np.testing.assert_allclose(found, [mean, (y - mean) ** 2 @ mass], atol=1e-6)


@every
@pytest.mark.parametrize("point", range(3))
def test_information_is_the_variance_of_the_score(name, point):
    """E[gradient of the log density, times itself], by sum or by quadrature, gradients by finite differences."""
    kind, z, shape = at(name, point)
    x = np.r_[float(z), np.asarray(shape)]
    y, mass = scores_and_mass(name, x)

    def density(at: np.ndarray) -> np.ndarray:
        if name in ("beta", "logit-normal"):
            return of_logit(name, at[0], at[1], y)
        return by_scipy(name, at[0], at[1:], y)

    slope = np.stack([(density(x + e) - density(x - e)) / 2e-5 for e in 1e-5 * np.eye(len(x))])
    found = jax.jit(kind.information)(z, shape)
    np.testing.assert_allclose(found, (slope * mass) @ slope.T, rtol=1e-6, atol=1e-6)


@every
def test_draws_have_the_moments(name):
    """Mean of n draws within its normal bounds at the stated false alarm."""
    kind, z, shape = at(name, 1)
    n = 20000
    keys = jax.random.split(jax.random.key(0, impl="threefry2x32"), n)
    drawn = np.asarray(jax.jit(jax.vmap(kind.draw, (0, None, None)))(keys, z, shape))
    assert ((drawn >= 0) & (drawn <= 1)).all()
    if name == "normal":  # held in [0, 1]: compare with scipy's of the same
        m, sd = special.expit(float(z)), np.sqrt(float(kind.moments(z, shape)[1]))
        held = np.clip(stats.norm.ppf((np.arange(100000) + 0.5) / 100000, m, sd), 0, 1)
        mean, variance = held.mean(), held.var()
    else:
        mean, variance = map(float, kind.moments(z, shape))
    bound = stats.norm.isf(FALSE_ALARM / len(NAMES) / 2)
    assert abs(drawn.mean() - mean) < bound * np.sqrt(variance / n)


@every
def test_float32_is_finite_far_out_with_its_gradient(name):
    """At logits of 40 either way, where probabilities are zero in float32."""
    kind = kinds.of(name)
    shape = jnp.asarray(kind.usual, jnp.float32)
    score = jnp.float32(possible(kind)[1])

    def value(z):
        return kinds.log_density(kind, score, jnp.float32(1), z, shape)

    @jax.jit
    def all_of(z):
        return value(z), jax.grad(value)(z), *kind.moments(z, shape), *kind.information(z, shape).ravel()

    for z in (-40.0, 40.0):
        found = all_of(jnp.float32(z))
        assert all(bool(jnp.isfinite(part)) and part.dtype == jnp.float32 for part in found), (z, found)


def test_two_grades_are_right_and_wrong():
    z, none = jnp.asarray(0.7), jnp.zeros(0)
    for name in ("graded-2", "gpcm-2"):
        kind = kinds.of(name)
        np.testing.assert_allclose(
            log_density(kind, [0.0, 1.0], z, none), log_density(kinds.of("bernoulli"), [0.0, 1.0], z, none), rtol=1e-12
        )


@pytest.mark.parametrize(
    ("name", "scores", "allowed"),
    [
        ("beta", [0.0, 0.5, 1.0], [False, True, False]),
        ("logit-normal", [0.0, 0.5, 1.0], [False, True, False]),
        ("normal", [0.0, 0.5, 1.0], [True, True, True]),
        ("graded-3", [0.0, 0.5, 0.4], [True, True, False]),
        ("bernoulli", [0.0, 0.5, 1.0], [True, False, True]),
    ],
)
def test_what_a_kind_takes(name, scores, allowed):
    assert kinds.of(name).allows(np.array(scores), np.ones(3)).tolist() == allowed


def test_binomial_takes_whole_numbers_of_whole_repeats():
    kind = kinds.of("binomial")
    assert kind.allows(np.array([1 / 3, 0.5, 0.5]), np.array([3.0, 3.0, 2.5])).tolist() == [True, False, False]


@pytest.mark.parametrize("name", ["graded", "graded-1", "graded-99", "poisson"])
def test_an_unknown_kind_is_refused(name):
    with pytest.raises(BadInput, match="there is no kind of answers"):
        kinds.of(name)
