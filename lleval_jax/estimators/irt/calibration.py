"""Item parameters from many models' answers: Rasch, 2PL, 3PL, 4PL, multidimensional 2PL.

Two engines. `marginal` integrates abilities over nodes and maximises over items (Bock & Aitkin 1981; `core.irt.em`).
`joint` gives rows and items a normal posterior each in turn (`core.irt.joint`), for more dimensions and sparse answers.
"""

import dataclasses
import functools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit

from lleval_jax.core.irt import em, irf, joint, quadrature, uncertainty
from lleval_jax.core.precision import jit, precise
from lleval_jax.core.solvers.anderson import Anderson
from lleval_jax.core.solvers.loop import Progress, advance, begin
from lleval_jax.errors import DataWarning, require, require_known
from lleval_jax.estimators.ended import ended
from lleval_jax.estimators.irt import guard
from lleval_jax.layout import irt as layout
from lleval_jax.types import Array, Status
from lleval_jax.values.params import IrtParams
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import FitResult
from lleval_jax.values.sparse import SparseResponses

Answers = Responses | SparseResponses | Sequence[Responses]
Report = Callable[[int, float], None]  # (steps so far, error) -> None, between pieces of a fit
PIECE = 8  # steps between two looks at the clock
CANDIDATES = (1, 2, 3, 5, 8)  # dimensions that "auto" compares
TRIFLE = 1e-4  # nats an answer: spare dimensions shrink away, and what is left of them may differ from none by this
USUAL = {"slope": (1.0, 0.6), "intercept": (0.0, 2.0), "floor": (-1.6, 0.7), "ceiling": (3.0, 1.0)}
ENOUGH_ROWS = 60  # models that can teach the spread of the slopes; with fewer the prior is `USUAL`


def fit(
    responses: Answers,
    *,
    model: Literal["auto", "rasch", "2pl", "3pl", "4pl"] = "2pl",
    dims: int | Literal["auto"] = 1,
    engine: Literal["auto", "marginal", "joint"] = "auto",
    prior: Literal["auto", "learned"] | Mapping[str, tuple[float, float]] | None = "auto",
    positive: bool = False,
    nodes: quadrature.Grid | quadrature.Points | None = None,
    fixed_nodes: bool = False,
    standard_errors: bool = True,
    tol: float | None = None,
    max_steps: int = 500,
    precision: Literal["float32", "float64"] = "float32",
    seed: int = 0,
    strict: bool = False,
    report: Report | None = None,
) -> FitResult[IrtParams]:
    """Fit an IRT model to answers.

    Args:
        responses: dense, sparse, or a list of dense blocks whose rows may differ (benchmarks that share models).
        model: item response function; "rasch" shares one slope. "auto" is the 2PL where `estimable.check` finds that
            these answers can teach its slopes, else Rasch, with a `DataWarning` that says why.
        dims: abilities; "auto" takes the fewest that predict held-out cells as well as any.
        engine: "auto" is marginal in one dimension and for 3PL/4PL, joint otherwise.
        prior: "learned" estimates mean and spread of the item parameters from the items; a mapping such as
            {"slope": (1, 0.5), "intercept": (0, 3)} fixes (mean, sd), of log slopes where they are positive; None is
            maximum likelihood; "auto" learns with at least 60 rows, else takes slopes N(1, 0.6), intercepts N(0, 2).
        positive: hold slopes above zero (log-normal prior); else a negative slope is allowed.
        nodes: quadrature of the marginal engine; by default 48 nodes on [-6, 6] in one dimension.
        fixed_nodes: let the nodes be the ability's whole distribution, as other programs do. Without it narrow
            posteriors are integrated between the nodes.
        standard_errors: also the covariance of each item's parameters; without it `covariance` is zero.
        tol: largest move of a parameter in one step at which a fit has converged.
        max_steps: give up after so many.
        precision: of the device arrays; float64 needs no global setting.
        seed: of the held-out cells of "auto" and of the joint engine's start.
        strict: raise `NotConverged` rather than warn and return a result whose `status` says so.
        report: called between pieces of a fit, for a progress bar.

    Raises:
        BadInput: no answers, an unknown model, or an engine that cannot fit what is asked.
        NotConverged: with `strict`, or where numbers ran away.
    """
    require_known(model, ("auto", *irf.CURVES), "model")
    chosen_by: dict[str, Any] = {}
    if model == "auto":
        model, dims, chosen_by = _safe(responses, dims, seed)
    with precise(precision):
        data = layout.arrange(responses, precision)
        if dims == "auto":
            dims = choose_dims(responses, seed=seed) if model == "2pl" else 1
        curve = dataclasses.replace(irf.CURVES[model], dims=dims)
        curve = dataclasses.replace(curve, positive=curve.positive or positive)
        chosen = _engine(engine, curve, data)
        settings: dict[str, Any] = {"model": model, "dims": dims, "engine": chosen, "precision": precision}
        settings |= {"positive": curve.positive, "tol": tol, "max_steps": max_steps, "seed": seed} | chosen_by
        prior = _prior(prior, len(data.rows), curve, chosen)
        settings["prior"] = prior
        if chosen == "marginal":
            task = _task(curve, prior, moments=not fixed_nodes)
            rule = nodes or quadrature.default(dims)
            settings |= {"nodes": repr(rule), "fixed_nodes": fixed_nodes}
            numbers = _fit_marginal(data, task, rule, tol or 1e-3, max_steps, standard_errors, report)
        else:
            require(prior == "learned", "the joint engine learns its prior; pass engine='marginal' for a fixed one")
            numbers = _fit_joint(data, dims, tol or 3e-3, max_steps, standard_errors, seed, report)
    return _result(numbers, data, f"{model} {dims}-d, {chosen}", settings, strict)


def fit_many(
    responses: Responses | Sequence[Responses],
    *,
    row_weight: np.ndarray | None = None,
    model: Literal["rasch", "2pl", "3pl", "4pl"] = "2pl",
    prior: Literal["auto", "learned"] | Mapping[str, tuple[float, float]] | None = "auto",
    standard_errors: bool = False,
    tol: float = 1e-3,
    max_steps: int = 500,
    precision: Literal["float32", "float64"] = "float32",
) -> list[FitResult[IrtParams]]:
    """Many marginal fits in one call, one lane each; a lane that has ended is frozen while the others go on.

    Args:
        responses: one set of answers that all lanes share, or a list with one per lane (folds, benchmarks, seeds).
        row_weight: (lanes, rows) how often each row counts in each lane, e.g. bootstrap counts; with one set only.
        model: as in `fit`, and so are the rest.
        prior: as in `fit`.
        standard_errors: as in `fit`.
        tol: as in `fit`.
        max_steps: as in `fit`.
        precision: as in `fit`.
    """
    shared = isinstance(responses, Responses)
    require(shared != (row_weight is None), "pass row_weight with one set of answers, or a list of sets without it")
    curve, rule = irf.CURVES[model], quadrature.default(1)
    least = min(len(p.rows) for p in ([responses] if isinstance(responses, Responses) else responses))
    prior = _prior(prior, least, curve, "marginal")
    task = _task(curve, prior, moments=True)
    with precise(precision):
        if isinstance(responses, Responses):
            parts = [layout.arrange(responses, precision)]
            batch = _marginal_data(parts[0], rule, 1)._replace(row_weight=layout.lanes(row_weight, parts[0]))
            axes = em.Data(None, None, None, 0, None)  # type: ignore[arg-type]
            parts = parts * len(batch.row_weight)
        else:
            parts = layout.arrange_alike(responses, precision)
            one = [_marginal_data(part, rule, 1) for part in parts]
            batch, axes = jax.tree.map(lambda *x: jnp.stack(x), *one), 0
        begun = _begin_lanes(batch, task, tol, max_steps, axes)
        numbers = jax.vmap(lambda d, p: _finish_marginal(d, p, task, standard_errors), in_axes=(axes, 0))(batch, begun)
        lanes = [jax.tree.map(lambda x, i=i: np.asarray(x[i]), numbers) for i in range(len(parts))]
    settings = {"model": model, "dims": 1, "engine": "marginal", "precision": precision, "prior": prior}
    method = f"{model} 1-d, marginal"
    return [_result(n, part, method, settings, False, lane=True) for n, part in zip(lanes, parts, strict=True)]


def choose_dims(responses: Answers, *, candidates: Sequence[int] = CANDIDATES, seed: int = 0) -> int:
    """Fewest dimensions whose prediction of held-out cells is within one standard error of the best.

    A tenth of the cells of each row is held out and all candidates are fitted as lanes of one call of the joint
    engine. Large matrices are thinned first: two million cells tell enough.
    """
    data = layout.arrange(layout.thin(responses, seed))
    cells, held = layout.hold_out(data, 0.1, seed)
    most = max(candidates)
    active = np.array([[1.0] * d + [0.0] * (most - d) for d in candidates])
    loss = _held_out_loss(data._replace(cells=cells), jnp.asarray(active, cells.scores.dtype), held, seed)
    total, best = loss.mean(1), loss.mean(1).argmin()
    for d, row, mean in zip(candidates, loss, total, strict=True):
        gap = row - loss[best]
        if mean - total[best] <= max(TRIFLE, gap.std(ddof=1) / math.sqrt(len(gap))):
            return d
    return candidates[best]


class _Numbers(NamedTuple):
    """What either engine hands back, still padded."""

    items: irf.Items
    covariance: Array
    ability: Array
    ability_cov: Array
    loglik: Array
    steps: Array
    status: Array


def _safe(responses: Answers, dims: int | str, seed: int) -> tuple[Any, Any, dict[str, Any]]:
    """Model, dims, and why: what these answers can teach."""
    found = guard.check(responses, dims=dims if isinstance(dims, int) else 1, seed=seed)
    why = [f"{one.name}: {one.found}" for one in found.warnings]
    if found.safe != found.asked:
        reason = next((one.found for one in found.warnings if one.name == "too few models"), "too few models")
        message = f"model='auto' falls back to {found.safe}: {reason}"
        warnings.warn(message, DataWarning, stacklevel=3)
        dims = 1
    return found.safe, dims, {"asked_model": "auto", "guard": why}


def _engine(engine: str, curve: irf.Curve, data: layout.Layout) -> str:
    plain = curve.logistic and not curve.shared_slope and not curve.positive
    if engine == "auto":
        engine = "joint" if curve.dims > 1 and plain else "marginal"
    if engine == "marginal":
        require(curve.dims <= 6, f"the marginal engine goes to 6 dimensions; dims is {curve.dims}. Use 'joint'.")
        require(curve.dims == 1 or curve.logistic and not curve.shared_slope, "rasch, 3pl and 4pl have one dimension")
    else:
        require(plain, "the joint engine fits the 2pl with slopes of either sign; use engine='marginal'")
        require(not data.blocked, "the joint engine takes one matrix; merge the blocks or use engine='marginal'")
    return engine


def _prior(prior: Any, rows: int, curve: irf.Curve, engine: str) -> Any:
    """What "auto" stands for. Few models cannot tell how much slopes differ; learning it from them may run away."""
    if prior != "auto":
        return prior
    if engine == "joint" or rows >= ENOUGH_ROWS:
        return "learned"
    return USUAL | ({"slope": (0.0, 0.5)} if curve.positive else {"slope": (0.0, 1.0)} if curve.dims > 1 else {})


def _task(curve: irf.Curve, prior: Any, *, moments: bool) -> em.Task:
    """The marginal fit's settings; `prior` as in `fit`."""
    if prior == "learned":
        return em.Task(curve, learn=True, moments=moments)
    known = dict.fromkeys(USUAL, (0.0, math.inf)) | dict(prior or {})
    require(set(known) == set(USUAL), f"prior names {sorted(set(known) - set(USUAL))}; known are {list(USUAL)}")
    rows = [known["slope"]] * curve.dims + [known["intercept"]]
    rows += [known["floor"]] * curve.floor + [known["ceiling"]] * curve.ceiling
    return em.Task(curve, learn=False, prior=tuple((float(m), float(s)) for m, s in rows), moments=moments)


def _marginal_data(data: layout.Layout, rule: quadrature.Grid | quadrature.Points, dims: int) -> em.Data:
    nodes, log_weight = rule.nodes(dims)
    dtype = data.row_weight.dtype
    return em.Data(
        data.cells, jnp.asarray(nodes, dtype), jnp.asarray(log_weight, dtype), data.row_weight, data.item_weight
    )


def _fit_marginal(data, task, rule, tol, max_steps, standard_errors, report) -> _Numbers:
    here = _marginal_data(data, rule, task.curve.dims)
    solver = Anderson()
    if not task.moments:  # nodes alone make a lumpy likelihood: come near on the smooth one first
        smooth = dataclasses.replace(task, moments=True)
        near = _drive(
            _begin(here, smooth, solver), lambda p: _advance(here, p, smooth, solver, 10 * tol, max_steps), None
        )
        progress = _begin_at(here, near.now.x, task, solver)
    else:
        progress = _begin(here, task, solver)
    progress = _drive(progress, lambda p: _advance(here, p, task, solver, tol, max_steps), report)
    return _finish_marginal(here, progress, task, standard_errors)


def _drive(progress: Progress, go: Callable[[Progress], Progress], report: Report | None) -> Progress:
    """Pieces of a fit until it ends; the host gets a word in between, so that it can be watched and interrupted."""
    while True:
        progress = go(progress)
        if report is not None:
            report(int(progress.steps), float(progress.now.error))
        if int(progress.status) != Status.RUNNING:
            return progress


@functools.partial(jit, static_argnames=("task", "solver"))
def _begin(data: em.Data, task: em.Task, solver: Anderson) -> Progress:
    return begin(solver, em.em_map(task, data), _start(data, task))


@functools.partial(jit, static_argnames=("task", "solver"))
def _begin_at(data: em.Data, x: em.Unknowns, task: em.Task, solver: Anderson) -> Progress:
    return begin(solver, em.em_map(task, data), x)


@functools.partial(jit, static_argnames=("task", "solver", "tol", "max_steps"))
def _advance(
    data: em.Data, progress: Progress, task: em.Task, solver: Anderson, tol: float, max_steps: int
) -> Progress:
    return advance(solver, em.em_map(task, data), progress, tol=tol, at_most=PIECE, max_steps=max_steps)


@functools.partial(jit, static_argnames=("task", "tol", "max_steps", "axes"))
def _begin_lanes(batch: em.Data, task: em.Task, tol: float, max_steps: int, axes) -> Progress:
    def lane(data: em.Data) -> Progress:
        step = em.em_map(task, data)
        first = begin(Anderson(), step, _start(data, task))
        return advance(Anderson(), step, first, tol=tol, at_most=max_steps + 1, max_steps=max_steps)

    return jax.vmap(lane, in_axes=(axes,))(batch)


def _start(data: em.Data, task: em.Task) -> em.Unknowns:
    """Slopes from the covariance of each item with the rows' mean score, intercepts from the item's mean."""
    curve = task.curve
    mean, slope = layout.moments(data.cells, data.row_weight, data.item_weight)
    intercept = jnp.log(mean) - jnp.log1p(-mean)
    slope = slope / (mean * (1 - mean))
    if curve.positive:
        slope = jnp.clip(slope, 0.2, 3.0)
    if curve.shared_slope:
        slope = jnp.full_like(slope, jnp.sum(slope * data.item_weight) / jnp.sum(data.item_weight))
    twist = jnp.cos(
        2.399 * jnp.outer(jnp.arange(1, len(slope) + 1, dtype=slope.dtype), jnp.arange(curve.dims, dtype=slope.dtype))
    )
    items = irf.Items(
        slope=slope[:, None] * jnp.where(jnp.arange(curve.dims)[None, :] == 0, 1, 0.5 * twist),
        intercept=intercept,
        floor=jnp.full_like(mean, float(expit(USUAL["floor"][0]))),
        ceiling=jnp.full_like(mean, 0.97),
    )
    usual = [USUAL["slope"]] * curve.dims + [USUAL["intercept"]]
    usual += [USUAL["floor"]] * curve.floor + [USUAL["ceiling"]] * curve.ceiling
    centre, sd = jnp.asarray(usual, mean.dtype).T
    if curve.positive:
        centre = centre.at[: curve.dims].set(0.0)
    if curve.dims > 1:
        centre = centre.at[: curve.dims].set(0.0)
    return em.Unknowns(irf.release(curve, items), centre, jnp.log(sd))


@functools.partial(jit, static_argnames=("task", "standard_errors"))
def _finish_marginal(data: em.Data, progress: Progress, task: em.Task, standard_errors: bool) -> _Numbers:
    """Abilities, standard errors and orientation, from the parameters reached."""
    curve, now = task.curve, progress.now.x
    counts = em.expect(curve, data, now.free, task.moments)
    ability = counts.mass @ data.nodes
    square = (data.nodes[:, :, None] * data.nodes[:, None, :]).reshape(len(data.nodes), -1)
    cov = (counts.mass @ square).reshape(-1, curve.dims, curve.dims) - ability[:, :, None] * ability[:, None, :]
    items = irf.constrain(curve, now.free)
    covariance = jnp.zeros((len(now.free), curve.width, curve.width), now.free.dtype)
    if standard_errors:
        free_cov = _free_covariance(data, task, now, counts)
        jacobian = jax.vmap(jax.jacfwd(functools.partial(_readable, curve)))(now.free)
        half = jnp.sum(jacobian[:, :, :, None] * free_cov[:, None, :, :], 2)
        covariance = jnp.sum(half[:, :, None, :] * jacobian[:, None, :, :], 3)
    line = jnp.concatenate([data.nodes, jnp.ones_like(data.nodes[:, :1])], axis=1)
    sign = layout.orientation(counts.right @ line, counts.asked @ line)
    flip = jnp.concatenate([sign, jnp.ones(curve.width - curve.dims, sign.dtype)])
    loglik = jnp.sum(data.row_weight * counts.loglik)
    return _Numbers(
        items._replace(slope=items.slope * sign[None, :]),
        covariance * (flip[:, None] * flip[None, :])[None],
        ability * sign[None, :],
        cov * (sign[:, None] * sign[None, :])[None],
        loglik,
        progress.steps,
        progress.status,
    )


def _free_covariance(data: em.Data, task: em.Task, now: em.Unknowns, counts: em.Expected) -> Array:
    """Covariance of the free coordinates, exact for few items; a shared slope counts as known."""
    curve, prior = task.curve, em.item_prior(task, data, now)
    if curve.shared_slope:
        prior = prior._replace(precision=prior.precision.at[: curve.dims].set(1e6))
    if now.free.size <= uncertainty.FEW:
        return uncertainty.few_item_covariance(curve, data, now.free, counts, prior)
    covered = data.row_weight @ counts.mass
    return uncertainty.item_covariance(curve, now.free, counts.right, counts.asked, data.nodes, covered, prior)


def _readable(curve: irf.Curve, free: Array) -> Array:
    """Free coordinates -> (slope, intercept, [floor, [ceiling]]) of one item, for the delta method."""
    item = irf.constrain(curve, free)
    parts = [item.slope, item.intercept[None]] + [item.floor[None]] * curve.floor + [item.ceiling[None]] * curve.ceiling
    return jnp.concatenate(parts)


def _fit_joint(data, dims, tol, max_steps, standard_errors, seed, report) -> _Numbers:
    here = joint.Data(data.cells, data.row_weight, data.item_weight, jnp.ones(dims, data.row_weight.dtype))
    progress = _begin_joint(here, *layout.svd_start(data, dims, seed))
    progress = _drive(progress, lambda p: _advance_joint(here, p, tol, max_steps), report)
    return _finish_joint(here, progress, standard_errors)


@jit
def _begin_joint(data: joint.Data, ability: Array, items: Array) -> Progress:
    return begin(joint.Alternating(), data, joint.start(data, ability, items))


@functools.partial(jit, static_argnames=("tol", "max_steps"))
def _advance_joint(data: joint.Data, progress: Progress, tol: float, max_steps: int) -> Progress:
    return advance(joint.Alternating(), data, progress, tol=tol, at_most=PIECE, max_steps=max_steps)


@functools.partial(jit, static_argnames="standard_errors")
def _finish_joint(data: joint.Data, progress: Progress, standard_errors: bool) -> _Numbers:
    """Principal axes, orientation and covariances of a joint fit."""
    now: joint.Beliefs = progress.now.x
    dims = now.rows.mean.shape[1] - 1
    slope, ability = now.items.mean[:, :dims], now.rows.mean[:, :dims]
    scatter = jnp.einsum("i,id,ie->de", data.item_weight, slope, slope)
    axes = jnp.linalg.eigh(scatter)[1][:, ::-1]
    line = data.row_weight[:, None] * jnp.concatenate([ability @ axes, jnp.ones_like(ability[:, :1])], axis=1)
    axes = axes * layout.orientation(*data.cells.over_rows(line))[None, :]
    turn = jnp.zeros((dims + 1, dims + 1), slope.dtype).at[:dims, :dims].set(axes).at[dims, dims].set(1)
    cov = jnp.einsum("ab,iac,cd->ibd", turn, now.items.cov, turn)
    rows = jnp.einsum("ab,iac,cd->ibd", axes, now.rows.cov[:, :dims, :dims], axes)
    intercept = now.items.mean[:, dims]
    return _Numbers(
        irf.Items(slope @ axes, intercept, jnp.zeros_like(intercept), jnp.ones_like(intercept)),
        cov if standard_errors else jnp.zeros_like(cov),
        ability @ axes,
        rows,
        joint.bound(data, now),
        progress.steps,
        progress.status,
    )


def _held_out_loss(data: layout.Layout, active: Array, held: tuple, seed: int) -> np.ndarray:
    """(lanes, rows) mean log loss on held-out cells, one lane per set of active dimensions."""
    start = layout.svd_start(data, active.shape[1], seed)
    loss = np.asarray(_losses(data.cells, data.row_weight, data.item_weight, start, active, held))
    return loss[:, np.bincount(np.asarray(held[0]), minlength=loss.shape[1]) > 0]


@jit
def _losses(cells, row_weight: Array, item_weight: Array, start: tuple, active: Array, held: tuple) -> Array:
    row, item, score, weight = held

    def lane(active: Array) -> Array:
        here = joint.Data(cells, row_weight, item_weight, active)
        first = begin(joint.Alternating(), here, joint.start(here, *start))
        end = advance(joint.Alternating(), here, first, tol=3e-3, at_most=80, max_steps=80).now.x
        z = jnp.sum(end.rows.mean[row] * end.items.mean[item], axis=1)
        spread = jnp.sum(end.rows.second()[row] * end.items.second()[item], axis=1) - z**2
        z = z / jnp.sqrt(1 + jnp.pi / 8 * jnp.maximum(spread, 0))  # the posterior mean of the probability
        loss = weight * (jax.nn.softplus(z) - score * z)
        total = jax.ops.segment_sum(weight, row, len(row_weight))
        return jax.ops.segment_sum(loss, row, len(row_weight)) / jnp.maximum(total, 1e-9)

    return jax.vmap(lane)(active)


def _result(
    numbers: _Numbers, data: layout.Layout, method: str, settings: dict, strict: bool, lane: bool = False
) -> FitResult[IrtParams]:
    """Back to the host: padding off, names on, status checked."""
    rows, items = len(data.rows), len(data.items)
    host = jax.tree.map(np.asarray, numbers)
    end = ended(
        f"the fit ({method})",
        Status(int(host.status)),
        int(host.steps),
        advice="raise max_steps or tol, give the items a prior, or fit fewer parameters",
        strict=strict,
        value=float(host.loglik),
        lane=lane,
    )
    params = IrtParams(
        host.items.slope[:items],
        host.items.intercept[:items],
        host.items.floor[:items],
        host.items.ceiling[:items],
        host.ability[:rows],
        host.ability_cov[:rows],
        host.covariance[:items],
        data.group,
        data.n_seen,
    )
    return FitResult(
        params=params,
        axes={"models": data.rows, "items": data.items, "groups": data.groups},
        ended=end,
        method=method,
        settings=settings,
        source=data.source,
    )
