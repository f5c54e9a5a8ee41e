"""PromptEval as published: the authors' program on a small grid, the minimum's equations, its quirks."""

import pathlib

import numpy as np
import pytest
from scipy.special import expit

from lleval_jax.errors import BadInput
from lleval_jax.estimators.prompts import published as paper

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]
POINT = 0.001  # a tenth of a point
# liblinear stops where a step is worth 1e-12 of its loss, which is at most C * cells * log 2 = 1.6e4, and the penalty
# keeps |w - minimum|^2 below twice what is left of the loss.
NEAR = (2 * 1e-12 * 1.6e4) ** 0.5


@pytest.fixture(scope="module")
def golden():
    return dict(np.load(pathlib.Path(__file__).parent / "golden" / "prompteval.npz"))


def fitted(golden, answers, variant):
    x, z = golden["x"], golden["z"]
    if variant.startswith("rows"):
        return paper.fit_rows(golden[answers], golden["seen"], x if variant == "rows_x" else None)
    covariates = x if "x" in variant else None, z if "z" in variant else None
    return paper.extended_rasch(golden[answers], golden["seen"], *covariates)


@pytest.mark.parametrize("variant", ["rasch", "x", "z", "xz", "rows", "rows_x"])
@pytest.mark.parametrize("answers", ["answers", "same"])
def test_the_published_program(golden, answers, variant):
    ours = fitted(golden, answers, variant)
    scores = paper.scores(ours, golden[answers], golden["seen"])
    theirs = {kind: f"{kind}.{answers}.{variant}" for kind in ("minimum", "published")}
    np.testing.assert_allclose(ours.coefficients, golden[theirs["minimum"] + ".coefficients"], atol=NEAR, rtol=0)
    for name in theirs.values():
        np.testing.assert_allclose(scores, golden[name + ".scores"], atol=POINT, rtol=0)
        np.testing.assert_allclose(paper.quantiles(scores, LEVELS), golden[name + ".quantiles"], atol=POINT, rtol=0)


@pytest.mark.parametrize(
    ("variant", "bound"), [("rasch", 1e-3), ("x", 1e-2), ("z", 1e-3), ("xz", 1e-3), ("rows", 1e-3), ("rows_x", 1e-3)]
)
def test_what_the_early_stop_of_the_published_solver_costs(golden, variant, bound):
    """At tolerance 1e-4 its coefficients are within 1e-3 of the minimum, but 5e-3 away with covariates of the rows."""
    gap = np.abs(fitted(golden, "answers", variant).coefficients - golden[f"published.answers.{variant}.coefficients"])
    assert gap.max() < bound


def test_the_gradient_vanishes_at_the_minimum(golden):
    """w = C sum_cells d (y - p), written with the whole design."""
    answers, seen = golden["answers"], golden["seen"]
    w = paper.extended_rasch(answers, seen).coefficients
    row, item = np.nonzero(seen)
    design = np.hstack([np.eye(len(seen))[row], np.eye(seen.shape[1])[item]])[:, :-1]
    pull = design.T @ (answers[row, item] - expit(design @ w))
    np.testing.assert_allclose(w, paper.PENALTY * pull, atol=1e-8)


def test_who_was_not_seen_is_at_zero(golden):
    ours = fitted(golden, "answers", "rasch")
    assert ours.theta[4] == 0
    assert ours.beta[7] == 0
    assert ours.beta[-1] == 0


def test_the_order_of_items_matters_as_published(golden):
    """The last item's beta is 0, whichever it is."""
    swapped = golden["seen"][:, ::-1]
    once = paper.scores(paper.extended_rasch(golden["answers"], golden["seen"]), golden["answers"], golden["seen"])
    answers = golden["answers"][:, ::-1]
    turned = paper.scores(paper.extended_rasch(answers, swapped), answers, swapped)
    assert np.abs(once - turned).max() > POINT


def test_average_of_nothing_is_one():
    answers = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    seen = np.array([[True, True, True], [False, False, False]])
    np.testing.assert_allclose(paper.average(answers, seen), [2 / 3, 1])


def test_binarise_keeps_the_cut():
    np.testing.assert_array_equal(paper.binarise(np.array([0.49, 0.5, 1.0])), [0, 1, 1])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"answers": np.full((2, 3), 0.5)}, r"an answer is \[0.5\]; PromptEval fits 0 and 1"),
        ({"seen": np.zeros((2, 3), bool)}, "no cell is seen"),
        ({"seen": np.ones((3, 3), bool)}, r"answers are \(2, 3\) and seen is \(3, 3\)"),
        ({"x": np.ones((2, 1))}, r"the least direction of x has 0.0e\+00 of its variance"),
        ({"z": np.ones((2, 1))}, r"z is \(2, 1\); give \(3, features\)"),
    ],
)
def test_wrong_calls_say_what_was_found(changed, message):
    right = {"answers": np.eye(2, 3), "seen": np.ones((2, 3), bool)}
    with pytest.raises(BadInput, match=message):
        paper.extended_rasch(**(right | changed))
