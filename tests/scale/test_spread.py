"""One fit over many devices: the same to the last bit, also where it was stopped; what devices send each other."""

import dataclasses
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lleval_jax as ll
from bench.lm.collectives import collectives
from lleval_jax.core.precision import jit
from lleval_jax.data import simulate
from lleval_jax.estimators.irt import planned
from lleval_jax.estimators.irt.marginal import Marginal
from lleval_jax.layout import spread
from lleval_jax.scale.store import Folder

NODES = 48


@pytest.fixture(scope="module")
def plain():
    """Answers of 0 or 1, half of them seen."""
    whole, _ = simulate(30, 45, seed=1)
    row, item = np.nonzero(np.random.default_rng(0).random((30, 45)) < 0.5)
    names = whole.rows, whole.items, whole.group, whole.groups
    return ll.SparseResponses(row, item, whole.scores[row, item], np.ones(len(row), np.float32), *names)


@pytest.fixture(scope="module")
def mixed(plain):
    """Shares of right answers, and weights, so that a byte does not hold them."""
    scores = np.where(np.arange(len(plain.row)) % 7 == 0, np.float32(0.25), plain.scores)
    return dataclasses.replace(plain, scores=scores, weight=1 + plain.item % 3)


def devices(count: int):
    return ll.mesh(jax.devices()[:count])


def unequal(responses: ll.SparseResponses) -> ll.SparseResponses:
    """One row has answered all, others hardly any: devices have unequal shares of the rows."""
    few = (responses.row == 0) | (responses.item < 3)
    return responses._keep(few)


@pytest.mark.parametrize("kind", ["plain", "mixed", "unequal"])
def test_products_are_those_of_the_matrix_and_the_same_on_any_devices(kind, plain, mixed):
    answers = {"plain": plain, "mixed": mixed, "unequal": unequal(mixed)}[kind]
    rng, k = np.random.default_rng(2), 5
    rows, items = sorted(answers.rows), sorted(answers.items)
    mass, by_score, by_weight = (rng.normal(size=(n, k)) for n in (len(rows), len(items), len(items)))
    whole = answers.ordered().dense()
    weight = whole.seen * whole.weight.astype(float)
    score = weight * whole.scores
    right = score @ by_score + weight @ by_weight, score.T @ mass, weight.T @ mass
    found = []
    for count in (1, 3, 4):
        cells = spread.arrange(answers, "float64", devices(count)).cells
        over = jit(lambda cells, a, b, m: (cells.over_items(a, b), *cells.over_rows(m)))
        found.append(over(cells, by_score, by_weight, mass))
        dense = cells.dense()
        np.testing.assert_array_equal(dense.scores, score)
        np.testing.assert_array_equal(dense.weight, weight)
    for one, *others in zip(*found, strict=True):
        for other in others:
            np.testing.assert_array_equal(one, other)
    for one, expected in zip(found[0], right, strict=True):
        np.testing.assert_allclose(one, expected, rtol=0, atol=1e-12 * len(items))


def same_on_all(answers, within: float = 1e-8, **settings) -> None:
    """`within`: sums in another order, in float64."""
    one, four = (ll.irt.fit(answers, **settings, plan=ll.Plan(mesh=devices(count))) for count in (1, 4))
    assert one == four  # every parameter, covariance and likelihood, to the last bit
    here = ll.irt.fit(answers, **settings)
    for name in ("slope", "intercept", "ability", "covariance"):
        a, b = getattr(here.params, name), getattr(one.params, name)
        np.testing.assert_allclose(b, a, rtol=0, atol=within, err_msg=name)


def test_a_2pl_is_the_same_on_any_devices(plain):
    same_on_all(plain, precision="float64")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["rasch", "2pl"])
def test_so_is_one_of_weighted_answers(mixed, model):
    same_on_all(mixed, model=model, precision="float64")


@pytest.mark.slow
def test_so_is_a_rasch_and_one_of_a_matrix(plain):
    same_on_all(plain, model="rasch", precision="float64")
    # a matrix alone is padded, which bends the way to the same end
    same_on_all(plain.dense(), precision="float64", tol=1e-8, within=1e-6)


class Enough(Exception):
    pass


def after(steps: int):
    def tell(progress: ll.Progress) -> None:
        if progress.done >= steps:
            raise Enough

    return tell


SLOWLY = {"tol": 1e-5, "precision": "float64"}


def test_a_fit_that_was_stopped_goes_on_and_finds_the_same(plain, tmp_path):
    plan = ll.Plan(mesh=devices(4), out=tmp_path / "kept", every=2)
    undisturbed = ll.irt.fit(plain, **SLOWLY, plan=ll.Plan(mesh=devices(4)))
    assert undisturbed.ended.steps > 7
    with pytest.raises(Enough):
        ll.irt.fit(plain, **SLOWLY, plan=plan, tell=after(2))
    with pytest.raises(ll.Stopped, match=r"asked to leave after 6 steps; its state is in .*kept\. Call it again"):
        ll.irt.fit(plain, **SLOWLY, plan=plan, tell=lambda _: os.kill(os.getpid(), signal.SIGTERM))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    newest = max((tmp_path / "kept").glob("*.state"))
    assert newest.name == "step-00000006.state"
    newest.write_bytes(newest.read_bytes()[:-1])  # cut short: the one before it counts
    on_others = dataclasses.replace(plan, mesh=devices(1))
    told = []
    assert ll.irt.fit(plain, **SLOWLY, plan=on_others, tell=told.append) == undisturbed
    assert told[0].done == 6  # from 4
    assert ll.irt.fit(plain, **SLOWLY, plan=plan) == undisturbed  # from its end
    other = dataclasses.replace(plain, scores=1 - plain.scores)
    with pytest.raises(ll.BadInput, match=r"holds another run: answers is \w+\.\.\. there and \w+\.\.\. here"):
        ll.irt.fit(other, **SLOWLY, plan=plan)


def test_a_step_gathers_twice_and_adds_nothing_up(plain):
    mesh = devices(4)
    data = planned.laid_out(plain, "float32", ll.Plan(mesh=mesh))
    found = collectives(program(data, mesh))
    assert {each.kind for each in found} == {"all-gather"}
    rows, items = 8 * 4, 8 * 6  # 30 rows and 45 items as whole blocks
    assert sorted(each.bytes for each in found) == [4 * rows * NODES, 4 * items * 2 * NODES]


def program(data, mesh) -> str:
    """Of a few steps, compiled. Its one loop is that over steps."""
    from lleval_jax.core.irt import em, irf, quadrature
    from lleval_jax.estimators.contract import on_all

    nodes, log_weight = (jnp.asarray(x, jnp.float32) for x in quadrature.default(1).nodes(1))
    kernel = Marginal(em.Task(irf.Curve()))
    laid = on_all(em.Data(data.cells, nodes, log_weight, data.row_weight, data.item_weight), mesh)
    begun = jax.eval_shape(kernel.begin, laid, jax.random.key(0))
    return jit(kernel.advance, static_argnames="at_most").lower(laid, begun, at_most=3).compile().as_text()


def test_what_a_plan_cannot_do_is_refused(plain, tmp_path):
    mesh = devices(2)
    with pytest.raises(ll.BadInput, match="the joint engine runs on one device"):
        ll.irt.fit(plain, dims=2, plan=ll.Plan(mesh=mesh))
    with pytest.raises(ll.BadInput, match="merge the blocks"):
        ll.irt.fit([plain.dense()], plan=ll.Plan(mesh=mesh))
    with pytest.raises(ll.BadInput, match="chunk is of many fits"):
        ll.irt.fit(plain, plan=ll.Plan(chunk=3))
    with pytest.raises(ll.BadInput, match="chunk is 0; it must be at least one fit"):
        ll.Plan(chunk=0)
    Folder(tmp_path).put("letter.txt", b"dear")
    with pytest.raises(ll.BadInput, match="holds something else than a run"):
        ll.irt.fit(plain, plan=ll.Plan(out=tmp_path))
