"""The latent-concept model: exact lines against simulation, bounds against all that they bound, the failing teacher."""

import itertools

import jax
import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from lleval_jax.errors import BadInput
from lleval_jax.training.refine import concept as concepts
from lleval_jax.training.refine import exact
from lleval_jax.training.refine.concept import FIXED, FRESH, Concept, Teacher

FALSE_ALARM = 1e-5
SHOWN = (1, 2, 4, 8, 16, 32, 64)
TWO = Concept(3, (0.5, 0.5))
FIVE = Concept(10, (0.2,) * 5)
TWO_TEACHERS = {1: Teacher(), 2: Teacher((0, 0, 1.0)), 4: Teacher(noise=2.0)}  # by bias^2 + noise^2
TEACHERS = {
    "clean": Teacher(),
    "orthogonal": Teacher.orthogonal(FIVE, 1.0),
    "half": Teacher(strength=0.5),
    "other": Teacher((0, 0.8), strength=0.6),
}


def errors(concept: Concept, teacher: Teacher, shown: tuple[int, ...]) -> np.ndarray:
    return exact.refined(concept, teacher, shown).error


def drawn(concept: Concept, teacher: Teacher, shown: tuple[int, ...], draws: int, seed: int = 0) -> np.ndarray:
    return np.asarray(concepts.draw(concept, teacher, shown=shown, draws=draws, key=jax.random.key(seed)), float)


@pytest.mark.parametrize("spread", TWO_TEACHERS)
def test_exact_lines_are_those_of_simulation(spread: int) -> None:
    """Up to 16 labels; beyond, what counts is too rare to be drawn."""
    wrong = drawn(TWO, TWO_TEACHERS[spread], SHOWN[:5], 20_000)[..., 1]
    found = exact.refined(TWO, TWO_TEACHERS[spread], SHOWN[:5])
    for line, each in ((found.error, wrong), (found.fixed, 2 * wrong**2)):
        assert (np.abs(each.mean(0) - line) < 4 * each.std(0) / np.sqrt(len(wrong))).all()
    assert found.fresh == pytest.approx(2 * found.error**2)


@pytest.mark.parametrize(("spread", "shown"), list(itertools.product(TWO_TEACHERS, (32, 64))))
def test_exact_lines_are_those_of_importance_sampling(spread: int, shown: int) -> None:
    """Drawn where the log-odds are around 0, and weighted back."""
    rng, s = np.random.default_rng(0), 1 / (2 * spread)
    rate = 1 / 4 + s / 2 - s**2 * spread / 2
    distance = rng.gamma(shown / 2, 1 / rate, 40_000)
    odds = distance / 2 - s * distance * spread + np.sqrt(distance * spread) * rng.standard_normal(len(distance))
    each = (4 * rate) ** (-shown / 2) * expit(-odds) * np.exp(s * odds)
    line = exact.refined(TWO, TWO_TEACHERS[spread], (shown,)).error[0]
    assert abs(each.mean() - line) < 4 * each.std() / np.sqrt(len(each))


def test_the_table_of_exact_errors() -> None:
    table = {
        1: (0.369, 0.277, 0.161, 0.0591, 0.00916, 2.70e-4, 3.01e-7),
        2: (0.389, 0.312, 0.213, 0.111, 0.0354, 0.00449, 9.31e-5),
        4: (0.410, 0.351, 0.272, 0.180, 0.0913, 0.0279, 0.00321),
    }
    for spread, row in table.items():
        assert exact.refined(TWO, TWO_TEACHERS[spread], SHOWN).error == pytest.approx(row, rel=0.005)


def test_the_bound_is_never_violated_and_is_not_far() -> None:
    shown = tuple(range(1, 65, 7))
    cells = 0
    for noise2, spread, odds in itertools.product((0.5, 1, 2), (0.5, 1, 2, 4, 8), (-1, 0, 1)):
        if spread < noise2 / 2:
            continue
        first = float(expit(odds))
        concept = Concept(3, (first, 1 - first), noise2**0.5)
        teacher = Teacher((0, 0, (spread / 2) ** 0.5), (spread / 2) ** 0.5)
        found = exact.refined(concept, teacher, shown).error
        assert (found <= exact.bound(concept, teacher, shown) * (1 + 1e-9)).all()
        cells += len(shown)
    assert cells >= 200
    for spread, exponent in {1: 0.212, 2: 0.121, 4: 0.068}.items():
        lines = [line(TWO, TWO_TEACHERS[spread], (32, 64)) for line in (errors, exact.bound)]
        true, bounds = (np.log(each[0] / each[1]) / 32 for each in lines)
        assert true == pytest.approx(exponent, abs=0.0006)
        assert 0.8 * true < bounds < true


def test_no_estimator_on_the_segment_is_below_the_naive_limit() -> None:
    """10,000 of them, of 100 teachers; least squares on the confidence loss's targets is one of these."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        concept = Concept(8, tuple(rng.dirichlet(np.ones(4)) * 0.96 + 0.01))
        teacher = Teacher(tuple(rng.normal(size=8)), strength=float(rng.uniform(0, 2)))
        weak, t = teacher.direction(8), np.append(rng.uniform(size=99), exact.naive_limit(concept, teacher).mix)
        risks = np.sum(((1 - t[:, None]) * weak + t[:, None] * concept.mean - concept.wanted) ** 2, 1)
        assert risks.min() == pytest.approx(exact.naive_limit(concept, teacher).risk, abs=1e-12)
        smoothed = np.sum(((1 - t[:, None]) * weak - concept.wanted) ** 2, 1)
        assert smoothed.min() >= exact.smoothing_limit(concept, teacher).risk - 1e-12
        x = rng.standard_normal((200, 8))
        target = 0.7 * (x @ weak) + 0.3 * (x @ concept.mean)
        learned = np.linalg.lstsq(x, target, rcond=None)[0] - concept.wanted
        assert learned @ learned >= exact.naive_limit(concept, teacher).risk - 1e-9


def test_limits_in_closed_form() -> None:
    risk, mix = exact.naive_limit(FIVE, TEACHERS["orthogonal"])
    assert (risk, mix) == (pytest.approx(0.8 / 1.8), pytest.approx(1 / 1.8))
    assert exact.smoothing_limit(FIVE, TEACHERS["orthogonal"]).risk == pytest.approx(0.5)
    assert exact.naive_limit(FIVE, TEACHERS["half"]) == (pytest.approx(0.25), 0)
    assert exact.naive_limit(FIVE, TEACHERS["other"]) == (pytest.approx(0.64), pytest.approx(0.5))
    assert exact.naive_limit(FIVE, TEACHERS["clean"]) == (0, 0)


@pytest.mark.parametrize("penalty", [1e-9, 20.0])
def test_ridge_is_that_of_simulated_training(penalty: float) -> None:
    """And least squares, without a penalty; with one, more labels do not bring it below the limit."""
    concept, teacher = Concept(4, (0.5, 0.3, 0.2)), Teacher((0.3, 0.2, 0, 0.5), 0.7)
    rng, labels = np.random.default_rng(0), 12
    x = rng.standard_normal((20_000, labels, 4))
    y = x @ teacher.direction(4) + 0.7 * rng.standard_normal((20_000, labels))
    left = np.einsum("dni,dnj->dij", x, x) + penalty * np.eye(4)
    right = np.einsum("dni,dn->di", x, y) + penalty * concept.mean
    each = np.sum((np.linalg.solve(left, right[..., None])[..., 0] - concept.wanted) ** 2, 1)
    risk, error = exact.ridge(concept, teacher, labels, penalty)
    assert abs(each.mean() - risk) < 4 * np.hypot(error, each.std() / np.sqrt(len(each)))
    if penalty < 1:
        assert exact.naive(concept, teacher, labels) == pytest.approx(risk, abs=4 * error)
    else:
        limit = exact.naive_limit(concept, teacher).risk
        assert all(exact.ridge(concept, teacher, n, penalty, draws=200)[0] > limit for n in (4, 40, 400))


@pytest.fixture(scope="module")
def risks() -> dict:
    shown = (2, 4, 8, 16, 32)
    return {k: concepts.risks(FIVE, t, shown=shown, key=jax.random.key(1)) for k, t in TEACHERS.items()}


def test_the_table_of_two_risks(risks) -> None:
    """Of 4,000 draws each; two such simulations differ by their errors and by rounding."""
    table = {
        "clean": ((0.60, 0.41, 0.17, 0.038, 0.0004), (0.44, 0.21, 0.036, 0.0017, 0.0)),
        "orthogonal": ((0.72, 0.59, 0.37, 0.15, 0.024), (0.50, 0.30, 0.10, 0.014, 0.0003)),
        "half": ((0.77, 0.72, 0.62, 0.42, 0.17), (0.63, 0.47, 0.28, 0.11, 0.018)),
        "other": ((0.88, 0.97, 1.11, 1.29, 1.46), (0.71, 0.71, 0.78, 0.96, 1.18)),
    }
    for name, both in table.items():
        found = risks[name]
        off = np.abs(found.value - np.ravel(both))
        assert (off < 5 * np.sqrt(2) * found.std_error + 0.005).all(), name


def test_fresh_sets_are_never_worse(risks) -> None:
    for found in risks.values():
        fixed, fresh = found.value.reshape(2, -1)
        assert (fresh <= fixed).all()
    crossing = {n: risks["orthogonal"][FIXED, n].value < 0.8 / 1.8 for n in ("4", "8")}
    assert crossing == {"4": False, "8": True}
    assert risks["orthogonal"][FRESH, "2"].value > 0.8 / 1.8 > risks["orthogonal"][FRESH, "4"].value


def test_a_student_by_least_squares_has_the_risk_of_fresh_sets() -> None:
    """12 students of 2,000 refined labels: their mean is sum_k E[pi_k] beta_k, and so is its risk, within 3 errors."""
    rng, many = np.random.default_rng(0), 12
    found = FIVE.of(drawn(FIVE, TEACHERS["orthogonal"], (4,), (many + 12) * 2000)[:, 0])
    answers, expected = found[: many * 2000].reshape(many, 2000, -1), found[many * 2000 :]
    x = rng.standard_normal(answers.shape)
    pairs = zip(x, np.sum(x * answers, -1), strict=True)
    students = np.array([np.linalg.lstsq(features, labels, rcond=None)[0] for features, labels in pairs])
    covariance = np.cov(students.T) / many + np.cov(expected.T) / len(expected)
    gap = students.mean(0) - expected.mean(0)
    assert (np.abs(gap) < stats.t.isf(FALSE_ALARM / 20, many - 1) * np.sqrt(np.diag(covariance))).all()
    away = expected.mean(0) - FIVE.wanted
    bias = np.trace(np.cov(students.T)) / many - np.trace(np.cov(expected.T)) / len(expected)
    risk = np.sum((students.mean(0) - FIVE.wanted) ** 2) - bias
    assert abs(risk - away @ away) < 3 * 2 * np.sqrt(away @ covariance @ away)


def test_refinement_by_the_failing_teacher_gets_worse_with_every_label(risks) -> None:
    for found in risks["other"].value.reshape(2, -1)[:, 1:]:
        assert (np.diff(found) > 0).all()
    assert risks["other"].value.min() > exact.naive_limit(FIVE, TEACHERS["other"]).risk
    assert [exact.misled(FIVE, teacher) for teacher in TEACHERS.values()] == [False, False, False, True]


def test_nothing_shown_is_the_prior_and_posteriors_are_bayes() -> None:
    concept, teacher = Concept(3, (0.6, 0.3, 0.1), 0.8), Teacher((0.2,), 0.5)
    found = drawn(concept, teacher, (0, 1), 20_000)
    assert found[:, 0] == pytest.approx(np.broadcast_to(concept.prior, (20_000, 3)))
    rng = np.random.default_rng(1)
    x = rng.standard_normal((20_000, 3))
    y = x @ teacher.direction(3) + 0.5 * rng.standard_normal(20_000)
    joint = concept.prior * stats.norm.pdf(y[:, None], x, 0.8)
    bayes = joint / joint.sum(1, keepdims=True)
    gap = found[:, 1].mean(0) - bayes.mean(0)
    assert (np.abs(gap) < 4.5 * np.sqrt(2) * bayes.std(0) / np.sqrt(20_000)).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Concept(2, (0.5, 0.3, 0.2)), "3 concepts in 2 dimensions"),
        (lambda: Concept(3, (0.5, 0.6)), "add up to 1"),
        (lambda: Concept(3, (0.5, 0.5), 0.0), "noise is 0"),
        (lambda: Teacher((float("nan"),)), "finite"),
        (lambda: Teacher(noise=-1), "must not be negative"),
        (lambda: Teacher((0, 0, 0, 1.0)).direction(3), "bias has 4 numbers"),
        (lambda: Teacher.orthogonal(Concept(2, (0.5, 0.5)), 1.0), "fill all 2 dimensions"),
        (lambda: exact.refined(FIVE, Teacher(), (1,)), "there are 5 concepts"),
        (lambda: exact.refined(TWO, Teacher((0, 0.5)), (1,)), "leans to a concept"),
        (lambda: exact.bound(TWO, Teacher(noise=0.5), (1,)), "the bound holds from 0.5 on"),
        (lambda: exact.naive(FIVE, Teacher(), 11), "it takes 12"),
        (lambda: exact.ridge(FIVE, Teacher(), 5, 0.0), "both must be above 0"),
        (lambda: concepts.draw(TWO, Teacher(), shown=(-1,), key=jax.random.key(0)), "0 or more"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        wrong()
