"""Every kernel asks for matrix products in full precision, whatever JAX's default is: seen in what is traced.

On a CPU all products are in full precision, so that numbers would not show it.
"""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lleval_jax
from lleval_jax.core import gp
from lleval_jax.core.crossed import draws, messages, mixture, scales
from lleval_jax.core.crossed import joint as crossed_joint
from lleval_jax.core.crossed import model as crossed
from lleval_jax.core.irt import em, irf, joint, likelihood, scoring, sequential, uncertainty
from lleval_jax.core.irt.cells import Dense
from lleval_jax.core.irt.likelihood import Prior
from lleval_jax.core.laws import panel, pooled, pooled_joint, published, regression, tries
from lleval_jax.core.linalg import factors, sweep
from lleval_jax.core.precision import full_precision, jit
from lleval_jax.core.solvers import loop, simplex
from lleval_jax.core.solvers.anderson import Anderson
from lleval_jax.core.solvers.bfgs import BFGS

KEY = jax.random.key(0)


def products(jaxpr):
    """The precision of each matrix product of a traced program, at any depth."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            yield equation.params["precision"]
        yield from (found for value in equation.params.values() for found in inside(value))


def inside(value):
    """`products` of a parameter of an instruction: a program, several, or none."""
    if isinstance(value, tuple | list):
        return [found for one in value for found in inside(one)]
    program = getattr(value, "jaxpr", value)
    return list(products(program)) if hasattr(program, "eqns") else []


def traced(fn, *args):
    return list(products(jax.make_jaxpr(fn)(*args).jaxpr))


def full(found):
    return bool(found) and set(found) == {(jax.lax.Precision.HIGHEST,) * 2}


def unit(*shape):
    """Numbers in (0, 1)."""
    return jnp.asarray(np.random.default_rng(sum(shape)).uniform(0.1, 0.9, shape))


def ones(*shape):
    return jnp.asarray(np.ones(shape))


def identity(size, copies=()):
    return jnp.asarray(np.broadcast_to(np.eye(size), (*copies, size, size)))


ONE = ones()


def shaped(fn, *args):
    """Numbers in place of what `fn` gives: of the same shapes, which is all that tracing looks at."""
    return jax.tree.map(lambda x: jnp.asarray(np.full(x.shape, 0.5, x.dtype)), jax.eval_shape(fn, *args))


def marginal(model="2pl", rows=6, items=7):
    data = em.Data(
        Dense(unit(rows, items), unit(rows, items), ones(items)), unit(9, 1), unit(9), unit(rows), ones(items)
    )
    return irf.CURVES[model], data, unit(items, 2)


def unknowns(items=7):
    return em.Unknowns(unit(items, 2), unit(2), unit(2))


def em_solved(solver, x):
    curve, data, _ = marginal()
    return loop.solve(solver, em.em_map(em.Task(curve), data), x)


def errors(few):
    curve, data, free = marginal()
    counts, prior = shaped(functools.partial(em.expect, curve), data, free), Prior(unit(2), unit(2))
    if few:
        return lambda free: uncertainty.few_item_covariance(curve, data, free, counts, prior)
    mass = unit(*counts.mass.shape[1:])
    return lambda free: uncertainty.item_covariance(curve, free, counts.right, counts.asked, data.nodes, mass, prior)


def joint_problem(dims=2):
    _, data, _ = marginal()
    whole = joint.Data(data.cells, data.row_weight, data.item_weight, ones(dims))
    return whole, shaped(joint.start, whole, unit(6, dims), unit(7, dims + 1))


def joint_step(data, x):
    return joint.Alternating().step(data, loop.Step(x, ONE, ONE, None)).x


def grid(n=4, m=5):
    design = crossed.Design(ones(n, 1), unit(m, 1), ones(2, 1), unit(2), unit(2, 3), jnp.asarray(0.0))
    row, column = map(jnp.asarray, np.indices((n, m)).reshape(2, -1))
    cells = crossed.Cells(row, column, unit(n * m), ones(n * m))
    return design, cells, shaped(crossed.start, design, cells, unit(3), unit(3))


def grid_scales():
    design, cells, at = grid()
    return scales.scales(design, cells, at, crossed.posterior(design, cells, *at), unit(3, 3))


def grid_draws(found):
    design, cells, _ = grid()
    return draws.score_draws(design, cells, found, unit(5), unit(4), unit(4), ONE, KEY, 4)


def grid_messages():
    design, cells, _ = grid()
    design = design._replace(columns=unit(5, 0), kind=ones(1, 1), fixed=unit(1))
    return messages.settle(design, cells, unit(3), unit(3))


def grid_joint(sites):
    design, cells, _ = grid()
    design = design._replace(columns=unit(5, 0), kind=ones(1, 1), fixed=unit(1))
    points = crossed_joint.points(ONE.dtype.name)
    return crossed_joint.score_draws(design, cells, sites, points, unit(3), unit(3), ones(5), KEY, 8)


def items(count=7, dims=2):
    return irf.Items(unit(count, dims), unit(count), jnp.asarray(np.zeros(count)), ones(count))


def ability(fn, slope):
    answers, posterior = scoring.Answers(unit(7), unit(7)), scoring.Normal(unit(2), identity(2))
    return fn(irf.Curve(dims=2), items()._replace(slope=slope), answers, posterior)


def pool():
    return sequential.Pool(items(), unit(7), None, ONE, identity(3, (7,)))


def asked(mean):
    posterior = sequential.Normal(mean, identity(2, (3,)))
    seen = sequential.outlook(irf.Curve(dims=2), pool(), posterior, unit(3, 7) > 1, unit(3))
    return sequential.choose("score", pool(), posterior, seen, unit(3, 7) > 0, 2, KEY)


def versions(models=3, cells=4):
    version, domain = (jnp.asarray(of(np.arange(cells), 2)) for of in (np.floor_divide, np.mod))
    seen = jnp.asarray(np.ones((models, cells), bool))
    known = panel.Panel(unit(models, cells), unit(models, cells), seen, version, domain, unit(models, 2))
    return shaped(lambda: panel.before(models, 2).mode), known


def law():
    score = np.asarray(unit(4, 3))
    group = np.array([0, 0, 1, 2])
    rows, _ = pooled.layout(np.ones((4, len(pooled.INPUTS))), group, group, score, score > 0)
    begun = shaped(lambda: pooled.start(unit(3), 2, KEY))
    return begun, rows, shaped(pooled.begin, begun, rows), jnp.asarray(np.zeros(3))


def table():
    return published.Table(
        unit(6, 3), jnp.asarray(np.eye(3)[np.arange(6) % 3]), unit(6, 4), ones(6, 4), jnp.asarray(np.zeros(4)), ones(4)
    )


def law_objective(x):
    return published.objective(published.Form(), table())(x)


def regressed(mean):
    cells = regression.Cells(unit(6, 3), identity(2, (6,)), unit(6), jnp.asarray(0.0))
    return regression.fit(cells, ONE, unit(3), mean)


def kernel(slope):
    return gp.gram(gp.Kernel(unit(7), slope, jnp.asarray(gp.START)), unit(5, 7), unit(4, 7))


def tried(skill):
    return tries.fit(tries.Tried(unit(3, 4), ones(3, 4), skill, identity(2, (3,))))


def best_weights(gram):
    return simplex.minimise(simplex.Quadratic(gram, unit(4)), jnp.asarray(np.full(4, 0.25)))


def regressed_density(x):
    cells = regression.Cells(unit(6, 3), jnp.broadcast_to(jnp.eye(2), (6, 2, 2)), unit(6), 0 * ONE)
    return regression.log_joint(x, cells, ONE, unit(3))


def answered(ability):
    params, prior = likelihood.Params(ability, unit(7, 2)), Prior(unit(2), unit(2))
    return likelihood.log_joint(params, likelihood.Answers(unit(6, 7), unit(6, 7)), prior, curve=irf.CURVES["2pl"])


def grid_density(coef):
    design, cells, at = grid()
    return crossed.log_joint(crossed.Params(coef, unit(4), unit(5), at.scale), design, cells)


def panel_density(shift):
    sizes, known = versions()
    return panel.log_joint(panel.Params(shift, unit(3, 4), sizes), known, panel.before(3, 2))


def law_density(slope, begun, rows, _, floor):
    shape = rows.real.shape
    params = pooled_joint.Params(slope, unit(*shape, 2), unit(*shape, 3), begun)
    return pooled_joint.log_joint(params, rows, floor, begun)


def published_density(slope):
    form = published.Form()
    found = published.unpack(form, table(), published.start(form, table(), KEY))
    return published.log_joint(found._replace(slope=slope), table(), form=form)


def tried_density(skill):
    known = tries.Tried(unit(3, 4), jnp.ones((3, 4)), skill, jnp.broadcast_to(jnp.eye(2), (3, 2, 2)))
    params = tries.Params(skill, unit(3), unit(3), unit(4, 3), unit(4, 3))
    return tries.log_joint(params, known, tries.Scales(jnp.eye(3), ONE, ONE))


def bowl(x):
    return x @ jnp.diag(jnp.arange(1.0, 4)) @ x


KERNELS = {  # name -> (function, its arguments), in the order of the package's layers
    "sweep.inverse": lambda: (sweep.inverse, identity(20)),
    "solve.solve": lambda: (lambda x: loop.solve(BFGS(), bowl, x), unit(3)),
    "solve.begin": lambda: (lambda x: loop.begin(BFGS(), bowl, x), unit(3)),
    "simplex.minimise": lambda: (best_weights, identity(4)),
    "em.expect": lambda: (functools.partial(em.expect, *marginal()[:2]), marginal()[2]),
    "em.em_map": lambda: (em.em_map(em.Task(marginal()[0]), marginal()[1]), unknowns()),
    "em, accelerated": lambda: (functools.partial(em_solved, Anderson()), unknowns()),
    "uncertainty.item_covariance": lambda: (errors(False), marginal()[2]),
    "uncertainty.few_item_covariance": lambda: (errors(True), marginal()[2]),
    "joint.Alternating": lambda: (joint_step, *joint_problem()),
    "joint.bound": lambda: (joint.bound, *joint_problem()),
    "scoring.mode": lambda: (functools.partial(ability, scoring.mode), unit(7, 2)),
    "scoring.mean": lambda: (functools.partial(ability, scoring.mean), unit(7, 2)),
    "crossed.posterior": lambda: (functools.partial(crossed.posterior, *grid()[:2]), *grid()[2]),
    "crossed.propagate": lambda: (functools.partial(crossed.propagate, *grid()[:2], unit(9), unit(9)), grid()[2]),
    "crossed.scales.scales": lambda: (grid_scales,),
    "crossed.draws.score_draws": lambda: (grid_draws, shaped(grid_scales)),
    "crossed.messages.settle": lambda: (grid_messages,),
    "crossed.joint.score_draws": lambda: (grid_joint, shaped(grid_messages)),
    "crossed.mixture.likelihood": lambda: (functools.partial(mixture.likelihood, grid()[1]), unit(4), unit(5)),
    "gp.gram": lambda: (kernel, unit(7)),
    "laws.pooled.log_laplace": lambda: (pooled.log_laplace, *law()),
    "laws.pooled.log_laplace, gradient": lambda: (jax.grad(pooled.log_laplace), *law()),
    "sweep.inverse, gradient": lambda: (jax.grad(lambda m: sweep.inverse(m)[0].sum()), identity(80)),
    "laws.pooled.settle": lambda: (functools.partial(pooled.settle, steps=2), *law()),
    "panel.posterior": lambda: (panel.posterior, *versions()),
    "panel.information": lambda: (panel.information, *versions()),
    "panel.log_evidence, gradient": lambda: (jax.grad(panel.log_evidence), *versions()),
    "factors.loadings": lambda: (functools.partial(factors.loadings, dims=1), unit(4, 4), ones(4, 4), unit(4)),
    "regression.fit": lambda: (regressed, unit(3)),
    "laws.published.fit": lambda: (functools.partial(published.fit, published.Form()), table(), KEY),
    "laws.published.objective": lambda: (law_objective, unit(3 * 4 + 4 * 3)),
    "sequential.choose": lambda: (asked, unit(3, 2)),
    "tries.fit": lambda: (tried, unit(3, 2)),
    "irt.likelihood.log_joint": lambda: (answered, unit(6, 1)),
    "crossed.model.log_joint": lambda: (grid_density, unit(2)),
    "crossed.model.log_joint, gradient": lambda: (jax.grad(grid_density), unit(2)),
    "panel.log_joint": lambda: (panel_density, unit(2, 4)),
    "laws.pooled_joint.log_joint": lambda: (law_density, unit(6, 5), *law()),
    "laws.published.log_joint": lambda: (published_density, unit(3, 2)),
    "regression.log_joint": lambda: (regressed_density, unit(3)),
    "tries.log_joint": lambda: (tried_density, unit(3, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_asks_for_full_precision(name):
    fn, *args = KERNELS[name]()
    with jax.default_matmul_precision("bfloat16"):  # a lower precision of the caller's is not ours
        assert full(traced(fn, *args))


def test_the_callers_own_products_and_settings_stay_as_they_are():
    before = jax.config.jax_default_matmul_precision
    assert traced(jnp.matmul, unit(3, 3), unit(3, 3)) == [None]
    assert full(traced(full_precision(jnp.matmul), unit(3, 3), unit(3, 3)))
    assert full(traced(jit(jnp.matmul), unit(3, 3), unit(3, 3)))
    assert full(traced(jax.grad(lambda a: full_precision(jnp.matmul)(a, a).sum()), unit(3, 3)))
    sweep.inverse(identity(3))
    assert jax.config.jax_default_matmul_precision == before


def test_all_that_estimates_asks_for_it():
    """Language models decide themselves: bfloat16 where it is asked for, and float32 where it matters."""
    package = pathlib.Path(lleval_jax.__file__).parent
    files = [file.relative_to(package) for file in package.rglob("*.py")]
    estimates = [file for file in files if file.parts[0] not in ("lm", "training")]
    plain = {file.name for file in estimates if "jax.jit" in (package / file).read_text()}
    assert plain == {"precision.py"}, "use core.precision.jit"
