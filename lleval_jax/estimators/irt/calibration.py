"""Item parameters from many models' answers: Rasch, 2PL, 3PL, 4PL, multidimensional 2PL, or a curve of one's own.

Two engines. `marginal` integrates abilities over nodes and maximises over items (Bock & Aitkin 1981; `core.irt.em`).
`joint` gives rows and items a normal posterior each in turn (`core.irt.joint`), for more dimensions and sparse answers.
"""

import dataclasses
import functools
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.irt import em, quadrature
from lleval_jax.core.irt import joint as variational
from lleval_jax.core.precision import Precision, jit, precise
from lleval_jax.curves import Curve, Model, curve_of, name_of
from lleval_jax.errors import DataWarning, outside, require
from lleval_jax.estimators.contract import solve, solve_many
from lleval_jax.estimators.ended import ended
from lleval_jax.estimators.irt import answers as kinds_of
from lleval_jax.estimators.irt import guard, mixed, planned
from lleval_jax.estimators.irt.found import Found
from lleval_jax.estimators.irt.joint import Held, HeldOut, Joint, Trial
from lleval_jax.estimators.irt.marginal import USUAL, Marginal
from lleval_jax.estimators.irt.order import arranged, axes_of, ordered
from lleval_jax.estimators.planned import kept as kept_at
from lleval_jax.estimators.planned import solve_many as solve_many_planned
from lleval_jax.layout import irt as layout
from lleval_jax.layout.answers import dense
from lleval_jax.renamed import renamed
from lleval_jax.scale.plan import HERE, Plan
from lleval_jax.types import Status
from lleval_jax.values.params import IrtParams
from lleval_jax.values.progress import Tell, silent
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import FitResult
from lleval_jax.values.sparse import SparseResponses

Answers = Responses | SparseResponses | Sequence[Responses]
Prior = Literal["auto", "learned"] | Mapping[str, tuple[float, float]] | None
CANDIDATES = (1, 2, 3, 5, 8)  # dimensions that "auto" compares
TRIFLE = 1e-4  # nats an answer: spare dimensions shrink away, and what is left of them may differ from none by this
MARGINAL = "Or pass by='marginal'."
KEPT = ("model", "dims", "prior", "positive", "precision", "tol", "max_steps", "seed", "fixed_nodes")
ENOUGH_ROWS = 60  # models that can teach the spread of the slopes; with fewer the prior is `USUAL`


@renamed(report="tell", engine="by")
def fit(
    responses: Answers,
    *,
    model: Literal["auto", Model] | Curve = "2pl",
    dims: int | Literal["auto"] = 1,
    answers: kinds_of.Asked = "bernoulli",
    by: Literal["auto", "marginal", "joint"] = "auto",
    prior: Prior = "auto",
    positive: bool = False,
    nodes: quadrature.Grid | quadrature.Points | None = None,
    fixed_nodes: bool = False,
    standard_errors: bool = True,
    tol: float | None = None,
    max_steps: int = 500,
    precision: Precision = "float32",
    seed: int = 0,
    strict: bool = False,
    tell: Tell = silent,
    plan: Plan = HERE,
) -> FitResult[IrtParams]:
    """Fit an IRT model to answers.

    Args:
        responses: dense, sparse, or a list of dense blocks whose rows may differ (benchmarks that share models).
        model: item response function, by name or as a `Curve`; "rasch" shares one slope. "auto" is the 2PL where
            `estimable.check` finds that these answers can teach its slopes, else Rasch, with a `DataWarning` that
            says why.
        dims: abilities; "auto" takes the fewest that predict held-out cells as well as any.
        answers: how scores are spread around the items' curves (`core.irt.kinds`). "bernoulli" takes a fraction as
            that share of an answer. "binomial" (k of n repeats), "graded", "gpcm", "beta", "logit-normal" and
            "normal" are fitted as such, by the marginal engine with one ability, a free slope an item and a learned
            prior; a mapping names the kind of each item, the others are "auto". "auto" chooses for each group of
            items, and `settings["why"]` says why.
        by: the engine; "auto" is marginal in one dimension and for 3PL/4PL, joint otherwise.
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
        tell: called between pieces of a fit with a `Progress`; `print` is one.
        plan: with a mesh the answers lie over its devices, of all hosts: a marginal fit finds the same on any number
            of them. With `out` the state is kept there, and the same call goes on from it.

    Raises:
        BadInput: no answers, an unknown model, an engine that cannot fit what is asked, or a kind of answers that a
            score rules out: the item and the score are named.
        NotConverged: with `strict`, or where numbers ran away.
        Stopped: SIGTERM came, and the state is kept.
    """
    met = axes_of(responses)
    responses = responses if plan.mesh else ordered(responses)
    chosen_by: dict[str, Any] = {}
    if answers != "bernoulli":
        require(plan == HERE, "a fit of other kinds of answers than 'bernoulli' takes no plan")
        whole = dense(responses)
        found = answers_of(whole, answers, seed=seed, precision=precision)
        chosen_by |= {"answers": answers if isinstance(answers, str) else "as given", "why": found.why}
        if not found.plain:
            mixed.require_fits(model, dims, by, prior, positive or fixed_nodes)
            settings = {"model": "2pl", "dims": 1, "engine": mixed.ENGINE, "precision": precision, "tol": tol}
            settings |= {"max_steps": max_steps, "seed": seed, "prior": "learned"} | chosen_by
            more = {"rule": nodes, "standard_errors": standard_errors, "tell": tell, "strict": strict}
            with precise(precision):
                return arranged(mixed.fit(whole, found.names, settings, **more), *met)
    if model == "auto":
        model, dims, safe = _safe(responses, dims, seed)
        chosen_by |= safe
    base = curve_of(model)
    with precise(precision):
        data = planned.laid_out(responses, precision, plan)
        if dims == "auto":
            dims = choose_dims(responses, seed=seed) if _may_have_more(base) else 1
        curve = curve_of(base, dims)
        curve = dataclasses.replace(curve, positive=curve.positive or positive)
        chosen = _engine(by, curve, data)
        planned.require_one_fit(plan, chosen)
        prior = _prior(prior, len(data.rows), curve, chosen)
        ends: dict[str, Any] = {"max_steps": max_steps, "standard_errors": standard_errors}
        if chosen == "marginal":
            rule = nodes or quadrature.default(curve.dims)
            kernel = Marginal(_task(curve, prior, moments=not fixed_nodes), tol or 1e-3, **ends)
            laid, more = _marginal_data(data, rule, curve.dims), {"nodes": repr(rule), "fixed_nodes": fixed_nodes}
        else:
            require(
                prior == "learned",
                "the joint engine learns its prior; a fixed one needs the marginal engine",
                python=MARGINAL,
            )
            kernel, laid, more = Joint(tol or 3e-3, **ends), _joint_data(data, curve.dims), {}
        settings = {"model": name_of(curve), "dims": curve.dims, "engine": chosen, "precision": precision}
        settings |= {"positive": curve.positive, "tol": tol, "max_steps": max_steps, "seed": seed}
        settings |= chosen_by | {"prior": prior} | more
        kept = kept_at(plan, "irt.fit", {"settings": settings, "answers": responses})
        found = solve(kernel, laid, jax.random.key(seed), tell, mesh=plan.mesh, kept=kept)
    return arranged(_result(found, data, settings, strict), *met)


@renamed(report="tell")
def fit_many(
    responses: Responses | Sequence[Responses],
    *,
    row_weight: np.ndarray | None = None,
    model: Model | Curve = "2pl",
    prior: Prior = "auto",
    standard_errors: bool = False,
    tol: float = 1e-3,
    max_steps: int = 500,
    precision: Precision = "float32",
    tell: Tell = silent,
    plan: Plan = HERE,
) -> list[FitResult[IrtParams]]:
    """Many marginal fits in one call, one lane each; a lane that has ended is frozen while the others go on.

    Args:
        responses: one set of answers that all lanes share, or a list with one per lane (folds, benchmarks, seeds).
        row_weight: (lanes, rows) how often each row counts in each lane, e.g. bootstrap counts; with one set only.
        model: as in `fit`, and so are the rest; of one ability.
        prior: as in `fit`.
        standard_errors: as in `fit`.
        tol: as in `fit`.
        max_steps: as in `fit`.
        precision: as in `fit`.
        tell: called between pieces with the steps and the error of the lane that is furthest from its end.
        plan: with `chunk` so many lanes at a time, where one that has ended leaves its lane to the next; with a mesh
            lanes are shared out to its devices; with `out` what `every` chunks found is kept there.

    Raises:
        BadInput: `row_weight` and a list, or neither; a curve of several abilities; or `out` holds other fits.
    """
    shared = isinstance(responses, Responses)
    require(shared != (row_weight is None), "pass row_weight with one set of answers, or a list of sets without it")
    sets = [responses] if isinstance(responses, Responses) else responses
    curve = curve_of(model)
    require(curve.dims == 1, f"lanes have one ability; the curve has {curve.dims}. Fit them one by one.")
    _require_fits(curve)
    prior = _prior(prior, min(len(part.rows) for part in sets), curve, "marginal")
    settings = {"model": name_of(curve), "dims": 1, "engine": "marginal", "precision": precision, "prior": prior}
    kernel = Marginal(_task(curve, prior, moments=True), tol, max_steps, standard_errors)
    with precise(precision):
        parts, data, axes = _lanes(sets, row_weight, precision)
        keys = jax.random.split(jax.random.key(0), len(parts))  # of which the marginal engine draws nothing
        facts = {"settings": settings, "answers": responses, "row_weight": row_weight}
        how: dict[str, Any] = {"plan": plan, "name": "irt.fit_many", "facts": facts}
        found = jax.tree.map(np.asarray, solve_many_planned(kernel, data, keys, axes=axes, tell=tell, **how))
    each = [jax.tree.map(lambda x, i=i: x[i], found) for i in range(len(parts))]
    return [_result(one, part, settings, False, lane=True) for one, part in zip(each, parts, strict=True)]


def answers_of(
    responses: Answers,
    answers: kinds_of.Asked = "auto",
    *,
    seed: int = 0,
    precision: Precision = "float32",
) -> kinds_of.Chosen:
    """The kind of each item's answers as `fit` takes them, and why, without a fit of all.

    Args:
        responses: as of `fit`.
        answers: as of `fit`.
        seed: of the cells that are held out, where continuous kinds are compared.
        precision: of these fits.

    Raises:
        BadInput: an unknown kind, or a score that it does not take; the item and the score are named.
    """
    return kinds_of.choose(dense(responses), answers, functools.partial(mixed.judged, seed=seed, precision=precision))


def again(fit: FitResult[IrtParams]) -> dict[str, Any]:
    """Keywords with which `fit` does the same to other answers."""
    words = {"by": fit.settings["engine"]} | {name: fit.settings[name] for name in KEPT if name in fit.settings}
    kinds = fit.params.answers
    return words if kinds is None else words | {"answers": dict(zip(fit.items, kinds.of_items, strict=True))}


def choose_dims(responses: Answers, *, candidates: Sequence[int] = CANDIDATES, seed: int = 0) -> int:
    """Fewest dimensions whose prediction of held-out cells is within one standard error of the best.

    A tenth of the cells of each row is held out and all candidates are fitted as lanes of one call of the joint
    engine. Large matrices are thinned first: two million cells tell enough.
    """
    data = layout.arrange(layout.thin(ordered(responses), seed))
    cells, held = layout.hold_out(data, 0.1, seed)
    loss = _held_out_loss(data._replace(cells=cells), Held(*held), candidates, seed)
    total, best = loss.mean(1), loss.mean(1).argmin()
    for d, row, mean in zip(candidates, loss, total, strict=True):
        gap = row - loss[best]
        if mean - total[best] <= max(TRIFLE, gap.std(ddof=1) / math.sqrt(len(gap))):
            return d
    return candidates[best]


def _safe(responses: Answers, dims: int | str, seed: int) -> tuple[Any, Any, dict[str, Any]]:
    """Model, dims, and why: what these answers can teach."""
    found = guard.check(responses, dims=dims if isinstance(dims, int) else 1, seed=seed)
    why = [f"{one.name}: {one.found}" for one in found.warnings]
    if found.safe != found.asked:
        reason = next((one.found for one in found.warnings if one.name == "too few models"), "too few models")
        message = f"model='auto' falls back to {found.safe}: {reason}"
        warnings.warn(message, DataWarning, stacklevel=outside())
        dims = 1
    return found.safe, dims, {"asked_model": "auto", "guard": why}


def _may_have_more(curve: Curve) -> bool:
    """Whether "auto" may give it more than one ability."""
    return dataclasses.replace(curve, positive=False) == Curve()


def _engine(engine: str, curve: Curve, data: layout.Layout) -> str:
    plain = curve.logistic and not curve.shared_slope and not curve.positive
    if engine == "auto":
        engine = "joint" if curve.dims > 1 and plain else "marginal"
    if engine == "marginal":
        require(curve.dims <= 6, f"the marginal engine goes to 6 dimensions; dims is {curve.dims}. Use 'joint'.")
        require(curve.dims == 1 or curve.logistic and not curve.shared_slope, "rasch, 3pl and 4pl have one dimension")
        _require_fits(curve)
    else:
        require(plain, "the joint engine fits the 2pl with slopes of either sign", python=MARGINAL)
        require(not data.blocked, "the joint engine takes one matrix; blocks must be merged", python=MARGINAL)
    return engine


def _require_fits(curve: Curve) -> None:
    known = not (curve.shared_slope and (curve.floor or curve.ceiling))
    require(known, "a shared slope goes with floor 0 and ceiling 1; leave the slopes free, or the floor and ceiling")


def _prior(prior: Any, rows: int, curve: Curve, engine: str) -> Any:
    """What "auto" stands for. Few models cannot tell how much slopes differ; learning it from them may run away."""
    if prior != "auto":
        return prior
    if engine == "joint" or rows >= ENOUGH_ROWS:
        return "learned"
    return USUAL | ({"slope": (0.0, 0.5)} if curve.positive else {"slope": (0.0, 1.0)} if curve.dims > 1 else {})


def _task(curve: Curve, prior: Any, *, moments: bool) -> em.Task:
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


def _joint_data(data: layout.Layout, dims: int) -> variational.Data:
    return variational.Data(data.cells, data.row_weight, data.item_weight, jnp.ones(dims, data.row_weight.dtype))


def _lanes(
    sets: Sequence[Responses], row_weight: np.ndarray | None, precision: str
) -> tuple[list[layout.Layout], em.Data, Any]:
    """The layout of each lane, the data of all, and what of it is stacked."""
    rule = quadrature.default(1)
    if row_weight is None:
        parts = layout.arrange_alike(sets, precision)
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *(_marginal_data(part, rule, 1) for part in parts))
        return parts, stacked, 0
    part = layout.arrange(sets[0], precision)
    weight = layout.lanes(row_weight, part)
    shared = em.Data(None, None, None, 0, None)  # type: ignore[arg-type]
    return [part] * len(weight), _marginal_data(part, rule, 1)._replace(row_weight=weight), shared


def _held_out_loss(data: layout.Layout, held: Held, candidates: Sequence[int], seed: int) -> np.ndarray:
    """(lanes, rows) mean log loss on held-out cells, one lane per number of active dimensions."""
    most, dtype = max(candidates), data.row_weight.dtype
    active = np.array([[1.0] * d + [0.0] * (most - d) for d in candidates])
    start = _svd_start(data.cells, data.row_weight, data.item_weight, jax.random.key(seed), most)
    answers = variational.Data(data.cells, data.row_weight, data.item_weight, jnp.asarray(active, dtype))
    axes = Trial(variational.Data(None, None, None, 0), None, None)  # type: ignore[arg-type]
    keys = jax.random.split(jax.random.key(seed), len(candidates))
    loss = np.asarray(solve_many(HeldOut(), Trial(answers, start, held), keys, axes=axes).loss)
    return loss[:, np.bincount(np.asarray(held.row), minlength=loss.shape[1]) > 0]


_svd_start = jit(layout.svd_start, static_argnames="dims")


def _result(
    found: Found, data: layout.Layout, settings: dict[str, Any], strict: bool, lane: bool = False
) -> FitResult[IrtParams]:
    """Back to the host: padding off, names on, status checked."""
    rows, items = len(data.rows), len(data.items)
    method = f"{settings['model']} {settings['dims']}-d, {settings['engine']}"
    host = jax.tree.map(np.asarray, found)
    end = ended(
        f"the fit ({method})",
        Status(int(host.status)),
        int(host.steps),
        advice="raise max_steps or tol, give the items a prior, or fit fewer parameters",
        strict=strict,
        value=float(host.loglik),
        error=float(host.error),
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
