"""What a prior says before any answer, in points: scores of models drawn from it on one's own questions."""

import dataclasses
from typing import Any

import jax
import numpy as np
import numpyro

from lleval_jax.bayes.contract import Laid, Model
from lleval_jax.bayes.numbers import numbers
from lleval_jax.core.precision import jit
from lleval_jax.errors import chosen, require
from lleval_jax.types import Array
from lleval_jax.values.value import Value

BATCH = 20  # draws side by side


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class PriorScores(Value):
    """Scores drawn from a prior.

    target  "rate", as of a `Posterior`
    rows    names of the models, which the prior does not tell from each other
    groups  "all" and the parts of the benchmark
    draws   (draws, rows, groups)
    """

    target: str
    rows: tuple[str, ...]
    groups: tuple[str, ...]
    draws: np.ndarray

    @property
    def between(self) -> np.ndarray:
        """(draws,) standard deviation of the models' scores on the whole."""
        return self.draws[:, :, 0].std(1)

    @property
    def apart(self) -> np.ndarray:
        """(draws,) how far a model's score on a part is from what its whole score and the part's mean say."""
        centred = self.draws - self.draws.mean(1, keepdims=True)
        gap = centred[:, :, 1:] - centred[:, :, :1]
        return gap.std((1, 2)) if gap.shape[2] else np.zeros(len(gap))

    def brief(self) -> str:
        """One line, for a prompt."""
        return f"{self.target} of {len(self.rows)} models in {len(self.draws):,} draws of the prior"

    def __str__(self) -> str:
        """What the prior says, in points: medians, and the middle 90% of draws."""
        lines = [f"prior of the {self.target}, in points: median [90% of draws]"]
        lines.append(f"score of a model          {_middle(self.draws[:, :, 0])}")
        lines += [f"sd between models         {_middle(self.between)}"] * (len(self.rows) > 1)
        lines += [f"sd of a model's parts     {_middle(self.apart)}"] * (len(self.groups) > 1 and len(self.rows) > 1)
        return "\n".join(lines)


def prior_scores(
    model: Model, value: Any, *, target: str | None = None, draws: int = 500, key: int | Array = 0
) -> PriorScores:
    """Scores of models drawn from the prior: the prior predictive check, in points of accuracy.

    Args:
        model: such as `bayes.irt("2pl")`.
        value: the answers; how many there are counts, and not what they are.
        target: a target of the model; None: its first.
        draws: of the prior.
        key: a seed, or a random key.

    Raises:
        BadInput: an unknown target, or no draws.

    Example:
        >>> print(bayes.prior_scores(bayes.irt("2pl"), responses))  # doctest: +SKIP
    """
    require(draws > 0, f"draws is {draws}; one at least is needed")
    laid = model.lay_out(value, None, "float32")
    target = target or next(iter(laid.targets))
    known = chosen(laid.targets, target, "target")

    def one(keys: Array) -> Array:
        return model.outcome(target, laid.data, unknowns(model, laid, keys[0]), keys[1])

    random = jax.random.key(key) if isinstance(key, int) else key
    with numbers("float32"):
        found = jit(lambda keys: jax.lax.map(one, keys, batch_size=BATCH))(jax.random.split(random, (draws, 2)))
    return PriorScores(target, known.rows, known.groups, np.asarray(found, float))


def unknowns(model: Model, laid: Laid, key: Array) -> dict[str, Array]:
    """One draw of the prior: all that a posterior keeps, name -> value."""
    with numpyro.handlers.seed(rng_seed=key), numpyro.handlers.trace() as trace:
        model(laid.data)
    return {name: trace[name]["value"] for name in laid.dims}


def _middle(x: np.ndarray) -> str:
    low, middle, high = 100 * np.quantile(x, [0.05, 0.5, 0.95])
    return f"{middle:4.0f} [{low:.0f}, {high:.0f}]"
