"""PromptEval's grids, prompts by examples, on the layout and with the density of `prompts.fit` (`core.crossed`).

    P(right) = sigmoid(offset + effect of the prompt + effect of the example)

All sites are standard normal (non-centred) but the sizes of effects, each a chi variable about its likeliest value as
`core.crossed.model.Design` says. What these priors say, in points at the middle of the scale: the common level is next
to free; prompts differ by 20 points (standard deviation), most likely, and examples by 35. With features, what they
leave differs by 6 points, and they explain 17; of several models in one grid these differ by 17, and 7 points are what
a prompt does to one model alone.

Joint density: `core.crossed.model.log_joint`. The two normals that `prompts.fit` learns for the prompts' effects, and
how fractional answers scatter, are left out: effects are one normal.
"""

import dataclasses
import warnings
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import distributions as dist

from lleval_jax.bayes.contract import Laid, Target, Values
from lleval_jax.bayes.models.covariates import Covariates
from lleval_jax.bayes.models.sites import shown, site, standard
from lleval_jax.core.crossed import model as crossed
from lleval_jax.core.crossed.model import Cells, Design
from lleval_jax.core.irt import irf
from lleval_jax.curves import Curve
from lleval_jax.errors import nearest, require
from lleval_jax.estimators.prompts.effects import fit as maximum
from lleval_jax.layout import grid
from lleval_jax.types import Array
from lleval_jax.values.params import PromptParams
from lleval_jax.values.responses import WHOLE, Responses
from lleval_jax.values.results import FitResult
from lleval_jax.values.sparse import SparseResponses, as_dense

QUANTILES = (5, 25, 50, 75, 95)
EVERY = np.zeros((0, 0))


class Data(NamedTuple):
    """A grid.

    design  how coefficients act, and the prior of the sizes
    cells   the answers
    scores  (prompts, examples)  0 where not seen
    seen    (prompts, examples)  1 where there is an answer, else 0
    share   (models, prompts)    1 / number of the model's rows, where a row is of the model; (0, 0) of one model alone
    feature  (features,)         zeros, one a feature of the rows
    """

    design: Design
    cells: Cells
    scores: Array | np.ndarray
    seen: Array | np.ndarray
    share: Array | np.ndarray
    feature: Array | np.ndarray


@dataclasses.dataclass(frozen=True)
class Prompts:
    """Settings of the model of a grid of prompts; `bayes.prompts` makes it.

    models         (row, model, prompt); () where all rows are prompts of one model
    features       of rows, or None
    item_features  of examples, or None
    """

    models: tuple[tuple[str, str, str], ...] = ()
    features: Covariates | None = None
    item_features: Covariates | None = None
    data: ClassVar[type] = Data
    observed: ClassVar[tuple[str, ...]] = ("prompts", "examples")

    @property
    def name(self) -> str:
        """Such as "prompts of several models, features"."""
        told = self.features is not None or self.item_features is not None
        return "prompts" + " of several models" * bool(self.models) + ", features" * told

    @property
    def units(self) -> tuple[str, ...]:
        """Examples are independent given the prompts."""
        return ("example_own",)

    @property
    def accept(self) -> float:
        """Of NUTS."""
        return 0.95

    def __call__(self, data: Data) -> None:
        """Effects, and what was answered."""
        design = data.design
        size = _sizes(design)
        coef = standard("coef", np.shape(design.kind)[0])
        own = size[-2] * standard("prompt_own", np.shape(design.rows)[0])
        column = size[-1] * standard("example_own", np.shape(design.columns)[0])
        params = crossed.Params(coef, own, column, jnp.log(size))
        odds, wrong = irf.tails(Curve(), crossed.cell_logits(params, design, data.cells), jnp.zeros(()), jnp.ones(()))
        numpyro.factor("answers", jnp.sum(data.cells.weight * (data.cells.score * odds + wrong)))
        everywhere = crossed.cell_logits(params, design, _all_cells(data))
        shown("logit", everywhere.reshape(data.scores.shape))
        shown("size", size)
        if self.features is not None:
            count = len(data.feature)
            shown("feature", size[0] * coef[1 : 1 + count])

    def maximum(self, value: Responses) -> FitResult[PromptParams]:
        """`prompts.fit`; whether it converged is of no matter here."""
        responses = as_dense(value)
        models, prompts = self._parts(responses)
        rows, columns = self._features(responses)
        named = {"models": models, "prompts": prompts, "item_features": columns if columns.shape[1] else None}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return maximum(responses, row_features=rows[0] if rows[1] else None, **named)

    def lay_out(self, value: Responses | SparseResponses, fit: FitResult | None, precision: str) -> Laid:
        """The grid as `prompts.fit` lays it out.

        Raises:
            BadInput: no cell is answered, or a row has no model, a row or an example no features.
        """
        responses = as_dense(value)
        require(bool(responses.seen.any()), "no cell of the grid is answered; a posterior needs one at least")
        scores = np.where(responses.seen, responses.scores, 0)
        models, prompts = self._parts(responses)
        rows, columns = self._features(responses)
        parts = scores, responses.seen, responses.weight, rows, columns, models, prompts, precision
        laid, axes = grid.lay_out(*parts)
        called = tuple(dict.fromkeys(models or ()))
        member = np.array([[name == one for one in models or ()] for name in called]) if called else EVERY
        share = (member / member.sum(1, keepdims=True)).astype(precision)
        numbers = scores.astype(precision), responses.seen.astype(precision)
        data = Data(laid.design, laid.cells, *numbers, share, np.zeros(len(rows[1]), precision))
        by_prompt, count = Target(responses.rows, (WHOLE,), responses.n_seen[:, None]), responses.n_seen
        behind = np.array([int(mine.astype(int) @ count) for mine in member]) if called else np.array([count.sum()])
        names = tuple(f"q{q:02d}" for q in QUANTILES)
        spread = Target(names, called or (WHOLE,), np.tile(behind, (len(names), 1)))
        found = {"score": by_prompt, "rate": by_prompt, "quantiles": spread}
        kept = {"logit": ("prompts", "examples"), "size": ("kinds",)} | ({"feature": ("features",)} if rows[1] else {})
        named = {"prompts": responses.rows, "examples": responses.items, "kinds": axes.kinds, "features": axes.features}
        by_model = {"model": Target(called, (WHOLE,), behind[:, None])} if called else {}
        return Laid(data, named, kept, found | by_model, responses.source)

    def _parts(self, responses: Responses) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
        """(rows,) the model and the prompt of each row; None where there is one model."""
        if not self.models:
            return None, None
        known = {row: (model, prompt) for row, model, prompt in self.models}
        for row in [row for row in responses.rows if row not in known][:1]:
            require(False, f"row {row!r} has no model; they are given for {len(known)}{nearest(row, known)}")
        models, prompts = zip(*(known[row] for row in responses.rows), strict=True)
        return models, prompts

    def _features(self, responses: Responses) -> tuple[tuple[np.ndarray, tuple[str, ...]], np.ndarray]:
        """Standardised features of rows, with their names, and of examples."""
        none = np.zeros((len(responses.rows), 0)), ()
        rows = none if self.features is None else self.features.of(responses.rows, "prompts")
        if self.item_features is None:
            return rows, np.zeros((len(responses.items), 0))
        return rows, self.item_features.of(responses.items)[0]

    def start(self, laid: Laid, fit: FitResult[PromptParams]) -> dict[str, np.ndarray]:
        """Examples where the fit has them, sizes at their likeliest, prompts alike."""
        design = laid.data.design
        size = np.exp(design.prior[0])
        column = np.zeros((len(design.columns),))
        column[: len(fit.params.example)] = fit.params.example / size[-1]
        return {
            "size_own": size,
            "coef": np.zeros(len(design.kind)),
            "prompt_own": np.zeros(len(design.rows)),
            "example_own": column,
        }

    def outcome(self, target: str, data: Data, draw: Values, key: Array) -> Array:
        """(prompts, 1) mean over the examples: "rate" of the probabilities; "score" of the answers, those seen as they
        are and the others drawn. (quantiles, models) the "quantiles" of such scores over the prompts of each model;
        (models, 1) their mean, "model".
        """
        chance = jax.nn.sigmoid(draw["logit"])
        if target != "rate":
            drawn = jax.random.bernoulli(key, chance).astype(chance.dtype)
            chance = jnp.where(data.seen > 0, data.scores, drawn)
        score = jnp.mean(chance, 1, keepdims=True)
        if target == "model":
            return jnp.asarray(data.share) @ score
        if target != "quantiles":
            return score
        of_model = jnp.where(data.share.T > 0, score, jnp.nan) if len(data.share) else score
        return jnp.nanquantile(of_model, jnp.asarray(QUANTILES, score.dtype) / 100, axis=0)

    def log_likelihood(self, data: Data, draw: Values) -> Array:
        """(prompts, examples), 0 where not seen; an answer counts once."""
        odds, wrong = irf.tails(Curve(), draw["logit"], jnp.zeros(()), jnp.ones(()))
        return jnp.asarray(data.seen * (data.scores * odds + wrong))


def _sizes(design: Design) -> Array:
    """(scales,) sizes of effects: those whose logs `core.crossed` calls scales."""
    middle, count = jnp.asarray(design.prior)
    square = dist.Gamma(count / 2, count / (2 * jnp.exp(2 * middle)))
    chi = dist.TransformedDistribution(square, dist.transforms.PowerTransform(0.5))
    return site("size_own", chi.to_event(1))


def _all_cells(data: Data) -> Cells:
    """Every prompt with every example."""
    n, items = data.scores.shape
    row, column = np.divmod(np.arange(n * items), items)
    return Cells(row, column, np.zeros(n * items), np.zeros(n * items))
