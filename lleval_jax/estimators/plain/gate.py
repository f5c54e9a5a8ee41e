"""Is a new model worse than the old by more than a margin? Yes, no, or not known yet; paired on common questions."""

import math

import numpy as np

from lleval_jax.errors import BadInput, nearest, require, require_level
from lleval_jax.estimators.plain import margin as margins
from lleval_jax.estimators.plain.paired import compare
from lleval_jax.estimators.plain.score import ALL, CLUSTERED, FINITE
from lleval_jax.estimators.plain.units import Cluster, labels
from lleval_jax.values.gate import FAIL, INCONCLUSIVE, LIKE_THESE, PASS, THESE, Gate
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Source
from lleval_jax.values.sparse import SparseResponses, as_dense

CITE = ("tango1998equivalence",)


def gate(
    responses: Responses | SparseResponses,
    *,
    new: str,
    baseline: str,
    margin: float,
    level: float = 0.95,
    cluster: Cluster = None,
    population: str | None = None,
) -> Gate:
    """Pass, fail or inconclusive: is `new` worse than `baseline` by more than `margin`?

    It passes where the lower bound of the difference is above -margin, fails where the upper bound is below. A model
    that is worse by more than the margin passes with chance 1 - level, one that is not fails with that chance, at most
    but for the approximation of the test (`bench/audit`).

    Args:
        responses: answers of both, scores in [0, 1]; k right of n repeats are a score of k / n with weight n.
        new: name of a model.
        baseline: name of another.
        margin: the largest loss that is accepted, above 0, in the scores' unit: 0.02 is two points.
        level: see above.
        cluster: as in `plain.estimate`: questions that share something do not count as independent.
        population: None: the verdict is on questions like these. "all": on these questions; what varies then are
            repeats alone, and without repeats the difference is exact.

    Returns:
        A `Gate`.

    Raises:
        BadInput: a margin that is not in (0, 1), an unknown model or word, no question in common, clusters of one
            question each, or all in one.

    Source: Tango (1998), Statistics in Medicine 17, 891; `plain.margin` has the formula, and what is done with repeats
    and clusters.

    Example:
        >>> import numpy as np
        >>> import lleval_jax as ll
        >>> right = np.arange(400) % 10 > 1
        >>> answers = ll.Responses.build(np.array([right, right]), rows=["new", "old"])
        >>> print(ll.plain.gate(answers, new="new", baseline="old", margin=0.02))
        pass: new is not worse than old by more than 2 points on questions like these.
    """
    require_margin(margin)
    require_level(level)
    require(level >= 0.5, f"level is {level:g}; a verdict needs one above 0.5, such as 0.95")
    require(population in (None, ALL), f"population {population!r} is not known; leave it out, or say {ALL!r}")
    require(new != baseline, f"two different models are needed; both are {new!r}")
    for name in (new, baseline):
        require(name in responses.rows, f"there is no model {name!r}{nearest(name, responses.rows)}")
    both = as_dense(responses.take([responses.rows.index(name) for name in (new, baseline)]))
    common = np.flatnonzero(both.seen.all(0))
    require(
        len(common) > 0,
        f"{new!r} and {baseline!r} have answered no question in common: {both.seen[0].sum():,} and "
        f"{both.seen[1].sum():,} questions, of other names.",
    )
    both = both.select([both.items[i] for i in common])
    label = _clusters(both, cluster)
    one, two = np.asarray(both.scores, float)
    found = margins.counts((one - two)[None], label, margin)
    low, high = (float(ends[0]) for ends in margins.bounds(found, level))
    if population == ALL:
        gap = compare(both, first=new, second=baseline, level=2 * level - 1, by="adjusted", population=ALL).difference
        low, high = float(gap.low[0]), float(gap.high[0])
    verdict = PASS if low > -margin else FAIL if high < -margin else INCONCLUSIVE
    if population == ALL and low == high:  # exact, also at the margin
        verdict = PASS if low >= -margin - 1e-9 else FAIL
    repeats = [float(weight.mean()) for weight in both.weight]
    more = None
    if verdict == INCONCLUSIVE:
        few = len(common) if population is None else max(repeats)
        total = (
            margins.needed(found, -margin, level)[0] if population is None else _repeats(found, low, high, margin, few)
        )
        more = max(1, math.ceil(total - few)) if total < margins.MOST * few else None
    clusters = 0 if label is None else int(label.max()) + 1
    return Gate(
        verdict=verdict,
        new=new,
        baseline=baseline,
        scores=(float(one.mean()), float(two.mean())),
        difference=float(found.mean[0]),
        low=min(low, float(found.mean[0])),
        high=max(high, float(found.mean[0])),
        margin=margin,
        level=level,
        questions=len(common),
        clusters=clusters,
        repeats=(repeats[0], repeats[1]),
        won=int((one > two).sum()),
        lost=int((one < two).sum()),
        population=LIKE_THESE if population is None else THESE,
        more=more,
        unit="questions" if population is None else "repeats of each question",
        method="score test" + ", clustered" * (label is not None) if population is None else "adjusted, repeats alone",
        source=both.source.merge(Source(cite=CITE + CLUSTERED * bool(clusters) + FINITE * (population == ALL))),
    )


def require_margin(margin: float) -> None:
    """`BadInput` for a margin that no verdict can be given for."""
    if margin > 0 and margin < 1:
        return
    why = "equal models would then never pass" if margin == 0 else "it is the largest loss that is accepted"
    hint = f"; did you mean {margin / 100:g}?" if 1 <= margin < 100 else "; name one above 0, such as 0.02"
    raise BadInput(f"the margin is {margin:g}: {why}{hint}")


def _clusters(both: Responses, cluster: Cluster) -> np.ndarray | None:
    """(questions,) cluster of each common question, numbered from 0."""
    label = labels(both, cluster)
    if label is None:
        return None
    code = np.unique(label, return_inverse=True)[1]
    require(code.max() > 0, "all common questions are of one cluster: nothing is left to learn from")
    require(
        code.max() + 1 < len(code),
        "each question is a cluster of its own, which is the same as no clusters.",
        python="Leave out cluster.",
        shell="Leave out --cluster.",
    )
    return code


def _repeats(found: margins.Counts, low: float, high: float, margin: float, few: float) -> float:
    """Repeats of each question in all that decide, with the error that falls as their square root."""
    away = abs(float(found.mean[0]) + margin)
    half = (high - low) / 2
    return few * (1.5 * half / away) ** 2 if away > 0 else math.inf  # 1.5: (1.645 + .842) / 1.645, for `POWER`
