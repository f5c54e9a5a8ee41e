"""The engine for answers of several kinds: `core.irt.mixed` in pieces, and what it finds as a fit."""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.irt import mixed, posterior, quadrature
from lleval_jax.core.precision import Precision, precise
from lleval_jax.core.solvers import loop
from lleval_jax.core.solvers.anderson import Anderson
from lleval_jax.core.solvers.loop import Progress
from lleval_jax.curves import name_of
from lleval_jax.errors import require
from lleval_jax.estimators.contract import solve, whole
from lleval_jax.estimators.ended import ended
from lleval_jax.estimators.irt.answers import hold_out
from lleval_jax.estimators.irt.marginal import PIECE
from lleval_jax.estimators.irt.predictive import log_density
from lleval_jax.layout import answers as layout
from lleval_jax.types import Array, Status
from lleval_jax.values.params import AnswerKinds, IrtParams
from lleval_jax.values.progress import Tell, silent
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import FitResult

ENGINE, TOL = "marginal", 5e-3


class Found(NamedTuple):
    """Parameters, oriented so that better models have larger abilities, and how the fit ended.

    free         (items, width) of each block: slope, intercept, shape
    covariance   (items, width, width) of each block
    ability      (rows,)  posterior means
    ability_var  (rows,)
    loglik, steps, status, error  ()
    """

    free: tuple[Array, ...]
    covariance: tuple[Array, ...]
    ability: Array
    ability_var: Array
    loglik: Array
    steps: Array
    status: Array
    error: Array


@dataclasses.dataclass(frozen=True)
class Mixed:
    """Item parameters of most posterior density, the items' prior learned. Nothing is drawn at random."""

    task: mixed.Task
    tol: float = 1e-3
    max_steps: int = 500
    standard_errors: bool = True
    piece: int = PIECE
    light: bool = True

    def begin(self, data: posterior.Data, key: Array) -> Progress:
        """Before the first step."""
        return loop.begin(Anderson(), mixed.em_map(self.task, data), mixed.start(self.task, data))

    def advance(self, data: posterior.Data, progress: Progress, at_most: int) -> Progress:
        """`at_most` more steps of accelerated EM."""
        step = mixed.em_map(self.task, data)
        return loop.advance(Anderson(), step, progress, tol=self.tol, at_most=at_most, max_steps=self.max_steps)

    def finish(self, data: posterior.Data, progress: Progress) -> Found:
        """Abilities, standard errors and orientation, from the parameters reached."""
        now = progress.now.x
        found = posterior.expect(self.task.kinds, data, now.free)
        ability = found.mean
        sign = jnp.where(jnp.sum(data.row_weight * ability * mixed.standing(data)) < 0, -1, 1).astype(ability.dtype)
        if self.standard_errors:
            covariance = mixed.covariances(self.task.kinds, data, now, found)
        else:
            covariance = tuple(jnp.zeros((*free.shape, free.shape[1]), free.dtype) for free in now.free)
        return Found(
            tuple(free.at[:, 0].multiply(sign) for free in now.free),
            tuple(c.at[:, 0, :].multiply(sign).at[:, :, 0].multiply(sign) for c in covariance),
            ability * sign,
            found.variance,
            jnp.sum(data.row_weight * found.loglik),
            progress.steps,
            progress.status,
            progress.now.error,
        )

    def solve(self, data: posterior.Data, key: Array) -> Found:
        """From the beginning to the end."""
        return whole(self, data, key)


def fit(
    responses: Responses,
    names: tuple[str, ...],
    settings: dict[str, Any],
    *,
    rule: quadrature.Grid | quadrature.Points | None,
    standard_errors: bool,
    tell: Tell,
    strict: bool,
) -> FitResult[IrtParams]:
    """Fit answers, rows and items in the order of their names, to items of these kinds.

    Raises:
        BadInput: a single model, of which nothing can be learned about how models differ.
        NotConverged: with `strict`, or where numbers ran away.
    """
    require(len(responses.rows) > 1, "one model cannot tell what items measure; answers of at least two are needed")
    where = layout.columns(names)
    data = layout.arrange(responses, where, settings["precision"], rule or quadrature.default(1))
    kernel = Mixed(mixed.Task(where.kinds), settings["tol"] or TOL, settings["max_steps"], standard_errors)
    found = jax.tree.map(np.asarray, solve(kernel, data, jax.random.key(settings["seed"]), tell))
    method = f"2pl 1-d, {ENGINE}"
    end = ended(
        f"the fit ({method}, answers {', '.join(kind.name for kind in where.kinds)})",
        Status(int(found.status)),
        int(found.steps),
        advice="raise max_steps or tol, or fit another kind of answers",
        strict=strict,
        value=float(found.loglik),
        error=float(found.error),
    )
    return FitResult(
        params=_params(found, where, names, responses),
        axes={"models": responses.rows, "items": responses.items, "groups": responses.groups},
        ended=end,
        method=method,
        settings=settings,
        source=responses.source,
    )


def require_fits(model: Any, dims: Any, by: str, prior: Any, held: bool) -> None:
    """`BadInput` for settings of `irt.fit` that only answers which are right or wrong are fitted with.

    held  slopes held above zero, or nodes held fixed
    """
    what = "graded and continuous answers are fitted"
    named = model if isinstance(model, str) else name_of(model)
    require(named in ("auto", "2pl"), f"{what} with a free slope an item, model '2pl'; model is {named!r}")
    require(dims in (1, "auto"), f"{what} with one ability; dims is {dims}. Leave it at 1")
    require(by in ("auto", "marginal"), f"{what} by the marginal engine; by is {by!r}. Leave it at 'auto'")
    require(prior in ("auto", "learned"), f"{what} with a learned prior; leave prior at 'auto'")
    require(not held, f"{what} with slopes of either sign and nodes of each row's own; leave out positive, fixed_nodes")


def judged(part: Responses, names: Sequence[str], *, seed: int, precision: Precision) -> dict[str, float]:
    """Mean held-out log density of an answer under each kind; those whose fit did not converge are left out."""
    known, hidden = hold_out(part.ordered(), seed)
    settings = {"precision": precision, "tol": None, "max_steps": 500, "seed": seed}
    found = {}
    for name in names:
        with precise(precision), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            each = (name,) * len(known.items)
            trial = fit(known, each, settings, rule=None, standard_errors=False, tell=silent, strict=False)
        if trial.status == Status.CONVERGED.word:
            found[name] = float(log_density(trial, answers=hidden).sum() / hidden.seen.sum())
    require(bool(found), f"none of {', '.join(names)} converged on these answers; pass answers='bernoulli'")
    return found


def _params(found: Found, where: layout.Columns, names: tuple[str, ...], responses: Responses) -> IrtParams:
    """Padding off, the blocks together."""
    free, covariance = where.joined(found.free), where.joined(found.covariance)  # type: ignore[arg-type]
    rows, known = len(responses.rows), tuple(kind.name for kind in where.kinds)
    kind = np.array([known.index(name) for name in names], np.int32)
    zero = np.zeros_like(free[:, 0])
    return IrtParams(
        slope=free[:, :1],
        intercept=free[:, 1],
        floor=zero,
        ceiling=zero + 1,
        ability=np.asarray(found.ability)[:rows, None],
        ability_cov=np.asarray(found.ability_var)[:rows, None, None],
        covariance=covariance[:, :2, :2],
        group=responses.group,
        n_seen=responses.n_seen,
        answers=AnswerKinds(known, kind, free[:, 2:], covariance),
    )
