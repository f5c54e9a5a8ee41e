"""Item response models of answers that are grades, repeats or continuous scores; of several kinds in one benchmark.

    score ~ kind(slope . ability + intercept, shape)

The density is `core.irt.kinds.log_density`, as in `irt.fit(answers=...)`. There the items of a kind have a normal prior
whose mean and spread are estimated; here both have priors of their own:

    slope_mean ~ N(1, 0.3), slope_sd ~ HalfNormal(0.6)            of the items of one kind
    intercept_mean ~ N(0, 1.5), intercept_sd ~ HalfNormal(2)
    shape_mean ~ N(usual, 1), shape_sd ~ HalfNormal(1)            "normal": HalfNormal(0.5)

What shapes mean: log distances of thresholds (graded), steps (gpcm), log precision (beta), log standard deviation
(logit-normal), log variance (normal). A grade that no answer was given has the distances that the other items have.
"""

import dataclasses
import warnings

import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import distributions as dist

from lleval_jax.bayes.contract import Laid, Values
from lleval_jax.bayes.models import answers, cells
from lleval_jax.bayes.models.answers import Data, Known
from lleval_jax.bayes.models.irt import ABOUT, SPREAD, Irt, Where
from lleval_jax.bayes.models.sites import shown, site
from lleval_jax.estimators.irt.calibration import answers_of
from lleval_jax.estimators.irt.calibration import fit as maximum
from lleval_jax.types import Array
from lleval_jax.values.params import IrtParams
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import FitResult

ABOUT_SHAPE, SPREAD_SHAPE = 1.0, 1.0
LEAST_SPREAD = 0.1  # of items where a start is


@dataclasses.dataclass(frozen=True)
class Kinds(Irt):
    """An item response model with `answers` as of `irt.fit`; `bayes.irt(answers=...)` makes it."""

    answers: str | tuple[tuple[str, str], ...] = "auto"

    @property
    def name(self) -> str:
        """Such as "2pl, answers auto"."""
        return f"{super().name}, answers {self.answers if isinstance(self.answers, str) else 'as given'}"

    @property
    def coordinates(self) -> list[str]:
        """What differs from item to item."""
        return ["slope", "intercept", "shape"]

    @property
    def learned(self) -> list[str]:
        """All of them."""
        return self.coordinates

    def part(self, data: Data, units: Array) -> Data:
        """The answers to some items."""
        return super().part(data, units)._replace(kind=jnp.asarray(data.kind)[units])

    def __call__(self, data: Data) -> None:
        """Abilities, items, and what was answered."""
        ability, found, apart = self._abilities(data), self._coordinates(data), self._apart(data)
        draw = {"ability": ability, **found, "intercept": found["intercept"][:, 0]}
        for name in ("ability", *self.coordinates):
            shown(name, draw[name])
        logit = ability @ found["slope"].T + draw["intercept"][None] + apart
        numpyro.factor("answers", jnp.sum(self._log_density(data, logit, found["shape"])))

    def _wide(self, name: str, data: Data) -> int:
        return data.known.shapes if name == "shape" else 1

    def _where(self, name: str, data: Data) -> Where:
        """(items, parameters) mean and sd, which the items of a kind share."""
        at, about, spread = (jnp.asarray(part, data.scores.dtype) for part in self._prior(name, data.known))
        mean = site(f"{name}_mean", dist.Normal(at, about).to_event(2))
        sd = site(f"{name}_sd", dist.HalfNormal(spread).to_event(2))
        return Where(mean[jnp.asarray(data.kind)], sd[jnp.asarray(data.kind)])

    def _prior(self, name: str, known: Known) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(kinds, parameters) each: mean and sd of a coordinate's mean, scale of its spread."""
        if name != "shape":
            one = np.ones((len(known.names), 1))
            return self.usual(name)[0] * one, ABOUT[name] * one, SPREAD[name] * one
        at = np.zeros((len(known.names), known.shapes))
        spread = np.full_like(at, SPREAD_SHAPE)
        for row, kind in enumerate(known.kinds):
            at[row, : kind.shapes] = kind.usual
            spread[row] = min(SPREAD_SHAPE, kind.most)
        return at, np.full_like(at, ABOUT_SHAPE), spread

    def maximum(self, value: Responses) -> FitResult[IrtParams]:
        """`irt.fit` with the same kinds. Whether it converged is of no matter: only the start depends on it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return maximum(value, answers=self._asked, standard_errors=False)

    @property
    def _asked(self) -> str | dict[str, str]:
        return self.answers if isinstance(self.answers, str) else dict(self.answers)

    def lay_out(self, value: Responses, fit: FitResult[IrtParams] | None, precision: str) -> Laid:
        """Answers and their kinds, groups and families as arrays.

        Raises:
            BadInput: a score that its item's kind does not take.
        """
        laid = super().lay_out(value, fit, precision)
        known, kind, names = self._of_items(value, fit)
        return laid._replace(data=laid.data._replace(kind=kind, known=known), axes={**laid.axes, **names})

    def _of_items(
        self, value: Responses, fit: FitResult[IrtParams] | None
    ) -> tuple[Known, np.ndarray, dict[str, tuple[str, ...]]]:
        """The kinds, (items,) which one each is of, and the names of their axes."""
        names = _names(value, fit, self._asked)
        known = Known(tuple(sorted(set(names))))
        shapes = tuple(f"shape-{k + 1}" for k in range(known.shapes))
        axes = {"kinds": known.names, "shapes": shapes, "one": ("all",)}
        return known, np.array([known.names.index(name) for name in names], np.int32), axes

    def _kept(self) -> dict[str, tuple[str, ...]]:
        """What is kept of a draw, and its axes."""
        kept = super()._kept() | {"shape": ("items", "shapes")}
        for name in self.coordinates:
            kept |= {f"{name}_{what}": ("kinds", "shapes" if name == "shape" else "one") for what in ("mean", "sd")}
        return kept

    def _items_start(self, data: Data, p: IrtParams, slope: np.ndarray) -> dict[str, np.ndarray]:
        """Items where the likelihood is highest, their prior where they lie."""
        shape = np.zeros((len(slope), data.known.shapes))
        if p.answers is not None:
            shape[:, : p.answers.shape.shape[1]] = p.answers.shape
        found = {}
        for name, at in {"slope": slope, "intercept": p.intercept[:, None], "shape": shape}.items():
            mean, _, spread = self._prior(name, data.known)
            sd = spread.copy()
            for k in range(len(mean)):
                mine = at[data.kind == k]
                mean[k], sd[k] = mine.mean(0), np.clip(mine.std(0), LEAST_SPREAD, 2 * spread[k])
            own = (at - mean[data.kind]) / sd[data.kind]
            found |= {f"{name}_mean": mean, f"{name}_sd": sd, f"{name}_own": own}
        return found

    def outcome(self, target: str, data: Data, draw: Values, key: Array) -> Array:
        """Abilities, or scores on the benchmark's items; see `answers.outcome`."""
        if target == "ability":
            return draw["ability"]
        logit, shape = self._logit(data, draw), draw["shape"]
        if target == "rate":
            return answers.averaged(data.share, cells.expected(data, logit, shape))
        drawn = cells.drawn(data, logit, shape, key)
        return answers.averaged(data.share, jnp.where(data.weight > 0, data.scores, drawn))

    def log_likelihood(self, data: Data, draw: Values) -> Array:
        """(models, items), 0 where not seen: log densities, of scores between 0 and 1."""
        return self._log_density(data, self._logit(data, draw), draw["shape"])

    @staticmethod
    def _log_density(data: Data, logit: Array, shape: Array) -> Array:
        return cells.log_density(data, data.scores, data.weight, logit, shape)


def _names(value: Responses, fit: FitResult[IrtParams] | None, asked: str | dict[str, str]) -> tuple[str, ...]:
    """The kind of each item: those of the fit, else chosen as a fit does."""
    if fit is None:
        return answers_of(value, asked).names
    return fit.params.answers.of_items if fit.params.answers is not None else ("bernoulli",) * len(value.items)
