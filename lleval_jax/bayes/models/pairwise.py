"""Bradley-Terry with ties, on the likelihood of `pairwise.fit` (`core.davidson`): models' ratings from comparisons.

    rating ~ N(0, rating_sd)

Where parts never met, or one won every comparison with another, ratings by maximum likelihood do not exist; the
posterior is proper, and as wide there as the prior is. Coordinates of ratings are those of `effects`. What the priors
say, in points of win rate and of Elo; `bayes.prior_scores` draws it for one's own data:

    rating_sd ~ HalfNormal(1.5)  models differ by 1.0 logit (176 points of Elo) typically: 73 wins of 100
    log_tie ~ N(-0.7, 1.2)       equal models tie in 2 to 72 of 100 comparisons, typically in 20
"""

import dataclasses
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro

from lleval_jax.bayes.contract import Laid, Target, Values
from lleval_jax.bayes.models import effects
from lleval_jax.bayes.models.answers import Numbers
from lleval_jax.bayes.models.sites import half_normal, shown, standard
from lleval_jax.core import davidson
from lleval_jax.errors import require
from lleval_jax.types import Array
from lleval_jax.values.pairs import Pairs
from lleval_jax.values.responses import WHOLE
from lleval_jax.values.results import FitResult

SIZE, TIE, TIE_SD = 1.5, -0.7, 1.2
WORTH = 0.25  # information of a comparison of equals


class Data(NamedTuple):
    """Comparisons.

    first    (pairs,)
    second   (pairs,)
    counts   (pairs, 3)  the first won, both tied, the first lost
    told     (models,)   as of `effects`
    """

    first: Numbers
    second: Numbers
    counts: Numbers
    told: Numbers


@dataclasses.dataclass(frozen=True)
class Pairwise:
    """The model of comparisons; `bayes.pairwise` makes it. It has no settings."""

    data: ClassVar[type] = Data
    observed: ClassVar[tuple[str, ...]] = ("pairs",)

    @property
    def name(self) -> str:
        """As in results."""
        return "Bradley-Terry, ties after Davidson"

    @property
    def units(self) -> tuple[str, ...]:
        """Ties: the one unknown that is no rating."""
        return ("tie_own",)

    @property
    def accept(self) -> float:
        """Of NUTS."""
        return 0.9

    def __call__(self, data: Data) -> None:
        """Ratings, ties, and who won."""
        sd = half_normal("rating_sd", SIZE)
        rating = effects.effects("rating", sd, data.told)
        log_tie = shown("log_tie", TIE + TIE_SD * standard("tie_own", 1)[0])
        shown("rating", rating)
        numpyro.factor("comparisons", jnp.sum(self.log_likelihood(data, {"rating": rating, "log_tie": log_tie})))

    def maximum(self, value: Pairs) -> None:
        """None: the posterior is also of comparisons for which maximum likelihood has no ratings."""

    def lay_out(self, value: Pairs, fit: FitResult | None, precision: str) -> Laid:
        """Comparisons as arrays.

        Raises:
            BadInput: there are none.
        """
        require(bool(value.counts.sum() > 0), "there are no comparisons; a posterior needs one at least")
        seen = value.n_seen
        data = Data(value.first, value.second, value.counts.astype(precision), (WORTH * seen).astype(precision))
        met = [f"{value.models[i]} / {value.models[j]}" for i, j in zip(value.first, value.second, strict=True)]
        by_model = Target(value.models, (WHOLE,), seen[:, None].astype(int))
        by_pair = Target(
            value.models, (WHOLE, *value.models), np.concatenate([seen[:, None], value.met], 1).astype(int)
        )
        return Laid(
            data,
            {"models": value.models, "pairs": tuple(met)},
            {"rating": ("models",), "rating_sd": (), "log_tie": ()},
            {"rating": by_model, "win": by_pair} if len(value.models) > 1 else {"rating": by_model},
            value.source,
        )

    def start(self, laid: Laid, fit: FitResult | None) -> dict[str, np.ndarray]:
        """Where each model's own wins have it, two more of each kind."""
        data = laid.data
        n, score = len(data.told), data.counts[:, 0] + data.counts[:, 1] / 2
        whole = data.counts.sum(1)
        won = np.bincount(data.first, score, n) + np.bincount(data.second, whole - score, n) + 2
        lost = np.bincount(data.first, whole - score, n) + np.bincount(data.second, score, n) + 2
        rating = np.log(won) - np.log(lost)
        return {
            "rating_sd": np.asarray(1.0),
            "rating_own": effects.start(rating - rating.mean(), 1.0, data.told),
            "tie_own": np.zeros(1),
        }

    def outcome(self, target: str, data: Data, draw: Values, key: Array) -> Array:
        """(models, 1) ratings in points of Elo about their mean of 1000; or (models, 1 + opponents) expected scores, a
        tie being half a win, after their mean over all opponents.
        """
        rating = draw["rating"]
        if target == "rating":
            return (davidson.MIDDLE + davidson.ELO * (rating - jnp.mean(rating)))[:, None]
        n = len(rating)
        win = davidson.expected(rating[:, None] - rating[None], draw["log_tie"])
        mean = (jnp.sum(win, 1, keepdims=True) - 0.5) / (n - 1)
        return jnp.concatenate([mean, win], 1)

    def log_likelihood(self, data: Data, draw: Values) -> Array:
        """(pairs,), of all comparisons of a pair together."""
        first, second, counts = map(jnp.asarray, (data.first, data.second, data.counts))
        return davidson.log_likelihood(draw["rating"], draw["log_tie"], first, second, counts)
