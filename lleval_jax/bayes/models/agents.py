"""Agents: language models crossed with scaffolds, k of n repeats, tasks with features.

    m = sigmoid(level + model + scaffold + system + task)
    p ~ Beta with mean m and intraclass correlation repeat_share,   k ~ Binomial(n, p)

`system` is what one model does with one scaffold that neither does elsewhere, in one submission. An answer's own p is
its noise: a system may be good at one task for no reason that the model, the scaffold or the task has in general. With
one repeat the beta-binomial is the Bernoulli, and `repeat_share` stays at its prior. The likelihood is
`core.irt.repeats.log_density`; the coordinates of effects are those of `effects`. What the priors say, in points
of accuracy; `bayes.prior_scores` draws it for one's own data:

    level ~ N(0, 1.5)              a typical agent solves 5 to 95 of 100 typical tasks
    model_sd ~ HalfNormal(1)       language models differ by 16 points at the middle, typically
    scaffold_sd ~ HalfNormal(1)    scaffolds alike
    system_sd ~ HalfNormal(0.5)    a pair differs from both by 8 points at the middle, typically
    task_sd ~ HalfNormal(2.5)      tasks differ by 34 points at the middle, typically
    repeat_share ~ Beta(1, 4)      of the variance of an answer, what its repeats share: 0 to 53 of 100, typically 16
    features                       as `covariates`
"""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import distributions as dist

from lleval_jax.bayes.contract import Laid, Target, Values
from lleval_jax.bayes.models import answers, covariates, effects
from lleval_jax.bayes.models.answers import Numbers
from lleval_jax.bayes.models.covariates import Covariates
from lleval_jax.bayes.models.parts import Parts, parted
from lleval_jax.bayes.models.sites import half_normal, shown, site
from lleval_jax.core.irt import kinds, repeats
from lleval_jax.errors import require
from lleval_jax.types import Array
from lleval_jax.values.responses import WHOLE, Responses
from lleval_jax.values.results import FitResult
from lleval_jax.values.sparse import SparseResponses, as_dense

LEVEL = 1.5
SIZES = {"model": 1.0, "scaffold": 1.0, "system": 0.5, "task": 2.5}  # scales of the half normal sds
STARTS = {"model": 0.6, "scaffold": 0.6, "system": 0.3, "task": 2.0}
REPEAT_SHARE = 1.0, 4.0
NOTHING = 1e-6  # information of an effect without answers
NODES, MASS = np.polynomial.hermite_e.hermegauss(15)


class Told(NamedTuple):
    """Information about each effect, as of `effects`: (models,), (scaffolds,), (systems,), (tasks,)."""

    model: Numbers
    scaffold: Numbers
    system: Numbers
    task: Numbers


class Data(NamedTuple):
    """Answers.

    scores    (systems, tasks)     share of the repeats that are right; 0 where not seen
    weight    (systems, tasks)     repeats; 0 where not seen
    later     (most repeats - 1,)  1, 2, ...
    share     (groups, tasks)      1 / number of the group's tasks, where a task is of the group
    features  (tasks, features)    standardised
    parts     language model and scaffold of each system
    told      about effects
    """

    scores: Numbers
    weight: Numbers
    later: Numbers
    share: Numbers
    features: Numbers
    parts: Parts
    told: Told


@dataclasses.dataclass(frozen=True)
class Agents:
    """Settings; `bayes.agents` makes it.

    systems   (system, language model, scaffold); "" for what is not known: a level of its own
    features  of tasks, or None
    """

    systems: tuple[tuple[str, str, str], ...]
    features: Covariates | None = None
    data: ClassVar[type] = Data
    observed: ClassVar[tuple[str, ...]] = ("systems", "tasks")

    @property
    def name(self) -> str:
        """As in results."""
        return "language models x scaffolds" + ", task features" * (self.features is not None)

    @property
    def units(self) -> tuple[str, ...]:
        """Tasks are independent given the systems."""
        return ("task_own",)

    @property
    def accept(self) -> float:
        """Of NUTS."""
        return 0.9

    def __call__(self, data: Data) -> None:
        """Effects, and what was answered."""
        size = {name: half_normal(f"{name}_sd", scale) for name, scale in SIZES.items()}
        level = site("level", dist.Normal(0, LEVEL))
        model, scaffold, system = (
            shown(name, effects.effects(name, size[name], getattr(data.told, name)))
            for name in ("model", "scaffold", "system")
        )
        task = effects.effects("task", size["task"], data.told.task)
        if self.features is not None:
            task += covariates.easiness(data.features)
        shown("task", task)
        share = site("repeat_share", dist.Beta(*REPEAT_SHARE))
        logit = _logit(data, level, model, scaffold, system, task)
        numpyro.factor("answers", jnp.sum(_log_density(data, logit, share)))

    def maximum(self, value: Responses | SparseResponses) -> None:
        """No fit of the same model: sampling starts from the answers themselves."""

    def lay_out(self, value: Responses | SparseResponses, fit: FitResult | None, precision: str) -> Laid:
        """Answers, and the parts of systems, as arrays.

        Raises:
            BadInput: there are no answers, a score is not k of n repeats, a system has no parts, a task no features.
        """
        responses = as_dense(value)
        require(bool(responses.seen.any()), "there are no answers; a posterior needs one at least")
        _require_counts(responses)
        parts, models, scaffolds = parted(responses.rows, self.systems)
        member = np.arange(len(responses.groups))[:, None] == responses.group[None]
        features, names = np.zeros((len(responses.items), 0)), ()
        if self.features is not None:
            features, names = self.features.of(responses.items)
        weight = responses.seen * responses.weight
        data = Data(
            scores=np.where(responses.seen, responses.scores, 0).astype(precision),
            weight=weight.astype(precision),
            later=np.arange(1, max(round(float(weight.max())), 1)).astype(precision),
            share=(member / np.maximum(member.sum(1, keepdims=True), 1)).astype(precision),
            features=features.astype(precision),
            parts=parts,
            told=Told(*(part.astype(precision) for part in _told(responses, parts))),
        )
        axes = {"systems": responses.rows, "tasks": responses.items, "groups": responses.groups}
        axes |= {"models": models, "scaffolds": scaffolds, "features": names}
        targets = _targets(responses, parts, models, scaffolds)
        return Laid(data, axes, self._kept(), targets, responses.source)

    def _kept(self) -> dict[str, tuple[str, ...]]:
        kept: dict[str, tuple[str, ...]] = {"level": (), "repeat_share": ()}
        kept |= {name: (f"{name}s",) for name in SIZES} | {f"{name}_sd": () for name in SIZES}
        return kept | ({"feature": ("features",), "feature_sd": ()} if self.features is not None else {})

    def start(self, laid: Laid, fit: FitResult | None) -> dict[str, np.ndarray]:
        """Systems and tasks where their own answers have them, half an answer more of each kind."""
        data, parts = laid.data, laid.data.parts
        right = data.scores * data.weight
        system, task = (_logits(right.sum(axis), data.weight.sum(axis)) for axis in (1, 0))
        level = float(np.median(system))
        model = parts.mean_of(system - level, parts.model, len(parts.models))
        at = Told(model, np.zeros(len(parts.scaffolds)), system - level - model[parts.model], task - level)
        found = {"level": np.asarray(level), "repeat_share": np.asarray(0.1)}
        for name, value, told in zip(at._fields, at, data.told, strict=True):
            found[f"{name}_sd"] = np.asarray(STARTS[name])
            found[f"{name}_own"] = effects.start(np.asarray(value), STARTS[name], np.asarray(told))
        return found | (covariates.start(data.features) if self.features is not None else {})

    def outcome(self, target: str, data: Data, draw: Values, key: Array) -> Array:
        """(rows, 1 + groups) scores, or (4, 1) standard deviations in logits.

        rate      of a system: mean of m, where its score tends to on many tasks like these
        score     of a system on the benchmark: answers that were seen as they are, the others drawn
        model     of a language model, with a scaffold that is drawn from all such scaffolds
        scaffold  of a scaffold, with a language model that is drawn from all such models
        spread    how much language models, scaffolds, their pairs and tasks differ
        """
        if target == "spread":
            return jnp.stack([draw[f"{name}_sd"] for name in SIZES])[:, None]
        if target in ("model", "scaffold"):
            return _marginal(target, data, draw)
        return answers.outcome(target, data, jax.nn.sigmoid(self._logits(data, draw)), key)

    def log_likelihood(self, data: Data, draw: Values) -> Array:
        """(systems, tasks), 0 where not seen."""
        return _log_density(data, self._logits(data, draw), draw["repeat_share"])

    def _logits(self, data: Data, draw: Values) -> Array:
        return _logit(data, *(draw[name] for name in ("level", "model", "scaffold", "system", "task")))


def _targets(
    responses: Responses, parts: Parts, models: tuple[str, ...], scaffolds: tuple[str, ...]
) -> dict[str, Target]:
    """Scores of systems, of what they are made of where its name is known, and how much all differ."""
    groups = responses.groups if len(responses.groups) > 1 else ()
    member = responses.group[:, None] == np.arange(len(groups))
    seen = np.concatenate([responses.n_seen[:, None], responses.seen @ member.astype(int)], 1)
    names = (WHOLE, *groups)
    scored = Target(responses.rows, names, seen)
    by_model = Target(tuple(models[i] for i in parts.named_models), names, parts.by_model(seen))
    by_scaffold = Target(tuple(scaffolds[i] for i in parts.named_scaffolds), names, parts.by_scaffold(seen))
    spread = Target(tuple(SIZES), (WHOLE,), np.full((len(SIZES), 1), int(responses.n_seen.sum())))
    found = {"rate": scored, "score": scored, "model": by_model, "scaffold": by_scaffold, "spread": spread}
    return {name: target for name, target in found.items() if target.rows}


def _logit(data: Data, level: Array, model: Array, scaffold: Array, system: Array, task: Array) -> Array:
    """(systems, tasks)."""
    row = level + model[data.parts.model] + scaffold[data.parts.scaffold] + system
    return row[:, None] + task[None]


def _log_density(data: Data, logit: Array, share: Array) -> Array:
    asked = jnp.asarray(data.weight)
    return repeats.log_density(jnp.round(data.scores * asked), asked, logit, share, jnp.asarray(data.later))


def _marginal(target: str, data: Data, draw: Values) -> Array:
    """(named, 1 + groups) scores; what is marginalised over is normal, and integrated out."""
    other, named = {
        "model": ("scaffold", data.parts.named_models),
        "scaffold": ("model", data.parts.named_scaffolds),
    }[target]
    sd = jnp.sqrt(draw[f"{other}_sd"] ** 2 + draw["system_sd"] ** 2)
    away = sd * jnp.asarray(NODES, sd.dtype)
    at = (draw["level"] + draw[target][named])[:, None, None] + draw["task"][None, :, None] + away
    probability = jax.nn.sigmoid(at) @ jnp.asarray(MASS / MASS.sum(), sd.dtype)
    return answers.averaged(data.share, probability)


def _require_counts(responses: Responses) -> None:
    """`BadInput` for the first answer that is not k of n repeats."""
    kind = kinds.of("binomial")
    wrong = responses.seen & ~kind.allows(responses.scores, np.asarray(responses.weight))
    for row, item in np.argwhere(wrong)[:1]:
        found = f"{responses.scores[row, item]:.6g} with weight {responses.weight[row, item]:g}"
        name = f"system {responses.rows[row]!r} on task {responses.items[item]!r}"
        require(False, f"{name} has the score {found}; this model takes {kind.takes}")


def _told(responses: Responses, parts: Parts) -> Told:
    """From the answers of each system and task, and from how often the parts of systems meet."""
    weight = responses.seen * responses.weight
    right = np.where(responses.seen, responses.scores, 0) * weight
    system, task = (_information(right.sum(axis), weight.sum(axis)) for axis in (1, 0))
    error, square = 1 / np.maximum(system, NOTHING), {name: sd**2 for name, sd in STARTS.items()}
    by_model = 1 / (square["scaffold"] + square["system"] + error)
    by_scaffold = 1 / (square["model"] + square["system"] + error)
    return Told(
        np.bincount(parts.model, by_model, len(parts.models)),
        np.bincount(parts.scaffold, by_scaffold, len(parts.scaffolds)),
        1 / (square["model"] + square["scaffold"] + error),
        task,
    )


def _logits(right: np.ndarray, asked: np.ndarray) -> np.ndarray:
    return np.log(right + 0.5) - np.log(asked - right + 0.5)


def _information(right: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """About a logit, roughly."""
    share = (right + 0.5) / (asked + 1)
    return asked * share * (1 - share)
