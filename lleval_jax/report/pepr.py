"""What each element of a prompt does, and which to take (PEPR): tables, JSON and a picture."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lleval_jax.report import style
from lleval_jax.report.style import DOT, LINE, TRUE
from lleval_jax.report.text import Table
from lleval_jax.values.logprobs import name_of
from lleval_jax.values.results import Choice, Estimate, FitResult
from lleval_jax.values.trust import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def weights(fit: FitResult, estimate: Estimate) -> Table:
    """One line an element, heaviest first, with its interval and what texts score under it alone."""
    order = np.argsort(-estimate.value, kind="stable")
    lines = [
        (
            estimate.rows[k],
            f"{estimate.value[k]:z.3f}",
            style.interval(estimate, k),
            f"{fit.params.value[k]:z.3f}",
        )
        for k in order
    ]
    title = f"weights from {_texts(fit)}, {100 * estimate.level:.4g}% intervals (method: {estimate.method})"
    explained = f"explained: {fit.params.r2[0]:.1%} of all, {fit.params.r2[1]:.1%} beyond the elements' plain mean"
    return Table(title, ("element", "weight", "interval", "alone"), tuple(lines), (explained,))


def scores(fit: FitResult, estimate: Estimate) -> Table:
    """One line a combination: predicted score, its interval, and what was observed where it was scored."""
    seen = observed(fit)
    lines = []
    for i, name in enumerate(estimate.rows):
        there = f"{seen[name][0]:z.3f}" if name in seen else "-"
        lines.append((name, f"{estimate.value[i]:z.3f}", style.interval(estimate, i), there))
    head = ("elements", "predicted", "interval", "observed")
    return Table(f"{estimate.target}, {100 * estimate.level:.4g}% intervals", head, tuple(lines))


def choice(chosen: Choice) -> Table:
    """What to take."""
    lines = [(row, " + ".join(items)) for row, items in zip(chosen.rows, chosen.items, strict=True)]
    remarks = [f"{row}: {why}" for row, why in zip(chosen.rows, chosen.why, strict=True)]
    return Table("take", ("", "elements"), tuple(lines), tuple(remarks), 2)


def content(
    fit: FitResult, chosen: Choice, weight: Estimate, score: Estimate, found: Sequence[Finding]
) -> dict[str, Any]:
    """The JSON of `lleval pepr`: the choice, the scores as `estimates`, the weights, and what was checked."""
    p, seen = fit.params, observed(fit)
    out = chosen.to_dict()
    estimates = [
        entry | {"observed": seen[entry["row"]][0] if entry["row"] in seen else None}
        for entry in score.to_dict()["estimates"]
    ]
    out |= {"target": score.target, "method": score.method, "level": score.level, "estimates": estimates}
    out["weights"] = weight.to_dict()["estimates"]
    out["fit"] = {
        "status": fit.status,
        "texts": int(np.sum(fit.params.fitted)),
        "ridge": float(p.ridge),
        "scale": float(p.scale),
        "explained": float(p.r2[0]),
        "explained_beyond_mean": float(p.r2[1]),
        "condition": float(p.condition),
        "pattern_p": float(p.pattern_p),
        "findings": [
            {"name": f.name, "severity": f.severity, "found": f.found, "advice": f.advice, "names": list(f.names)}
            for f in found
        ],
    }
    return out


def observed(fit: FitResult) -> dict[str, tuple[float, float]]:
    """Combination -> its mean score, and the probability of one so far from the predicted if the model holds."""
    p = fit.params
    return {
        name_of(member, fit.items): (float(mean), float(prob))
        for member, mean, prob in zip(p.member, p.observed, p.subset_p, strict=True)
        if np.isfinite(mean)
    }


def plot(
    fit: FitResult,
    weight: Estimate,
    best: Estimate,
    scored: Estimate,
    path: str | os.PathLike[str] | None = None,
    *,
    ax: style.Panels = None,
) -> Any:
    """Two or three panels: the weights, the best combination of each size, and predicted against observed scores.

    Args:
        fit: from `pepr.fit`.
        weight: the elements' weights.
        best: scores of the best combination of each size, one row each, smallest first.
        scored: predicted scores of the combinations that were scored; the third panel needs two of them.
        path: write the picture here (png, svg or pdf).
        ax: draw in these axes, as many as there are panels.
    """
    panels = 3 if len(scored.rows) > 1 else 2
    height = max(3.4, 1.2 + 0.3 * len(weight.rows))
    drawn = style.canvas(ax, (1 + 4.4 * panels, height), 1, panels)
    axes = drawn.panels[0]
    _weights(axes[0], weight)
    _best(axes[1], fit, best)
    if panels == 3:
        _against(axes[2], fit, scored)
    for one in axes:
        style.bare(one)
    drawn.head(f"{fit.method}: {_texts(fit)}, {100 * weight.level:.4g}% intervals", (fit.status,))
    drawn.finish(path)
    return axes


def _weights(axes: "Axes", weight: Estimate) -> None:
    """A dot and an interval for each element, heaviest on top."""
    order = np.argsort(weight.value, kind="stable")
    height = np.arange(len(order))
    axes.hlines(height, weight.low[order], weight.high[order], color=LINE, linewidth=4, capstyle="round")
    axes.plot(weight.value[order], height, "o", color=DOT, markersize=5)
    even = 1 / len(order)
    axes.axvline(even, color="0.6", linewidth=0.9, linestyle=(0, (4, 3)))
    axes.text(even, -0.55, " if all were equal", color="0.45", fontsize=8, va="bottom")
    axes.set_yticks(height, [style.plain(weight.rows[i]) for i in order], fontsize=9)
    axes.set_ylim(-0.6, len(order) - 0.4)
    most = max(1.04 * float(weight.high.max()), 2.2 * even)
    axes.set_xlim(-0.015 * most, most)
    axes.set_xlabel("weight in the full prompt")
    axes.grid(axis="x", color="0.92")
    axes.tick_params(left=False)
    axes.set_title("Weight of each element", loc="left", fontsize=10)


def _best(axes: "Axes", fit: FitResult, best: Estimate) -> None:
    """The best predicted score of each size; the full prompt as it was observed."""
    size = np.arange(1, len(best.rows) + 1)
    axes.vlines(size, best.low, best.high, color=LINE, linewidth=4, capstyle="round")
    known = best.low == best.high
    if known.any():
        said = "measured: no interval"
        axes.plot(size[known], best.value[known], "o", color=DOT, markerfacecolor="white", zorder=4, label=said)
    axes.plot(size, best.value, "o-", color=DOT, markersize=5, linewidth=1, label="predicted")
    full = observed(fit).get("full")
    if full is not None:
        axes.plot([size[-1]], [full[0]], "_", color=TRUE, markersize=15, markeredgewidth=2.2, label="observed")
    if full is not None or known.any():
        axes.legend(frameon=False, fontsize=8, loc="best")
    axes.set_xticks(size if len(size) <= 12 else size[:: -(-len(size) // 12)])
    axes.set_xlim(0.6, len(size) + 0.4)
    axes.set_xlabel("number of elements")
    axes.set_ylabel(best.target)
    axes.grid(color="0.93")
    axes.set_title("Best combination of each size", loc="left", fontsize=10)


def _against(axes: "Axes", fit: FitResult, scored: Estimate) -> None:
    """Predicted against observed; in colour those that the model does not explain."""
    seen = observed(fit)
    here = [i for i, name in enumerate(scored.rows) if name in seen]
    truth = np.array([seen[scored.rows[i]][0] for i in here])
    value, low, high = scored.value[here], scored.low[here], scored.high[here]
    off = np.array([seen[scored.rows[i]][1] < float(fit.params.false_alarm) / 2 for i in here])
    ends = [min(truth.min(), low.min()), max(truth.max(), high.max())]
    room = 0.06 * max(ends[1] - ends[0], 1e-9)
    ends = [ends[0] - room, ends[1] + room]
    axes.plot(ends, ends, color="0.6", linewidth=0.9)
    axes.vlines(truth, low, high, color=LINE, linewidth=3, capstyle="round")
    axes.plot(truth[~off], value[~off], "o", color=DOT, markersize=5)
    if off.any():
        axes.plot(truth[off], value[off], "X", color=TRUE, markersize=7, label="not explained by the weights")
        axes.legend(frameon=False, fontsize=8, loc="upper left")
    if len(here) <= 12:
        middle = sum(ends) / 2
        for x, y, i in zip(truth, value, here, strict=True):
            how = {"xytext": (7, -10), "ha": "left"} if x < middle else {"xytext": (-7, 5), "ha": "right"}
            axes.annotate(
                style.plain(scored.rows[i]), (x, y), textcoords="offset points", fontsize=8, color="0.3", **how
            )
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.locator_params(nbins=4)  # log-probabilities have long numbers
    axes.set_xlabel(f"observed {scored.target}")
    axes.set_ylabel("predicted")
    axes.grid(color="0.93")
    axes.set_title("Predicted and observed scores", loc="left", fontsize=10)


def _texts(fit: FitResult) -> str:
    return f"{int(np.sum(fit.params.fitted)):,} {'pairs' if fit.method == 'pepr-p' else 'texts'}"
