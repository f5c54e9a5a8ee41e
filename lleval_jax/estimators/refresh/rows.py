"""Do rows mean the same models in all versions of a benchmark? Exchanged rows, strangers, constant blocks, copies.

Versions rarely share items, so a model is known by its fingerprint: with whom it agrees. The pattern of a version is
the correlation matrix of its rows' answers after each item's mean is taken off (the residuals of Yen's Q3, 1984, over
rows). Names are right if the patterns of two versions lie over each other; which rows lie where is a quadratic
assignment (Koopmans & Beckmann 1957). Where versions share items the answers themselves are compared.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from lleval_jax.errors import require
from lleval_jax.estimators.refresh import blocks
from lleval_jax.values.findings import KINDS, RowCheck, RowFinding, Skipped
from lleval_jax.values.responses import Responses

FEWEST = 5  # common rows below which a pattern tells nobody apart
SHARED = 20  # common items from which the answers themselves are compared
TEMPER = 0.5  # power of the likelihood ratio: the noise of a pattern is not quite normal, nor known
DOUBT = 0.01  # chance above which an exchange is not believed when strangers, or others it may be, are looked for
FITS = 0.5  # correlation with its old pattern from which a row is the same model, however much it moved


def check(versions: Sequence[Responses], *, alarm: float = 0.05) -> RowCheck:
    """Look for rows that are not what their names say.

    Each version is compared with the next on the rows that both have: with 20 common items or more by the answers to
    these, else by the patterns of 5 rows or more. Versions with less in common are named in `skipped`.

    Four kinds are looked for, each with a quarter of `alarm` shared out (Bonferroni) over all rows, pairs and versions:

    * exchanged: the answers under one name fit another name of the version before;
    * fits no row: a row whose agreement with the others changes far more than theirs, to something uncorrelated;
    * constant block: a row that is all wrong or all right on a scenario or a stretch of items where it ought not to be;
    * same answers: two names with one row of answers.

    Args:
        versions: answers to each version, oldest first; items may differ. One alone is checked for blocks and copies.
        alarm: chance of any finding where all rows are sound.

    Raises:
        BadInput: no versions, fewer than 3 rows in one, or an alarm that is no probability.
    """
    versions = [_as_numbers(version.answered()) for version in versions]
    require(len(versions) > 0, "there are no versions to check")
    require(0 < alarm < 1, f"alarm is {alarm}; it must lie strictly between 0 and 1")
    for t, version in enumerate(versions):
        require(len(version.rows) >= 3, f"version {t} has {len(version.rows)} rows; it takes 3 models to compare")
    findings: list[RowFinding] = []
    skipped: list[Skipped] = []
    for t, version in enumerate(versions):
        findings += _within(t, version)
    for t, (old, new) in enumerate(itertools.pairwise(versions)):
        compared = _compared(t, old, new)
        if isinstance(compared, Skipped):
            skipped.append(compared)
        else:
            findings += compared
    share = len(KINDS) * np.array([max(1, len(versions) - 1)] * 2 + [len(versions)] * 2)
    factor: dict[str, float] = dict(zip(KINDS, share.tolist(), strict=True))
    findings = [dataclasses.replace(one, p_value=min(1.0, factor[one.kind] * one.p_value)) for one in findings]
    kept = sorted(
        (o for o in findings if o.p_value <= alarm), key=lambda o: (KINDS.index(o.kind), o.versions, o.p_value)
    )
    return RowCheck(tuple(kept), alarm, tuple(len(version.rows) for version in versions), tuple(skipped))


def pattern(responses: Responses) -> NDArray:
    """(rows, rows) correlation of the rows' answers after each item's mean is taken off; zero on the diagonal."""
    seen = responses.seen.astype(float)
    scores = responses.scores * seen
    mean = scores.sum(0) / np.maximum(seen.sum(0), 1)
    rest = seen * (scores - mean[None, :])
    level = rest.sum(1) / np.maximum(seen.sum(1), 1)
    rest = seen * (rest - level[:, None])
    scale = (rest**2) @ seen.T
    correlation = (rest @ rest.T) / np.sqrt(np.maximum(scale * scale.T, 1e-12))
    np.fill_diagonal(correlation, 0)
    return correlation


def align(old: NDArray, new: NDArray) -> NDArray[np.int64]:
    """(rows,) which old row each new row is: the likeliest arrangement, names as they are being likelier beforehand.

    Each number of misnamed rows is as likely as any, so an arrangement that moves some has to fit better by the
    logarithm of how many there are. Exchanges of two rows, or undone cycles, until none helps, from three starts: the
    names as they are, the relaxed assignment (Vogelstein et al. 2015), and rows matched by their sorted agreements.
    """
    n = len(old)
    off = ~np.eye(n, dtype=bool)
    a, b = (np.where(off, x - x[off].mean(), 0) for x in (new, old))
    ranked = [np.sort(x[off].reshape(n, n - 1), 1) for x in (a, b)]
    cost = ((ranked[0][:, None] - ranked[1][None, :]) ** 2).sum(2)
    # Nothing is drawn; without an `rng`, SciPy 1.15 to 1.17 warns callers who have called np.random.seed.
    rng = np.random.default_rng(0)
    starts = (
        np.arange(n),
        optimize.quadratic_assignment(a, b, method="faq", options={"maximize": True, "rng": rng}).col_ind,
        optimize.linear_sum_assignment(cost)[1],
    )
    return max((_climb(a, b, start) for start in starts), key=lambda end: end[0])[1]


def _climb(new: NDArray, old: NDArray, at: NDArray) -> tuple[float, NDArray]:
    """(how likely, arrangement) at the top of the hill on which `at` lies."""
    n = len(at)
    pairs = np.stack(np.triu_indices(n, 1), 1)

    def likely(at: NDArray) -> float:
        misfit = ((new - old[np.ix_(at, at)]) ** 2).sum()
        return -n * (n - 1) / 4 * float(np.log(misfit + 1e-12)) - _arrangements(n, int((at != np.arange(n)).sum()))

    best = likely(at)
    while True:
        trials = [_exchanged(at, i, j) for i, j in pairs] + [_undone(at, cycle) for cycle in _cycles(at)]
        values = [likely(trial) for trial in trials]
        top = int(np.argmax(values))
        if values[top] <= best + 1e-9:
            return best, at
        best, at = values[top], trials[top]


def _arrangements(n: int, moved: int) -> float:
    """Log of how many arrangements of n rows move that many: choices of rows times derangements."""
    if moved == 0:
        return 0.0
    return float(special.gammaln(n + 1) - special.gammaln(n - moved + 1)) - (1.0 if moved > 2 else float(np.log(2)))


def _exchanged(at: NDArray, i: int, j: int) -> NDArray:
    out = at.copy()
    out[[i, j]] = at[[j, i]]
    return out


def _undone(at: NDArray, cycle: list[int]) -> NDArray:
    out = at.copy()
    out[cycle] = cycle
    return out


def _cycles(at: NDArray) -> list[list[int]]:
    """The rows that changed places among each other."""
    left, out = {int(i) for i in np.flatnonzero(at != np.arange(len(at)))}, []
    while left:
        cycle = [min(left)]
        while at[cycle[-1]] != cycle[0]:
            cycle.append(int(at[cycle[-1]]))
        left -= set(cycle)
        out.append(cycle)
    return out


def _as_numbers(version: Responses) -> Responses:
    """The same with scores that can be subtracted, which truth values and unsigned numbers cannot."""
    return dataclasses.replace(version, scores=version.scores.astype(np.float32))


def _within(t: int, version: Responses) -> list[RowFinding]:
    """Constant blocks and copies in one version, p-values not yet shared over versions."""
    findings = []
    for one in blocks.blocks(version):
        row, n = version.rows[one.row], len(one.items)
        where = f"from {version.items[one.items[0]]!r} to {version.items[one.items[-1]]!r}"
        text = f"version {t}: {row!r} scores {one.value} on {n} items in a row, {where}"
        findings.append(RowFinding("constant block", (row,), (t,), one.p, text))
    for i, j, p in blocks.copies(version):
        pair = version.rows[i], version.rows[j]
        text = f"version {t}: {pair[0]!r} has the answers of {pair[1]!r}"
        findings.append(RowFinding("same answers", pair, (t,), p, text))
    return findings


def _compared(t: int, old: Responses, new: Responses) -> list[RowFinding] | Skipped:
    """Exchanges and strangers between two versions, p-values not yet shared over versions."""
    old_rows, old_items = set(old.rows), set(old.items)
    rows = [row for row in new.rows if row in old_rows]
    items = [item for item in new.items if item in old_items]
    a, b = (v.take([v.rows.index(row) for row in rows]) for v in (old, new))
    if len(rows) >= 2 and len(items) >= SHARED:
        fits = _by_answers(a.select(items), b.select(items))
    elif len(rows) >= FEWEST:
        fits = _by_pattern(pattern(a), pattern(b))
    else:
        takes = f"it takes {FEWEST} models, or 2 and {SHARED} items"
        text = f"{len(rows)} models and {len(items)} items in common ({takes}): not compared with version {t}"
        return Skipped((t, t + 1), tuple(rows), len(items), f"version {t + 1}: {text}")
    return [
        RowFinding(
            kind="exchanged" if j >= 0 else "fits no row",
            rows=(rows[i], rows[j]) if j >= 0 else (rows[i],),
            versions=(t, t + 1),
            p_value=p,
            found=f"version {t + 1}: the answers of {rows[i]!r} "
            + (f"are those of {rows[j]!r} in version {t}" if j >= 0 else f"fit no row of version {t}"),
        )
        for i, j, p in fits
    ]


def _by_answers(old: Responses, new: Responses) -> Iterator[tuple[int, int, float]]:
    """(row, the row it fits, p) from items in both versions: two sign tests of which the less certain counts.

    Whom does row i side with where old rows i and j differ? With j, if it is j; but a weak model that is asked again
    sides with a strong one too, by what both get right. And do i and j differ the same way as before, where they
    differ at all? If named right they do at least as often as not, however noisy their answers are.
    """
    n = len(old.rows)
    for i in range(n):
        use = new.seen[i] & old.seen & old.seen[i]
        gap = np.abs(new.scores[i] - old.scores)
        nearer = _sign((gap[i] - gap) * use)
        use = use & new.seen
        turned = _sign((old.scores[i] - old.scores) * (new.scores - new.scores[i]) * use)
        p = n * (n - 1) / 2 * np.maximum(nearer, turned)
        apart = (gap * use).sum(1) / np.maximum(use.sum(1), 1)
        j = int(np.where(p <= DOUBT, apart, 1 + p).argmin())  # of rows that changed places in a ring, the one it is
        yield i, j, float(p[j])


def _sign(gain: NDArray) -> NDArray:
    """(rows,) chance of so many items above zero, of those that are not zero."""
    more, less = (gain > 0).sum(1), (gain < 0).sum(1)
    return np.where(more > less, stats.binom.sf(more - 1, more + less, 0.5), 1.0)


def _by_pattern(old: NDArray, new: NDArray) -> Iterator[tuple[int, int, float]]:
    """(row, the row it fits or -1, p) from the patterns of two versions.

    Two tests, of which the less certain counts. The rows that changed places among each other: the likelihood ratio
    against their names, whose inverse bounds the chance (Ville), times how many arrangements there are. And a row i
    laid on the old row j: were the two new rows that lie on j and i alike, the differences of their patterns would be
    noise, uncorrelated with the difference of the old rows j and i; rightly named, correlated the other way.
    """
    n = len(old)
    at = align(old, new)
    gap = new - old[np.ix_(at, at)]
    alike = _alike(old[np.ix_(at, at)], new) * n * (n - 1) / 2
    cells = _freedom(gap) * (n - 1) / 4
    believed = at
    for cycle in _cycles(at):
        back = _undone(at, cycle)
        gain = np.log(((new - old[np.ix_(back, back)]) ** 2).sum() + 1e-12) - np.log((gap**2).sum() + 1e-12)
        chance = np.exp(min(_arrangements(n, len(cycle)) - TEMPER * (cells - 1) * gain, 0.0))
        for i in cycle:
            yield i, int(at[i]), float(max(alike[i, np.flatnonzero(at == i)[0]], chance))
        believed = believed if chance < DOUBT else _undone(believed, cycle)
    there = old[np.ix_(believed, believed)]
    fits = [np.corrcoef(np.delete(new[i], i), np.delete(there[i], i))[0, 1] for i in range(n)]
    for i, one in enumerate(_strangers(new - there)):
        yield i, -1, n * one if fits[i] < FITS else 1.0


def _alike(old: NDArray, new: NDArray) -> NDArray:
    """(rows, rows) chance of so high a correlation of old and new difference of two rows, were the rows alike.

    The correlation runs over the other rows, each in units of its own noise. The variance of the noise is pooled
    over pairs as far as pairs have one variance (Smyth 2004), and counts its effective degrees of freedom.
    """
    n = len(old)
    gap = new - old
    noise = np.sqrt(np.median(gap[~np.eye(n, dtype=bool)].reshape(n, n - 1) ** 2, 1)) + 1e-9
    free = _freedom(gap / noise[None, :]) - 1
    i, m = np.triu_indices(n, 1)
    k = np.arange(n)[None, :]
    use = ((k != i[:, None]) & (k != m[:, None])) / noise[None, :]
    a, b = ((x[i] - x[m]) * use for x in (old, new))
    length = np.sqrt((a**2).sum(1)) + 1e-12
    along = (a * b).sum(1) / length
    variance = np.maximum((b**2).sum(1) - along**2, 0) / (n - 3) + 1e-12
    prior, prior_free = _pooled(variance, free)
    variance = (prior_free * prior + free * variance) / (prior_free + free)
    out = np.ones((n, n))
    out[i, m] = out[m, i] = stats.t.sf(along / np.sqrt(variance), free + prior_free)
    return out


def _pooled(variance: NDArray, free: float) -> tuple[float, float]:
    """Centre and degrees of freedom of the scaled inverse chi-squared law of variances (Smyth 2004, section 6.2)."""
    logs = np.log(variance)
    excess = logs.var(ddof=1) - special.polygamma(1, free / 2)
    most = 2 * free
    if excess <= special.polygamma(1, most / 2):
        prior_free = most
    else:
        prior_free = 2 * optimize.brentq(lambda x: special.polygamma(1, x) - excess, 1e-3, most)
    digamma = special.digamma(prior_free / 2) - np.log(prior_free / 2) - special.digamma(free / 2) + np.log(free / 2)
    return float(np.exp(logs.mean() + digamma)), float(prior_free)


def _freedom(gap: NDArray) -> float:
    """Effective degrees of freedom of a row of noise, (tr S)^2 / tr S^2 (Satterthwaite), from (rows, rows) noise.

    The square of S is freed of its bias (Himeno & Yamada 2014, for a mean of zero).
    """
    n = len(gap)
    gram = gap @ gap.T
    trace = np.trace(gram) / n
    square = ((gram**2).sum() - (np.diag(gram) ** 2).sum()) / (n * (n - 1))
    return float(np.clip(trace**2 / max(square, 1e-300), 2, n - 2))


def _strangers(gap: NDArray) -> NDArray:
    """(rows,) p that a row's pattern moved like the others': a t test of its log mean square.

    The others are measured without that row, whose strangeness they share.
    """
    n = len(gap)
    total = (gap**2).sum(1)
    own = np.log(total / (n - 1) + 1e-12)
    rest = np.log((total[None, :] - gap**2) / (n - 2) + 1e-12)  # of each column, without each row
    rest = rest[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    t = (own - rest.mean(1)) / (rest.std(1, ddof=1) * np.sqrt(1 + 1 / (n - 1)) + 1e-12)
    return stats.t.sf(t, n - 2)
