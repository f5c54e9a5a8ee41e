"""Results as pictures. Needs the extra `plot`: pip install "lleval-jax[plot]"."""

import os
from importlib import util
from typing import TYPE_CHECKING, Any

import numpy as np

from lleval_jax.errors import require
from lleval_jax.report import style
from lleval_jax.report.style import DOT, LINE, TRUE
from lleval_jax.report.text import Truth
from lleval_jax.values.responses import WHOLE
from lleval_jax.values.results import Estimate, FitResult
from lleval_jax.values.trust import Examination, Guard

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = {  # flag -> colour and marker
    "key likely wrong": (TRUE, "X"),
    "negative slope": (style.AMBER, "v"),
    "depends on another item": (style.PURPLE, "s"),
    "differs between families": (style.GREEN, "D"),
    "curve does not fit": (style.GREY, "^"),
}


def forest(
    estimate: Estimate,
    truth: Truth | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    group: str = WHOLE,
) -> "Axes":
    """A dot and an interval for each row, best on top; a tick where the truth is known.

    Args:
        estimate: what to show.
        truth: (row, group) -> known score.
        path: write the picture here (png, svg or pdf).
        group: the part of the benchmark to show.
    """
    import matplotlib.pyplot as plt  # an extra, and slow to load

    here = np.array([i for i, found in enumerate(estimate.group) if found == group], int)
    here = here[np.argsort(estimate.value[here], kind="stable")]
    height = np.arange(len(here))
    figure, axes = plt.subplots(figsize=(6.4, 1.1 + 0.27 * len(here)), layout="constrained")
    axes.hlines(height, estimate.low[here], estimate.high[here], color=LINE, linewidth=3, capstyle="round")
    axes.plot(estimate.value[here], height, "o", color=DOT, markersize=5, label="estimate and interval")
    if truth is not None:
        known = [(truth[estimate.rows[i], group], y) for y, i in enumerate(here) if (estimate.rows[i], group) in truth]
        if known:
            x, y = zip(*known, strict=True)
            axes.plot(x, y, "|", color=TRUE, markersize=11, markeredgewidth=2, label="truth")
            axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=9)
    axes.set_yticks(height, [estimate.rows[i] for i in here], fontsize=9)
    axes.set_ylim(-0.7, len(here) - 0.3)
    axes.set_xlabel(f"{estimate.target} ({estimate.method}, {100 * estimate.level:.4g}% intervals)")
    style.clean(axes, "x", shade="0.9")
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    style.keep(figure, path)
    return axes


def available() -> None:
    """Raise `BadInput` with the way out where matplotlib is not installed."""
    require(util.find_spec("matplotlib") is not None, 'pictures need matplotlib: pip install "lleval-jax[plot]"')


def examination(guard: Guard, fit: FitResult, found: Examination, path: str | os.PathLike[str] | None = None) -> Any:
    """Four panels: what is wrong, the items, how they go together beyond ability, and where the test measures.

    Args:
        guard: seen before the fit.
        fit: the fit examined.
        found: its examination.
        path: write the picture here (png, svg or pdf).
    """
    import matplotlib.pyplot as plt  # an extra, and slow to load

    figure, axes = plt.subplots(2, 2, figsize=(10, 7.2), layout="constrained")
    _wrong(axes[0, 0], found)
    _slopes(axes[0, 1], found)
    _together(axes[1, 0], found)
    _measures(axes[1, 1], fit, found)
    for one in axes.flat:
        style.bare(one)
    told = "" if guard.distinct == guard.models else f" ({guard.distinct:,} distinct)"
    verdict = "" if guard.ok else "   warned before the fit: " + ", ".join(one.name for one in guard.warnings)
    style.head(figure, f"{guard.models:,} models{told} x {guard.items:,} items, {fit.method}{verdict}")
    style.keep(figure, path)
    return axes


def _measures(axes: "Axes", fit: FitResult, found: Examination) -> None:
    """Standard error along the ability, over the models that there are."""
    error = 1 / np.sqrt(found.information + 1)
    main = fit.params.slope.mean(0)
    ability = fit.params.ability @ (main / max(float(np.linalg.norm(main)), 1e-9))
    axes.hist(ability, bins=min(40, 5 + len(ability) // 8), range=(-4, 4), color=LINE, alpha=0.5)
    axes.set_ylabel("models")
    axes.set_xlabel("ability (main direction)")
    right = axes.twinx()
    right.plot(found.scale, error, color=DOT, linewidth=2)
    right.set_ylim(0, None)
    right.set_ylabel("standard error of ability", color=DOT)
    right.spines[["top", "left"]].set_visible(False)
    axes.set_title(f"where it measures: reliability {found.reliability[0]:.2f}", loc="left", fontsize=10)


def _slopes(axes: "Axes", found: Examination) -> None:
    """Slope and share right of each item, the flagged ones in colour."""
    report = found.items
    first = [flags[0] if flags else "" for flags in report.flags]
    shown = [i for i in range(len(first)) if report.answers[i] and first[i] not in ("all right", "all wrong")]
    plain = [i for i in shown if first[i] not in MARKS]
    size = 14 if len(plain) < 2000 else 4
    axes.scatter(report.right[plain], report.slope[plain], s=size, color=LINE, alpha=0.6, linewidths=0)
    for name, (colour, marker) in MARKS.items():
        here = [i for i in shown if first[i] == name]
        if here:
            axes.scatter(report.right[here], report.slope[here], s=26, color=colour, marker=marker, label=name)
    axes.axhline(0, color="0.5", linewidth=0.8)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("share of right answers")
    axes.set_ylabel("slope")
    axes.grid(color="0.93")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, loc="best")
    axes.set_title("items: better models fail those below the line", loc="left", fontsize=10)


def _together(axes: "Axes", found: Examination) -> None:
    """Histogram of Yen's Q3 against what independent items would show."""
    depend = found.dependence
    if depend.compared == 0:
        axes.text(0.5, 0.5, "too few answers to compare items", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    width = depend.edges[1] - depend.edges[0]
    middle = (depend.edges[:-1] + depend.edges[1:]) / 2
    axes.bar(middle, depend.histogram, width, color=LINE, alpha=0.8, label="pairs of items")
    centre = float(np.average(middle, weights=depend.histogram))
    expected = np.exp(-0.5 * ((middle - centre) / depend.chance) ** 2) / (depend.chance * np.sqrt(2 * np.pi))
    axes.plot(middle, expected * width * depend.compared, color=TRUE, linewidth=1.8, label="if independent")
    axes.set_yscale("log")
    axes.set_ylim(0.7, depend.histogram.max() * 2)
    used = middle[depend.histogram > 0]
    axes.set_xlim(max(-1, used.min() - 0.05), min(1, used.max() + 0.05))
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("correlation beyond ability (Q3)")
    axes.set_ylabel("pairs")
    axes.legend(frameon=False, fontsize=8)
    axes.set_title(f"items that go together: {depend.beyond:,} pairs beyond chance", loc="left", fontsize=10)


def _wrong(axes: "Axes", found: Examination) -> None:
    """How many items have which flag."""
    count = found.items.count()
    names = list(count)[::-1]
    colour = [MARKS.get(name, (LINE, ""))[0] for name in names]
    axes.barh(names, [count[name] for name in names], color=colour, height=0.65)
    for place, name in enumerate(names):
        axes.text(count[name], place, f" {count[name]:,}", va="center", fontsize=9)
    axes.set_xlim(0, max(1, *count.values()) * 1.15)
    axes.tick_params(left=False, labelsize=9)
    axes.set_xlabel("items")
    bad = sum(map(bool, found.items.flags))
    axes.set_title(f"what is wrong: {bad:,} of {len(found.items.items):,} items", loc="left", fontsize=10)
