"""Judges of whom some are severer than others: item response models of scores that several gave to the same answers.

    score ~ kind(z, shape),   z = sharpness_j (slope_i . ability_m + intercept_i + answer_mi - severity_j)

of judge j on the answer of model m to item i: the many-facet model (Linacre 1989), with grades or continuous scores as
in `kinds`, and sharpness after Uto & Ueno (2020). What all judges see in one answer, `answer_mi`, is a part of its own
(as in the rater bundles of Wilson & Hoskens 2001): without it ten judges of one answer would count as ten answers. What
the priors say, in points at the middle of the scale; all others are those of `irt` and `kinds`:

    severity_sd ~ HalfNormal(0.7)    judges differ by 11 points, typically
    answer_sd ~ HalfNormal(1)        an answer is 16 points better or worse than model and item say, typically
    sharp_sd ~ HalfNormal(0.3)       of log sharpness ~ N(0, sharp_sd), if judges differ in it; else it is 1
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro

from lleval_jax.bayes.contract import Laid, Target, Values
from lleval_jax.bayes.models import answers, cells, effects
from lleval_jax.bayes.models.answers import RIGHT_OR_WRONG, Known, Numbers
from lleval_jax.bayes.models.judged import Judged, Panel, panel, standing
from lleval_jax.bayes.models.kinds import Kinds
from lleval_jax.bayes.models.sites import half_normal, shown, standard
from lleval_jax.types import Array
from lleval_jax.values.params import IrtParams
from lleval_jax.values.responses import WHOLE
from lleval_jax.values.results import FitResult

SEVERITY, ANSWER, SHARP = 0.7, 1.0, 0.3  # scales of the half normal sds
STARTS = {"severity": 0.5, "answer": 0.5, "sharp": 0.15}
WORTH = 0.25  # information of a score about its logit, roughly


class Data(NamedTuple):
    """As `answers.Data`, with judges and what is told of their effects.

    scores  (judges, models, items)  in [0, 1]; 0 where not seen
    weight  (judges, models, items)  0 where not seen
    heard   (judges,)                information about each severity, as of `effects`
    met     (items, models)          the same about each answer
    """

    scores: Numbers
    weight: Numbers
    group: Numbers
    share: Numbers
    family: Numbers
    families: Numbers
    anchors: Numbers
    features: Numbers
    told: Numbers
    heard: Numbers
    met: Numbers
    kind: Numbers = RIGHT_OR_WRONG
    known: Known = Known(("bernoulli",))


@dataclasses.dataclass(frozen=True)
class Judges(Kinds):
    """Settings; `bayes.judges` makes it.

    sharpness  whether judges also differ in how well they tell answers apart
    """

    sharpness: bool = False
    data: ClassVar[type] = Data
    observed: ClassVar[tuple[str, ...]] = ("judges", "models", "items")

    @property
    def name(self) -> str:
        """Such as "2pl, answers auto, judges"."""
        return f"{super().name}, judges" + " of several sharpness" * self.sharpness

    @property
    def units(self) -> tuple[str, ...]:
        """Sites of items, and of the answers to them."""
        return (*super().units, "answer_own")

    def part(self, data: Any, units: Array) -> Any:
        """The scores of the answers to some items."""
        parts = {name: jnp.asarray(getattr(data, name))[..., units] for name in ("scores", "weight", "share")}
        names = ("group", "features", "told", "kind", "met")
        return data._replace(**parts, **{name: jnp.asarray(getattr(data, name))[units] for name in names})

    def __call__(self, data: Any) -> None:
        """Abilities, items, answers, judges, and the scores."""
        draw: dict[str, Array] = {"ability": self._abilities(data), **self._coordinates(data)}
        draw["intercept"] = draw["intercept"][:, 0]
        draw["severity"] = effects.effects("severity", half_normal("severity_sd", SEVERITY), data.heard)
        draw["answer"] = effects.effects("answer", half_normal("answer_sd", ANSWER), data.met)
        if self.sharpness:
            draw["sharpness"] = jnp.exp(half_normal("sharp_sd", SHARP) * standard("sharp_own", len(data.heard)))
        for name, value in draw.items():
            shown(name, value)
        apart = self._apart(data)
        numpyro.factor("scores", jnp.sum(self._log_density(data, _logit(draw, apart), draw["shape"])))

    def maximum(self, value: Judged) -> FitResult[IrtParams]:
        """`irt.fit`, a model before a judge as a row: kinds of scores are from it, and where sampling starts."""
        return super().maximum(panel(value).stacked)

    def lay_out(self, value: Judged, fit: FitResult[IrtParams] | None, precision: str) -> Laid:
        """Scores by judge, and all else as of `Kinds`.

        Raises:
            BadInput: as `judged.panel`, or a score that its item's kind does not take.
        """
        of = panel(value)
        laid = answers.lay_out(of.answered, self.families, np.zeros(1, int), self._kept(), precision)
        known, kind, names = self._of_items(of.stacked, fit)
        heard, met = WORTH * of.weight.sum((1, 2)), WORTH * of.weight.sum(0).T
        numbers = {"scores": of.scores, "weight": of.weight, "heard": heard, "met": met}
        same = {name: getattr(laid.data, name) for name in Data._fields if name not in (*numbers, "kind", "known")}
        data = Data(**same, **{name: x.astype(precision) for name, x in numbers.items()}, kind=kind, known=known)
        axes = {**laid.axes, **names, "judges": of.judges}
        return Laid(data, axes, laid.dims, _targets(laid, of), of.source)

    def _kept(self) -> dict[str, tuple[str, ...]]:
        """What is kept of a draw, and its axes."""
        kept = super()._kept() | {"severity": ("judges",), "severity_sd": ()}
        kept |= {"answer": ("items", "models"), "answer_sd": ()}
        return kept | ({"sharpness": ("judges",), "sharp_sd": ()} if self.sharpness else {})

    def start(self, laid: Laid, fit: FitResult[IrtParams]) -> dict[str, np.ndarray]:
        """Models and judges at their mean in the fit; answers as models and items say."""
        data, axes = laid.data, laid.axes
        ability, severity = standing(axes["models"], axes["judges"], data.weight > 0, fit)
        found = self._start_at(laid.data, fit.params._replace(ability=ability))
        found |= {f"{name}_sd": np.asarray(STARTS[name]) for name in ("severity", "answer")}
        found["severity_own"] = effects.start(severity, STARTS["severity"], data.heard)
        found["answer_own"] = np.zeros(data.met.shape)
        if self.sharpness:
            found |= {"sharp_sd": np.asarray(STARTS["sharp"]), "sharp_own": np.zeros(len(data.heard))}
        return found

    def outcome(self, target: str, data: Any, draw: Values, key: Array) -> Array:
        """(models, dims) abilities, (judges, 1) severities in logits, or means over the items of a score:

        rate   (models, 1 + groups)  expected, over all judges
        score  (models, 1 + groups)  those that were given as they are, the others drawn; over all judges
        judge  (judges, 1 + groups)  expected of each judge, over all models
        """
        if target == "ability":
            return draw["ability"]
        if target == "severity":
            return draw["severity"][:, None]
        logit, shape = self._logit(data, draw), draw["shape"]
        if target == "score":
            keys = jax.random.split(key, len(logit))
            drawn = jax.vmap(lambda z, k: cells.drawn(data, z, shape, k))(logit, keys)
            return answers.averaged(data.share, jnp.mean(jnp.where(data.weight > 0, data.scores, drawn), 0))
        expected = jax.vmap(lambda z: cells.expected(data, z, shape))(logit)
        return answers.averaged(data.share, jnp.mean(expected, 1 if target == "judge" else 0))

    def log_likelihood(self, data: Any, draw: Values) -> Array:
        """(judges, models, items), 0 where not seen."""
        return self._log_density(data, self._logit(data, draw), draw["shape"])

    @staticmethod
    def _log_density(data: Any, logit: Array, shape: Array) -> Array:
        of_judge = jax.vmap(lambda scores, weight, z: cells.log_density(data, scores, weight, z, shape))
        return of_judge(jnp.asarray(data.scores), jnp.asarray(data.weight), logit)

    def _logit(self, data: Any, draw: Values) -> Array:
        return _logit(draw, draw["apart"][:, data.group] if self.groups else jnp.zeros((), data.scores.dtype))


def _logit(draw: Values, apart: Array) -> Array:
    """(judges, models, items)."""
    answer = draw["ability"] @ draw["slope"].T + draw["intercept"][None] + draw["answer"].T + apart
    seen = answer[None] - draw["severity"][:, None, None]
    return seen * draw["sharpness"][:, None, None] if "sharpness" in draw else seen


def _targets(laid: Laid, of: Panel) -> dict[str, Target]:
    """Those of models, with the scores of all judges behind them, and those of judges."""
    groups = laid.targets["rate"].groups
    member = np.stack([np.ones(len(of.items), bool), *(np.asarray(of.group) == group for group in groups[1:])])
    by_model, by_judge = (np.einsum(f"jmi,gi->{rows}g", of.seen.astype(int), member) for rows in "mj")
    scored = Target(of.models, groups, by_model)
    severity = Target(of.judges, (WHOLE,), by_judge[:, :1])
    found = {"rate": scored, "score": scored, "ability": Target(of.models, (WHOLE,), by_model[:, :1])}
    return found | {"judge": Target(of.judges, groups, by_judge), "severity": severity}
