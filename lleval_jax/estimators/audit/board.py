"""`ll.audit`: a board from its per-question results."""

import numpy as np
from numpy.typing import NDArray

from lleval_jax.errors import require, require_level
from lleval_jax.estimators.audit import pairs, splits
from lleval_jax.estimators.plain import signs
from lleval_jax.estimators.plain.units import Cluster, labels
from lleval_jax.values.audit import Audit
from lleval_jax.values.gate import LIKE_THESE
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Source
from lleval_jax.values.sparse import SparseResponses, as_dense

CITE = ("westfall1993resampling", "romano2005exact", "mcnemar1947")
LEAST = 100  # draws


def audit(
    responses: Responses | SparseResponses,
    *,
    level: float = 0.95,
    cluster: Cluster = None,
    draws: int = 2000,
    times: int = 200,
    seed: int = 0,
) -> Audit:
    """Who is really ahead: paired tests of all pairs of models that hold at once, rank intervals, and the questions.

    All statements are about questions like these, of which those of the board are a sample. On these very questions the
    order is that of the scores.

    Args:
        responses: answers of two models or more, scores in [0, 1]; of pairs the questions count that both answered.
        level: 1 - level is the chance of separating any two models that are equally good.
        cluster: as in `plain.estimate`: questions that share something, such as a repository, are drawn together.
        draws: of random signs (`pairs`); a p value is 1 / (draws + 1) at least.
        times: random halves.
        seed: of all that is drawn.

    Returns:
        An `Audit`, models best first.

    Raises:
        BadInput: one model, models that share no question, an unknown word, clusters of one question each or all in
            one, too few draws for the level.

    Source: Westfall and Young (1993), Romano and Wolf (2005); `pairs` has the formulas.

    Example:
        >>> import numpy as np
        >>> import lleval_jax as ll
        >>> rng = np.random.default_rng(0)
        >>> right = rng.random((4, 300)) < np.array([[0.8], [0.5], [0.5], [0.2]])
        >>> found = ll.audit(ll.Responses.build(right, rows=["a", "b", "c", "d"]))
        >>> found.rows[0], [int(rank) for rank in found.best], [int(rank) for rank in found.worst]
        ('a', [1, 2, 2, 4], [1, 3, 3, 4])
    """
    require_level(level)
    require(draws >= max(LEAST, 1 / (1 - level)), f"{draws:,} draws are too few for level {level:g}; take 2,000")
    require(times >= 1, f"{times} random halves are too few; take 200")
    answers = as_dense(responses).answered()
    require(len(answers.rows) > 1, f"an audit compares models; there are answers of {len(answers.rows)}")
    kept = np.flatnonzero(answers.seen.any(0))
    label = labels(answers, cluster)
    code = np.arange(len(kept)) if label is None else np.unique(label[kept], return_inverse=True)[1]
    require(len(kept) > 1, "an audit needs two questions or more")
    require(
        label is None or code.max() + 1 < len(code),
        "each question is a cluster of its own, which is the same as no clusters.",
        python="Leave out cluster.",
        shell="Leave out --by.",
    )
    scores, seen = np.asarray(answers.scores[:, kept], float), np.asarray(answers.seen[:, kept], bool)
    value = scores.sum(1) / seen.sum(1)
    order = np.argsort(-value, kind="stable")
    board = pairs.Board(scores[order], seen[order], code)
    rng = np.random.default_rng(seed)
    found = pairs.gaps(board)
    _require_common(found.common, [answers.rows[i] for i in order])
    p, alone, largest = pairs.p_values(board, found, draws, rng)
    if label is None and np.isin(board.scores, (0, 1)).all():
        alone = _exact(board)
    above = (p <= 1 - level + 1e-12) & (found.mean > 0)
    items = tuple(answers.items[i] for i in kept)
    tied = p[0] > 1 - level + 1e-12
    tied[0] = True
    return Audit(
        rows=tuple(answers.rows[i] for i in order),
        items=items,
        score=value[order],
        n_seen=seen.sum(1)[order],
        best=1 + above.sum(0),
        worst=len(order) - above.sum(1),
        tier=_tiers(p <= 1 - level + 1e-12),
        p=p,
        p_alone=alone,
        error=found.error,
        critical=float(np.quantile(largest, level, method="higher")),
        level=level,
        clusters=0 if label is None else board.clusters,
        population=LIKE_THESE,
        splits=splits.splits(board, times, rng),
        reliability=splits.reliability(board),
        share=splits.shares(board),
        solved=board.scores.sum(0) / board.seen.sum(0),
        constant=_alike(board.scores, board.seen),
        contested=~_alike(board.scores[tied], board.seen[tied]),
        copies=_copies(board, [answers.rows[i] for i in order]),
        source=answers.source.merge(Source(seed=seed, cite=CITE)),
    )


def _require_common(common: NDArray, rows: list[str]) -> None:
    """All models share questions with another; no model with none."""
    others = common - np.diag(np.diag(common))
    lonely = [rows[i] for i in np.flatnonzero(others.max(1) == 0)]
    such = f", such as {lonely[0]!r}" if lonely else ""
    require(not lonely, f"{len(lonely)} of {len(rows)} models share no question with another{such}; leave them out")


def _exact(board: pairs.Board) -> NDArray:
    """(models, models) McNemar's exact p value of right or wrong answers."""
    wrong = board.seen - board.scores
    won = np.rint(board.scores @ wrong.T).astype(int)
    return signs.exact(won, won.T)


def _tiers(separated: NDArray) -> NDArray:
    """(models,) tiers from 1: each begins with the first model that is separated from the first of the one before."""
    tier, leader = np.ones(len(separated), int), 0
    for i in range(1, len(separated)):
        if separated[leader, i]:
            leader = i
        tier[i] = tier[i - 1] + (leader == i)
    return tier


def _alike(scores: NDArray, seen: NDArray) -> NDArray:
    """(questions,) whether all that answered have the same score."""
    high, low = np.where(seen, scores, -1).max(0), np.where(seen, scores, 2).min(0)
    return high <= low + 1e-9


def _copies(board: pairs.Board, rows: list[str]) -> tuple[tuple[str, ...], ...]:
    """Sets of near-copies, of right or wrong answers."""
    from lleval_jax.estimators.irt import copies  # its package loads JAX, which nothing else here needs

    found = copies.find(board.scores.astype(np.float32), board.seen)
    return tuple(tuple(rows[i] for i in cluster) for cluster in found.clusters)
