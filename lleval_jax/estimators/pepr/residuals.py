"""What the residuals of a fit of PEPR say: of its fit, of patterns, and of combinations that were scored."""

import numpy as np

from lleval_jax.estimators.pepr import linearity
from lleval_jax.estimators.pepr.search import Found, logits, pieces
from lleval_jax.layout.texts import Scored
from lleval_jax.values.logprobs import LogProbs


def pattern_p(scored: Scored, found: Found, seed: int, draws: int) -> float:
    """Probability of a pattern like that in the residuals if the weighted mean holds (`linearity.pattern`)."""
    table, use, rng = scored.table, scored.table.fitted > 0, np.random.default_rng(seed)
    columns = found.scale * table.columns[use] @ linearity.sum_zero(len(found.weight))
    fitted = scored.sides[:, use] @ found.weight
    extra = linearity.quadratics(scored.sides[:, use], scored.level[use], fitted)
    if scored.kind == "texts":
        residual = found.freed.after
        sign = rng.choice([-1.0, 1.0], (draws, len(residual)))
        return linearity.pattern(columns, extra, residual, sign * residual / np.sqrt(1 - found.freed.leverage))
    if found.free_scale:
        columns = np.column_stack([columns, logits(table, found.weight, found.scale)[use]])
    _, residual, curvature = pieces(scored.kind, table, found.weight, found.scale)
    root = np.sqrt(np.maximum(curvature[use], 1e-12))
    again = (rng.random((draws, len(root))) >= residual[use]) - (1 - residual[use])
    by_text = root[:, None]
    return linearity.pattern(columns * by_text, extra * by_text, residual[use] / root, again / root)


def subset_p(data: LogProbs, scored: Scored, found: Found) -> np.ndarray:
    """(subsets,) `linearity.subset_p` of each combination but the one that was fitted, times how many there are."""
    expand, freed = scored.expand, found.freed
    of_elements = freed._replace(weight=expand @ freed.weight, influence=freed.influence @ expand.T)
    out = np.ones(len(data.member))
    for s, members in enumerate(data.member):
        share = scored.share * data.seen[:, s]
        fitted = members.all() and not data.pairs
        if members.sum() > 1 and not fitted and (share > 0).sum() > 1:
            observed = np.where(data.seen[:, s], scored.joint[:, s], 0)
            out[s] = linearity.subset_p(observed, scored.each, share, of_elements, members, found.df)
    return np.minimum(out * max(1, (out < 1).sum()), 1)


def explained(scored: Scored, found: Found) -> np.ndarray:
    """(2,) share of variance that is explained, of pairs of the log loss: of all, and of what plain means leave."""
    table, use = scored.table, scored.table.fitted > 0
    k = table.columns.shape[1]
    plain = pieces(scored.kind, table, np.full(k, 1 / k), found.scale)[0][use].sum()
    whole = use.sum() * np.log(2)
    if scored.kind == "texts":
        full = (table.target + scored.level)[use]
        whole = ((full - full.mean()) ** 2).sum()
    left = found.loss.sum()
    return np.array([1 - left / base if base > 0 else 1.0 for base in (whole, plain)])


def loglik(scored: Scored, found: Found) -> float:
    """Log likelihood reached: of pairs, or with normal errors of the variance found."""
    if scored.kind == "pairs":
        return -float(found.loss.sum())
    return -0.5 * len(found.loss) * float(np.log(2 * np.pi * max(found.loss.mean(), 1e-300)) + 1)
