"""What the next size will score (Sloth), as pictures: curves, predicted against observed, equal scores, loadings."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import interpolate

from lleval_jax.errors import require
from lleval_jax.report import style
from lleval_jax.report.sloth_tables import parts, short
from lleval_jax.report.style import COLOURS, DOT, MARKERS, TRUE
from lleval_jax.report.text import inside
from lleval_jax.report.truth import Truth, known
from lleval_jax.values.leaderboard import Leaderboard
from lleval_jax.values.results import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS: dict[str, dict[str, Any]] = {  # of marks in `curves`
    "observed": {"linestyle": "", "marker": "o", "markersize": 5, "markeredgecolor": "white", "zorder": 3},
    "observed, other tokens": {
        "linestyle": "",
        "marker": "o",
        "markersize": 4.5,
        "markerfacecolor": "white",
        "zorder": 3,
    },
    "asked for": {"linestyle": "", "marker": "D", "markersize": 7, "markeredgecolor": "white", "zorder": 4},
}
NEAR = 1.25  # tokens that differ by no more than this factor are as good as the same
FINE = 150  # points each way of the lines of equal score
FLOPS = 6  # of training, a parameter and token


def curves(
    estimate: Estimate,
    board: Leaderboard,
    targets: Estimate | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    ax: style.Panels = None,
) -> Any:
    """A panel a benchmark: score against parameters, with a line and band for each family and number of tokens.

    Args:
        estimate: over a grid of parameters, rows "family:size:tokens".
        board: whose models of these families are drawn as dots, hollow where trained on other numbers of tokens.
        targets: predictions to mark.
        path: write the picture here (png, svg or pdf).
        ax: draw in these axes, as many as there are benchmarks.

    Raises:
        BadInput: there are more than six lines.
    """
    lines = list(dict.fromkeys((p.family, p.tokens) for p in map(parts, estimate.rows)))
    require(len(lines) <= len(COLOURS), f"{len(lines)} families and numbers of tokens; a picture holds {len(COLOURS)}")
    colours: dict[tuple[str, float], str] = dict(zip(lines, COLOURS, strict=False))
    benchmarks = list(dict.fromkeys(estimate.group))
    wide = _wide(len(benchmarks))
    tall = -(-len(benchmarks) // wide)
    size = (max(5.2, 0.5 + 3.3 * wide), 1.2 + (2.6 if tall > 1 else 3.0) * tall)
    if ax is not None:
        tall, wide = 1, len(benchmarks)
    drawn = style.canvas(ax, size, tall, wide, sharex=True, sharey=True)
    axes = drawn.panels
    if drawn.own:
        drawn.figure.get_layout_engine().set(hspace=0.06)
    marks = set()
    for i, one in enumerate(axes.flat):
        if i >= len(benchmarks):
            one.set_axis_off()
            continue
        marks |= _curves(one, benchmarks[i], estimate, board, targets, colours)
        one.set_title(style.plain(benchmarks[i]), loc="left", fontsize=10)
        if i + wide >= len(benchmarks):
            one.tick_params(labelbottom=True)
            one.set_xlabel("parameters")
    for one in axes[:, 0]:
        one.set_ylabel(estimate.target)
    _key(drawn, colours, marks)
    drawn.head(f"{estimate.method}, {100 * estimate.level:.4g}% prediction intervals", estimate.status)
    drawn.finish(path)
    return axes


def _curves(
    axes: "Axes",
    benchmark: str,
    estimate: Estimate,
    board: Leaderboard,
    targets: Estimate | None,
    colours: dict[tuple[str, float], str],
) -> set[str]:
    """One panel of `curves`; the kinds of marks in it."""
    marks = set()
    for (family, tokens), colour in colours.items():
        at, size = _line(estimate, benchmark, family, tokens)
        axes.fill_between(size, estimate.low[at], estimate.high[at], color=colour, alpha=0.1, linewidth=0)
        for edge in (estimate.low, estimate.high):  # edges show where bands overlap
            axes.plot(size, edge[at], color=colour, linewidth=0.8, linestyle=(0, (3, 2)))
        axes.plot(size, estimate.value[at], color=colour, linewidth=1.8)
        rivals = [own for name, own in colours if name == family]
        for kind, (x, y) in _dots(board, benchmark, family, tokens, rivals).items():
            axes.plot(x, y, color=colour, **KINDS[kind])
            marks |= {kind} if len(x) else set()
        if targets is not None:
            here, x = _line(targets, benchmark, family, tokens)
            axes.plot(x, targets.value[here], color=colour, **KINDS["asked for"])
            marks |= {"asked for"} if len(x) else set()
    axes.set_xscale("log")
    found = [p.size for p in map(parts, estimate.rows)]
    axes.set_xlim(min(found), max(found))
    _counts(axes.xaxis, found)
    style.clean(axes)
    return marks


def _dots(
    board: Leaderboard, benchmark: str, family: str, tokens: float, rivals: Sequence[float]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kind of mark -> parameters and scores of the family's models whose tokens no rival line comes closer to."""
    if benchmark not in board.benchmarks:
        return {}
    column = board.benchmarks.index(benchmark)
    far = np.abs(np.log(board.tokens[:, None] / np.array(rivals)))
    own = (np.array(board.families, object) == family) & board.seen[:, column]
    own &= far.argmin(1) == list(rivals).index(tokens)
    near = far.min(1) < np.log(NEAR)
    x, y = board.params, board.scores[:, column]
    return {"observed": (x[own & near], y[own & near]), "observed, other tokens": (x[own & ~near], y[own & ~near])}


def _line(estimate: Estimate, benchmark: str, family: str, tokens: float) -> tuple[np.ndarray, np.ndarray]:
    """Entries of one line in the order of their parameters, and these."""
    found = [
        (p.size, i)
        for i, (p, group) in enumerate(zip(map(parts, estimate.rows), estimate.group, strict=True))
        if group == benchmark and (p.family, p.tokens) == (family, tokens)
    ]
    order = sorted(found)
    return np.array([i for _, i in order], int), np.array([size for size, _ in order], float)


def _key(drawn: style.Canvas, colours: dict[tuple[str, float], str], marks: set[str]) -> None:
    """What colours and marks mean, below all panels."""
    axes = drawn.panel
    for (family, tokens), colour in colours.items():
        axes.plot([], [], color=colour, linewidth=1.6, label=style.plain(f"{family}, {short(tokens)} tokens"))
    for kind, how in KINDS.items():
        if kind in marks:
            axes.plot([], [], color="0.35", label=kind, **how)
    handles, labels = axes.get_legend_handles_labels()
    room = max(1, int(drawn.figure.get_figwidth() / (0.5 + 0.075 * max(map(len, labels)))))
    drawn.legend(handles, labels, min(room, len(labels)))


def observed(
    estimate: Estimate, truth: Truth, path: str | os.PathLike[str] | None = None, *, ax: "Axes | None" = None
) -> "Axes":
    """Predicted against observed scores with their intervals, a colour and mark a benchmark, and their coverage.

    Args:
        estimate: what was predicted.
        truth: (row, group) -> the score observed later; entries without one are not shown.
        path: write the picture here (png, svg or pdf).
        ax: draw in these axes.

    Raises:
        BadInput: no score is known.
    """
    scores = known(truth)
    held = inside(estimate, scores)
    require(bool(held), "no score of these targets is known")
    keys = list(zip(estimate.rows, estimate.group, strict=True))
    true = np.array([scores.get(key, np.nan) for key in keys])
    seen = np.isfinite(true)
    drawn = style.canvas(ax, (5.6, 5.6))
    axes = drawn.panel
    ends = np.array([min(true[seen].min(), estimate.low[seen].min()), max(true[seen].max(), estimate.high[seen].max())])
    ends += np.array([-0.03, 0.03]) * max(float(np.ptp(ends)), 1e-3)
    axes.plot(ends, ends, color="0.6", linewidth=0.9, zorder=1)
    for j, name in enumerate(dict.fromkeys(estimate.group)):
        here = seen & (np.array(estimate.group, object) == name)
        if here.any():
            colour, marker = COLOURS[j % len(COLOURS)], MARKERS[(j + j // len(COLOURS)) % len(MARKERS)]
            axes.vlines(true[here], estimate.low[here], estimate.high[here], color=colour, alpha=0.25, linewidth=1.2)
            how = {"markersize": 4.5, "markeredgecolor": "white", "markeredgewidth": 0.5, "alpha": 0.85}
            axes.plot(true[here], estimate.value[here], marker, color=colour, label=style.plain(name), zorder=3, **how)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.set_aspect("equal")
    axes.set_xlabel(f"observed {estimate.target}")
    axes.set_ylabel(f"predicted {estimate.target}")
    error = np.abs(estimate.value - true)[seen].mean()
    share = sum(held.values()) / len(held)
    level = f"{100 * estimate.level:.4g}%"
    count = f"{sum(held.values()):,} of {len(held):,} {level} intervals contain the truth ({share:.0%})"
    drawn.head(f"{count}; mean absolute error {error:z.3f}, {estimate.method}", estimate.status)
    axes.legend(frameon=True, framealpha=0.85, edgecolor="none", fontsize=9, loc="lower right")  # few points lie there
    style.clean(axes)
    drawn.finish(path)
    return axes


def levels(
    estimate: Estimate,
    board: Leaderboard,
    family: str,
    benchmark: str,
    path: str | os.PathLike[str] | None = None,
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    """Lines of equal predicted score over parameters and tokens; dashed lines of equal compute, 6 x both.

    Args:
        estimate: over a grid of parameters and tokens, rows "family:size:tokens".
        board: whose models of the family are drawn as dots, with their observed score.
        family: to show.
        benchmark: to show.
        path: write the picture here (png, svg or pdf).
        ax: draw in these axes.

    Raises:
        BadInput: the entries of this family and benchmark are no grid of two or more each way.
    """
    import matplotlib.pyplot as plt  # an extra, and slow to load
    from matplotlib.colors import ListedColormap

    size, tokens, score = _smooth(*_grid(estimate, family, benchmark))
    column = board.benchmarks.index(benchmark)
    own = (np.array(board.families, object) == family) & board.seen[:, column]
    own &= (board.params >= size[0]) & (board.params <= size[-1])
    own &= (board.tokens >= tokens[0]) & (board.tokens <= tokens[-1])
    dots = np.stack([board.params[own], board.tokens[own]], 1)
    drawn = style.canvas(ax, (6.8, 5))
    axes = drawn.panel
    axes.set_xscale("log")
    axes.set_yscale("log")
    shades = ListedColormap(plt.get_cmap("Blues")(np.linspace(0.02, 0.55, 64)))
    filled = axes.contourf(size, tokens, score, levels=12, cmap=shades)
    isolines = axes.contour(size, tokens, score, levels=filled.levels, colors=DOT, linewidths=0.9)
    axes.set_xlim(size[0], size[-1])
    axes.set_ylim(tokens[0], tokens[-1])
    _label_levels(axes, isolines, size, tokens, score, dots)
    _compute(axes, size, tokens)
    for (x, y), seen in zip(dots, board.scores[own, column], strict=True):
        axes.plot(x, y, "o", color=TRUE, markersize=7, markeredgecolor="white", zorder=5)
        how = {"textcoords": "offset points", "xytext": (0, 8), "ha": "center", "zorder": 6}
        axes.annotate(f"{seen:z.2f}", (x, y), fontsize=9, color=TRUE, weight="bold", path_effects=_halo(), **how)
    _counts(axes.xaxis, size)
    _counts(axes.yaxis, tokens)
    axes.set_xlabel("parameters")
    axes.set_ylabel("tokens")
    bar = drawn.figure.colorbar(filled, ax=axes, label=f"predicted {estimate.target}", format="%.2f")
    bar.outline.set_visible(False)  # type: ignore[operator]
    said = "dots: observed; " if own.any() else ""
    axes.set_title(f"{said}dashed: equal training compute in FLOP", loc="left", fontsize=9, color="0.35")
    drawn.head(f"{family} on {benchmark}, {estimate.method}", estimate.status)
    style.bare(axes)
    drawn.finish(path)
    return axes


def _grid(estimate: Estimate, family: str, benchmark: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parameters, tokens, and scores (tokens, params) of one family on one benchmark."""
    found = {
        (p.size, p.tokens): float(value)
        for p, group, value in zip(map(parts, estimate.rows), estimate.group, estimate.value, strict=True)
        if (p.family, group) == (family, benchmark)
    }
    size, tokens = (np.array(sorted({key[k] for key in found})) for k in (0, 1))
    whole = len(size) > 1 and len(tokens) > 1 and len(found) == len(size) * len(tokens)
    message = f"{len(found)} entries of {family!r} on {benchmark!r}; a grid of params and tokens is needed"
    require(whole, message)
    return size, tokens, np.array([[found[x, y] for x in size] for y in tokens])


def _smooth(size: np.ndarray, tokens: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A finer grid, by splines in the logs."""
    most = [min(3, len(one) - 1) for one in (tokens, size)]
    spline = interpolate.RectBivariateSpline(np.log(tokens), np.log(size), score, kx=most[0], ky=most[1])
    x, y = (np.linspace(np.log(one[0]), np.log(one[-1]), FINE) for one in (size, tokens))
    return np.exp(x), np.exp(y), spline(y, x)


def _label_levels(
    axes: "Axes", drawn: Any, size: np.ndarray, tokens: np.ndarray, score: np.ndarray, dots: np.ndarray
) -> None:
    """Each level's number where it crosses a rising line: none on a dot, and most on the best of several lines."""
    ends = np.log([size[0], tokens[0]]), np.log([size[-1], tokens[-1]])
    away = (np.log(dots) - ends[0]) / (ends[1] - ends[0]) + np.array([0, 0.03])
    best, places = -np.inf, np.zeros((0, 2))
    for shift in (0.0, 0.12, -0.12, 0.24, -0.24):
        found = np.array(list(_crossings(score, drawn.levels, shift))).reshape(-1, 2)
        far = np.abs(found[:, None] - away) / np.array([0.09, 0.07])  # half the width and height of a label and a dot
        clear = far.max(-1).min(-1, initial=9) > 1
        if clear.sum() - abs(shift) > best:
            best, places = clear.sum() - abs(shift), np.exp(ends[0] + found[clear] * (ends[1] - ends[0]))
    if len(places):
        axes.clabel(drawn, manual=[*map(tuple, places)], fmt="%.2f", fontsize=8.5, inline_spacing=4)


def _crossings(score: np.ndarray, levels: Sequence[float], shift: float) -> Iterator[tuple[float, float]]:
    """Where levels cross the line of height 0.1 + 0.85 x + shift, in shares of the axes, away from the edges."""
    x = np.linspace(0.05, 0.95, FINE)
    y = 0.1 + 0.85 * x + shift
    x, y = x[(y > 0.12) & (y < 0.95)], y[(y > 0.12) & (y < 0.95)]
    last = FINE - 1
    along = score[np.rint(y * last).astype(int), np.rint(x * last).astype(int)]
    for level in levels:
        crossed = np.flatnonzero(np.diff(np.sign(along - level)))
        if len(crossed):
            yield float(x[crossed[0]]), float(y[crossed[0]])


def _compute(axes: "Axes", size: np.ndarray, tokens: np.ndarray) -> None:
    """Dashed lines of equal training compute, named near the lower or the right edge."""
    low, high = np.log10(FLOPS * size[0] * tokens[0]), np.log10(FLOPS * size[-1] * tokens[-1])
    wide, tall = np.log10(size[-1] / size[0]), np.log10(tokens[-1] / tokens[0])
    for power in range(int(np.ceil(low)), int(np.floor(high)) + 1, max(1, round((high - low) / 6))):
        rest = power - low  # of the logs of both, to share out between them
        axes.plot(size, 10.0**power / FLOPS / size, linestyle=(0, (5, 4)), color="0.4", linewidth=0.8)
        along = min(rest - 0.05 * tall, 0.94 * wide)
        if along > 0.04 * wide and rest - along < 0.96 * tall:
            place = size[0] * 10**along, tokens[0] * 10 ** (rest - along)
            how = {"ha": "center", "va": "center", "fontsize": 8, "color": "0.25", "path_effects": _halo()}
            axes.text(*place, f"$10^{{{power}}}$", **how)


def loadings(estimate: Estimate, path: str | os.PathLike[str] | None = None, *, ax: "Axes | None" = None) -> "Axes":
    """How much of each skill a benchmark asks: the number in each cell, grey where its interval contains 0.

    Args:
        estimate: rows the benchmarks, groups the skills.
        path: write the picture here (png, svg or pdf).
        ax: draw in these axes.
    """
    import matplotlib.pyplot as plt  # an extra, and slow to load
    from matplotlib.patches import Rectangle

    rows, columns = list(dict.fromkeys(estimate.rows)), list(dict.fromkeys(estimate.group))
    at = {key: i for i, key in enumerate(zip(estimate.rows, estimate.group, strict=True))}
    most = float(np.abs(estimate.value).max(initial=1e-9))
    colour = plt.get_cmap("RdBu_r")
    cell = max(0.75, 0.2 + 0.085 * max(map(len, columns)))
    size = (max(4.2, 0.5 + 0.085 * max(map(len, rows)) + cell * len(columns)), 1.2 + 0.34 * len(rows))
    drawn = style.canvas(ax, size)
    axes = drawn.panel
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            if (row, column) not in at:
                continue
            k = at[row, column]
            sure = estimate.low[k] > 0 or estimate.high[k] < 0
            share = float(estimate.value[k]) / most
            face = colour(0.5 + 0.42 * share) if sure else "0.94"
            axes.add_patch(Rectangle((j - 0.48, i - 0.47), 0.96, 0.94, facecolor=face, linewidth=0))
            ink = "0.6" if not sure else "white" if abs(share) > 0.62 else "0.1"
            axes.text(j, i, f"{estimate.value[k]:z.2f}", ha="center", va="center_baseline", fontsize=9, color=ink)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks(range(len(columns)), [f"skill\n{style.plain(name)}" for name in columns], fontsize=9)
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(rows)), map(style.plain, rows), fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(f"grey: the {100 * estimate.level:.4g}% interval contains 0", fontsize=8.5, color="0.4")
    drawn.head(f"{estimate.target}, {estimate.method}", estimate.status)
    drawn.finish(path)
    return axes


def _wide(panels: int) -> int:
    """Panels side by side: few holes, and never more than four."""
    if panels <= 4:
        return panels if panels < 4 else 2
    return min((4, 3), key=lambda wide: (-panels % wide, -wide))


def _counts(axis: Any, found: Sequence[float] | np.ndarray) -> None:
    """Counts such as 7B on a log axis: decades, or 1, 2, 5 of each where there are few."""
    from matplotlib import ticker  # an extra, and slow to load

    decades = np.log10(max(found) / min(found))
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if decades < 1.7 else (1, 3) if decades < 2.6 else (1,)))
    axis.set_major_formatter(ticker.FuncFormatter(lambda count, _: short(count)))
    axis.set_minor_formatter(ticker.NullFormatter())


def _halo() -> list:
    from matplotlib import patheffects  # an extra, and slow to load

    return [patheffects.withStroke(linewidth=2.5, foreground="white")]
