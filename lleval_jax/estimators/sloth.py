"""What the next size will score: scaling laws through skills (Sloth, Maia Polo et al. 2024, arXiv:2412.06540).

A leaderboard has few models of each family. What families share tells how scores grow with size and tokens; what a
family's own models score tells where it stands. See `core.pooled_law` for the model: the paper's, with the effects of
families drawn around those of all, so that a family with one model, or none, gets a prediction as wide as it must be.
"""

import difflib
import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy import optimize, stats

from lleval_jax.core import pooled_law
from lleval_jax.errors import NotConverged, require
from lleval_jax.estimators.sloth_law import MIDDLE, SlothParams, codes, inputs, known, law_of, placed, slopes_of
from lleval_jax.types import Array, Status
from lleval_jax.values.leaderboard import Leaderboard
from lleval_jax.values.results import Estimate, FitResult, Source

CITE = ("polo2024sloth",)
NEW = "new"  # a family of which nothing is known
STEPS, ROUNDS = 15, 40  # of the search between two looks at which scores are far off; such looks at most
FIRST_STEP = 0.01  # inverse Hessian before anything is known of it
SETTLE = 8  # Gauss-Newton steps a look
TOL = 2e-3  # largest move of a fitted score in the last round of a search that has converged
NEAR = 3e-3  # of a law, in its own units: for differences of gradients
STEEP = 0.5  # largest gradient entry there, of the log evidence by a number whose prior sd is about one
BENDS = {"logistic": 1e-3, "monotone": pooled_law.BEND_SD}
TOGETHER = 16  # targets foretold at once
LOGITS, NOISES = 201, 101  # points of the normal and of the t distribution that an interval is taken from

_jit = functools.partial(
    jax.jit, compiler_options={"xla_llvm_disable_expensive_passes": True}
)  # compiles in half the time

Report = Callable[[int, float], None]


class Target(NamedTuple):
    """A model to predict: a known family or "new", parameters and tokens as counts, perhaps what it is tuned from."""

    family: str
    params: float
    tokens: float
    lineage: str | None = None
    instruct: bool | None = None

    def __str__(self) -> str:
        return ":".join((self.family, *(f"{n:.4g}".replace("e+0", "e+").replace("e+", "e") for n in self[1:3])))


def fit(
    leaderboard: Leaderboard,
    skills: int = 2,
    *,
    link: Literal["monotone", "logistic"] = "monotone",
    seed: int = 0,
    strict: bool = False,
    report: Report | None = None,
) -> FitResult[SlothParams]:
    """Learn the law of a leaderboard. Models with some scores missing are used as they are.

    Args:
        leaderboard: at least four models, of at least two sizes.
        skills: how many latent skills (the paper's d).
        link: "monotone": each benchmark's curve is learned, increasing and without a ceiling; "logistic": all the same.
        seed: of where the search starts.
        strict: raise `NotConverged` rather than warn.
        report: called with (steps, error) now and then.

    Raises:
        BadInput: too few models or sizes, more skills than benchmarks, or a benchmark on which all score the same.
        NotConverged: with `strict`, the search stopped early.
    """
    _require_fit(leaderboard, skills, link)
    with jax.enable_x64(True):
        rows, where = pooled_law.layout(
            inputs(leaderboard.params, leaderboard.tokens, leaderboard.instruct),
            codes(leaderboard.families),
            codes(leaderboard.lineages),
            leaderboard.scores,
            leaderboard.seen,
        )
        rate = _rate(leaderboard.scores, leaderboard.seen, leaderboard.floor)
        first = pooled_law.start(jnp.asarray(rate), skills, jax.random.key(seed))
        floor = jnp.asarray(leaderboard.floor)
        law, at, shared, value, steps, status = _search(first, rows, floor, BENDS[link], report)
    if status != Status.CONVERGED:
        message = f"the law is {status.word} after {steps} steps; more models or fewer skills help"
        if strict:
            raise NotConverged(message)
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return FitResult(
        params=SlothParams(
            *(np.asarray(part) for part in law),
            floor=leaderboard.floor,
            size=leaderboard.params,
            tokens=leaderboard.tokens,
            instruct=leaderboard.instruct,
            score=leaderboard.scores,
            seen=leaderboard.seen,
            logit=np.asarray(at.logit)[*where.T],
            worth=np.asarray(at.worth)[*where.T],
            slope=np.asarray(shared.mean),
            slope_cov=np.asarray(shared.cov),
        ),
        covariance=np.zeros((len(leaderboard.benchmarks), 0, 0)),
        rows=leaderboard.models,
        items=leaderboard.benchmarks,
        group=np.arange(len(leaderboard.benchmarks)),
        groups=leaderboard.benchmarks,
        loglik=value,
        steps=steps,
        status=status.word,
        n_seen=leaderboard.seen.sum(1),
        method=f"sloth d={skills} {link}",
        settings={
            "skills": skills,
            "link": link,
            "seed": seed,
            "families": list(leaderboard.families),
            "lineages": list(leaderboard.lineages),
            "axes": ["models", "benchmarks"],
        },
        source=leaderboard.source.merge(Source(seed=seed, cite=CITE)),
    )


def estimate(
    fit: FitResult[SlothParams],
    family: str | Sequence[Target] = NEW,
    params: float = MIDDLE[0],
    tokens: float = MIDDLE[1],
    *,
    lineage: str | None = None,
    instruct: bool | None = None,
    level: float = 0.95,
) -> Estimate:
    """What a model will score on each benchmark, with intervals for the score that will be observed.

    Args:
        fit: from `fit`.
        family: a family of the leaderboard, or "new" for one of which nothing is known; or a list of `Target`s.
        params: of the model, a count.
        tokens: that it is trained on, a count.
        lineage: what a new family's pretraining is shared with; None: with nothing. Known families have theirs.
        instruct: whether tuned to follow instructions; None: as the family's models are.
        level: coverage of the intervals.

    Returns:
        One entry a target and benchmark: row "family:params:tokens", group the benchmark; `n_seen` is the number of
        models whose score on it was known.

    Raises:
        BadInput: the family is not known (the nearest names are given), or params or tokens are no plausible counts.
    """
    targets = [Target(family, params, tokens, lineage, instruct)] if isinstance(family, str) else list(family)
    require(bool(targets), "there is nothing to predict; give at least one target")
    require(0 < level < 1, f"level is {level}; it must lie strictly between 0 and 1")
    checked = [_checked(target, fit) for target in targets]
    with jax.enable_x64(True):
        parts = [_foretold(fit, checked[i : i + TOGETHER]) for i in range(0, len(checked), TOGETHER)]
        mean, sd = (np.concatenate(part) for part in zip(*parts, strict=True))
        value, low, high, spread = _interval(fit.params, mean, sd, level)
    names, benchmarks = [str(target) for target in targets], fit.items
    return Estimate(
        target="score",
        method=fit.method,
        rows=tuple(name for name in names for _ in benchmarks),
        group=tuple(benchmarks) * len(names),
        value=value.ravel(),
        low=low.ravel(),
        high=high.ravel(),
        level=level,
        std_error=spread.ravel(),
        n_seen=np.tile(fit.params.seen.sum(0), len(names)),
        status=(fit.status,) * value.size,
        source=fit.source,
    )


def draws(fit: FitResult[SlothParams], count: int, seed: int = 0) -> list[pooled_law.Law]:
    """Laws about as likely as the best, from the normal distribution with the evidence's curvature there (Laplace).

    The curvature is a difference of gradients, each with the link linear where that law has its posterior. Turning all
    skills together changes no prediction and is left out.
    """
    p, link = fit.params, fit.settings["link"]
    with jax.enable_x64(True):
        rows, _, at = known(fit)
        floor, best = jnp.asarray(p.floor), law_of(p)
        first = pooled_law.start(
            jnp.asarray(_rate(p.score, p.seen, p.floor)), p.loading.shape[1], jax.random.key(fit.settings["seed"])
        )
        flat, whole = ravel_pytree(best)

        def slope(flat: np.ndarray) -> np.ndarray:
            here, _ = _settle(whole(jnp.asarray(flat)), rows, at, floor)
            here = here._replace(worth=at.worth)
            return np.asarray(_loss(jnp.asarray(flat), first, rows, here, floor, BENDS[link])[1])

        middle, step = np.asarray(flat), NEAR * np.eye(flat.size)
        base = slope(middle)
        curve = np.stack([(slope(middle + one) - base) / NEAR for one in step])
        size, axes = np.linalg.eigh((curve + curve.T) / 2)
        free = _turns(best, flat.size)
        random = np.random.default_rng(seed).standard_normal((count, flat.size))
        away = random / np.sqrt(np.maximum(size, 1 / pooled_law.CENTRE_SD**2)) @ axes.T
        found = middle + away - away @ free @ free.T
        return [jax.tree.map(np.asarray, whole(jnp.asarray(one))) for one in found]


def _turns(law: pooled_law.Law, size: int) -> np.ndarray:
    """(unknowns, k) orthonormal ways in which a law moves when its skills are turned."""
    skills = law.loading.shape[1]
    pairs = [(i, j) for i in range(skills) for j in range(i)]
    ways = np.zeros((len(pairs), size))
    for way, (i, j) in zip(ways, pairs, strict=True):
        turned = np.zeros(law.loading.shape)
        turned[:, i], turned[:, j] = law.loading[:, j], -law.loading[:, i]
        way[: turned.size] = turned.ravel()
    return np.linalg.qr(ways.T)[0]


def _require_fit(board: Leaderboard, skills: int, link: str) -> None:
    known = len(board.benchmarks)
    require(link in BENDS, f"link is {link!r}; it must be one of {', '.join(BENDS)}")
    require(1 <= skills <= known, f"skills is {skills}; with {known} benchmarks it must lie in 1 to {known}")
    require(NEW not in board.families, f"a family is called {NEW!r}, which stands for those not known; rename it")
    require(len(board.models) >= 4, f"the leaderboard has {len(board.models)} models; a law needs at least 4")
    require(np.ptp(board.params) > 0, f"all models have {board.params[0]:g} parameters; a law needs several sizes")
    for j, name in enumerate(board.benchmarks):
        found = board.scores[board.seen[:, j], j]
        same = len(found) < 2 or np.ptp(found) == 0
        require(not same, f"benchmark {name!r} has no two different scores; leave it out")


def _checked(target: Target, fit: FitResult[SlothParams]) -> Target:
    """With the lineage and the tuning that its family has."""
    families, lineages = fit.settings["families"], fit.settings["lineages"]
    for name, count, least, unit in (("params", target.params, 1e6, "7e9"), ("tokens", target.tokens, 1e8, "2e12")):
        fine = bool(np.isfinite(count)) and count >= least
        require(fine, f"{target}: {name} is {count:g}; a count such as {unit} is wanted")
    if target.family == NEW:
        lineage = target.lineage
        require(lineage is None or lineage in lineages, _unknown("lineage", str(lineage), lineages))
        return target._replace(lineage=lineage or "", instruct=bool(target.instruct))
    require(target.family in families, _unknown("family", target.family, families))
    at = [i for i, name in enumerate(families) if name == target.family]
    tuned = bool(fit.params.instruct[at].mean() > 0.5) if target.instruct is None else target.instruct
    return target._replace(lineage=lineages[at[0]], instruct=tuned)


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, sorted(set(known)), 3, 0.5)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"{what} {name!r} is not in the leaderboard{hint} (a family that is not there is called {NEW!r})"


def _foretold(fit: FitResult[SlothParams], targets: Sequence[Target]) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations of logits, (targets, benchmarks), of at most `TOGETHER` targets.

    A target is put below the known models of its lineage, which are all that matters beside the shared slopes.
    """
    p, count = fit.params, len(fit.rows)
    filled = [*targets, *[targets[-1]] * (TOGETHER - len(targets))]  # so that any number runs in one compiled program
    families, lineages = (np.asarray(fit.settings[name], object) for name in ("families", "lineages"))
    fresh = [f"{NEW} {i}" if target.family == NEW else target.family for i, target in enumerate(filled)]
    members = [[*np.flatnonzero(lineages == target.lineage), count + i] for i, target in enumerate(filled)]
    at, group = np.concatenate(members), np.repeat(np.arange(TOGETHER), [len(one) for one in members])
    params, tokens, instruct = zip(
        *((target.params, target.tokens, bool(target.instruct)) for target in filled), strict=True
    )
    columns = inputs(np.append(p.size, params), np.append(p.tokens, tokens), np.append(p.instruct, instruct))
    blank = np.zeros((TOGETHER, len(fit.items)))
    score, seen, logit, worth = (
        np.concatenate([above, blank + below])[at]
        for above, below in ((p.score, 0), (p.seen.astype(float), 0), (p.logit, p.centre), (p.worth, 1))
    )
    most = np.bincount(codes(lineages)).max() + 1
    rows, where = pooled_law.layout(columns[at], codes([*families, *fresh])[at], group, score, seen > 0, most)
    found = _posterior(law_of(p), rows, placed(rows, where, logit, worth), jnp.asarray(p.floor), slopes_of(p))
    here = where[at >= count][: len(targets)]
    cov = np.asarray(found.cov)[*here.T]
    return np.asarray(found.mean)[*here.T], np.sqrt(np.diagonal(cov, axis1=1, axis2=2))


def _rate(score: np.ndarray, seen: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """(benchmarks,) mean scores above the floor, as shares of what is possible."""
    mean = np.where(seen, score, 0).sum(0) / seen.sum(0)
    return (mean - floor) / (1 - floor)


def _search(
    first: pooled_law.Law, rows: pooled_law.Rows, floor: Array, bends: float, report: Report | None
) -> tuple[pooled_law.Law, pooled_law.At, pooled_law.Slopes, float, int, Status]:
    """The law of most evidence: rounds of a search with the link linear about a point, and of moving the point."""
    law, steps, moved, steep, value = first, 0, np.inf, np.inf, -np.inf
    turn = FIRST_STEP * np.eye(ravel_pytree(first)[0].size)
    at, shared = _settle(law, rows, pooled_law.begin(law, rows), floor)
    fitted = _fitted(law, rows, at, floor)
    found = False
    for _ in range(ROUNDS):
        law, turn, value, steep, taken = _round(law, turn, first, rows, at, floor, bends)
        at, shared = _settle(law, rows, at, floor)
        now = _fitted(law, rows, at, floor)
        moved, fitted, steps = float(np.abs(now - fitted).max()), now, steps + int(taken)
        if report is not None:
            report(steps, moved)
        found = moved < TOL and steep < STEEP
        if found or not np.isfinite(moved):
            break
    status = Status.NOT_FINITE if not np.isfinite(moved) else Status.CONVERGED if found else Status.MAX_STEPS
    return law, at, shared, value, steps, status


@_jit
def _loss(flat: Array, first, rows, at, floor, bends: Array) -> tuple[Array, Array]:  # noqa: ANN001  pytrees of `pooled_law`
    """Minus the evidence and prior of a law, its numbers in one row, and the gradient."""
    whole = ravel_pytree(first)[1]

    def loss(flat: Array) -> Array:
        law = whole(flat)
        return -pooled_law.log_laplace(law, rows, at, floor) - pooled_law.log_prior(law, first, bends)

    return jax.value_and_grad(loss)(flat)


def _round(law, turn: np.ndarray, first, rows, at, floor, bends: float):  # noqa: ANN001, ANN202  pytrees of `pooled_law`
    """The law after some steps by BFGS, its inverse Hessian, height and largest gradient entry, and the steps taken."""
    flat, whole = ravel_pytree(law)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _loss(jnp.asarray(flat), first, rows, at, floor, bends)
        return float(value), np.asarray(slope)

    options = {"maxiter": STEPS, "hess_inv0": (turn + turn.T) / 2}
    end = optimize.minimize(loss, np.asarray(flat), jac=True, method="BFGS", options=options)  # pyright: ignore
    return whole(jnp.asarray(end.x)), end.hess_inv, -float(end.fun), float(np.abs(end.jac).max()), end.nit


_settle = _jit(functools.partial(pooled_law.settle, steps=SETTLE))
_posterior = _jit(pooled_law.posterior)


def _fitted(law: pooled_law.Law, rows: pooled_law.Rows, at: pooled_law.At, floor: Array) -> np.ndarray:
    """Scores of the seen cells by the law."""
    return np.asarray(pooled_law.link(at.logit, floor, law.bend)[0])[np.asarray(rows.seen)]


def _interval(p: SlothParams, mean: np.ndarray, sd: np.ndarray, level: float) -> tuple[np.ndarray, ...]:
    """Median, ends and half a 68% interval of scores that will be observed, (targets, benchmarks) each.

    The score of the law at equally likely logits, and noise at equally likely points of its t distribution: quantiles
    of their sums. No random numbers are needed.
    """
    normal = stats.norm.ppf((np.arange(LOGITS) + 0.5) / LOGITS)
    noise = stats.t.ppf((np.arange(NOISES) + 0.5) / NOISES, pooled_law.FREEDOM)
    logit = mean[..., None] + sd[..., None] * normal
    score = np.asarray(pooled_law.link(*map(jnp.asarray, (logit, p.floor[:, None], p.bend[:, None])))[0], float)
    seen = score[..., :, None] + np.exp(p.noise)[:, None, None] * noise
    chances = ((1 - level) / 2, 0.5, (1 + level) / 2, stats.norm.cdf(-1), stats.norm.cdf(1))
    low, value, high, below, above = np.quantile(np.clip(seen, 0, 1).reshape(*mean.shape, -1), chances, axis=-1)
    return value, low, high, (above - below) / 2
