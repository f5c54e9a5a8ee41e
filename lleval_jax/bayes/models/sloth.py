"""A scaling law through skills as a posterior: families and lineages drawn around what all share, as in `sloth.fit`.

    score ~ StudentT(4, floor + (1 - floor) sigmoid(bent logit), noise of the benchmark)
    logit = centre + loading . skill + slopes in size, tokens and tuning + residual
    skill = slopes . inputs + effects of the lineage, of the family and of the model

Joint density: `core.laws.pooled_joint.log_joint`. `sloth.fit` takes the law (loadings, sizes of effects, links, noise)
as known where it is likeliest, and the link as linear where the posterior lies; here all of it is drawn. Models that
are to be predicted are models without scores. All sites are standard normal (non-centred) but the loadings' diagonal:
loadings after the first skill are triangular on a few benchmarks (`loadings`), as turning them changes no score. Of
loadings L what is kept of a draw is L L', on which all scores depend: signs of skills are not known.

What the priors say, in points at the middle of a benchmark's scale (likeliest sizes; one of three lies beyond a factor
of 2.7): a model of four times the size, or trained on three times the tokens, scores 18 points more or less; families
of one lineage differ by 7 points, lineages by 12, and models of a family by 4 from what size and tokens say; half of
that again bypasses the skills. A score is measured to 1.5 points (one of three beyond a factor of 1.6).
"""

import dataclasses
import math
import warnings
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro

from lleval_jax.bayes.contract import Laid, Target, Values
from lleval_jax.bayes.models import loadings
from lleval_jax.bayes.models.sites import shown, standard
from lleval_jax.core.laws import pooled, pooled_joint
from lleval_jax.core.laws.pooled import INPUTS, Law, Rows
from lleval_jax.core.laws.pooled_joint import Params
from lleval_jax.core.precision import precise
from lleval_jax.estimators.sloth import law as sloth
from lleval_jax.estimators.sloth.kernel import BENDS
from lleval_jax.layout import board
from lleval_jax.types import Array
from lleval_jax.values.leaderboard import Leaderboard
from lleval_jax.values.params import SlothParams
from lleval_jax.values.results import FitResult, Source


class Data(NamedTuple):
    """A leaderboard, and models to predict.

    rows     by lineage, those to predict among them
    where    (models, 2)  lineage and row of each, those to predict last
    asked    (asked,)     models whose scores are wanted
    floor    (benchmarks,)  score of guessing
    centre   (benchmarks,)  logit of an average model, beforehand
    bend_sd  ()           of the links' bends, beforehand
    anchors  (skills - 1,)  benchmarks whose loadings are triangular
    """

    rows: Rows
    where: Array
    asked: Array
    floor: Array
    centre: Array
    bend_sd: Array
    anchors: Array


@dataclasses.dataclass(frozen=True)
class Sloth:
    """Settings; `bayes.sloth` makes it.

    skills   behind all benchmarks
    link     "monotone" or "logistic"
    predict  models to predict; () for those of the leaderboard
    """

    skills: int
    link: sloth.Link
    predict: tuple[sloth.Target, ...] = ()
    data: ClassVar[type] = Data
    observed: ClassVar[tuple[str, ...]] = ("rows", "benchmarks")

    def __post_init__(self) -> None:
        """Targets are targets also where a file had them as lists."""
        object.__setattr__(self, "predict", tuple(sloth.Target(*target) for target in self.predict))

    @property
    def name(self) -> str:
        """Such as "sloth d=2 monotone"."""
        return f"sloth d={self.skills} {self.link}"

    @property
    def units(self) -> tuple[str, ...]:
        """Lineages are independent given the law and the slopes."""
        return ("skill", "residual")

    @property
    def accept(self) -> float:
        """Of NUTS: small steps, as sizes of effects are learned."""
        return 0.95

    def __call__(self, data: Data) -> None:
        """The law, the slopes, the lineages' effects, and the scores."""
        params = self._params(data)
        logit = pooled_joint.logits(params, data.rows)
        shown("logit", logit[*data.where.T])
        law = params.law._asdict() | {"loading": params.law.loading @ params.law.loading.T}
        for name, value in law.items():
            shown(f"law_{name}", value)
        numpyro.factor("answers", jnp.sum(pooled_joint.log_likelihood(logit, params.law, data.rows, data.floor)))

    def _params(self, data: Data) -> Params:
        """All unknowns, from sites that are standard normal."""
        law, count = self._law(data), len(data.floor)
        width = jnp.exp(law.shared[: len(INPUTS)])[:, None] * jnp.ones((1, self.skills))
        length = jnp.sqrt(jnp.sum(law.loading**2, 1))
        direct = jnp.exp(law.own[: len(INPUTS)])[:, None] * length
        slope = jnp.concatenate([width, direct], 1) * standard("slope", len(INPUTS), self.skills + count)
        shape = data.rows.real.shape
        through, residual = roots(data.rows, law)
        skill = through @ standard("skill", *shape, self.skills)
        scale = jnp.where(data.rows.real[:, :, None] > 0, length, 1)
        return Params(slope, skill, scale * (residual @ standard("residual", *shape, count)), law)

    def _law(self, data: Data) -> Law:
        """The law, from its prior."""
        count = len(data.floor)
        own = standard("loading", count, self.skills)
        rest = own[:, 1:]
        if self.skills > 1:
            rest = loadings.triangular(rest, loadings.diagonal(self.skills - 1), jnp.asarray(data.anchors))
        size = jnp.log(jnp.asarray(pooled.SHARED + pooled.OWNED, data.floor.dtype))
        return Law(
            loading=jnp.concatenate([1 + own[:, :1], rest], 1),
            shared=size + standard("shared", len(size)),
            own=size + math.log(pooled.DIRECT) + standard("direct", len(size)),
            noise=math.log(pooled.NOISE) + pooled.NOISE_SD * standard("noise", count),
            centre=data.centre + pooled.CENTRE_SD * standard("centre", count),
            bend=data.bend_sd * standard("bend", count),
        )

    def maximum(self, value: Leaderboard) -> FitResult[SlothParams]:
        """`sloth.fit`; whether it converged is of no matter here."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return sloth.fit(value, skills=self.skills, link=self.link)

    def lay_out(self, value: Leaderboard, fit: FitResult[SlothParams] | None, precision: str) -> Laid:
        """The leaderboard by lineage, and below it the models to predict.

        Raises:
            BadInput: a family that is not known, no plausible counts, or a leaderboard that no law can be learned from.
        """
        sloth.require_fit(value, self.skills, self.link)
        known, targets = len(value.models), self._targets(value)
        rows, where = _rows(value, targets, precision)
        rate = board.rate(value.scores, value.seen, value.floor)
        with precise("float64"):
            centre = np.asarray(pooled.start(jnp.asarray(rate), self.skills, jax.random.key(0)).centre)
        anchors: Any = np.arange(self.skills - 1) if fit is None else loadings.anchored(fit.params.loading[:, 1:])[0]
        asked: Any = np.arange(known, known + len(targets)) if targets else np.arange(known)
        numbers = {"floor": value.floor, "centre": centre, "bend_sd": np.asarray(BENDS[self.link])}
        parts: dict[str, Any] = {name: part.astype(precision) for name, part in numbers.items()}
        data = Data(rows, where, asked, **parts, anchors=anchors)
        names = (*value.models, *map(str, targets))
        seen = np.broadcast_to(value.seen.sum(0), (len(asked), len(value.benchmarks)))
        target = Target(tuple(names[i] for i in asked), value.benchmarks, seen)
        effects = (*INPUTS, *pooled.NESTED)
        by = {"loading": ("benchmarks", "others"), "shared": ("effects",), "own": ("effects",)}
        kept = {f"law_{name}": by.get(name, ("benchmarks",)) for name in Law._fields}
        axes = {"rows": names, "benchmarks": value.benchmarks, "others": value.benchmarks, "effects": effects}
        return Laid(
            data,
            axes,
            kept | {"logit": ("rows", "benchmarks")},
            {"score": target, "expected": target},
            value.source.merge(Source(cite=sloth.CITE)),
        )

    def _targets(self, value: Leaderboard) -> tuple[sloth.Target, ...]:
        """With their lineage and tuning; each once."""
        settled = (sloth.settled(t, value.families, value.lineages, value.instruct) for t in self.predict)
        return tuple({str(target): target for target in settled}.values())

    def start(self, laid: Laid, fit: FitResult[SlothParams]) -> dict[str, np.ndarray]:
        """The fit's law, and effects at their posterior means given it."""
        p, data = fit.params, laid.data
        anchors, turn = loadings.anchored(p.loading[:, 1:])
        whole = np.eye(self.skills)
        whole[1:, 1:] = turn
        with precise("float64"):
            rows = jax.tree.map(lambda x: jnp.asarray(x, float) if x.dtype.kind == "f" else jnp.asarray(x), data.rows)
            law = board.law_of(p)
            logit, worth = np.tile(p.centre, (len(data.where), 1)), np.ones((len(data.where), len(p.centre)))
            logit[: len(p.logit)], worth[: len(p.logit)] = p.logit, p.worth
            at = board.placed(rows, data.where, logit, worth)
            skill, residual = pooled.effects(law, rows, at, jnp.asarray(p.floor), board.slopes_of(p))
            through, direct = (np.asarray(root) for root in roots(rows, law))
        loading, length = p.loading @ whole, np.sqrt((p.loading**2).sum(1))
        slope = p.slope.reshape(len(INPUTS), -1)
        width = np.exp(p.shared[: len(INPUTS), None]) * np.ones(self.skills)
        sd = np.concatenate([width, np.exp(p.own[: len(INPUTS), None]) * length], 1)
        slope = np.concatenate([slope[:, : self.skills] @ whole, slope[:, self.skills :]], 1)
        size = np.log(pooled.SHARED + pooled.OWNED)
        scale = np.where(data.rows.real[:, :, None] > 0, length, 1)
        found = {
            "loading": np.concatenate([loading[:, :1] - 1, loading[:, 1:]], 1),
            "shared": p.shared - size,
            "direct": p.own - size - math.log(pooled.DIRECT),
            "noise": (p.noise - math.log(pooled.NOISE)) / pooled.NOISE_SD,
            "centre": (p.centre - data.centre) / pooled.CENTRE_SD,
            "bend": p.bend / data.bend_sd,
            "slope": slope / sd,
            "skill": np.linalg.solve(through, np.asarray(skill) @ whole),
            "residual": np.linalg.solve(direct, np.asarray(residual) / scale),
        }
        if self.skills > 1:
            found["slope_diagonal"] = np.maximum(np.diagonal(loading[anchors, 1:]), loadings.LEAST)
        return found

    def outcome(self, target: str, data: Data, draw: Values, key: Array) -> Array:
        """(rows, benchmarks): "expected" by the law, or the "score" that will be observed; scores known are kept."""
        score = pooled.link(draw["logit"], data.floor, draw["law_bend"])[0]
        if target == "score":
            noise = jax.random.t(key, pooled.FREEDOM, score.shape, score.dtype)
            drawn = jnp.clip(score + jnp.exp(draw["law_noise"]) * noise, 0, 1)
            at = tuple(data.where.T)
            score = jnp.where(data.rows.seen[at], data.rows.score[at], drawn)
        return score[data.asked]

    def log_likelihood(self, data: Data, draw: Values) -> Array:
        """(rows, benchmarks), 0 where not seen."""
        law = Law(**{name: draw[f"law_{name}"] for name in Law._fields})
        shape = (*data.rows.real.shape, len(data.floor))
        logit = jnp.zeros(shape, draw["logit"].dtype).at[*data.where.T].set(draw["logit"])
        return pooled_joint.log_likelihood(logit, law, data.rows, data.floor)[*data.where.T]


def roots(rows: Rows, law: Law) -> tuple[Array, Array]:
    """Lower triangular roots of the covariances over a lineage's models: of skills and of residuals, slopes apart.

    (lineages, rows, rows) both
    """
    padding = (1 - rows.real)[:, :, None] * jnp.eye(rows.real.shape[1], dtype=rows.inputs.dtype)[None]
    through, residual = (jnp.linalg.cholesky(part + padding) for part in pooled.nested(rows, law))
    return through, residual


def _rows(value: Leaderboard, targets: tuple[sloth.Target, ...], precision: str) -> tuple[Rows, Any]:
    """Models and targets by lineage, and where each went; a new family, or lineage, is one of its own."""
    fresh = [f"{sloth.NEW} {i}" if t.family == sloth.NEW else t.family for i, t in enumerate(targets)]
    lineages = [t.lineage or f"{sloth.NEW} {i}" for i, t in enumerate(targets)]
    size, tokens, tuned = (
        np.append(own, [getattr(t, name) for t in targets])
        for own, name in ((value.params, "size"), (value.tokens, "tokens"), (value.instruct, "instruct"))
    )
    blank = np.zeros((len(targets), len(value.benchmarks)))
    rows, where = pooled.layout(
        board.inputs(size, tokens, tuned).astype(precision),
        board.codes([*value.families, *fresh]),
        board.codes([*value.lineages, *lineages]),
        np.concatenate([np.where(value.seen, value.scores, 0), blank]).astype(precision),
        np.concatenate([value.seen, blank > 0]),
    )
    return jax.tree.map(np.asarray, rows), where
