"""Draws of a posterior with their names, and the estimates that follow from them."""

import dataclasses
import functools
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from lleval_jax.bayes import outcomes
from lleval_jax.bayes.contract import Laid
from lleval_jax.bayes.diagnostics import Diagnostics
from lleval_jax.bayes.numbers import numbers
from lleval_jax.core.precision import jit
from lleval_jax.errors import chosen, require, require_known, require_level
from lleval_jax.types import Array
from lleval_jax.values.results import WHOLE, Estimate
from lleval_jax.values.value import Value

OF_OTHERS = ("difference", "ahead", "rank", "best")
SIMULATED = "Intervals of these probabilities are those of the simulation: more draws make them narrower."
CITE = "phan2019numpyro"
BATCH = 16  # draws side by side


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Posterior(Value):
    """What `sample` found: keep it with `save`, ask it with `estimate`.

    model        settings of the model
    laid         what was observed, and the names of all axes
    draws        (chains, draws, ...) of each site and of what is derived from them
    stats        (chains, draws) of the sampler: diverging, energy, steps, accept
    diagnostics  whether the draws can be relied on
    engine       nuts, laplace or svi
    precision    float32 or float64
    seed         of what is drawn from it
    """

    model: Any
    laid: Laid
    draws: Mapping[str, np.ndarray]
    stats: Mapping[str, np.ndarray]
    diagnostics: Diagnostics
    engine: str
    precision: str
    seed: int = 0

    @property
    def targets(self) -> tuple[str, ...]:
        """What `estimate` can be asked."""
        return (*self.laid.targets, *OF_OTHERS)

    @property
    def count(self) -> int:
        """Draws of all chains together."""
        chains, draws = next(iter(self.draws.values())).shape[:2]
        return chains * draws

    def estimate(
        self,
        target: str | None = None,
        *,
        of: str | None = None,
        first: str = "",
        second: str = "",
        groups: bool = True,
        level: float = 0.95,
    ) -> Estimate:
        """Posterior mean and equal-tailed interval of a quantity, one entry a row and group.

        Args:
            target: one of the model's, such as "rate" (the probability of a right answer, averaged over the
                benchmark's questions), "score" (the benchmark's score: answers seen as they are, the others predicted)
                or "ability"; or, of any of these, "difference" of two rows, "ahead" (the probability that the first
                is higher), "rank" (1 the highest) or "best" (the probability of being the highest). None: the model's
                first.
            of: what differences and ranks are of; None: the model's first.
            first: of a difference, the row from which the other is taken.
            second: of a difference, the other.
            groups: also the parts of the benchmark.
            level: probability that the interval contains.

        Raises:
            BadInput: an unknown target or row.

        Example:
            >>> posterior.estimate("difference", first="model-a", second="model-b")  # doctest: +SKIP
        """
        require_level(level)
        target = target or next(iter(self.laid.targets))
        require_known(target, self.targets, "target")
        base = (of or next(iter(self.laid.targets))) if target in OF_OTHERS else target
        known = chosen(self.laid.targets, base, "of")
        drawn = self.outcome(base)
        rows, n_seen, caveats = known.rows, known.n_seen, ()
        if target in ("difference", "ahead"):
            here = [self._row(known.rows, name) for name in (first, second)]
            require(first != second, f"two different rows are needed; both are {first!r}")
            drawn, rows = drawn[:, here[:1]] - drawn[:, here[1:]], (f"{first} - {second}",)
            n_seen = n_seen[here].sum(0, keepdims=True)
        if target == "rank":
            drawn = outcomes.ranks(drawn)
        if target in ("best", "ahead"):
            shares = outcomes.best(drawn) if target == "best" else outcomes.ahead(drawn)
            found, caveats = outcomes.probability(shares, level, self._effective()), (SIMULATED,)
        else:
            found = outcomes.summary(drawn, level)
        words = {"best": f"probability of the highest {base}", "ahead": f"probability of the higher {base}"}
        words |= {"rank": f"rank by {base}", "difference": f"difference of {base}"}
        estimate = Estimate.crossed(
            rows,
            known.groups,
            found,
            n_seen=n_seen,
            status=self.diagnostics.status,
            target=words.get(target, target),
            method=f"{self.model.name}, {self.engine}",
            level=level,
            source=dataclasses.replace(self.laid.source, seed=self.seed, cite=(*self.laid.source.cite, CITE)),
        )
        caveats += self.diagnostics.advice
        if not groups and WHOLE in known.groups:
            estimate = estimate.take([i for i, group in enumerate(estimate.group) if group == WHOLE])
        return dataclasses.replace(estimate, caveats=caveats)

    def outcome(self, target: str) -> np.ndarray:
        """(draws, rows, groups) of a target of the model, all chains one after the other."""
        require_known(target, self.laid.targets, "target")
        key = jax.random.key(zlib.crc32(f"{self.seed} {target}".encode()))
        with numbers(self.precision):
            found = _OUTCOME(self.model, target, self.laid.data, self._flat(), jax.random.split(key, self.count))
        return np.asarray(found, float)

    def log_likelihood(self) -> np.ndarray:
        """(chains, draws, ...) of each observation; 0 where nothing was observed."""
        chains, draws = next(iter(self.draws.values())).shape[:2]
        with numbers(self.precision):
            found = np.asarray(_LOG_LIKELIHOOD(self.model, self.laid.data, self._flat()))
        return found.reshape(chains, draws, *found.shape[1:])

    def to_datatree(self, *, log_likelihood: bool = False) -> Any:
        """An `xarray.DataTree` after ArviZ: posterior, sample_stats, observed_data; see `bayes.files`."""
        from lleval_jax.bayes import trees

        return trees.of(self, log_likelihood=log_likelihood)

    def brief(self) -> str:
        """One line, for a prompt."""
        return f"{self.model.name} by {self.engine}, {self.count:,} draws, {self.diagnostics.status}"

    def __str__(self) -> str:
        """What it is, and its diagnostics."""
        return f"{self.brief()}\n{self.diagnostics}"

    def _flat(self) -> dict[str, np.ndarray]:
        return {name: x.reshape(-1, *x.shape[2:]) for name, x in self.draws.items()}

    def _effective(self) -> float:
        """The least effective sample size of what was drawn, at most the number of draws."""
        return float(min(self.diagnostics.bulk.min(initial=self.count), self.count))

    @staticmethod
    def _row(rows: tuple[str, ...], name: str) -> int:
        require_known(name, rows, "row")
        return rows.index(name)


def _outcome(model: Any, target: str, data: Any, draws: dict[str, Array], keys: Array) -> Array:
    one = functools.partial(_one, model, target, data)
    return jax.lax.map(lambda pair: one(*pair), (draws, keys), batch_size=BATCH)


def _one(model: Any, target: str, data: Any, draw: dict[str, Array], key: Array) -> Array:
    return model.outcome(target, data, draw, key)


def _log_likelihood(model: Any, data: Any, draws: dict[str, Array]) -> Array:
    return jax.lax.map(lambda draw: model.log_likelihood(data, draw), draws, batch_size=BATCH)


_OUTCOME = jit(_outcome, static_argnums=(0, 1))
_LOG_LIKELIHOOD = jit(_log_likelihood, static_argnums=0)
