"""Rotations: closed form in two dimensions, gradients by finite differences, and another program's numbers."""

import numpy as np
import pytest
from scipy import optimize

from lleval_jax.core.linalg import rotation

# Eight tests on two factors, and what factor_analyzer 0.5.1 makes of them (Rotator, normalize=False, tol=1e-8).
LOADINGS = np.array(
    [
        [0.830, -0.396], [0.818, -0.469], [0.777, -0.470], [0.798, -0.401],
        [0.786, 0.500], [0.672, 0.458], [0.594, 0.444], [0.647, 0.333],
    ]
)  # fmt: skip

KNOWN = {
    "varimax": [
        [0.88603, 0.246307], [0.924911, 0.183369], [0.894644, 0.155694], [0.865177, 0.221525],
        [0.264524, 0.89321], [0.206119, 0.786679], [0.156481, 0.724904], [0.269339, 0.675984],
    ],
    "oblimin": [
        [0.891822, 0.056015], [0.95368, -0.023246], [0.92915, -0.046503], [0.876683, 0.033658],
        [0.013699, 0.925001], [-0.017267, 0.821254], [-0.052447, 0.764954], [0.085888, 0.683116],
    ],
    "geomin": [
        [0.89, 0.060745], [0.951027, -0.01786], [0.926363, -0.041161], [0.87471, 0.038392],
        [0.021507, 0.921429], [-0.010258, 0.817919], [-0.045825, 0.761646], [0.09146, 0.680899],
    ],
}  # fmt: skip
CORRELATION = {"varimax": 0.0, "oblimin": 0.472748, "geomin": 0.461744}


@pytest.mark.parametrize("name", rotation.CRITERIA)
def test_another_program_finds_the_same(name: str) -> None:
    criterion, oblique = rotation.CRITERIA[name]
    found = rotation.best(LOADINGS, criterion, oblique=oblique, rng=np.random.default_rng(0))
    known = np.array(KNOWN[name])
    new = rotation.rotated(LOADINGS, found.turn, oblique=oblique)
    new = new[:, np.abs(new.T @ known).argmax(0)]  # which column comes first is nobody's choice
    new = new * np.sign((new * known).sum(0))
    np.testing.assert_allclose(new, known, atol=2e-4 if name == "varimax" else 2e-6)  # theirs stops early there
    assert found.value <= criterion(known)[0] + 1e-6
    assert abs((found.turn.T @ found.turn)[0, 1]) == pytest.approx(CORRELATION[name], abs=1e-5)


@pytest.fixture
def three() -> np.ndarray:
    """Thirty items, three factors with clear groups, turned at random."""
    rng = np.random.default_rng(0)
    clear = 0.1 * rng.standard_normal((30, 3))
    clear[np.arange(30), np.arange(30) % 3] += 0.8
    return clear @ np.linalg.qr(rng.standard_normal((3, 3)))[0]


@pytest.mark.parametrize("name", rotation.CRITERIA)
def test_gradients_are_those_of_the_values(name: str) -> None:
    criterion, _ = rotation.CRITERIA[name]
    x = np.random.default_rng(1).standard_normal((5, 3))
    slope = optimize.approx_fprime(x.ravel(), lambda v: criterion(v.reshape(5, 3))[0], 1e-7)
    np.testing.assert_allclose(criterion(x)[1].ravel(), slope, atol=1e-5)


def test_varimax_in_a_plane_is_kaisers_angle() -> None:
    """Kaiser (1958), eq. 18: tan 4 phi in closed form."""
    x, y = LOADINGS.T
    u, v = x**2 - y**2, 2 * x * y
    top = 2 * (len(x) * (u * v).sum() - u.sum() * v.sum())
    bottom = len(x) * (u**2 - v**2).sum() - (u.sum() ** 2 - v.sum() ** 2)
    phi = np.arctan2(top, bottom) / 4
    turn = np.array([[np.cos(phi), -np.sin(phi)], [np.sin(phi), np.cos(phi)]])
    found = rotation.best(LOADINGS, rotation.varimax, oblique=False, rng=np.random.default_rng(0))
    assert found.converged
    assert found.value == pytest.approx(rotation.varimax(LOADINGS @ turn)[0], abs=1e-9)


@pytest.mark.parametrize("name", rotation.CRITERIA)
def test_clear_groups_are_found_again(name: str, three: np.ndarray) -> None:
    criterion, oblique = rotation.CRITERIA[name]
    found = rotation.best(three, criterion, oblique=oblique, rng=np.random.default_rng(0))
    new = np.abs(rotation.rotated(three, found.turn, oblique=oblique))
    assert found.converged
    assert [len(set(new[k::3].argmax(1))) for k in range(3)] == [1, 1, 1]
    assert set(new[:3].argmax(1)) == {0, 1, 2}
    np.testing.assert_allclose(np.diag(found.turn.T @ found.turn), 1, atol=1e-9)
    assert oblique or np.allclose(found.turn.T @ found.turn, np.eye(3))


@pytest.mark.parametrize("name", rotation.CRITERIA)
def test_no_start_does_better(name: str, three: np.ndarray) -> None:
    """The projected gradient vanishes and small turns in any direction make it worse."""
    criterion, oblique = rotation.CRITERIA[name]
    found = rotation.best(three, criterion, oblique=oblique, rng=np.random.default_rng(0))
    rng = np.random.default_rng(2)
    for _ in range(50):
        near = found.turn + 1e-3 * rng.standard_normal((3, 3))
        near = near / np.linalg.norm(near, axis=0) if oblique else np.linalg.qr(near)[0] @ np.diag(
            np.sign(np.diag(np.linalg.qr(near)[1]))
        )  # fmt: skip
        assert criterion(rotation.rotated(three, near, oblique=oblique))[0] > found.value - 1e-9
