"""What is known of items before any answer: features as the prior mean of how easy an item is.

    easiness ~ N(features . weight, sd),   weight_k = feature_sd own_k / sqrt(K),   own_k ~ N(0, 1)

Features are standardised over the items; of one that is constant nothing can be learned, and it is left out. What the
prior says, in points of accuracy, however many features there are (also the columns of an embedding):

    feature_sd ~ HalfNormal(1)   all features together move an item of the middle by 15 points, typically
"""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import pandas as pd

from lleval_jax.bayes.models.answers import Numbers
from lleval_jax.bayes.models.sites import half_normal, shown, standard
from lleval_jax.errors import require
from lleval_jax.layout.grid import matrix
from lleval_jax.types import Array

SIZE = 1.0  # scale of `feature_sd`


@dataclasses.dataclass(frozen=True)
class Covariates:
    """Features of items, as settings of a model.

    names   of the features
    items   whose they are
    values  (items, features)
    """

    names: tuple[str, ...]
    items: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]

    def of(self, items: Sequence[str], what: str = "items") -> tuple[np.ndarray, tuple[str, ...]]:
        """Standardised columns that vary over these items, (items, kept), and their names; `what` they are.

        Raises:
            BadInput: an item has no features, a feature is not a finite number, or none varies.
        """
        missing = sorted(set(items) - set(self.items))
        require(not missing, f"{len(missing)} {what} have no features (first: {missing[:1]}); give them, or a mean")
        frame = pd.DataFrame(list(self.values), index=list(self.items), columns=list(self.names))
        found, names = matrix(frame, items, what)
        require(bool(names), f"none of the features {', '.join(self.names[:5])} varies over the {len(items)} {what}")
        return found, names


def covariates(features: pd.DataFrame | None) -> Covariates | None:
    """From a frame of numbers, one line an item, whose index has the items' names.

    Raises:
        BadInput: it is no such frame, or an item stands in it twice.
    """
    if features is None:
        return None
    require(isinstance(features, pd.DataFrame), "features are a data frame whose index has the names of the items")
    words = [str(name) for name, kind in features.dtypes.items() if kind.kind not in "biuf"]
    for name in words[:1]:
        require(False, f"features are numbers; {name!r} is not. Encode it, such as with pandas.get_dummies")
    index = tuple(map(str, features.index))
    twice = features.index[features.index.duplicated()]
    require(features.index.is_unique, f"item {str(twice[0]) if len(twice) else ''!r} has features twice")
    values = tuple(map(tuple, features.to_numpy(float).tolist()))
    return Covariates(tuple(map(str, features.columns)), index, values)


def easiness(features: Numbers) -> Array:
    """(items,) logits that features give, of (items, K) standardised ones. Sites `feature_sd` and `feature_own`."""
    count = features.shape[1]
    weight = half_normal("feature_sd", SIZE) * standard("feature_own", count) / np.sqrt(count)
    return jnp.asarray(features) @ shown("feature", weight)


def start(features: np.ndarray) -> dict[str, np.ndarray]:
    """Where their search begins: no feature says anything yet."""
    return {"feature_sd": np.asarray(0.3), "feature_own": np.zeros(features.shape[1])}
