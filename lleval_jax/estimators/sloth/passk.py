"""pass@k of a planned model: the chance that one of k tries at a question succeeds, from skills and others' tries.

Test-time scaling as in Sloth (Maia Polo et al. 2024, arXiv:2412.06540, section 5.4): models of a law have tried
questions many times, a question's chance is a logistic curve over skills, and pass@k is the mean over questions of
1 - (1 - p)^k. See `laws.tries`: how questions differ is learned rather than chosen from a grid, and all that is unsure
of skills, questions, and models' residuals goes into the interval.

Chances are taken to be normal in logits given the question and the model. Where a model's tries at a question resemble
each other more than that, pass@k for k above 1 comes out too high: on LiveCodeBench half of six intervals missed
(`bench/sloth/README.md`). Hold it against `observed` of a model that has tried before a plan rests on it.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special, stats

from lleval_jax.core.laws import tries as core
from lleval_jax.core.precision import jit, precise
from lleval_jax.errors import require, require_level
from lleval_jax.estimators import planned
from lleval_jax.estimators.ended import ended
from lleval_jax.estimators.sloth import law as sloth
from lleval_jax.estimators.sloth import units as law_skills
from lleval_jax.renamed import renamed
from lleval_jax.scale.plan import HERE, Plan
from lleval_jax.types import Array, Status
from lleval_jax.values.params import PasskParams, SlothParams
from lleval_jax.values.results import Estimate, FitResult, Source

LOGIT_TOL = 1e-4  # largest move of a logit in the last step of a search that has converged
MAX_STEPS = 2000
DRAWS = 2000


def fit(
    law: FitResult[SlothParams],
    *,
    successes: np.ndarray,
    tries: np.ndarray | int,
    models: Sequence[str],
    questions: Sequence[str] | None = None,
    strict: bool = False,
    plan: Plan = HERE,
) -> FitResult[PasskParams]:
    """Learn how chances on questions depend on the skills of a law.

    Args:
        law: from `ll.sloth.fit`.
        successes: (models, questions) whole numbers.
        tries: of each, the same shape or one number; 0 where a model did not try a question.
        models: names of the rows, models of the law; at least two more than there are skills.
        questions: names of the columns.
        strict: raise `NotConverged` rather than warn.
        plan: with `out` what was found is kept there, and the same call reads it; its steps are not, since it goes in
            one piece, on one device.

    Raises:
        BadInput: a model that the law does not know (the nearest name is given), too few models or questions, or
            more successes than tries.
        NotConverged: with `strict`, the search stopped early.
    """
    successes, tries = _counts(successes, tries, models)
    need = law.params.loading.shape[1] + 2
    require(len(models) >= need, f"{len(models)} models tried; with {need - 2} skills {need} are needed")
    require(successes.shape[1] >= 2, f"there are {successes.shape[1]} questions; at least 2 are needed")
    names = tuple(questions or (str(i) for i in range(successes.shape[1])))
    require(len(names) == successes.shape[1], f"{len(names)} names are given for {successes.shape[1]} questions")
    require(len(set(models)) == len(models), "a model stands twice among the models; add its tries up")
    at = law_skills.places(law, models)
    units, mean, cov = law_skills.of_models(law)
    with precise("float64"):
        tried = core.Tried(*map(jnp.asarray, (successes, tries, mean[at], np.linalg.inv(cov[at]))))
        facts = {"law": law.params, "models": tuple(models), "successes": successes, "tries": tries}
        words: dict[str, Any] = {"plan": plan, "name": "passk.fit", "facts": facts}
        found = jax.tree.map(np.asarray, planned.solve(Questions(), tried, jax.random.key(0), **words))
    end, sure, status = found.at, found.posterior, Status(int(found.status))
    chance = np.clip(special.expit(end.logit.T), 1e-12, 1 - 1e-12)
    how = ended(
        "pass@k",
        status,
        int(found.steps),
        advice="more tries or models help",
        strict=strict,
        value=float(np.sum(stats.binom.logpmf(successes, tries, chance))),
        error=float(found.error),
    )
    params = PasskParams(
        skill=end.skill,
        residual=end.residual,
        mean=end.mean,
        question=end.question,
        spread=end.scales.questions,
        own=np.array([end.scales.residual, end.scales.cell]),
        shared=sure.shared,
        alone=sure.alone,
        pull=sure.pull,
        tried=tries.sum(1).astype(int),
        units=units,
        law=law,
    )
    return FitResult(
        params=params,
        axes={"models": tuple(models), "questions": names},
        ended=how,
        method=f"pass@k of {law.method}",
        source=law.source,
    )


@renamed(params="size")
def estimate(
    fit: FitResult[PasskParams],
    *,
    family: str | Sequence[sloth.Target] = sloth.NEW,
    size: float = sloth.MIDDLE[0],
    tokens: float = sloth.MIDDLE[1],
    k: int | Sequence[int] = (1, 10, 100),
    lineage: str | None = None,
    instruct: bool | None = None,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Estimate:
    """pass@k of planned models on the questions of the fit, with intervals.

    Args:
        fit: from `fit`.
        family: a family of the law's leaderboard, or "new"; or a list of `sloth.Target`s. As in `ll.sloth.estimate`.
        size: of the model, a count of parameters.
        tokens: that it is trained on, a count.
        k: numbers of tries.
        lineage: of a new family.
        instruct: whether tuned to follow instructions.
        level: coverage of the intervals, for the mean over these questions of the true chances.
        draws: from the posterior; the value is their median.
        seed: of the draws, which are the same for all k.

    Returns:
        One entry a target and k: row "family:size:tokens", group "pass@k"; `n_seen` is the number of tries learned
        from.

    Raises:
        BadInput: the family is not known, size or tokens are no plausible counts, or k is no number of tries.
    """
    require_level(level)
    require(draws >= 2, f"draws is {draws}; an interval needs at least 2, and some hundreds to be steady")
    many, p = _some(k), fit.params
    law = p.law
    targets = sloth.wanted(law, family, size, tokens, lineage, instruct)
    mean, cov = p.units.of(*sloth.skills_of(law, targets))
    with precise("float64"):
        fixed = p.question, p.pull, _root(p.shared), _root(p.alone)
        own = np.sqrt(p.own)
        keys = jax.random.split(jax.random.key(seed), draws)
        number = jnp.asarray(many, float)
        each = [(*fixed, *one, *own) for one in zip(mean, _root(cov), strict=True)]
        drawn = np.stack([_passed(keys, number, core.Drawn(*map(jnp.asarray, one))) for one in each])
    chances = np.array([(1 - level) / 2, 0.5, (1 + level) / 2, stats.norm.cdf(-1), stats.norm.cdf(1)])
    low, value, high, below, above = np.quantile(drawn, chances, axis=1)
    return Estimate.crossed(
        [str(target) for target in targets],
        [f"pass@{n}" for n in many],
        (value, low, high, (above - below) / 2),
        target="pass@k",
        method=fit.method,
        level=level,
        n_seen=int(np.sum(p.tried)),
        status=fit.status,
        source=fit.source.merge(Source(seed=seed)),
    )


def observed(
    successes: np.ndarray,
    *,
    tries: np.ndarray | int,
    models: Sequence[str],
    k: int | Sequence[int] = (1, 10, 100),
    level: float = 0.95,
) -> Estimate:
    """pass@k of models that have tried, without a law: 1 - C(n - c, k) / C(n, k), unbiased (Chen et al. 2021).

    Args:
        successes: (models, questions) whole numbers.
        tries: of each, the same shape or one number; 0 where a model did not try a question, which is left out.
        models: names of the rows.
        k: numbers of tries, at most as many as there are of each question.
        level: coverage of the intervals, for the mean over these questions of the true chances. Their width is the
            sum of what each question's estimate varies when the chance is (c + 1/2) / (n + 1).

    Raises:
        BadInput: more successes than tries, or k above the number of tries.
    """
    require_level(level)
    successes, tries = _counts(successes, tries, models)
    many, seen = _some(k), tries > 0
    require(bool(seen.any(1).all()), "a model has no tries; leave it out")
    least = int(tries[seen].min())
    require(max(many) <= least, f"k is {max(many)}, but some questions were tried {least} times; k can be at most that")
    pairs, back = np.unique(np.stack([successes[seen], tries[seen]]).astype(int), axis=1, return_inverse=True)
    passed, spread = np.zeros((2, *tries.shape, len(many)))
    for i, number in enumerate(many):
        found = np.array([_unbiased(c, n, number) for c, n in pairs.T])
        passed[seen, i], spread[seen, i] = found[back.ravel()].T
    count = seen.sum(1)[:, None]
    value, sd = passed.sum(1) / count, np.sqrt((spread**2).sum(1)) / count
    half = stats.norm.ppf((1 + level) / 2) * sd
    return Estimate.crossed(
        models,
        [f"pass@{n}" for n in many],
        (value, np.maximum(value - half, 0), np.minimum(value + half, 1), sd),
        target="pass@k",
        method="unbiased",
        level=level,
        n_seen=tries.sum(1, keepdims=True).astype(int),
        status="ok",
        source=Source(),
    )


class Found(NamedTuple):
    """The posterior, its covariances, and how the search ended: its error is the largest move of a logit or log sd."""

    at: core.State
    posterior: core.Posterior
    steps: Array
    status: Array
    error: Array


@dataclasses.dataclass(frozen=True)
class Questions:
    """The search for what models and questions are."""

    tol: float = LOGIT_TOL
    max_steps: int = MAX_STEPS
    light: bool = False

    def solve(self, data: core.Tried, key: Array) -> Found:
        """From one start; no key is used."""
        at, posterior, steps = core.fit(data, tol=self.tol, max_steps=self.max_steps)
        ended = jnp.where(at.moved <= self.tol, int(Status.CONVERGED), int(Status.MAX_STEPS))
        status = jnp.where(jnp.isfinite(at.moved), ended, int(Status.NOT_FINITE))
        return Found(at, posterior, steps, status, at.moved)


@jit
def _passed(keys: jax.Array, number: jax.Array, of: core.Drawn) -> jax.Array:
    """(draws, k) pass@k of one target."""

    def one(key: jax.Array) -> jax.Array:
        away = jax.nn.softplus(core.logits(key, of))  # minus log of failing once
        return jnp.mean(-jnp.expm1(-number[:, None] * away[None, :]), 1)

    return jax.lax.map(one, keys)


def _root(cov: np.ndarray) -> np.ndarray:
    """A root of covariances (..., k, k)."""
    size, axes = np.linalg.eigh(cov)
    return axes * np.sqrt(np.maximum(size, 0))[..., None, :]


def _unbiased(c: int, n: int, k: int) -> tuple[float, float]:
    """pass@k from c successes in n tries, and its standard deviation."""
    some = np.arange(n + 1)
    log = special.gammaln
    left = np.where(some <= n - k, log(n - some + 1) - log(np.maximum(n - some - k, 0) + 1), -np.inf)
    passed = -np.expm1(left - left[0])
    mass = stats.binom.pmf(some, n, (c + 0.5) / (n + 1))
    return float(passed[c]), float(np.sqrt(mass @ (passed - mass @ passed) ** 2))


def _some(k: int | Sequence[int]) -> list[int]:
    many = [k] if isinstance(k, int) else list(k)
    require(bool(many) and all(int(n) == n and n >= 1 for n in many), f"k is {k}; numbers of tries are at least 1")
    return [int(n) for n in many]


def _counts(successes: np.ndarray, tries: np.ndarray | int, models: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Both as (models, questions) of floats."""
    successes = np.asarray(successes, float)
    require(successes.ndim == 2, f"successes has shape {successes.shape}; (models, questions) is wanted")
    require(len(models) == len(successes), f"{len(models)} models are named, successes has {len(successes)} rows")
    require(np.shape(tries) in ((), successes.shape), f"tries has shape {np.shape(tries)}, successes {successes.shape}")
    tries = np.broadcast_to(np.asarray(tries, float), successes.shape)
    whole = (successes == np.round(successes)) & (tries == np.round(tries)) & (0 <= successes) & (successes <= tries)
    for row, column in np.argwhere(~whole)[:1]:
        found = f"{successes[row, column]:g} of {tries[row, column]:g}"
        require(False, f"{models[row]!r}, question {column}: {found} tries succeed; whole numbers from 0 are wanted")
    return successes, tries
