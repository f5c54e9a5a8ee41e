"""Item response models, Rasch to 4PL and multidimensional; models in families, items in groups.

    P(right) = floor + (ceiling - floor) sigmoid(slope . ability + intercept)

The likelihood is `core.irt.likelihood.bernoulli`, as in the maximum likelihood fits; without families and groups the
joint density is `core.irt.likelihood.log_joint` under the prior of `irt.fit`. Sites named `.._own` are standard normal
(non-centred). What the priors say, in points of accuracy; `bayes.prior_scores` draws it for one's own data:

    ability ~ N(0, 1)              the scale
    intercept ~ N(0, 2)            an average model is right on an item 2 to 98 times of 100
    slope ~ N(1, 0.6)              from ability -1 to 1 a middling item rises from 27 to 73 points; one item of twenty
                                   is answered worse by better models
    floor, logit ~ N(-1.6, 0.7)    who knows nothing is right 5 to 44 times of 100
    ceiling, logit ~ N(3, 1)       who knows all it takes is right 74 to 99 times of 100
    apart_sd ~ HalfNormal(0.5)     what a model does to one group of items alone: 8 points at the middle, typically
    group_sd ~ HalfNormal(0.7)     groups differ in difficulty: 11 points at the middle, typically
    family_share ~ Uniform(0, 1)   of the variance of abilities that lies between families
    features                       of items, as `covariates`: the intercept's prior mean

With groups, mean and sd of each coordinate over the items are learned; with features alone those of the intercept.
"""

import dataclasses
import warnings
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import distributions as dist

from lleval_jax.bayes.contract import Laid, Values
from lleval_jax.bayes.models import answers, covariates, effects, loadings
from lleval_jax.bayes.models.answers import Data
from lleval_jax.bayes.models.covariates import Covariates
from lleval_jax.bayes.models.sites import half_normal, shown, site, standard
from lleval_jax.core.irt import irf, likelihood
from lleval_jax.curves import Curve, name_of
from lleval_jax.estimators.irt.calibration import fit as maximum
from lleval_jax.estimators.irt.marginal import USUAL
from lleval_jax.types import Array
from lleval_jax.values.params import IrtParams
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import FitResult

ABOUT = {"slope": 0.3, "intercept": 1.5, "floor": 0.5, "ceiling": 0.5}  # sd of a coordinate's mean, of items in groups
SPREAD = {"slope": 0.6, "intercept": 2.0, "floor": 0.5, "ceiling": 0.5}  # scale of the half normal sd about it
LEAST_SLOPE = 0.1  # where a start must be positive
BETWEEN, APART = 0.7, 0.5  # scales of `group_sd` and `apart_sd`


class Where(NamedTuple):
    """Mean and sd of a coordinate over items."""

    mean: Array | float
    sd: Array | float


@dataclasses.dataclass(frozen=True)
class Irt:
    """Settings of an item response model; `bayes.irt` and `bayes.rasch` make it.

    curve     which item parameters are free
    families  (model, family); () where each model stands alone
    groups    items of a group are alike, and a model's logits differ from group to group
    features  of items, or None
    """

    curve: Curve
    families: tuple[tuple[str, str], ...] = ()
    groups: bool = False
    features: Covariates | None = None
    data: ClassVar[type] = Data
    observed: ClassVar[tuple[str, ...]] = ("models", "items")

    @property
    def name(self) -> str:
        """Such as "2pl, items in groups"."""
        words = [name_of(self.curve)] + [f"{self.curve.dims} dims"] * (self.curve.dims > 1)
        words += ["models in families"] * bool(self.families) + ["items in groups"] * self.groups
        return ", ".join(words + ["item features"] * (self.features is not None))

    @property
    def coordinates(self) -> list[str]:
        """What differs from item to item."""
        slope = [] if self.curve.shared_slope else ["slope"]
        return [*slope, "intercept"] + ["floor"] * self.curve.floor + ["ceiling"] * self.curve.ceiling

    @property
    def learned(self) -> list[str]:
        """Coordinates whose mean and sd over the items are learned."""
        if self.groups:
            return [name for name in self.coordinates if name != "slope" or self.curve.dims == 1]
        return ["intercept"] if self.features is not None else []

    @property
    def standard(self) -> list[str]:
        """Coordinates whose sites are standard normal; with features the intercept's are those of `effects`."""
        return [name for name in self.coordinates if self.features is None or name != "intercept"]

    @property
    def units(self) -> tuple[str, ...]:
        """Sites of items."""
        return tuple(f"{name}_own" for name in self.coordinates)

    @property
    def parted(self) -> bool:
        """Some items alone are a model too, but for those whose loadings are triangular."""
        return self.curve.dims == 1

    def part(self, data: Data, units: Array) -> Data:
        """The answers to some items."""
        parts = {name: jnp.asarray(getattr(data, name))[:, units] for name in ("scores", "weight", "share")}
        parts |= {name: jnp.asarray(getattr(data, name))[units] for name in ("group", "features", "told")}
        return data._replace(**parts)

    @property
    def accept(self) -> float:
        """Of NUTS: small steps where sizes of effects are learned.

        With LiveXiv's 5 x 320 answers in eight groups one of 4,000 draws diverged at 0.95, and none at 0.98, which took
        a quarter more gradients a draw.
        """
        return 0.98 if self.learned or self.families else 0.8

    def __call__(self, data: Data) -> None:
        """Abilities, items, and what was answered."""
        ability, items = self._abilities(data), irf.constrain(self.curve, self._items(data))
        apart = self._apart(data)
        shown("ability", ability)
        for name, value in zip(items._fields, items, strict=True):
            shown(name, value)
        numpyro.factor("answers", jnp.sum(self._rows(data, ability, items, apart)))

    def _abilities(self, data: Data) -> Array:
        """(models, dims), standard normal; models of a family are alike."""
        own = standard("ability_own", len(data.family), self.curve.dims)
        if not self.families:
            return own
        share = site("family_share", dist.Uniform(0, 1))
        family = standard("family", len(data.families), self.curve.dims)
        return jnp.sqrt(share) * family[data.family] + jnp.sqrt(1 - share) * own

    def _items(self, data: Data) -> Array:
        """(items, width), as `irf.constrain` reads them."""
        found = self._coordinates(data)
        return jnp.concatenate([found[name] for name in dict.fromkeys(["slope", *self.coordinates])], 1)

    def _coordinates(self, data: Data) -> dict[str, Array]:
        """(items, parameters) each."""
        count, dims = len(data.group), self.curve.dims
        where = {name: self._where(name, data) for name in self.coordinates}
        own = {name: standard(f"{name}_own", count, self._wide(name, data)) for name in self.standard}
        found = {name: where[name].mean + where[name].sd * x for name, x in own.items()}
        if self.curve.shared_slope:
            found["slope"] = jnp.broadcast_to(site("slope_all", dist.Normal(*self.usual("slope"))), (count, 1))
        if dims > 1:
            found["slope"] = loadings.triangular(own["slope"], loadings.diagonal(dims), jnp.asarray(data.anchors))
        if self.features is not None:
            at = where["intercept"]
            sd = jnp.broadcast_to(jnp.asarray(at.sd), (count, 1))[:, 0]
            alone = effects.effects("intercept", sd, data.told)
            found["intercept"] = at.mean + alone[:, None] + covariates.easiness(data.features)[:, None]
        if self.groups:
            between = half_normal("group_sd", BETWEEN)
            found["intercept"] += between * standard("group", len(data.share), 1)[data.group]
        return found

    def _wide(self, name: str, data: Data) -> int:
        """Parameters of an item that a coordinate has."""
        return self.curve.dims if name == "slope" else 1

    def _where(self, name: str, data: Data) -> Where:
        """Fixed, as in `irt.fit`, or learned."""
        mean, sd = self.usual(name)
        if name not in self.learned:
            return Where(mean, sd)
        middle = site(f"{name}_mean", dist.Normal(mean, ABOUT[name]))
        return Where(middle, half_normal(f"{name}_sd", SPREAD[name]))

    def _apart(self, data: Data) -> Array:
        """(models, items) logits: what a model does to one group of items alone."""
        if not self.groups:
            return jnp.zeros((len(data.family), 1), data.scores.dtype)
        sd = half_normal("apart_sd", APART)
        apart = sd * standard("apart_own", len(data.family), len(data.share))
        return shown("apart", apart)[:, data.group]

    def _rows(self, data: Data, ability: Array, items: irf.Items, apart: Array) -> Array:
        """(models,) log likelihoods."""
        shifted = items._replace(intercept=items.intercept[None] + apart)
        by_model = irf.Items(None, 0, None, None)  # type: ignore[arg-type]
        each = jax.vmap(likelihood.bernoulli, (None, by_model, 0, 0, 0))
        return each(self.curve, shifted, ability, jnp.asarray(data.scores), jnp.asarray(data.weight))

    def usual(self, name: str) -> tuple[float, float]:
        """Mean and sd of a coordinate's prior, as `irt.fit` has them."""
        if name == "slope" and (self.curve.positive or self.curve.dims > 1):
            return (0.0, 0.5) if self.curve.positive else (0.0, 1.0)
        return USUAL[name]

    def maximum(self, value: Responses) -> FitResult[IrtParams]:
        """`irt.fit` of the same curve. Whether it converged is of no matter: only the start depends on it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return maximum(value, model=self.curve, standard_errors=False)

    def lay_out(self, value: Responses, fit: FitResult[IrtParams] | None, precision: str) -> Laid:
        """Answers, groups and families as arrays."""
        anchors = np.arange(self.curve.dims) if fit is None else loadings.anchored(fit.params.slope)[0]
        laid = answers.lay_out(value, self.families, anchors, self._kept(), precision)
        if self.features is None:
            return laid
        features, names = self.features.of(value.items)
        told = _information(laid.data.scores, laid.data.weight).astype(precision)
        data = laid.data._replace(features=features.astype(precision), told=told)
        return laid._replace(data=data, axes={**laid.axes, "features": names})

    def _kept(self) -> dict[str, tuple[str, ...]]:
        """What is kept of a draw, and its axes."""
        slope = ("items", "dims")
        kept = {"ability": ("models", "dims"), "slope": slope, "intercept": ("items",)}
        kept |= {name: ("items",) for name in ("floor", "ceiling") if name in self.coordinates}
        kept |= {"family_share": (), "family": ("families", "dims")} if self.families else {}
        kept |= {f"{name}_{what}": () for name in self.learned for what in ("mean", "sd")}
        kept |= {"feature": ("features",), "feature_sd": ()} if self.features is not None else {}
        if self.groups:
            kept |= {"group_sd": (), "apart_sd": (), "apart": ("models", "groups")}
        return kept

    def start(self, laid: Laid, fit: FitResult[IrtParams]) -> dict[str, np.ndarray]:
        """Abilities and items where the likelihood is highest, all else where its prior is."""
        return self._start_at(laid.data, fit.params)

    def _start_at(self, data: Data, p: IrtParams) -> dict[str, np.ndarray]:
        anchors, turn = loadings.anchored(p.slope)
        if self.curve.positive and p.slope.mean() < 0:
            turn = -turn
        slope = p.slope @ turn
        found = {"ability_own": p.ability @ turn} | self._items_start(data, p, slope)
        if self.curve.dims > 1:
            found["slope_diagonal"] = np.maximum(np.diagonal(slope[anchors]), LEAST_SLOPE)
        if self.families:
            found |= {"family_share": np.asarray(0.5), "family": np.zeros((len(data.families), self.curve.dims))}
            found["ability_own"] = found["ability_own"] / np.sqrt(0.5)
        if self.groups:
            found |= {"group_sd": np.asarray(0.3), "group": np.zeros((len(data.share), 1))}
            found |= {"apart_sd": np.asarray(0.2), "apart_own": np.zeros((len(p.ability), len(data.share)))}
        if self.features is None:
            return found
        mean, sd = self.usual("intercept")
        found["intercept_own"] = effects.start(p.intercept - mean, sd, np.asarray(data.told))
        return found | covariates.start(np.asarray(data.features))

    def _items_start(self, data: Data, p: IrtParams, slope: np.ndarray) -> dict[str, np.ndarray]:
        """Of each coordinate."""
        coordinates = {
            "slope": np.log(np.maximum(slope, LEAST_SLOPE)) if self.curve.positive else slope,
            "intercept": p.intercept[:, None],
            "floor": _logit(p.floor)[:, None],
            "ceiling": _logit((p.ceiling - p.floor) / (1 - p.floor))[:, None],
        }
        found = {}
        for name in self.coordinates:
            mean, sd = self.usual(name)
            found[f"{name}_own"] = (coordinates[name] - mean) / sd
            if name in self.learned:
                found |= {f"{name}_mean": np.asarray(mean), f"{name}_sd": np.asarray(sd)}
        if self.curve.shared_slope:
            found["slope_all"] = coordinates["slope"][0, 0]
        return found

    def outcome(self, target: str, data: Data, draw: Values, key: Array) -> Array:
        """Abilities, or scores on the benchmark's items; see `answers.outcome`."""
        if target == "ability":
            return draw["ability"]
        return answers.outcome(target, data, self._probability(data, draw), key)

    def log_likelihood(self, data: Data, draw: Values) -> Array:
        """(models, items), 0 where not seen."""
        odds, wrong = irf.tails(self.curve, self._logit(data, draw), *self._ends(draw))
        return jnp.asarray(data.weight * (data.scores * odds + wrong))

    def _probability(self, data: Data, draw: Values) -> Array:
        return irf.squash(self._logit(data, draw), *self._ends(draw))

    def _logit(self, data: Data, draw: Values) -> Array:
        apart = draw["apart"][:, data.group] if self.groups else jnp.zeros((1, 1), data.scores.dtype)
        return draw["ability"] @ draw["slope"].T + draw["intercept"][None] + apart

    def _ends(self, draw: Values) -> tuple[Array, Array]:
        """(items,) floors and ceilings."""
        none = jnp.zeros_like(draw["intercept"])
        return draw.get("floor", none), draw.get("ceiling", none + 1)


def _information(scores: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(items,) that answers have about an item's logit, roughly."""
    asked = weight.sum(0)
    p = ((scores * weight).sum(0) + 0.5) / (asked + 1)
    return asked * p * (1 - p)


def _logit(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, 1e-3, 1 - 1e-3)
    return np.log(p) - np.log1p(-p)
