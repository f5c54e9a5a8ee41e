"""A new score predicted from skills: HumanEval, EQ-Bench or an agent's, known for some models of a leaderboard.

As in Sloth (Maia Polo et al. 2024, arXiv:2412.06540, section 5.2) the score is a logistic regression on the skills of a
law. Beyond the paper: how unsure skills are is carried through; tuned models differ from others by a constant, and
lineages and families by effects drawn around zero, so that what a family scores beyond its skills is predicted of its
other models too, and is not taken for slopes.
"""

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special, stats

from lleval_jax.core.laws import regression
from lleval_jax.core.precision import precise
from lleval_jax.errors import require, require_level
from lleval_jax.estimators import planned
from lleval_jax.estimators.ended import ended
from lleval_jax.estimators.sloth import law as sloth
from lleval_jax.estimators.sloth import units as law_skills
from lleval_jax.renamed import renamed
from lleval_jax.scale.plan import HERE, Plan
from lleval_jax.types import Array, Status
from lleval_jax.values.params import DownstreamParams, SlothParams, Units
from lleval_jax.values.results import Estimate, FitResult

SLOPE_SD, CENTRE_SD, TUNED_SD = 1.0, 3.0, 0.5  # beforehand: of a skill's sd, of the intercept, of tuning, in logits
NOISES, NOISE, NOISE_SD = np.geomspace(0.004, 0.25, 19), 0.03, 0.7  # of scores: tried; likeliest, and sd of its log
GROUPS, GROUP, GROUP_SD = np.geomspace(0.04, 1.6, 9), 0.3, 0.7  # of families, in logits
LEAST_WEIGHT = 1e-3  # weight of a pair of scales, relative to the likeliest, that is kept
POINTS = 101  # equally likely logits that an interval is taken from


def fit(
    law: FitResult[SlothParams],
    *,
    scores: Mapping[str, float],
    name: str = "score",
    floor: float = 0.0,
    strict: bool = False,
    plan: Plan = HERE,
) -> FitResult[DownstreamParams]:
    """Learn how a score depends on the skills of a law.

    Args:
        law: from `ll.sloth.fit`. It need not know the score.
        scores: model of the law -> score in [0, 1], of at least two models more than there are skills.
        name: of the score, for tables.
        floor: the score of guessing.
        strict: raise `NotConverged` rather than warn.
        plan: with `out` what was found is kept there, and the same call reads it; its steps are not, since it goes in
            one piece, on one device.

    Raises:
        BadInput: a model that the law does not know (the nearest name is given), too few models, all of one score, or
            a score that is none, as one in percent.
        NotConverged: with `strict`, the search stopped early.
    """
    models, score = tuple(scores), np.array(list(scores.values()), float)
    _require_scores(models, score, law.params.loading.shape[1], floor)
    with precise("float64"):
        data, known, units = _lay_out(law, models, score, floor)
        facts = {"law": law.params, "scores": dict(scores), "floor": float(floor)}
        how: dict[str, Any] = {"plan": plan, "name": "downstream.fit", "facts": facts}
        found = jax.tree.map(np.asarray, planned.solve(Regressions(), data, jax.random.key(0), **how))
    tried = np.stack([data.noise, data.groups], 1)
    height = found.evidence - 0.5 * (np.log(tried[:, 0] / NOISE) / NOISE_SD) ** 2
    height = height - 0.5 * (np.log(tried[:, 1] / GROUP) / GROUP_SD) ** 2
    weight = special.softmax(np.where(np.isfinite(height), height, -np.inf))
    use = weight >= LEAST_WEIGHT * weight.max()
    status = max((Status(int(one)) for one in found.status[use]), default=Status.NOT_FINITE)
    end = ended(
        f"the regression of {name!r} on skills",
        status,
        int(use.sum()),
        advice="more models help",
        strict=strict,
        value=float(special.logsumexp(height[use])),
        unit="log evidence",
        counted="pairs of scales",
    )
    share = weight[use] / weight[use].sum()
    params = DownstreamParams(share, tried[use, 0], tried[use, 1], found.mean[use], found.cov[use], score, units, law)
    return FitResult(
        params=params,
        axes={"models": models, "scores": (name,)} | known,
        ended=end,
        method=f"downstream of {law.method}",
        settings={"floor": float(floor)},
        source=law.source,
    )


@renamed(params="size")
def estimate(
    fit: FitResult[DownstreamParams],
    *,
    family: str | Sequence[sloth.Target] = sloth.NEW,
    size: float = sloth.MIDDLE[0],
    tokens: float = sloth.MIDDLE[1],
    lineage: str | None = None,
    instruct: bool | None = None,
    level: float = 0.95,
) -> Estimate:
    """The score of planned models, with intervals for the score that will be observed.

    Args:
        fit: from `fit`.
        family: a family of the law's leaderboard, or "new"; or a list of `sloth.Target`s. As in `ll.sloth.estimate`,
            like the next four.
        size: of the model, a count of parameters.
        tokens: that it is trained on, a count.
        lineage: of a new family.
        instruct: whether tuned to follow instructions.
        level: coverage of the intervals. They hold how unsure the target's skills are, the regression, and the noise.

    Returns:
        One entry a target: row "family:size:tokens", group the score's name; `n_seen` is the number of models whose
        score was known.

    Raises:
        BadInput: the family is not known (the nearest names are given), or size or tokens are no plausible counts.
    """
    require_level(level)
    p, known, law = fit.params, fit.axes, fit.params.law
    targets = sloth.wanted(law, family, size, tokens, lineage, instruct)
    mean, cov = p.units.of(*sloth.skills_of(law, targets))
    families, lineages = [t.family for t in targets], [str(t.lineage) for t in targets]
    design = _design(mean, np.array([bool(t.instruct) for t in targets]), families, lineages, known)
    unknown = sum(
        np.array([name not in known[word] for name in names], float)
        for word, names in (("families", families), ("lineages", lineages))
    )
    slope = p.mean[:, : mean.shape[1]]
    square = np.einsum("pi,pj->pij", slope, slope) + p.cov[:, : mean.shape[1], : mean.shape[1]]
    spread = np.einsum("ti,pij,tj->tp", design, p.cov, design) + np.einsum("pij,tij->tp", square, cov)
    spread = np.sqrt(spread + np.multiply.outer(unknown, p.groups**2 / 2))
    normal = stats.norm.ppf((np.arange(POINTS) + 0.5) / POINTS)
    floor = fit.settings["floor"]
    score = floor + (1 - floor) * special.expit((design @ p.mean.T)[..., None] + spread[..., None] * normal)
    chances = np.array([(1 - level) / 2, 0.5, (1 + level) / 2, stats.norm.cdf(-1), stats.norm.cdf(1)])
    noise = functools.partial(special.stdtr, regression.FREEDOM)
    found = np.array([regression.quantiles(chances, p.weight, one, p.noise, noise) for one in score]).T
    low, value, high, below, above = found
    return Estimate.crossed(
        [str(target) for target in targets],
        fit.items,
        (value, low, high, (above - below) / 2),
        target="score",
        method=fit.method,
        level=level,
        n_seen=len(fit.rows),
        status=fit.status,
        source=fit.source,
    )


class Scales(NamedTuple):
    """Scores and skills of models, and pairs of scales to try.

    cells      what is known
    noise      (pairs,)    scale of a score around its expectation
    groups     (pairs,)    sd of what a family has beyond its skills
    precision  (pairs, k)  of coefficients, beforehand
    first      (k,)        coefficients that a search begins with
    """

    cells: regression.Cells
    noise: Array
    groups: Array
    precision: Array
    first: Array


@dataclasses.dataclass(frozen=True)
class Regressions:
    """A regression at each pair of scales, all in one call."""

    light: bool = False

    def solve(self, data: Scales, key: Array) -> regression.Fit:
        """Fits with a leading axis (pairs,); no key is used."""
        return jax.vmap(regression.fit, (None, 0, 0, None))(data.cells, data.noise, data.precision, data.first)


def _lay_out(
    law: FitResult[SlothParams], models: Sequence[str], score: np.ndarray, floor: float
) -> tuple[Scales, dict[str, tuple[str, ...]], Units]:
    """What a regression takes, the families and lineages that have effects in it, and units of skills."""
    at = law_skills.places(law, models)
    units, mean, cov = law_skills.of_models(law)
    families = law.names("families", law.params.family[at])
    lineages = law.names("lineages", law.params.lineage[at])
    known = {"families": tuple(dict.fromkeys(families)), "lineages": tuple(dict.fromkeys(lineages))}
    design = _design(mean[at], law.params.instruct[at], families, lineages, known)
    noise, groups = np.array(list(itertools.product(NOISES, GROUPS))).T
    first = np.zeros(design.shape[1])
    first[mean.shape[1]] = special.logit(np.clip((score.mean() - floor) / (1 - floor), 0.01, 0.99))
    precision = np.stack([_precision(mean.shape[1], group, design.shape[1]) for group in groups])
    cells = regression.Cells(*map(jnp.asarray, (design, cov[at], score, float(floor))))
    return Scales(cells, *map(jnp.asarray, (noise, groups, precision, first))), known, units


def _require_scores(models: Sequence[str], score: np.ndarray, skills: int, floor: float) -> None:
    need = skills + 2
    require(0 <= floor < 1, f"floor is {floor:g}; the score of guessing lies in [0, 1)")
    require(len(models) >= need, f"scores of {len(models)} models are given; with {skills} skills {need} are needed")
    for i in np.flatnonzero(~np.isfinite(score))[:1]:
        require(False, f"the score of {models[i]!r} is {score[i]:g}; leave out models whose score is not known")
    for i in np.flatnonzero((score < 0) | (score > 1))[:1]:
        hint = "; are these percent? Divide by 100" if 1 < score.max() <= 100 and score.min() >= 0 else ""
        require(False, f"the score of {models[i]!r} is {score[i]:g}; scores lie in [0, 1]{hint}")
    require(bool(np.ptp(score) > 0), f"all {len(models)} models score {score[0]:g}; nothing can be learned from that")


def _design(
    skill: np.ndarray, instruct: np.ndarray, families: Sequence[str], lineages: Sequence[str], known: Mapping
) -> np.ndarray:
    """(models, k): skills, one, tuning, and which of the known lineages and families a model is of."""
    groups = [
        np.array([[name == one for one in known[word]] for name in names], float)
        for word, names in (("lineages", lineages), ("families", families))
    ]
    return np.concatenate([skill, np.ones((len(skill), 1)), np.asarray(instruct, float)[:, None], *groups], 1)


def _precision(skills: int, group: float, size: int) -> np.ndarray:
    """(k,) beforehand, of what multiplies `_design`."""
    sd = [SLOPE_SD] * skills + [CENTRE_SD, TUNED_SD] + [group / np.sqrt(2)] * (size - skills - 2)
    return 1 / np.square(sd)
