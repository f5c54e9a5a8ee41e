"""PromptEval's grids, prompts by examples, on the layout and with the density of `prompts.fit` (`core.crossed`).

    P(right) = sigmoid(offset + effect of the prompt + effect of the example)

All sites are standard normal (non-centred) but the sizes of effects, each a chi variable about its likeliest value as
`core.crossed.model.Design` says. What these priors say, in points at the middle of the scale: the common level is next
to free; prompts differ by 20 points (standard deviation), most likely, and examples by 35.

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
from lleval_jax.bayes.models.sites import shown, site, standard
from lleval_jax.core.crossed import model as crossed
from lleval_jax.core.crossed.model import Cells, Design
from lleval_jax.core.irt import irf
from lleval_jax.curves import Curve
from lleval_jax.errors import require
from lleval_jax.estimators.prompts.effects import fit as maximum
from lleval_jax.layout import grid
from lleval_jax.types import Array
from lleval_jax.values.params import PromptParams
from lleval_jax.values.responses import WHOLE, Responses
from lleval_jax.values.results import FitResult
from lleval_jax.values.sparse import SparseResponses, as_dense

QUANTILES = (5, 25, 50, 75, 95)


class Data(NamedTuple):
    """A grid.

    design  how coefficients act, and the prior of the sizes
    cells   the answers
    scores  (prompts, examples)  0 where not seen
    seen    (prompts, examples)  1 where there is an answer, else 0
    """

    design: Design
    cells: Cells
    scores: Array | np.ndarray
    seen: Array | np.ndarray


@dataclasses.dataclass(frozen=True)
class Prompts:
    """The model of a grid of prompts; `bayes.prompts` makes it. It has no settings."""

    data: ClassVar[type] = Data
    observed: ClassVar[tuple[str, ...]] = ("prompts", "examples")

    @property
    def name(self) -> str:
        """As in results."""
        return "prompts"

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

    def maximum(self, value: Responses) -> FitResult[PromptParams]:
        """`prompts.fit`; whether it converged is of no matter here."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return maximum(value)

    def lay_out(self, value: Responses | SparseResponses, fit: FitResult | None, precision: str) -> Laid:
        """The grid as `prompts.fit` lays it out.

        Raises:
            BadInput: no cell is answered.
        """
        responses = as_dense(value)
        require(bool(responses.seen.any()), "no cell of the grid is answered; a posterior needs one at least")
        scores = np.where(responses.seen, responses.scores, 0)
        n, items = scores.shape
        none = np.zeros((n, 0)), ()
        parts = scores, responses.seen, responses.weight, none, np.zeros((items, 0)), None, None, precision
        laid, axes = grid.lay_out(*parts)
        data = Data(laid.design, laid.cells, scores.astype(precision), responses.seen.astype(precision))
        by_prompt = Target(responses.rows, (WHOLE,), responses.n_seen[:, None])
        names = tuple(f"q{q:02d}" for q in QUANTILES)
        spread = Target(names, (WHOLE,), np.full((len(names), 1), int(responses.n_seen.sum())))
        return Laid(
            data,
            {"prompts": responses.rows, "examples": responses.items, "kinds": axes.kinds},
            {"logit": ("prompts", "examples"), "size": ("kinds",)},
            {"score": by_prompt, "rate": by_prompt, "quantiles": spread},
            responses.source,
        )

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
        are and the others drawn; or the "quantiles" of such scores over the prompts.
        """
        chance = jax.nn.sigmoid(draw["logit"])
        if target != "rate":
            drawn = jax.random.bernoulli(key, chance).astype(chance.dtype)
            chance = jnp.where(data.seen > 0, data.scores, drawn)
        score = jnp.mean(chance, 1, keepdims=True)
        return (
            jnp.quantile(score, jnp.asarray(QUANTILES, score.dtype) / 100, axis=0) if target == "quantiles" else score
        )

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
