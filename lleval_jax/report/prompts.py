"""How much the prompt matters, which to run next and which is best (PromptEval): tables, JSON and pictures."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lleval_jax.report import style
from lleval_jax.report.style import COLOURS, DOT, LINE, TRUE
from lleval_jax.report.text import Table, Truth
from lleval_jax.report.text import table as table_of
from lleval_jax.values.findings import Best, Distribution, percent
from lleval_jax.values.results import Choice, Estimate, FitResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = 6  # models in one picture
CELLS = 12  # on the page
NAMED = 60  # prompts whose names a picture can hold


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
    here = [i for i, row in enumerate(estimate.rows) if row in set(fit.rows)]
    columns = ("value", "low", "high", "std_error", "n_seen")
    cut = {name: getattr(estimate, name)[here] for name in columns}
    cut |= {name: tuple(getattr(estimate, name)[i] for i in here) for name in ("rows", "group", "status", "remark")}
    return dataclasses.replace(estimate, **cut)


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
        _each(flat[len(shown)], each, known)
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


def _each(axes: "Axes", each: Estimate, known: Truth | None) -> None:
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
        [style.plain(each.rows[i]) for i in order] if few else [],
        fontsize=8 if len(order) <= 30 else 7,
    )
    axes.set_ylim(-0.8, len(order) - 0.2)
    axes.set_xlabel(each.target)
    axes.tick_params(left=False)
    axes.set_title(f"Each prompt, {100 * each.level:.4g}% intervals", loc="left", fontsize=10)
    style.clean(axes, "x")


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
