"""`fit`: comparisons of two -> ratings, how often models tie, and the covariance of both.

Bradley-Terry with ties after Davidson (1970), `core.davidson`; without a tie in the data it is Bradley & Terry (1952).
The likelihood is concave, and Newton's steps find its one maximum. Ratings are told from their mean. Comparisons are
taken to be independent: those of one prompt, or of one person, are not quite, and intervals are then too narrow.
"""

import jax
import jax.numpy as jnp
import numpy as np

from lleval_jax.core.precision import precise
from lleval_jax.estimators import planned
from lleval_jax.estimators.ended import ended
from lleval_jax.estimators.pairwise.connected import require_ratings
from lleval_jax.estimators.pairwise.kernel import Met, Ratings
from lleval_jax.scale.plan import HERE, Plan
from lleval_jax.types import Status
from lleval_jax.values.pairs import Pairs
from lleval_jax.values.params import PairParams
from lleval_jax.values.results import FitResult, Source

WITHOUT_TIES = ("bradley1952rank",)
CITE = (*WITHOUT_TIES, "davidson1970extending")


def fit(pairs: Pairs, *, max_steps: int = 200, strict: bool = False, plan: Plan = HERE) -> FitResult[PairParams]:
    """Ratings of models by maximum likelihood, with their covariance from the observed information.

    Args:
        pairs: outcomes of comparisons; `Pairs.build` and `Pairs.from_frame` make them.
        max_steps: give up after so many Newton steps.
        strict: raise if the search does not converge, rather than warn.
        plan: with `out` what was found is kept there, and the same call reads it; its steps are not, since it goes in
            one piece, on one device.

    Raises:
        BadInput: the ratings have no finite or no unique estimate: parts never met (they are named), one part won all
            comparisons with another, one model, or ties alone.
        NotConverged: see `strict`.

    Example:
        >>> import lleval_jax as ll
        >>> pairs = ll.Pairs.build(["a", "a", "a"], ["b", "b", "b"], [1, 1, 0])
        >>> float(np.diff(ll.pairwise.fit(pairs).params.rating)[0])  # minus the logit of 2 / 3
        -0.693...
    """
    require_ratings(pairs)
    ties = bool(pairs.counts[:, 1].any())
    with precise("float64"):
        data = Met(jnp.asarray(pairs.first), jnp.asarray(pairs.second), jnp.asarray(pairs.counts, float))
        solver, facts = Ratings(len(pairs.models), ties, max_steps), {"pairs": pairs, "max_steps": max_steps}
        found = planned.solve(solver, data, jax.random.key(0), plan=plan, name="pairwise.fit", facts=facts)
        found = jax.tree.map(np.asarray, found)
    end = ended(
        "the fit of ratings",
        Status(int(found.status)),
        int(found.steps),
        advice="raise max_steps",
        strict=strict,
        value=-float(found.value),
        error=float(found.error),
    )
    n = len(pairs.models)
    params = PairParams(
        rating=found.x[:n],
        log_tie=found.x[n:],
        covariance=found.covariance,
        met=pairs.met,
    )
    return FitResult(
        params=params,
        axes={"models": pairs.models, "opponents": pairs.models},
        ended=end,
        method="Bradley-Terry, ties after Davidson" if ties else "Bradley-Terry",
        settings={"max_steps": max_steps},
        source=pairs.source.merge(Source(cite=CITE if ties else WITHOUT_TIES)),
    )
