"""What the next size will score: scaling laws through skills (Sloth, Maia Polo et al. 2024, arXiv:2412.06540).

A leaderboard has few models of each family. What families share tells how scores grow with size and tokens; what a
family's own models score tells where it stands. See `core.laws.pooled` for the model: the paper's, with the effects of
families drawn around those of all, so that a family with one model, or none, gets a prediction as wide as it must be.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from lleval_jax.core.laws import pooled
from lleval_jax.core.precision import Precision, light_jit, precise
from lleval_jax.errors import nearest, require, require_known, require_level
from lleval_jax.estimators import planned
from lleval_jax.estimators.ended import ended
from lleval_jax.estimators.sloth.kernel import BENDS, Found, Search
from lleval_jax.layout.board import MIDDLE, codes, inputs, law_of, lay_out, placed, slopes_of
from lleval_jax.renamed import renamed
from lleval_jax.scale.plan import HERE, Plan
from lleval_jax.types import Status
from lleval_jax.values.leaderboard import Leaderboard
from lleval_jax.values.params import SlothParams, coded
from lleval_jax.values.progress import Tell, silent
from lleval_jax.values.results import Estimate, FitResult, Source

Link = Literal["monotone", "logistic"]
CITE = ("polo2024sloth",)
SKILLS = 3  # as in the paper's best method
NEW = "new"  # an unseen family
TOGETHER = 16  # targets predicted at once
LOGITS, NOISES = 201, 101  # points of the normal and of the t distribution that an interval is taken from

Predicted = TypeVar("Predicted", pooled.Posterior, pooled.Skills)


class Target(NamedTuple):
    """A model to predict: a known family or "new", parameters and tokens as counts, perhaps what it is tuned from."""

    family: str
    size: float
    tokens: float
    lineage: str | None = None
    instruct: bool | None = None

    def __str__(self) -> str:
        return ":".join((self.family, *(f"{n:.4g}".replace("e+0", "e+").replace("e+", "e") for n in self[1:3])))


@renamed(report="tell")
def fit(
    leaderboard: Leaderboard,
    *,
    skills: int = SKILLS,
    link: Link = "monotone",
    seed: int = 0,
    strict: bool = False,
    tell: Tell = silent,
    precision: Precision = "float64",
    plan: Plan = HERE,
) -> FitResult[SlothParams]:
    """Learn the law of a leaderboard. Models with some scores missing are used as they are.

    Args:
        leaderboard: at least four models, of at least two sizes.
        skills: how many latent skills (the paper's d); `choose` compares several.
        link: "monotone": each benchmark's curve is learned, increasing and without a ceiling; "logistic": all the same.
        seed: of where the search starts.
        strict: raise `NotConverged` rather than warn.
        tell: called between rounds of the search with the rounds and the error.
        precision: number type of the search: "float64", or "float32" where doubles are slow.
        plan: with `out` the state is kept there, and the same call goes on from it; one device does it.

    Raises:
        BadInput: too few models or sizes, more skills than benchmarks, or a benchmark on which all score the same.
        NotConverged: with `strict`, the search stopped early.
    """
    require_fit(leaderboard, skills, link)
    with precise(precision):
        data, where = lay_out(leaderboard, BENDS[link], precision)
        facts = {"leaderboard": leaderboard, "skills": skills, "link": link, "seed": seed, "precision": precision}
        how: dict[str, Any] = {"plan": plan, "name": "sloth.fit", "facts": facts}
        found = planned.solve(Search(skills), data, jax.random.key(seed), tell, **how)
    return _result(jax.tree.map(np.asarray, found), leaderboard, where, link, seed, strict)


@renamed(report="tell")
def fit_many(
    leaderboards: Sequence[Leaderboard],
    *,
    skills: int = SKILLS,
    link: Link = "monotone",
    seed: int = 0,
    strict: bool = False,
    tell: Tell = silent,
    precision: Precision = "float64",
    plan: Plan = HERE,
) -> list[FitResult[SlothParams]]:
    """Laws of leaderboards that differ in their scores alone, as folds do: lanes of one call.

    Args:
        leaderboards: of the same models and benchmarks.
        skills: as for `fit`, and so are the rest.
        link: as for `fit`.
        seed: as for `fit`.
        strict: as for `fit`.
        tell: as for `fit`, with the steps and the error of the lane that is furthest from its end.
        precision: as for `fit`.
        plan: with a mesh lanes are shared out to its devices, with `chunk` so many are done at a time, and with `out`
            what `every` chunks found is kept there.
    """
    for leaderboard in leaderboards:
        require_fit(leaderboard, skills, link)
    with precise(precision):
        parts = [lay_out(leaderboard, BENDS[link], precision) for leaderboard in leaderboards]
        data = jax.tree.map(lambda *part: jnp.stack(part), *(part[0] for part in parts))
        keys = jnp.stack([jax.random.key(seed)] * len(parts))
        facts = {
            "leaderboards": list(leaderboards),
            "skills": skills,
            "link": link,
            "seed": seed,
            "precision": precision,
        }
        how: dict[str, Any] = {"plan": plan, "name": "sloth.fit_many", "facts": facts}
        found = planned.solve_many(Search(skills), data, keys, tell=tell, **how)
    lanes = [jax.tree.map(lambda x, i=i: np.asarray(x[i]), found) for i in range(len(parts))]
    return [
        _result(lane, leaderboard, where, link, seed, strict, lane=True)
        for lane, leaderboard, (_, where) in zip(lanes, leaderboards, parts, strict=True)
    ]


def _result(
    found: Found,
    leaderboard: Leaderboard,
    where: np.ndarray,
    link: Link,
    seed: int,
    strict: bool,
    lane: bool = False,
) -> FitResult[SlothParams]:
    """The names back on, and how the search ended."""
    skills = found.law.loading.shape[1]
    (family, families), (lineage, lineages) = coded(leaderboard.families), coded(leaderboard.lineages)
    end = ended(
        "the law",
        Status(int(found.status)),
        int(found.steps),
        advice="more models or fewer skills help",
        strict=strict,
        value=float(found.value),
        unit="log evidence",
        error=float(found.error),
        lane=lane,
    )
    return FitResult(
        params=SlothParams(
            *(np.asarray(part, float) for part in found.law),
            floor=leaderboard.floor,
            size=leaderboard.params,
            tokens=leaderboard.tokens,
            instruct=leaderboard.instruct,
            score=leaderboard.scores,
            seen=leaderboard.seen,
            logit=np.asarray(found.at.logit, float)[*where.T],
            worth=np.asarray(found.at.worth, float)[*where.T],
            slope=np.asarray(found.slopes.mean, float),
            slope_cov=np.asarray(found.slopes.cov, float),
            family=family,
            lineage=lineage,
        ),
        axes={
            "models": leaderboard.models,
            "benchmarks": leaderboard.benchmarks,
            "families": families,
            "lineages": lineages,
        },
        ended=end,
        method=f"sloth d={skills} {link}",
        settings={"skills": skills, "link": link, "seed": seed},
        source=leaderboard.source.merge(Source(seed=seed, cite=CITE)),
    )


@renamed(params="size")
def estimate(
    fit: FitResult[SlothParams],
    *,
    family: str | Sequence[Target] = NEW,
    size: float = MIDDLE[0],
    tokens: float = MIDDLE[1],
    lineage: str | None = None,
    instruct: bool | None = None,
    level: float = 0.95,
) -> Estimate:
    """What a model will score on each benchmark, with intervals for the score that will be observed.

    Args:
        fit: from `fit`.
        family: a family of the leaderboard, or "new" for an unseen one; or a list of `Target`s.
        size: of the model, a count of parameters.
        tokens: that it is trained on, a count.
        lineage: what a new family's pretraining is shared with; None: with nothing. Known families have theirs.
        instruct: whether tuned to follow instructions; None: as the family's models are.
        level: coverage of the intervals.

    Returns:
        One entry a target and benchmark: row "family:size:tokens", group the benchmark; `n_seen` is the number of
        models whose score on it was known.

    Raises:
        BadInput: the family is not known (the nearest names are given), or size or tokens are no plausible counts.
    """
    targets = wanted(fit, family, size, tokens, lineage, instruct)
    require_level(level)
    with precise("float64"):
        found = _predicted(fit, targets, _posterior)
        mean, sd = found.mean, np.sqrt(np.diagonal(found.cov, axis1=1, axis2=2))
        numbers = _interval(fit.params, mean, sd, level)
    return Estimate.crossed(
        [str(target) for target in targets],
        fit.items,
        numbers,
        target="score",
        method=fit.method,
        level=level,
        n_seen=fit.params.seen.sum(0),
        status=fit.status,
        source=fit.source,
    )


def wanted(
    fit: FitResult[SlothParams],
    family: str | Sequence[Target],
    size: float,
    tokens: float,
    lineage: str | None = None,
    instruct: bool | None = None,
) -> list[Target]:
    """The targets that the words of `estimate` stand for, with their lineage and tuning; errors as there."""
    targets = [Target(family, size, tokens, lineage, instruct)] if isinstance(family, str) else list(family)
    require(bool(targets), "there is nothing to predict; give at least one target")
    return [_checked(target, fit) for target in targets]


def skills_of(fit: FitResult[SlothParams], targets: Sequence[Target]) -> tuple[np.ndarray, np.ndarray]:
    """Posterior of raw skills of targets from `wanted`: means (targets, skills), covariances (.., skills, skills)."""
    with precise("float64"):
        found = _predicted(fit, targets, _skills)
    return found.mean, found.cov


def require_fit(board: Leaderboard, skills: int, link: str) -> None:
    """`BadInput` unless a law can be learned from a leaderboard."""
    known = len(board.benchmarks)
    require_known(link, BENDS, "link")
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
    p = fit.params
    return settled(target, fit.names("families", p.family), fit.names("lineages", p.lineage), p.instruct)


def settled(target: Target, families: Sequence[str], lineages: Sequence[str], instruct: np.ndarray) -> Target:
    """A target with the lineage and the tuning that its family has; errors as in `estimate`.

    Args:
        target: as it was asked for.
        families: (models,) of the leaderboard, and so are the rest.
        lineages: (models,)
        instruct: (models,) whether tuned.
    """
    require_target(target, families)
    if target.family == NEW:
        lineage = target.lineage
        require(lineage is None or lineage in lineages, _unknown("lineage", str(lineage), lineages))
        return target._replace(lineage=lineage or "", instruct=bool(target.instruct))
    at = [i for i, name in enumerate(families) if name == target.family]
    tuned = bool(instruct[at].mean() > 0.5) if target.instruct is None else target.instruct
    return target._replace(lineage=lineages[at[0]], instruct=tuned)


def require_target(target: Target, families: Sequence[str]) -> None:
    """`BadInput` unless parameters and tokens are plausible counts, and the family is one of these or new."""
    for name, count, least, unit in (("size", target.size, 1e6, "7e9"), ("tokens", target.tokens, 1e8, "2e12")):
        fine = bool(np.isfinite(count)) and count >= least
        require(fine, f"{target}: {name} is {count:g}; a count such as {unit} is wanted")
    require(target.family == NEW or target.family in families, _unknown("family", target.family, families))


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    hint = nearest(name, known)
    return f"{what} {name!r} is not in the leaderboard{hint} (a family that is not there is called {NEW!r})"


def _predicted(fit: FitResult[SlothParams], targets: Sequence[Target], of: Callable[..., Predicted]) -> Predicted:
    """What `of` says of targets, in their order: `_posterior` of their logits, `_skills` of their skills."""
    parts = [_predicted_some(fit, targets[i : i + TOGETHER], of) for i in range(0, len(targets), TOGETHER)]
    return jax.tree.map(lambda *part: np.concatenate(part), *parts)


def _predicted_some(fit: FitResult[SlothParams], targets: Sequence[Target], of: Callable[..., Predicted]) -> Predicted:
    """The same of at most `TOGETHER` targets.

    A target is put below the known models of its lineage, which with the shared slopes are all that matters.
    """
    p, count = fit.params, len(fit.rows)
    filled = [*targets, *[targets[-1]] * (TOGETHER - len(targets))]  # so that any number runs in one compiled program
    families = np.asarray(fit.names("families", p.family), object)
    lineages = np.asarray(fit.names("lineages", p.lineage), object)
    fresh = [f"{NEW} {i}" if target.family == NEW else target.family for i, target in enumerate(filled)]
    members = [[*np.flatnonzero(lineages == target.lineage), count + i] for i, target in enumerate(filled)]
    at, group = np.concatenate(members), np.repeat(np.arange(TOGETHER), [len(one) for one in members])
    params, tokens, instruct = zip(
        *((target.size, target.tokens, bool(target.instruct)) for target in filled), strict=True
    )
    columns = inputs(np.append(p.size, params), np.append(p.tokens, tokens), np.append(p.instruct, instruct))
    blank = np.zeros((TOGETHER, len(fit.items)))
    score, seen, logit, worth = (
        np.concatenate([above, blank + below])[at]
        for above, below in ((p.score, 0), (p.seen.astype(float), 0), (p.logit, p.centre), (p.worth, 1))
    )
    most = np.bincount(codes(lineages)).max() + 1
    rows, where = pooled.layout(columns[at], codes([*families, *fresh])[at], group, score, seen > 0, most)
    found = of(law_of(p), rows, placed(rows, where, logit, worth), jnp.asarray(p.floor), slopes_of(p))
    here = where[at >= count][: len(targets)]
    return jax.tree.map(lambda x: np.asarray(x)[*here.T], found)


_posterior, _skills = light_jit(pooled.posterior), light_jit(pooled.skills)


def _interval(p: SlothParams, mean: np.ndarray, sd: np.ndarray, level: float) -> tuple[np.ndarray, ...]:
    """Median, ends and half a 68% interval of scores that will be observed, (targets, benchmarks) each.

    The score of the law at equally likely logits, and noise at equally likely points of its t distribution: quantiles
    of their sums. No random numbers are needed.
    """
    normal = stats.norm.ppf((np.arange(LOGITS) + 0.5) / LOGITS)
    noise = stats.t.ppf((np.arange(NOISES) + 0.5) / NOISES, pooled.FREEDOM)
    logit = mean[..., None] + sd[..., None] * normal
    score = np.asarray(pooled.link(*map(jnp.asarray, (logit, p.floor[:, None], p.bend[:, None])))[0], float)
    seen = score[..., :, None] + np.exp(p.noise)[:, None, None] * noise
    chances = ((1 - level) / 2, 0.5, (1 + level) / 2, stats.norm.cdf(-1), stats.norm.cdf(1))
    low, value, high, below, above = np.quantile(np.clip(seen, 0, 1).reshape(*mean.shape, -1), chances, axis=-1)
    return value, low, high, (above - below) / 2
