"""Whether draws can be relied on: one table, a verdict, and what to do.

R-hat and effective sample sizes are those of Vehtari, Gelman, Simpson, Carpenter & Buerkner (2021): rank-normalised,
of the bulk and of the tails. BFMI is Betancourt's (2016). The Pareto k of importance weights (Vehtari et al. 2024) says
how far an approximation is from the posterior.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lleval_jax.bayes.engines import Draws
from lleval_jax.bayes.importance import ARVIZ, LEAST_WORTH, pareto_k
from lleval_jax.values.taken_out import table
from lleval_jax.values.value import Value

RHAT, BFMI = 1.01, 0.3
ADVICE = {
    "divergences": "raise accept (0.99), or give the model a prior that keeps the sizes of effects from zero",
    "R-hat": "take more draws; if that does not help, the posterior has several modes",
    "ESS": "take more draws",
    "BFMI": "take a longer warm-up",
    "tree depth": "raise max_depth",
    "approximate": "draw with engine='nuts'; single intervals may still be right, and agree() shows which",
}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Diagnostics(Value):
    """Checks of draws.

    sites        names of what was drawn, one entry each
    rhat         (sites,) the largest of a site's entries; 1 where chains agree
    bulk, tail   (sites,) the smallest effective sample sizes
    chains       how many
    divergences  draws at which the integrator lost the energy
    bfmi         (chains,) empty where the engine has no energy
    deepest      draws that were cut at the largest depth
    pareto_k     of importance weights; NaN where the engine has none
    approximate  whether draws are of an approximation that its weights could not correct
    """

    sites: tuple[str, ...]
    rhat: np.ndarray
    bulk: np.ndarray
    tail: np.ndarray
    chains: int
    divergences: int
    bfmi: np.ndarray
    deepest: int
    pareto_k: float
    approximate: bool

    @property
    def problems(self) -> tuple[tuple[str, str], ...]:
        """What failed, and in which way; empty where all is well."""
        found = []
        if self.divergences:
            found.append(("divergences", f"{self.divergences} divergences"))
        if self.chains > 1 and self.rhat.max(initial=1) > RHAT:
            found.append(("R-hat", f"R-hat {self.rhat.max():.3f} of {self.sites[int(self.rhat.argmax())]}"))
        least = np.minimum(self.bulk, self.tail)
        if least.min(initial=np.inf) < LEAST_WORTH * self.chains:
            found.append(("ESS", f"effective sample size {least.min():.0f} of {self.sites[int(least.argmin())]}"))
        if self.bfmi.min(initial=1) < BFMI:
            found.append(("BFMI", f"BFMI {self.bfmi.min():.2f}"))
        if self.deepest:
            found.append(("tree depth", f"{self.deepest} draws cut at the largest tree depth"))
        if self.approximate:
            known = "not checked" if np.isnan(self.pareto_k) else f"Pareto k {self.pareto_k:.2f}"
            found.append(("approximate", f"an approximation, {known}"))
        return tuple(found)

    @property
    def status(self) -> str:
        """What an `Estimate` says of itself: "ok", "not converged", or "approximate" if that is all."""
        names = [name for name, _ in self.problems]
        return "approximate" if names == ["approximate"] else "not converged" if names else "ok"

    @property
    def advice(self) -> tuple[str, ...]:
        """What to do about each problem."""
        return tuple(f"{text}: {ADVICE[name]}" for name, text in self.problems)

    def to_frame(self) -> pd.DataFrame:
        """One line a site."""
        return pd.DataFrame({"site": self.sites, "rhat": self.rhat, "ess_bulk": self.bulk, "ess_tail": self.tail})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; null for what the engine does not have."""
        known = not np.isnan(self.pareto_k)
        return {
            "status": self.status,
            "rhat": float(self.rhat.max(initial=1)),
            "ess_bulk": float(self.bulk.min(initial=np.inf)) if len(self.bulk) else None,
            "ess_tail": float(self.tail.min(initial=np.inf)) if len(self.tail) else None,
            "divergences": self.divergences,
            "bfmi": float(self.bfmi.min()) if len(self.bfmi) else None,
            "pareto_k": float(self.pareto_k) if known else None,
            "advice": list(self.advice),
        }

    def brief(self) -> str:
        """The verdict."""
        return self.status

    def __str__(self) -> str:
        """The table, the verdict, the advice."""
        width = max(map(len, self.sites), default=4)
        lines = [f"{'':<{width}}  R-hat  ESS bulk  ESS tail"]
        for name, rhat, bulk, tail in zip(self.sites, self.rhat, self.bulk, self.tail, strict=True):
            lines.append(f"{name:<{width}}  {rhat:5.3f}  {bulk:8.0f}  {tail:8.0f}")
        energy = [f"BFMI {self.bfmi.min():.2f}", f"{self.divergences} divergences"] if len(self.bfmi) else []
        pareto = [] if np.isnan(self.pareto_k) else [f"Pareto k {self.pareto_k:.2f}"]
        return "\n".join([*lines, ", ".join([*energy, *pareto, f"verdict: {self.status}"]), *self.advice])

    def _repr_html_(self) -> str:
        return table(f"verdict: {self.status}", self.to_frame(), self.advice)


def diagnosed(
    kept: Mapping[str, np.ndarray], draws: Draws, max_depth: int | None = None, worth: float = float("inf")
) -> Diagnostics:
    """The checks of what was drawn.

    Args:
        kept: (chains, draws, ...) by site.
        draws: statistics and weights.
        max_depth: of NUTS.
        worth: independent draws that weighted ones are worth; NaN where weights could not be used.
    """
    flat = {name: x.reshape(*x.shape[:2], -1) for name, x in kept.items()}
    independent = draws.log_weight is not None
    rows = [_independent(x, worth) if independent else _checked(x) for x in flat.values()]
    rhat, bulk, tail = np.array(rows).reshape(-1, 3).T
    stats = draws.stats
    energy = stats.get("energy")
    full = 0 if max_depth is None else int((np.asarray(stats["steps"]) >= 2**max_depth - 1).sum())
    return Diagnostics(
        sites=tuple(flat),
        rhat=rhat,
        bulk=bulk,
        tail=tail,
        chains=next(iter(flat.values())).shape[0],
        divergences=int(np.sum(stats.get("diverging", 0))),
        bfmi=np.zeros(0) if energy is None else np.atleast_1d(ARVIZ.bfmi(np.asarray(energy, float))),
        deepest=full,
        pareto_k=float("nan") if draws.log_weight is None else pareto_k(draws.log_weight),
        approximate=bool(np.isnan(worth)),
    )


def _independent(x: np.ndarray, worth: float) -> tuple[float, float, float]:
    """The same of draws of an approximation, which are independent, or of weighted ones."""
    count = float(np.fmin(x.shape[0] * x.shape[1], worth))
    return 1.0, count, count


def _checked(x: np.ndarray) -> tuple[float, float, float]:
    """Worst R-hat, bulk and tail effective sample size of (chains, draws, entries), of those entries that move."""
    x = x[:, :, np.ptp(x, axis=(0, 1)) > 0].astype(float)
    if x.shape[2] == 0:
        return 1.0, float("inf"), float("inf")
    axes = {"chain_axis": 0, "draw_axis": 1}
    rhat = ARVIZ.rhat(x, **axes) if x.shape[0] > 1 else np.ones(1)
    bulk = ARVIZ.ess(x, method="bulk", **axes)
    tail = ARVIZ.ess(x, method="tail", prob=0.1, **axes)  # of the 5% and the 95% quantile
    return float(np.max(rhat)), float(np.min(bulk)), float(np.min(tail))
