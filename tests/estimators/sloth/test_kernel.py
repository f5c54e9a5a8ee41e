"""The search for a law: arrays alone, in pieces as in one go, side by side as one by one, and never down."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lleval_jax as ll
from bench.sloth.worlds import leaderboard
from lleval_jax.core.precision import light_jit
from lleval_jax.estimators import contract
from lleval_jax.estimators.sloth.kernel import BENDS, Search, log_posterior
from lleval_jax.layout.board import Board, lay_out
from lleval_jax.types import Status

KEY = jax.random.key(0)
SEARCH = Search(1)
CLOSE = 1e-9  # of two programs that do the same sums in another order: an entry of a law
STEEPER = 4e-7  # of its gradient as `error` scales it (tol / steep = .004): laws CLOSE to each other, curvature 1e5


def assert_same(one, other) -> None:
    """Two ends of a search, each field by what rounding leaves of it."""
    for field in one._fields:
        for a, b in zip(jax.tree.leaves(getattr(one, field)), jax.tree.leaves(getattr(other, field)), strict=True):
            np.testing.assert_allclose(a, b, atol=STEEPER if field == "error" else CLOSE, err_msg=field)


def laid_out(board: ll.Leaderboard) -> Board:
    return lay_out(board, BENDS["monotone"])[0]


@pytest.fixture(scope="module")
def boards() -> list[ll.Leaderboard]:
    whole = leaderboard()
    return [whole.hide(whole.params == whole.params[i]) for i in (2, 5)]


@pytest.fixture(scope="module")
def found(boards):
    return contract.solve(SEARCH, laid_out(boards[0]), KEY)


@pytest.fixture(scope="module")
def climb(boards):
    """Every round of a search."""
    data, progress = laid_out(boards[0]), jax.jit(SEARCH.begin)(laid_out(boards[0]), KEY)
    advance, each = light_jit(SEARCH.advance, static_argnames="at_most"), [progress]
    while int(each[-1].status) == Status.RUNNING:
        each.append(advance(data, each[-1], at_most=1))
    return each


@pytest.mark.slow  # `test_registry_properties.py` asks the same of one small world
def test_lanes_are_single_fits(boards, found):
    assert int(found.status) == Status.CONVERGED
    both = [laid_out(board) for board in boards]
    lanes = contract.solve_many(SEARCH, jax.tree.map(lambda *x: jnp.stack(x), *both), jnp.stack([KEY, KEY]))
    for lane, alone in enumerate([found, contract.solve(SEARCH, both[1], KEY)]):
        assert_same(jax.tree.map(lambda leaf, lane=lane: leaf[lane], lanes), alone)


@pytest.mark.slow
def test_a_resumed_search_is_one_never_stopped(boards, found, climb):
    """In one go, and in pieces of one round, the progress kept on the host in between."""
    data = laid_out(boards[0])
    whole = light_jit(SEARCH.solve)(data, KEY)
    kept = jax.tree.map(jnp.asarray, jax.tree.map(np.asarray, climb[-1]))
    for end in (whole, SEARCH.finish(data, kept)):
        assert_same(end, found)


def test_no_round_lowers_the_evidence_about_its_point(boards, climb):
    """From the point where it begins; the point then moves, and the evidence about it is another."""
    density, data, first = jax.jit(log_posterior), laid_out(boards[0]), climb[0].now.x
    for before, after in itertools.pairwise(climb[1:]):
        start = float(density(before.now.x, data, first, before.now.memory.at))
        assert float(after.now.value) >= start - 1e-9 * abs(start)
    assert len(climb) > 3


def test_a_search_that_may_not_go_on_says_so(boards):
    data = laid_out(boards[0])
    end = contract.solve(SEARCH, data._replace(floor=data.floor + jnp.nan), KEY)
    assert int(end.status) == Status.NOT_FINITE


def test_padding_changes_nothing(boards, found):
    """Lineages without a model, as on a board whose size is just above a rung."""
    data = laid_out(boards[0])
    rows = jax.tree.map(lambda x: jnp.concatenate([x, jnp.zeros_like(x[:2])]), data.rows)
    at = jax.tree.map(lambda x: jnp.concatenate([x, jnp.ones_like(x[:2])]), found.at)
    density = jax.jit(log_posterior)
    padded = density(found.law, data._replace(rows=rows), found.law, at)
    np.testing.assert_allclose(padded, density(found.law, data, found.law, found.at), rtol=1e-12)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_number_type_is_that_of_the_data(boards, precision):
    data = lay_out(boards[0], BENDS["monotone"], precision)[0]
    found = jax.eval_shape(SEARCH.solve, data, KEY)
    floats = {x.dtype.name for x in jax.tree.leaves(found) if jnp.issubdtype(x.dtype, jnp.floating)}
    assert floats == {precision}
