"""A new version of a benchmark from a few models run again, as pictures: scores, what each model brings, ranks."""

import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lleval_jax.errors import require
from lleval_jax.report import style
from lleval_jax.report.refresh import best_first, entries_of, error, state
from lleval_jax.report.style import DOT, LINE, TRUE
from lleval_jax.report.truth import Known, Truth, known
from lleval_jax.values.responses import WHOLE
from lleval_jax.values.results import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RUN = style.GREEN  # models that were run
WIDE = 5  # panels in a line
NAMED = 2  # models named in a panel, whose intervals missed
LANE, ROOM = 0.035, 0.3  # sideways distance of two intervals of ranks; of all of a version at most


def scores(
    estimate: Estimate,
    truth: Truth | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "",
    ax: style.Panels = None,
) -> Any:
    """A panel for the whole version and one for each domain: models with intervals, those that were run apart.

    Args:
        estimate: from `refresh.estimate`.
        truth: (model, domain) -> the score; with it, predicted scores are drawn against true ones, and of the models
            whose intervals missed, those that missed most are named. Without it, each model has a line.
        path: write the picture here (png, svg or pdf).
        title: above all panels.
        ax: draw in these axes, as many as there are domains and the whole.
    """
    truth = known(truth)
    groups = sorted(dict.fromkeys(estimate.group), key=lambda group: group != WHOLE)
    models = estimate.rows if truth is None else [row for row, _ in truth if row in set(estimate.rows)]
    require(bool(models), "no score of these models is known")
    wide = min(WIDE, len(groups))
    tall = -(-len(groups) // wide)
    count = len(dict.fromkeys(models))
    each = (2.1, 0.7 + 0.17 * count) if truth is None else (2.6, 2.9)
    size = (max(6.0, 2.2 * (truth is None) + each[0] * wide), 0.9 + each[1] * tall)
    if ax is not None:
        tall, wide = 1, len(groups)
    drawn = style.canvas(ax, size, tall, wide, sharex=True, sharey=True)
    axes = drawn.panels
    ends = None if truth is None else _ends(estimate, truth)
    for i, one in enumerate(axes.flat):
        if i >= len(groups):
            one.set_axis_off()
            continue
        if truth is None:
            _forest(one, estimate, groups[i])
        else:
            _against(one, estimate, truth, groups[i])
            one.set(xlim=ends, ylim=ends, aspect="equal")
        style.bare(one)
        if i + wide >= len(groups):
            one.tick_params(labelbottom=True)
            one.set_xlabel(estimate.target if truth is None else f"true {estimate.target}")
    if truth is not None:
        for one in axes[:, 0]:
            one.set_ylabel(f"predicted {estimate.target}")
    marks = ((DOT, "o", "predicted"), (RUN, "D", "measured on this version"), (TRUE, "o", "interval misses the truth"))
    for colour, marker, name in marks[: 2 + (truth is not None)]:
        axes.flat[0].plot([], [], marker, color=colour, markersize=5, label=name)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    drawn.legend(handles, labels, 3)
    what = style.summary(estimate)
    drawn.head(f"{title}: {what}" if title else what, estimate.status)
    drawn.finish(path)
    return axes


def _ends(estimate: Estimate, truth: Known) -> tuple[float, float]:
    """What all panels show of both axes."""
    true = [truth[key] for key in zip(estimate.rows, estimate.group, strict=True) if key in truth]
    low, high = min(*true, estimate.low.min()), max(*true, estimate.high.max())
    room = 0.04 * max(high - low, 1e-3)
    return low - room, high + room


def choice(
    outlooks: Sequence[Estimate],
    even: Sequence[Estimate] = (),
    path: str | os.PathLike[str] | None = None,
    *,
    group: str = WHOLE,
    ax: "Axes | None" = None,
) -> "Axes":
    """Expected error of the scores of all models, against how many are run.

    Args:
        outlooks: from `refresh.preview`, of 0, 1, ... models run: the best set of each size, or one model after
            another. Where each set holds the one before, the model that it adds is named below.
        even: the same for models chosen otherwise, such as spread evenly over the leaderboard.
        path: write the picture here (png, svg or pdf).
        group: a domain, or the whole.
        ax: draw in these axes.
    """
    require(len(outlooks) > 0, "there is nothing to draw")
    drawn = style.canvas(ax, (max(5.6, 1.6 + 0.42 * len(outlooks)), 4.2))
    axes, run = drawn.panel, [_run(one) for one in outlooks]
    nested = all(before < now for before, now in zip(run, run[1:], strict=False))
    if even:
        y = [100 * error(one, group) for one in even]
        axes.plot(range(len(y)), y, "s--", color="0.6", markersize=4, linewidth=1.2, label="spread evenly")
    y = [100 * error(one, group) for one in outlooks]
    label = "chosen" if nested else "best set of each size"
    axes.plot(range(len(y)), y, "o-", color=DOT, markersize=5.5, linewidth=1.8, label=label)
    _name_runs(axes, run, nested)
    axes.set_xlim(-0.4, max(len(outlooks), len(even)) - 0.6)
    axes.set_ylim(0, None)
    where = "" if group == WHOLE else f" on {group}"
    axes.set_ylabel(f"expected error{where}, points")
    style.clean(axes, shade="0.93")
    if even:
        axes.legend(frameon=False, fontsize=9)
    count = len(dict.fromkeys(outlooks[0].rows))
    how = "one after another" if nested else "the best set of each size"
    axes.set_title(f"models to run, {how}; error over {count} models", loc="left", fontsize=10)
    drawn.finish(path)
    return axes


def _name_runs(axes: "Axes", run: Sequence[set[str]], nested: bool) -> None:
    """Below each point the model that it adds; where sets do not hold each other, how many, and who the last are."""
    if nested:
        added = [", ".join(sorted(now - before)) for before, now in zip(run, run[1:], strict=False)]
        ticks = ["none", *(f"{i}  {style.plain(name)}" for i, name in enumerate(added, 1))]
        axes.set_xticks(range(len(ticks)), ticks, rotation=38, ha="right", rotation_mode="anchor", fontsize=9)
        return
    axes.set_xticks(range(len(run)))
    last = f"models run; the best {len(run[-1])}: {', '.join(sorted(run[-1]))}"
    axes.set_xlabel(style.plain(textwrap.fill(last, 70)), fontsize=9)


def ranks(
    *standings: Estimate,
    versions: Sequence[str] = (),
    path: str | os.PathLike[str] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """How models change places from version to version, with intervals of their ranks.

    In colour: models whose intervals on the first and on the last version do not touch.

    Args:
        standings: `ranks` of two or more `refresh.Standing`, the oldest first.
        versions: their names.
        path: write the picture here (png, svg or pdf).
        ax: draw in these axes.
    """
    require(len(standings) > 1, f"there are {len(standings)} versions; places change between two at least")
    names = list(versions) or ["old", "new"] if len(standings) == 2 else list(versions)
    names = names or [f"v{i + 1}" for i in range(len(standings))]
    require(len(names) == len(standings), f"there are {len(names)} names and {len(standings)} versions")
    place = [{row: i for i, row in enumerate(one.rows)} for one in standings]
    models = list(dict.fromkeys(row for one in standings for row in one.rows))
    first, last = standings[0], standings[-1]
    drawn = style.canvas(ax, (4.2 + 2.1 * len(standings), 1.4 + 0.26 * len(models)))
    axes = drawn.panel
    aside = [_aside(one) for one in standings]
    clear = 0
    for model in models:
        known = [(t, one, place[t][model]) for t, one in enumerate(standings) if model in place[t]]
        low, high, value = (np.array([getattr(one, n)[i] for _, one, i in known]) for n in ("low", "high", "value"))
        x = np.array([t + aside[t][i] for t, _, i in known])
        moved = len(known) > 1 and (low[-1] > high[0] or high[-1] < low[0])
        clear += moved
        dot, line = (TRUE, TRUE) if moved else (DOT, LINE)
        axes.plot(x, value, color=line, linewidth=1.4, alpha=0.8, zorder=2)
        axes.vlines(x, low, high, color=dot, linewidth=2.2, alpha=0.45, capstyle="round", zorder=1)
        axes.plot(x, value, "o", color=dot, markersize=4.5, zorder=3)
    axes.set_ylim(len(models) + 0.7, 0.3)
    axes.set_xlim(-0.08, len(standings) - 0.92 + max(aside[-1]))
    axes.set_xticks(range(len(names)), names)
    axes.tick_params(left=False, bottom=False)
    axes.set_yticks(
        first.value, [f"{style.plain(row)}  {v:z.0f}" for row, v in zip(first.rows, first.value, strict=True)]
    )
    right = axes.secondary_yaxis("right")
    right.set_yticks(
        last.value, [f"{v:z.0f}  {style.plain(row)}" for row, v in zip(last.rows, last.value, strict=True)]
    )
    right.tick_params(right=False, labelsize=9)
    right.spines["right"].set_visible(False)
    axes.tick_params(axis="y", labelsize=9)
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.grid(axis="y", color="0.95")
    axes.set_axisbelow(True)
    change = f"{clear} of {len(models)} models change" if clear else "no model changes"
    said = f"Ranks with {100 * last.level:.4g}% intervals: {change} significantly from {names[0]} to {names[-1]}"
    axes.set_title(said, loc="left", fontsize=10)
    measured = [name for name, one in zip(names, standings, strict=True) if (one.low == one.high).all()]
    exact = f"{', '.join(measured)}: all models measured, ranks exact. " if measured else ""
    axes.set_xlabel(f"{exact}Intervals are moved sideways only to keep them apart.", fontsize=8.5, color="0.35")
    drawn.finish(path)
    return axes


def _against(axes: "Axes", estimate: Estimate, truth: Known, group: str) -> None:
    """Predicted against true scores; how many intervals contain the truth, and the names of those that miss most."""
    here = [i for i in entries_of(estimate, group) if (estimate.rows[i], group) in truth]
    true = np.array([truth[estimate.rows[i], group] for i in here])
    value, low, high = estimate.value[here], estimate.low[here], estimate.high[here]
    run = np.array([state(estimate, i) == "measured" for i in here], bool)
    axes.axline((0.5, 0.5), slope=1, color="0.7", linewidth=0.8, zorder=0.9)
    miss = ~run & ((true < low) | (true > high))
    axes.vlines(true[~run], low[~run], high[~run], color=np.where(miss[~run], TRUE, LINE), linewidth=2, zorder=1)
    axes.plot(true[~run & ~miss], value[~run & ~miss], "o", color=DOT, markersize=3.6)
    axes.plot(true[miss], value[miss], "o", color=TRUE, markersize=3.6)
    axes.plot(true[run], value[run], "D", color=RUN, markersize=4)
    worst = sorted(np.flatnonzero(miss), key=lambda i: -abs(true[i] - value[i]))
    for line, i in enumerate(worst[:NAMED]):
        _name(axes, estimate.rows[here[i]], (true[i], value[i]), line)
    axes.grid(color="0.94")
    count = int((~run).sum())
    away = float(np.abs(value - true)[~run].mean()) if count else 0.0
    inside = f"{count - int(miss.sum())} of {count} contain the truth"
    axes.set_title(f"{style.plain(group)}\n{inside}\nmean error {away:z.3f}", loc="left", fontsize=9)


def _name(axes: "Axes", text: str, place: tuple[float, float], line: int) -> None:
    """A model's name in the corner on its side of the diagonal, in a line of its own, joined to its point."""
    above = place[1] > place[0]
    corner = (0.03, 0.94 - 0.09 * line) if above else (0.97, 0.06 + 0.09 * line)
    joined = {"arrowstyle": "-", "color": TRUE, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 3}
    how = {"fontsize": 7, "color": TRUE, "ha": "left" if above else "right", "va": "center", "arrowprops": joined}
    axes.annotate(style.plain(text), place, corner, textcoords="axes fraction", **how).set_in_layout(False)


def _forest(axes: "Axes", estimate: Estimate, group: str) -> None:
    """A line for each model, in the order of the whole version."""
    order = [estimate.rows[i] for i in best_first(estimate, WHOLE)][::-1]
    place = {row: y for y, row in enumerate(order)}
    here = [i for i in entries_of(estimate, group) if estimate.rows[i] in place]
    height = np.array([place[estimate.rows[i]] for i in here])
    run = np.array([state(estimate, i) == "measured" for i in here], bool)
    value = estimate.value[here]
    axes.hlines(height, estimate.low[here], estimate.high[here], color=LINE, linewidth=3, capstyle="round")
    axes.plot(value[~run], height[~run], "o", color=DOT, markersize=4)
    axes.plot(value[run], height[run], "D", color=RUN, markersize=4)
    axes.set_yticks(range(len(order)), map(style.plain, order), fontsize=8)
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.tick_params(left=False)
    axes.grid(color="0.94")
    axes.set_title(style.plain(group), loc="left", fontsize=9)


def _aside(ranks: Estimate) -> list[float]:
    """How far each interval is moved sideways, so that none covers another."""
    ends: list[float] = []
    lanes = np.zeros(len(ranks.rows), int)
    for i in np.argsort(ranks.low, kind="stable"):
        free = [lane for lane, end in enumerate(ends) if end < ranks.low[i]]
        lanes[i] = free[0] if free else len(ends)
        ends[lanes[i] : lanes[i] + 1] = [float(ranks.high[i])]
    return (lanes * min(LANE, ROOM / len(ends))).tolist()


def _run(estimate: Estimate) -> set[str]:
    """Models whose score will be known."""
    return {estimate.rows[i] for i in entries_of(estimate, WHOLE) if estimate.std_error[i] == 0}
