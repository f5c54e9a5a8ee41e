"""How much the prompt matters, which to run next and which is best (PromptEval): tables, JSON and pictures."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lleval_jax.report import style
from lleval_jax.report.style import COLOURS, DOT, LINE, TRUE
from lleval_jax.report.text import LABEL, Table, cut, label
from lleval_jax.report.text import table as table_of
from lleval_jax.report.truth import Known, Truth
from lleval_jax.report.truth import known as scores_of
from lleval_jax.values.findings import Best, Distribution, percent
from lleval_jax.values.responses import Responses
from lleval_jax.values.results import Choice, Estimate, FitResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = 6  # models in one picture
CELLS = 12  # on the page
NAMED = 60  # prompts whose names a picture can hold
RIVALS = 40  # prompts in a picture of which is best
FINE = 2000  # rows and columns of a grid that a picture can show one by one; of more, blocks
SPARSE = 0.03  # share of cells answered or to run, below which those of a fine grid are drawn larger than they are
EMPTY, NEXT = "#ececec", style.AMBER  # cells not asked, and to run next


def table(fit: FitResult, estimate: Estimate, truth: Truth | None = None) -> Table:
    """One line a quantile, functional or prompt; below it, how large the effects are and what was answered."""
    found = table_of(estimate, truth)
    return dataclasses.replace(found, head=("prompts", *found.head[1:]), remarks=(*found.remarks, *_remarks(fit)))


def comparison(difference: Estimate, first: str, second: str, probability: float, won: Estimate | None = None) -> Table:
    """The difference of two prompts, or two models, the probability that one is better, and under how many prompts."""
    better, sure = (first, probability) if probability >= 0.5 else (second, 1 - probability)
    lines = [(difference.rows[0], f"{difference.value[0]:z.3f}", style.interval(difference, 0))]
    if won is not None:
        lines.append((f"share of prompts won by {first}", f"{won.value[0]:z.3f}", style.interval(won, 0)))
    title = f"difference, {100 * difference.level:.4g}% interval"
    remark = f"{better} is better with probability {percent(sure)}"
    return Table(title, ("prompts" if won is None else "models", "difference", "interval"), tuple(lines), (remark,))


def choice(
    chosen: Choice,
    head: Sequence[str],
    cells: Sequence[Sequence[str]],
    answered: int,
    out: str | os.PathLike[str] | None = None,
) -> Table:
    """The first cells to run, or why it is enough.

    head, cells: what a cell is called and which there are; out: the file that holds all of them.
    """
    if not cells:
        return Table("enough", ("answers", "why"), ((f"{answered:,}", chosen.reason),), (), 2)
    examples = len({cell[-1] for cell in cells})
    title = f"run next: {len(cells):,} cells, {sum(map(bool, chosen.items)):,} prompts on {examples:,} examples"
    rest = f"and {len(cells) - CELLS:,} more; --out FILE writes them all" if len(cells) > CELLS and out is None else ""
    said = (chosen.reason, rest, f"all written to {out}" if out is not None else "")
    return Table(title, tuple(head), tuple(map(tuple, cells[:CELLS])), tuple(filter(None, said)), len(head))


def best(found: Best, most: int = 5) -> Table:
    """The prompts most likely to be the best, and how far the first may be below it: from `bandit.best`."""
    order = np.argsort(-found.chance, kind="stable")[:most]
    lines = [(found.prompts[i], percent(float(found.chance[i]))) for i in order if found.chance[i] > 0]
    score = found.score
    within = ", ".join(
        f"{100 * gap:z.1f} points with probability {p:g}" for p, gap in zip(found.at, found.within, strict=True)
    )
    said = f"{found.sure}. Its regret is at most {within}"
    own = f"Its score: {score.value[0]:z.3f} {style.interval(score, 0)}, from {score.n_seen[0]:,} answers of its own"
    return Table("best so far", ("prompt", "P(best)"), tuple(lines), (said, own))


def facts(fit: FitResult) -> dict[str, Any]:
    """What was learned besides the scores, for the JSON: sizes of effects in logits, and what was answered."""
    p = fit.params
    sizes = zip(fit.axes["kinds"], p.scale, p.scale_low, p.scale_high, strict=True)
    effects = zip(fit.axes["features"], p.coef, p.coef_sd, strict=True)
    return {
        "method": fit.method,
        "status": fit.status,
        "prompts": len(fit.rows),
        "examples": len(fit.items),
        "answers": int(p.answered.sum()),
        "unanswered": [row for row, count in zip(fit.rows, p.answered, strict=True) if not count],
        "level": float(p.level),
        "scales": [{"name": n, "value": float(v), "low": float(a), "high": float(b)} for n, v, a, b in sizes],
        "features": [{"name": n, "value": float(v), "sd": float(sd)} for n, v, sd in effects],
    }


def only_prompts(fit: FitResult, estimate: Estimate) -> Estimate:
    """The entries of `estimate` that are prompts."""
    prompts = set(fit.rows)
    return estimate.take([i for i, row in enumerate(estimate.rows) if row in prompts])


def plot(
    fit: FitResult,
    curves: Mapping[str, Distribution],
    level: float,
    *,
    truth: Mapping[str, np.ndarray] | None = None,
    each: Estimate | None = None,
    known: Truth | None = None,
    title: str = "",
    path: str | os.PathLike[str] | None = None,
    ax: style.Panels = None,
) -> Any:
    """The distribution of scores over prompts with its band, one panel a model; and each prompt, if asked.

    Args:
        fit: from `prompts.fit`.
        curves: model -> its distribution; "" where there is one model.
        level: of the bands.
        truth: model -> the true scores of its prompts, where they are known.
        each: entries of the prompts, for a panel of their own.
        known: (row, group) -> true score of a prompt.
        title: before what is said of the answers.
        path: write the picture here (png, svg or pdf).
        ax: draw in these axes, as many as there are panels.
    """
    shown = list(curves)[:PANELS]
    panels = len(shown) + (each is not None)
    wide = min(panels, 3)
    tall = -(-panels // wide)
    height = 3.6 * tall
    if each is not None and tall == 1:
        height = max(3.6, 1 + 0.2 * len(each.rows)) if len(each.rows) <= NAMED else 6.0
    if ax is not None:
        tall, wide = 1, panels
    drawn = style.canvas(ax, (1 + 4.6 * wide, height), tall, wide)
    flat = list(drawn.panels.flat)
    for name, one in zip(shown, flat, strict=False):
        curve(curves[name], level, None if truth is None else truth[name], ax=one)
        one.set_title(style.plain(name) or "Distribution over prompts", loc="left", fontsize=10)
    if each is not None:
        _each(flat[len(shown)], each, scores_of(known))
    for one in flat[panels:]:
        one.set_axis_off()
    answers = int(fit.params.answered.sum())
    rows, items = len(fit.rows), len(fit.items)
    title += f"{answers:,} of {rows * items:,} cells answered ({rows:,} prompts x {items:,} examples)"
    drawn.head(title, (fit.status,))
    drawn.finish(path)
    return drawn.panels


def curve(
    found: Distribution,
    level: float,
    truth: np.ndarray | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    """Score against the share of prompts that are below it: the estimate, its band, and the truth in any order."""
    drawn = style.canvas(ax, (5.6, 3.6))
    axes = drawn.panel
    share = 100 * found.share
    band = f"{100 * level:.4g}% band"
    axes.fill_between(share, found.low, found.high, color=LINE, alpha=0.55, linewidth=0, label=band)
    axes.plot(share, found.value, color=DOT, linewidth=2, label="estimate")
    if truth is not None:
        axes.plot(share, np.sort(truth), ".", color=TRUE, markersize=5, label="truth")
    axes.set_xlim(0, 100)
    axes.set_xlabel("percent of prompts that score less")
    axes.set_ylabel("accuracy")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    style.clean(axes)
    drawn.finish(path)
    return axes


def regret(
    budgets: Sequence[float],
    runs: Mapping[str, np.ndarray],
    path: str | os.PathLike[str] | None = None,
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    """How much worse than the best prompt the chosen one is, against the answers spent.

    Args:
        budgets: (points,) answers.
        runs: name of a rule -> (points, runs) regrets in units of the score; the line is their mean, the band twice
            its standard error.
        path: write the picture here (png, svg or pdf).
        ax: draw in these axes.
    """
    drawn = style.canvas(ax, (5.6, 3.6))
    axes = drawn.panel
    for (name, found), colour, marker in zip(runs.items(), COLOURS, style.MARKERS, strict=False):
        mean = found.mean(1)
        error = found.std(1, ddof=1) / np.sqrt(found.shape[1]) if found.shape[1] > 1 else np.zeros(len(mean))
        axes.fill_between(budgets, mean - 2 * error, mean + 2 * error, color=colour, alpha=0.18, linewidth=0)
        axes.plot(budgets, mean, f"{marker}-", color=colour, markersize=4, linewidth=1.6, label=style.plain(name))
    axes.set_ylim(0, None)
    axes.set_xlabel("answers")
    axes.set_ylabel("regret: distance to the best score")
    axes.legend(frameon=False, fontsize=8)
    style.clean(axes)
    drawn.finish(path)
    return axes


def _each(axes: "Axes", each: Estimate, known: Known | None) -> None:
    """A dot and an interval for each prompt, best on top."""
    order = np.argsort(each.value, kind="stable")
    height = np.arange(len(order))
    axes.hlines(height, each.low[order], each.high[order], color=LINE, linewidth=2.4, capstyle="round")
    axes.plot(each.value[order], height, "o", color=DOT, markersize=3.5)
    if known is not None:
        true = [known[each.rows[i], each.group[i]] for i in order]
        axes.plot(true, height, "|", color=TRUE, markersize=7, markeredgewidth=1.6)
    few = len(order) <= NAMED
    axes.set_yticks(
        height if few else [],
        [label(each.rows[i]) for i in order] if few else [],
        fontsize=8 if len(order) <= 30 else 7,
    )
    axes.set_ylim(-0.8, len(order) - 0.2)
    axes.set_xlabel(each.target)
    axes.tick_params(left=False)
    axes.set_title(f"Each prompt, {100 * each.level:.4g}% intervals", loc="left", fontsize=10)
    style.clean(axes, "x")


def rivals(
    found: Best,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "",
    most: int = RIVALS,
    ax: "Axes | None" = None,
) -> "Axes":
    """Prompts by estimated score, best on top, each with its interval and, at the right, its P(best).

    Args:
        found: from `bandit.best`.
        path: write the picture here (png, svg or pdf).
        title: before what is said of the best.
        most: prompts shown; how many more there are, and the P(best) of all of them, stands below.
        ax: draw in these axes.
    """
    order = np.argsort(-found.scores.value, kind="stable")
    rest, shown = order[most:], found.scores.take(order[:most])
    names, chance = [label(name) for name in shown.rows], [_chance(float(found.chance[i])) for i in order[:most]]
    if len(rest):
        names, chance = [*names, f"and {len(rest):,} more"], [*chance, _chance(float(found.chance[rest].sum()))]
    drawn = style.canvas(ax, (6.8, 1.7 + 0.21 * len(names)))
    axes, height = drawn.panel, np.arange(len(shown.rows))
    axes.hlines(height, shown.low, shown.high, color=LINE, linewidth=3, capstyle="round")
    own = shown.n_seen > 0
    for here, fill, said in ((own, "full", "estimate and interval"), (~own, "none", "without answers of its own")):
        if here.any():
            axes.plot(shown.value[here], height[here], "o", color=DOT, markersize=5, fillstyle=fill, label=said)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.7)
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(names)), chance, fontsize=8)
    for side in (axes, right):
        side.tick_params(axis="y", length=0)
        side.spines[["left" if side is axes else "right"]].set_visible(False)
    axes.set_title("P(best)", loc="right", fontsize=9)
    axes.set_xlabel(f"{shown.target} ({shown.method}, {100 * shown.level:.4g}% intervals)")
    style.clean(axes, "x")
    drawn.legend(*axes.get_legend_handles_labels(), 2)
    said = percent(float(found.chance[order[0]]))
    drawn.head(f"{title}best so far: {cut(found.prompt, LABEL)}, P(best) = {said}", shown.status[:1])
    drawn.finish(path)
    return axes


def cells(
    answers: Responses,
    chosen: Choice,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "",
    ax: "Axes | None" = None,
) -> "Axes":
    """The grid of prompts and examples, in its own order: what was answered, what to run next, what is not asked.

    Args:
        answers: so far, with all prompts and examples there are.
        chosen: from `prompts.choose` or `bandit.choose`.
        path: write the picture here (png, svg or pdf).
        title: before what is said of the choice.
        ax: draw in these axes.
    """
    from matplotlib.colors import ListedColormap  # an extra, and slow to load

    kind = _kinds(answers, chosen)
    rows, columns = kind.shape
    wide, tall = np.clip(0.09 * columns, 4.5, max(9, columns / 140)), np.clip(0.17 * rows, 1.2, max(7, rows / 140))
    drawn = style.canvas(ax, (1.8 + min(wide, FINE / 140), 1.6 + min(tall, FINE / 140)))
    axes = drawn.panel
    axes.imshow(
        _coarse(kind),
        cmap=ListedColormap([EMPTY, DOT, NEXT]),
        vmin=0,
        vmax=2,
        extent=(0.5, columns + 0.5, rows + 0.5, 0.5),
        aspect="auto",
        interpolation="nearest",
    )
    larger = _larger(axes, kind)
    _lines(axes, rows, columns)
    if rows <= NAMED:
        axes.set_yticks(range(1, rows + 1), [label(name) for name in answers.rows], fontsize=8 if rows <= 30 else 7)
    axes.set_ylabel(f"{rows:,} prompts")
    if columns <= NAMED // 2:
        axes.set_xticks(range(1, columns + 1), [label(name) for name in answers.items], fontsize=8, rotation=90)
    axes.set_xlabel(f"{columns:,} examples{larger}")
    axes.tick_params(length=0, which="both")
    axes.spines[:].set_visible(False)
    counts = np.bincount(kind.ravel(), minlength=3)
    known = zip((DOT, NEXT, EMPTY), ("answered", "run next", "not asked"), counts[[1, 2, 0]], strict=True)
    marks = [(axes.plot([], [], "s", color=colour)[0], f"{said}: {n:,}") for colour, said, n in known]
    drawn.legend(*zip(*marks, strict=True), columns=3)
    asked = f"{counts[2]:,} cells, {sum(map(bool, chosen.items)):,} prompts on {_examples(chosen):,} examples"
    drawn.head(f"{title}run next: {asked}" if counts[2] else f"{title}enough: {chosen.reason}")
    drawn.finish(path)
    return axes


def _kinds(answers: Responses, chosen: Choice) -> np.ndarray:
    """(prompts, examples) 0 not asked, 1 answered, 2 to run next."""
    kind = answers.seen.astype(np.int8)
    row, item = ({name: i for i, name in enumerate(names)} for names in (answers.rows, answers.items))
    for name, items in zip(chosen.rows, chosen.items, strict=True):
        kind[row[name], [item[one] for one in items]] = 2
    return kind


def _coarse(kind: np.ndarray) -> np.ndarray:
    """At most `FINE` rows and columns: a block shows what is to run, else what was answered, if there is any."""
    for axis in (0, 1):
        step = -(-kind.shape[axis] // FINE)
        kind = np.maximum.reduceat(kind, np.arange(0, kind.shape[axis], step), axis=axis)
    return kind


def _larger(axes: "Axes", kind: np.ndarray) -> str:
    """Of a fine and nearly empty grid, squares that the eye can find; says so."""
    rows, columns = kind.shape
    if max(rows, columns / 2) <= 2 * NAMED or (kind > 0).mean() > SPARSE:
        return " (a point stands for several cells)" if max(rows, columns) > FINE else ""
    for what, colour in ((1, DOT), (2, NEXT)):
        y, x = np.nonzero(kind == what)
        axes.plot(x + 1, y + 1, "s", color=colour, markersize=2, markeredgewidth=0, rasterized=True)
    return " (cells drawn larger than they are)"


def _lines(axes: "Axes", rows: int, columns: int) -> None:
    """White lines between cells, where these are large enough."""
    if rows <= NAMED and columns <= 2 * NAMED:
        axes.set_yticks(np.arange(1.5, rows), minor=True)
        axes.set_xticks(np.arange(1.5, columns), minor=True)
        axes.grid(which="minor", color="white", linewidth=0.7)


def _examples(chosen: Choice) -> int:
    return len({item for items in chosen.items for item in items})


def _chance(probability: float) -> str:
    """Of a prompt to be the best: two digits, and nothing that draws cannot rule out."""
    return "<0.01" if probability < 0.005 else percent(probability)


def _remarks(fit: FitResult) -> list[str]:
    said = facts(fit)
    sizes = [f"{s['name']} {s['value']:z.2f} [{s['low']:z.2f}, {s['high']:z.2f}]" for s in said["scales"]]
    cells = said["prompts"] * said["examples"]
    remarks = [f"effects in logits (sd, 90% intervals): {', '.join(sizes)}"] if sizes else []
    remarks += [
        f"{said['answers']:,} of {cells:,} cells answered: {said['prompts']:,} prompts x {said['examples']:,} examples",
    ]
    bare = said["unanswered"]
    if bare:
        many = f"{len(bare):,} prompts have" if len(bare) > 1 else f"{bare[0]!r} has"
        remarks.append(f"{many} no answer; estimated from the others")
    return remarks + ([f"the fit is {fit.status}"] if fit.status != "ok" else [])
