"""Results as pictures. Needs matplotlib, the extra `plot`."""

import os
import sys
from collections.abc import Mapping
from importlib import util
from typing import TYPE_CHECKING, Any

import numpy as np

from lleval_jax.errors import require
from lleval_jax.report import style
from lleval_jax.report.style import DOT, LINE, TRUE
from lleval_jax.report.text import label
from lleval_jax.report.truth import Truth, known
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
MISSED = "interval misses the score"
NAMED = 100  # rows whose names a picture can hold
LOW = 12  # inches of more rows than that
WEAK = 0.15  # spread of Q3 by chance above which only the strongest pairs can be seen


def forest(
    estimate: Estimate,
    truth: Truth | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    goals: Mapping[str, float] | None = None,
    group: str = WHOLE,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """A dot and an interval for each row, best on top; a tick where the truth is known, a line for each goal.

    Args:
        estimate: what to show.
        truth: (row, group) -> known score, or a table as `ll.read_scores` gives.
        path: write the picture here (png, svg or pdf).
        goals: what a value is to be compared with, by name, such as {"threshold 0.6": 0.6}.
        group: the part of the benchmark to show.
        title: above the picture; None: what is estimated, and from how many answers.
        ax: draw in these axes.
    """
    here = np.array([i for i, found in enumerate(estimate.group) if found == group], int)
    here = here[np.argsort(estimate.value[here], kind="stable")]
    height = np.arange(len(here))
    few = len(here) <= NAMED
    drawn = style.canvas(ax, (6.4, 1.5 + (0.27 * len(here) if few else LOW)))
    axes = drawn.panel
    axes.hlines(
        height, estimate.low[here], estimate.high[here], color=LINE, linewidth=3 if few else 1, capstyle="round"
    )
    axes.plot(estimate.value[here], height, "o", color=DOT, markersize=5 if few else 2, label="estimate and interval")
    scores = known(truth) or {}
    true = {y: scores.get((estimate.rows[i], group)) for y, i in enumerate(here)}
    true = {y: value for y, value in true.items() if value is not None}
    if true:
        axes.plot([*true.values()], [*true], "|", color=TRUE, markersize=11, markeredgewidth=2, label="truth")
    for (name, value), colour in zip((goals or {}).items(), (style.PURPLE, style.GREEN, style.GREY), strict=False):
        axes.axvline(value, color=colour, linewidth=1.4, linestyle="--", zorder=3, label=style.plain(name))
    if true or goals:
        axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=9)
    if few:
        axes.set_yticks(height, [label(estimate.rows[i]) for i in here], fontsize=9)
    else:
        axes.set_yticks([])
        axes.set_ylabel(f"{len(here):,} rows, best on top")
    axes.set_ylim(-0.7, len(here) - 0.3)
    axes.set_xlabel(f"{estimate.target} ({estimate.method}, {100 * estimate.level:.4g}% intervals)")
    style.clean(axes, "x", shade="0.9")
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    drawn.head(_of(estimate, here, group) if title is None else title, [estimate.status[i] for i in here])
    drawn.finish(path)
    return axes


def left_out(
    found: Mapping[str, Estimate],
    truth: Truth,
    path: str | os.PathLike[str] | None = None,
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    """Predicted against true scores of models left out of a bank, with intervals: on the line is right.

    Args:
        found: which models were left out -> estimates of their scores.
        truth: (row, group) -> true score, of each row.
        path: write the picture here (png, svg or pdf).
        ax: draw in these axes.
    """
    scores = known(truth)
    drawn = style.canvas(ax, (5.4, 5.4))
    axes, level = drawn.panel, next(iter(found.values())).level
    for (who, one), colour, marker in zip(found.items(), (DOT, style.AMBER), style.MARKERS, strict=False):
        true = np.array([scores[row, WHOLE] for row in one.rows])
        inside = (one.low <= true) & (true <= one.high)
        label = f"{who}: {inside.sum()} of {len(true)} {100 * level:.4g}% intervals contain the score"
        axes.vlines(true, one.low, one.high, color=colour, alpha=0.5, linewidth=2)
        axes.plot(true, one.value, marker, color=colour, markersize=5, label=label)
        axes.plot(true[~inside], one.value[~inside], "o", color=TRUE, markersize=11, fillstyle="none", zorder=4)
    ends = np.array([part for one in found.values() for part in (one.low.min(), one.high.max())])
    all_true = np.array(list(scores.values()))
    low, high = min(ends.min(), all_true.min()) - 0.02, max(ends.max(), all_true.max()) + 0.02
    axes.plot([low, high], [low, high], color="0.6", linewidth=1, zorder=1)
    axes.plot([], [], "o", color=TRUE, markersize=11, fillstyle="none", label=MISSED)
    axes.set(
        xlim=(low, high), ylim=(low, high), xlabel="true score", ylabel="predicted from the anchors", aspect="equal"
    )
    style.clean(axes)
    drawn.legend(*axes.get_legend_handles_labels(), columns=1)
    drawn.head("Models left out of the calibration")
    drawn.finish(path)
    return axes


def _of(estimate: Estimate, here: np.ndarray, group: str) -> str:
    """What a picture shows, and from how many answers."""
    few, most = int(estimate.n_seen[here].min(initial=sys.maxsize)), int(estimate.n_seen[here].max(initial=0))
    answers = f"{most:,}" if few == most else f"{few:,} to {most:,}"
    part = "" if group == WHOLE else f" on {group}"
    return f"Estimated {estimate.target}{part}, from {answers} answers a row"


def available() -> None:
    """Raise `BadInput` with the way out where matplotlib is not installed."""
    require(util.find_spec("matplotlib") is not None, "pictures need matplotlib: pip install matplotlib")


def examination(
    guard: Guard,
    fit: FitResult,
    found: Examination,
    path: str | os.PathLike[str] | None = None,
    *,
    ax: style.Panels = None,
) -> Any:
    """Four panels: flagged items, the items' slopes, local dependence, and measurement precision.

    Args:
        guard: seen before the fit.
        fit: the fit examined.
        found: its examination.
        path: write the picture here (png, svg or pdf).
        ax: draw in these four axes.
    """
    drawn = style.canvas(ax, (10, 7.2), 2, 2)
    axes = drawn.panels
    _wrong(axes[0, 0], found)
    _slopes(axes[0, 1], found)
    _together(axes[1, 0], found, guard.distinct)
    _measures(axes[1, 1], fit, found)
    for one in axes.flat:
        style.bare(one)
    distinct = "" if guard.distinct == guard.models else f" ({guard.distinct:,} distinct)"
    verdict = "" if guard.ok else "   warnings before the fit: " + ", ".join(one.name for one in guard.warnings)
    drawn.head(f"{guard.models:,} models{distinct} x {guard.items:,} items, {fit.method}{verdict}")
    drawn.finish(path)
    return axes


def _measures(axes: "Axes", fit: FitResult, found: Examination) -> None:
    """Standard error along the ability, over the models that there are."""
    error = 1 / np.sqrt(found.information + 1)
    main = fit.params.slope.mean(0)
    ability = fit.params.ability @ (main / max(float(np.linalg.norm(main)), 1e-9))
    axes.hist(ability, bins=min(40, 5 + len(ability) // 8), range=(-4, 4), color=LINE, alpha=0.5, label="models")
    axes.set_ylabel("models")
    axes.set_xlabel("ability (main direction)")
    right = axes.twinx()
    right.plot(found.scale, error, color=DOT, linewidth=2, label="standard error")
    right.set_ylim(0, None)
    right.set_ylabel("standard error of ability", color=DOT)
    right.spines[["top", "left"]].set_visible(False)
    handles, labels = (a + b for a, b in zip(*(one.get_legend_handles_labels() for one in (axes, right)), strict=True))
    right.legend(handles, labels, frameon=False, fontsize=8, loc="best")
    said = f"Measurement precision (reliability {found.reliability[0]:z.2f})"
    axes.set_title(said, loc="left", fontsize=10)


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
    axes.set_title("Items: those below the line have negative discrimination", loc="left", fontsize=10)


def _together(axes: "Axes", found: Examination, models: int) -> None:
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
    low = f"; {models} models have little power" if depend.chance > WEAK else ""
    said = f"Local dependence (Q3): {depend.beyond:,} pairs flagged{low}"
    axes.set_title(said, loc="left", fontsize=10)


def _wrong(axes: "Axes", found: Examination) -> None:
    """How many items have which flag."""
    count = found.items.count()
    names = [name for name in count if count[name]][::-1]
    if not names:
        axes.text(0.5, 0.5, "no item is flagged", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    colour = [MARKS.get(name, (LINE, ""))[0] for name in names]
    axes.barh(names, [count[name] for name in names], color=colour, height=0.65)
    for place, name in enumerate(names):
        axes.text(count[name], place, f" {count[name]:,}", va="center", fontsize=9)
    axes.set_xlim(0, max(1, *count.values()) * 1.15)
    axes.tick_params(left=False, labelsize=9)
    axes.set_xlabel("items")
    bad = sum(map(bool, found.items.flags))
    axes.set_title(f"Flagged items: {bad:,} of {len(found.items.items):,}", loc="left", fontsize=10)
