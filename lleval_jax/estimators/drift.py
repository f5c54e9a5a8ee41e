"""Does a family of models do better on one version of a benchmark than all else foretells? A signal of contamination.

Honest models drift between versions by a point or two, far more than the sampling error of their scores, so answers
are no evidence by themselves: a test over items would flag everybody. The unit here is a family's logit score on a
version. It is foretold by a line through the other families (Marco's true-score view of a changed test), and its
residual is studentised by the spread of theirs, which is what honest drift amounts to (Cook & Weisberg 1982, 2.2).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from lleval_jax.errors import require
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Estimate

SCHEMA = "lleval/suspicion/1"
FEWEST = 5  # families that a version needs: one to look at, and four that show what honest drift is
SLOPE_FROM = 8  # families from which a version's line has a slope of its own; with fewer it is 1
LEAST_SHARED = 0.5  # share of the drift's variance that a family has in common, at least: few families can teach it
POWER = 0.8


@dataclasses.dataclass(frozen=True, eq=False)
class Suspicion:
    """Which families do better somewhere than their scores elsewhere and the others foretell.

    estimate    one entry a family and version (or version/domain): its excess, a share in [-1, 1]; intervals hold
                for all entries at once, and `low > 0` is a flag before Holm's step
    p_values    (entries,)  adjusted for all entries (Holm 1979)
    flagged     families with an entry at most `alarm`, most suspicious first
    detectable  (entries,)  excess that would be flagged about four times in five, were the spread known
    alarm       chance of any flag where all are honest
    """

    estimate: Estimate
    p_values: NDArray
    flagged: tuple[str, ...]
    detectable: NDArray
    alarm: float

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a suspicion, schema `lleval/suspicion/1`."""
        return {
            "schema": SCHEMA,
            "alarm": self.alarm,
            "flagged": list(self.flagged),
            "p_values": self.p_values.tolist(),
            "detectable": self.detectable.tolist(),
            "excess": self.estimate.to_dict(),
        }

    def __str__(self) -> str:
        who = ", ".join(self.flagged) or "nobody"
        lines = [f"flagged at {self.alarm:.0%} false alarms over all families: {who}"]
        for at in np.argsort(self.p_values, kind="stable")[:5]:
            e = self.estimate
            lines.append(
                f"{e.rows[at]} on {e.group[at]}: {100 * e.value[at]:+.1f} points "
                f"[{100 * e.low[at]:.1f}, {100 * e.high[at]:.1f}], p = {self.p_values[at]:.2g}, "
                f"{100 * self.detectable[at]:.1f} points would be seen"
            )
        return "\n".join(lines)


def suspects(
    versions: Sequence[Responses],
    families: Mapping[str, str] | Sequence[str] | None = None,
    *,
    alarm: float = 0.05,
    side: Literal["higher", "both"] = "higher",
    by: Literal["version", "domain"] = "version",
    on: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
) -> Suspicion:
    """Families whose score on some version is beyond what honest drift explains.

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
        BadInput: fewer than two versions, a model without a family, or fewer than 5 families on a version.
    """
    versions = [version.answered() for version in versions]
    require(len(versions) >= 2, f"there are {len(versions)} versions; a change needs two at least")
    require(0 < alarm < 1, f"alarm is {alarm}; it must lie strictly between 0 and 1")
    names = tuple(names or (f"version {t}" for t in range(len(versions))))
    require(len(names) == len(versions), f"there are {len(names)} names and {len(versions)} versions")
    looked = range(len(versions)) if on is None else on
    require(
        len(looked) > 0 and set(looked) <= set(range(len(versions))),
        f"on is {on}; versions are 0 to {len(versions) - 1}",
    )
    family = _families(versions, families)
    cells = [cell for t in looked for cell in _cells(versions, names, family, t, by)]
    tests = sum(len(cell.families) for cell in cells)
    sides = 1 if side == "higher" else 2
    value, scale = (np.concatenate([getattr(cell, name) for cell in cells]) for name in ("value", "scale"))
    free = np.concatenate([np.full(len(cell.value), cell.free) for cell in cells])
    t = value / scale
    p = np.asarray(stats.t.sf(t, free) if side == "higher" else 2 * stats.t.sf(np.abs(t), free))
    critical = stats.t.isf(alarm / tests / sides, free)
    adjusted = _holm(p)
    rows = tuple(name for cell in cells for name in cell.families)
    estimate = Estimate(
        target="excess over what the other families foretell",
        method="leave-family-out line on logit scores",
        rows=rows,
        group=tuple(cell.name for cell in cells for _ in cell.families),
        value=value,
        low=value - critical * scale,
        high=value + critical * scale,
        level=1 - 2 * alarm / sides,
        std_error=scale,
        n_seen=np.concatenate([cell.n_seen for cell in cells]),
        status=("ok",) * tests,
        source=versions[0].source,
    )
    order = np.argsort(p, kind="stable")
    flagged = tuple(dict.fromkeys(rows[i] for i in order if adjusted[i] <= alarm))
    return Suspicion(estimate, adjusted, flagged, (critical + stats.t.ppf(POWER, free)) * scale, alarm)


class _Cell(NamedTuple):
    """What is found on one version or domain; arrays (families,)."""

    name: str
    families: tuple[str, ...]
    value: NDArray  # excess, a share
    scale: NDArray  # standard error of the excess, a share
    free: float  # degrees of freedom
    n_seen: NDArray


def _cells(versions: Sequence[Responses], names: Sequence[str], family: Mapping[str, str], t: int, by: str) -> list:
    """The cells of version t."""
    here = versions[t]
    elsewhere = [_logits(other, np.ones(len(other.items), bool)) for u, other in enumerate(versions) if u != t]
    groups = range(len(here.groups)) if by == "domain" and len(here.groups) > 1 else [-1]
    out = []
    for g in groups:
        use = here.group == g if g >= 0 else np.ones(len(here.items), bool)
        now = _logits(here, use)
        rows = [r for r in here.rows if r in now and any(r in other for other in elsewhere)]
        name = names[t] if g < 0 else f"{names[t]}/{here.groups[g]}"
        members = np.array([family[row] for row in rows])
        kinds, at = np.unique(members, return_inverse=True)
        require(
            len(kinds) >= FEWEST,
            f"{name} has {len(kinds)} families that were seen elsewhere too; it takes {FEWEST} to tell drift from gain",
        )
        # versions differ in level: each is centred on the models that were asked everywhere
        level = [np.mean([other[r] for r in rows if all(r in o for o in elsewhere)] or [0.0]) for other in elsewhere]
        x = np.array([np.mean([o[r] - m for o, m in zip(elsewhere, level, strict=True) if r in o]) for r in rows])
        y = np.array([now[row] for row in rows])
        n_seen = np.bincount(at, [here.seen[here.rows.index(row), use].sum() for row in rows]).astype(int)
        out.append(_Cell(name, tuple(kinds.tolist()), *_excess(x, y, at), n_seen))
    return out


def _excess(x: NDArray, y: NDArray, at: NDArray) -> tuple[NDArray, NDArray, float]:
    """Excess (a share), its standard error, and the degrees of freedom of that.

    x, y  (models,)  logit score elsewhere and here
    at    (models,)  index of the model's family
    """
    size = np.bincount(at)
    mean_x, mean_y = (np.bincount(at, v) / size for v in (x, y))
    sloped = len(size) >= SLOPE_FROM
    design = np.stack([np.ones(len(size)), mean_x], 1)[:, : 1 + sloped]
    target = mean_y if sloped else mean_y - mean_x
    shared = _shared(x, y, at, design, target)
    variance = shared + (1 - shared) / size
    free = len(size) - 1 - design.shape[1]
    gap, scale = np.zeros((2, len(size)))
    for f in range(len(size)):
        rest = np.arange(len(size)) != f
        root = 1 / np.sqrt(variance[rest])
        a, b = design[rest] * root[:, None], target[rest] * root
        inverse = np.linalg.inv(a.T @ a)
        line = inverse @ (a.T @ b)
        spread = ((b - a @ line) ** 2).sum() / free
        gap[f] = target[f] - design[f] @ line
        scale[f] = np.sqrt(spread * (variance[f] + design[f] @ inverse @ design[f]))
    foretold = special.expit(y - gap[at])
    points = np.bincount(at, special.expit(y) - foretold) / size
    slope = np.bincount(at, foretold * (1 - foretold)) / size
    share = np.where(np.abs(gap) > 1e-9, points / np.where(np.abs(gap) > 1e-9, gap, 1), slope)
    return points, scale * share, float(free)


def _shared(x: NDArray, y: NDArray, at: NDArray, design: NDArray, target: NDArray) -> float:
    """Share of the drift's variance that the models of a family have in common, by moments."""
    size = np.bincount(at)
    within_free = len(x) - len(size)
    if within_free == 0:
        return 1.0
    line = np.linalg.lstsq(design, target, rcond=None)[0]
    rest = y - (line[0] + line[1] * x if len(line) > 1 else line[0] + x)
    mean = np.bincount(at, rest) / size
    own = ((rest - mean[at]) ** 2).sum() / within_free
    common = max((mean**2).sum() / (len(size) - len(line)) - own * (1 / size).mean(), 0.0)
    return float(np.clip(common / max(common + own, 1e-300), LEAST_SHARED, 1.0))


def _logits(responses: Responses, use: NDArray) -> dict[str, float]:
    """Logit score of each model with answers to the items, half a right and half a wrong one added."""
    weight = responses.seen[:, use] * responses.weight[:, use]
    right, n = (responses.scores[:, use] * weight).sum(1), weight.sum(1)
    logit = special.logit((right + 0.5) / (n + 1))
    return {row: float(v) for row, v, k in zip(responses.rows, logit, n, strict=True) if k}


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
