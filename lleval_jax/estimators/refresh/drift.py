"""Does a family of models do better on one version of a benchmark than all else predicts? A signal of contamination.

Honest models drift between versions by a point or two, far more than the sampling error of their scores, so answers
are no evidence by themselves: a test over items would flag all. The unit here is a family's logit score on a
version. It is predicted by a line through the other families (Marco's true-score view of a changed test), and its
residual is studentised by the spread of theirs, which is what honest drift amounts to (Cook & Weisberg 1982, 2.2).

Whether honest drift is alike in logits or in points decides how much of it a very good or poor model is granted, and a
few dozen scores cannot tell. Both are tested, and the less certain counts: false alarms hold under either law.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from lleval_jax.core.linalg import two_way
from lleval_jax.errors import require, require_known
from lleval_jax.values.findings import Suspicion
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Estimate, Source

FEWEST = 5  # families that a version needs: one to look at, and four that show what honest drift is
SLOPE_FROM = 8  # families from which a version's line has a slope of its own; with fewer it is 1
LAWS = 0.0, 1.0  # honest drift is alike in logits, in points: powers of 1 / (p (1 - p)) that its logits go with
LEAST_SHARED = 0.5  # share of the drift's variance that a family has in common, at least: few families can teach it
POWER = 0.8


def suspects(
    versions: Sequence[Responses],
    *,
    families: Mapping[str, str] | Sequence[str] | None = None,
    alarm: float = 0.05,
    side: Literal["higher", "both"] = "higher",
    by: Literal["version", "domain"] = "version",
    on: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
) -> Suspicion:
    """Families whose score on some version is beyond what honest drift explains.

    In simulated worlds (bench/refresh/README.md) false alarms hold where drift is alike in logits or in points.
    A gain of 6 points by 2 of 17 models that drift by 1.2 is flagged in 83% (logits) or 76% (points) of them where the
    version is named (`on`), in only 50 to 60% where all of four versions are looked at: no flag is no proof of honesty.

    Args:
        versions: answers to each version, or to parts of one (old public items and new ones); at least two. A model
            counts where it has answers on a version and on another one.
        families: family of each model, by name, or in the order of the first version's rows; by default each model
            is a family of its own.
        alarm: chance of any flag, over all families and versions, where all are honest.
        side: "higher" looks for gains, which is what contamination makes; "both" for losses as well.
        by: compare whole versions, or each domain of each version with the other versions.
        on: positions of the versions that are looked at, such as the old public ones; all by default. Fewer looks
            leave each a larger share of the alarm.
        names: of the versions; "version 0", ... by default.

    Raises:
        BadInput: fewer than two versions, a name or a position that stands twice, an unknown word, a model without a
            family, or fewer than 5 families on a version.
    """
    require(len(versions) >= 2, f"there are {len(versions)} versions; a change needs two at least")
    require(0 < alarm < 1, f"alarm is {alarm}; it must lie strictly between 0 and 1")
    require_known(side, ("higher", "both"), "side")
    require_known(by, ("version", "domain"), "by")
    names = tuple(names or (f"version {t}" for t in range(len(versions))))
    require(len(names) == len(versions), f"there are {len(names)} names and {len(versions)} versions")
    require(len(set(names)) == len(names), f"versions need names of their own; these are {', '.join(names)}")
    looked = range(len(versions)) if on is None else on
    require(
        len(looked) > 0 and set(looked) <= set(range(len(versions))),
        f"on is {on}; versions are 0 to {len(versions) - 1}",
    )
    require(len(set(looked)) == len(looked), f"on is {on}; each version is looked at once")
    family = _families(versions, families)
    cells = _cells(versions, names, family, looked, by)
    source = functools.reduce(Source.merge, (version.source for version in versions))
    return _suspicion(cells, alarm, 1 if side == "higher" else 2, source)


class _Cell(NamedTuple):
    """The excess on one version or domain."""

    name: str
    families: tuple[str, ...]
    value: NDArray  # (laws, families) excess, a share
    scale: NDArray  # (laws, families) standard error of the excess, a share
    free: float  # degrees of freedom
    n_seen: NDArray  # (families,)


def _suspicion(cells: Sequence[_Cell], alarm: float, sides: int, source: Source) -> Suspicion:
    """All cells tested, one-sided or on both sides, and who is flagged."""
    tests = sum(len(cell.families) for cell in cells)
    value, scale = (np.concatenate([getattr(cell, name) for cell in cells], 1) for name in ("value", "scale"))
    free = np.concatenate([np.full(len(cell.families), cell.free) for cell in cells])
    t = value / np.maximum(scale, 1e-12)
    more, less = (np.asarray(tail(t, free)).max(0) for tail in (stats.t.sf, stats.t.cdf))
    p = more if sides == 1 else np.minimum(1, 2 * np.minimum(more, less))
    critical = stats.t.isf(alarm / tests / sides, free)
    adjusted = _holm(p)
    rows = tuple(name for cell in cells for name in cell.families)
    estimate = Estimate(
        target="excess over what the other families predict",
        method="leave-family-out line on logit scores",
        rows=rows,
        group=tuple(cell.name for cell in cells for _ in cell.families),
        value=value.mean(0),
        low=(value - critical * scale).min(0),
        high=(value + critical * scale).max(0),
        level=1 - 2 * alarm / sides,
        std_error=scale.max(0),
        n_seen=np.concatenate([cell.n_seen for cell in cells]),
        status=("ok",) * tests,
        source=source,
    )
    order = np.argsort(p, kind="stable")
    flagged = tuple(dict.fromkeys(rows[i] for i in order if adjusted[i] <= alarm))
    return Suspicion(estimate, adjusted, flagged, (critical + stats.t.ppf(POWER, free)) * scale.max(0), alarm)


def _cells(
    versions: Sequence[Responses], names: Sequence[str], family: Mapping[str, str], looked: Sequence[int], by: str
) -> list[_Cell]:
    """The cells of the versions that are looked at."""
    models, out = tuple(family), []
    logit, noise = np.stack([_logits(v, models, np.ones(len(v.items), bool)) for v in versions], 1)
    seen = np.isfinite(logit)
    _, level = two_way.main_effects(np.where(seen, logit, 0).T, seen.T.astype(float))  # how easy each version is
    logit = logit - level[:, None]
    for t in looked:
        version, others = versions[t], np.arange(len(versions)) != t
        groups = range(len(version.groups)) if by == "domain" and len(version.groups) > 1 else [-1]
        count = seen[others].sum(0)
        for g in groups:
            use = version.group == g if g >= 0 else np.ones(len(version.items), bool)
            y, noise_y = _logits(version, models, use)
            at = np.flatnonzero(np.isfinite(y) & (count > 0))
            name = names[t] if g < 0 else f"{names[t]}/{version.groups[g]}"
            kinds, member = np.unique(np.array([family[models[i]] for i in at]), return_inverse=True)
            require(
                len(kinds) >= FEWEST,
                f"{name} has {len(kinds)} families that were seen elsewhere too; "
                f"it takes {FEWEST} to tell drift from gain",
            )
            x = np.nanmean(logit[others][:, at], 0)
            error = noise_y[at] + np.nansum(noise[others][:, at], 0) / count[at] ** 2
            place = {row: i for i, row in enumerate(version.rows)}
            answers = version.seen[[place[models[i]] for i in at]][:, use].sum(1)
            n_seen = np.bincount(member, answers).astype(int)
            out.append(_Cell(name, tuple(kinds.tolist()), *_excess(x, y[at], member, 1 / count[at], error), n_seen))
    return out


def _excess(x: NDArray, y: NDArray, at: NDArray, elsewhere: NDArray, noise: NDArray) -> tuple[NDArray, NDArray, float]:
    """Excess (a share) and its standard error, (laws, families), and the degrees of freedom of that.

    Externally studentised residuals of a line by weighted least squares; a family whose sampling error is larger than
    the others' is granted the difference.

    x, y       (models,)  logit score on the other versions, and on this one
    at         (models,)  index of the model's family
    elsewhere  (models,)  variance of its drift in x, that in y being 1
    noise      (models,)  sampling variance of y - x
    """
    size = np.bincount(at)

    def mean(of_models: NDArray) -> NDArray:
        return np.bincount(at, of_models) / size

    mean_x, mean_y = mean(x), mean(y)
    sloped = len(size) >= SLOPE_FROM and np.sort(np.abs(mean_x - np.median(mean_x)))[-2] > 1e-6
    design = np.stack([np.ones(len(size)), mean_x], 1)[:, : 1 + sloped]
    target = mean_y if sloped else mean_y - mean_x
    free = len(size) - 1 - design.shape[1]
    line = np.linalg.lstsq(design, target, rcond=None)[0]
    there = line[0] + (line[1] if sloped else 1) * x
    value, scale = np.zeros((2, len(LAWS), len(size)))
    for law, power in enumerate(LAWS):
        unit = np.exp(-power * (special.log_expit(there) + special.log_expit(-there)))
        shared = _shared((y - there) / unit, at, len(line))
        variance = mean(unit) ** 2 * (shared + (1 - shared) / size) * (1 + mean(elsewhere))
        root = np.sqrt(variance)
        a, b = design / root[:, None], target / root
        inverse = np.linalg.inv(a.T @ a)
        rest, left = b - a @ inverse @ (a.T @ b), 1 - np.einsum("fi,ij,fj->f", a, inverse, a)
        spread = np.maximum((rest**2).sum() - rest**2 / left, 0) / free
        own = mean(noise) / size / variance
        own = np.maximum(own - (own.sum() - own) / (len(size) - 1), 0)
        gap = root * rest / left
        predicted = special.expit(y - gap[at])
        value[law] = mean(special.expit(y) - predicted)
        small = np.abs(gap) < 1e-9
        slope = np.where(small, mean(predicted * (1 - predicted)), value[law] / np.where(small, 1, gap))
        scale[law] = slope * root * np.sqrt(spread / left + own)
    return value, scale, float(free)


def _shared(rest: NDArray, at: NDArray, columns: int) -> float:
    """Share of the drift's variance that the models of a family have in common, by moments of residuals (models,)."""
    size = np.bincount(at)
    within_free = len(rest) - len(size)
    if within_free == 0:
        return 1.0
    mean = np.bincount(at, rest) / size
    own = ((rest - mean[at]) ** 2).sum() / within_free
    common = max((mean**2).sum() / (len(size) - columns) - own * (1 / size).mean(), 0.0)
    return float(np.clip(common / max(common + own, 1e-300), LEAST_SHARED, 1.0))


def _logits(responses: Responses, models: Sequence[str], use: NDArray) -> NDArray:
    """Logit score of each model on the items, and its sampling variance, (2, models); NaN where it has no answers.

    Half a right and half a wrong answer are added.
    """
    weight = responses.seen[:, use] * responses.weight[:, use].astype(float)
    right, n = (responses.scores[:, use] * weight).sum(1), weight.sum(1)
    p = (right + 0.5) / (n + 1)
    scored = np.where(n > 0, [special.logit(p), 1 / ((n + 1) * p * (1 - p))], np.nan)
    place = {row: i for i, row in enumerate(responses.rows)}
    return np.stack([scored[:, place[m]] if m in place else np.full(2, np.nan) for m in models], 1)


def _families(versions: Sequence[Responses], families: Mapping[str, str] | Sequence[str] | None) -> dict[str, str]:
    """Family of every model."""
    rows = tuple(dict.fromkeys(row for version in versions for row in version.rows))
    if families is None:
        return {row: row for row in rows}
    if not isinstance(families, Mapping):
        first = versions[0].rows
        require(len(families) == len(first), f"there are {len(families)} families for {len(first)} rows")
        families = dict(zip(first, families, strict=True)) | {row: row for row in rows if row not in set(first)}
    missing = [row for row in rows if row not in families]
    require(not missing, f"{len(missing)} models have no family, such as {missing[:3]}")
    return {row: families[row] for row in rows}


def _holm(p: NDArray) -> NDArray:
    """Holm's (1979) adjusted p-values."""
    order = np.argsort(p, kind="stable")
    out = np.empty(len(p))
    out[order] = np.minimum(1, np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))))
    return out
