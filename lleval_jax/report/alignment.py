"""What training has done: its measures as a table, quantiles of rewards or the course of the loss as a picture."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lleval_jax.report import style
from lleval_jax.report.text import Table
from lleval_jax.values.results import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


REWARDS = "rewards are log-ratios to the model before training, in nats"
LOSSES = "the loss is the mean negative log-probability a token, in nats"


def measures(estimate: Estimate, title: str = "held-out preferences", note: str = REWARDS) -> Table:
    """One line a measure."""
    percent = f"{100 * estimate.level:g}%"
    lines = tuple(
        (group, f"{value:z.3f}", f"[{low:z.3f}, {high:z.3f}]", f"{count:,}")
        for group, value, low, high, count in zip(
            estimate.group, estimate.value, estimate.low, estimate.high, estimate.n_seen, strict=True
        )
    )
    head = ("measure", "value", "interval", "answers")
    return Table(f"{title}, {percent} intervals", head, lines, (note, *estimate.caveats))


def likelihoods(estimate: Estimate) -> Table:
    """One line a measure of how likely held-out answers are."""
    return measures(estimate, "held-out answers", LOSSES)


def quantiles(
    chosen: Sequence[float] | np.ndarray,
    rejected: Sequence[float] | np.ndarray,
    path: str | os.PathLike[str] | None = None,
    *,
    before: tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray] | None = None,
    ax: style.Panels = None,
    title: str = "Rewards on held-out answers",
    label: str = "reward: log-ratio to before training, nats",
) -> "Axes":
    """The quantile functions of chosen and rejected answers, and where the second lie above the first.

    Args:
        chosen: (n,) log-ratios of the chosen answers to the model before training, in nats; or any other reward.
        rejected: (m,) those of the rejected.
        path: png, svg or pdf; None: nothing is written.
        before: the same two before training, drawn thin; None: rewards that are log-ratios, all 0.
        ax: axes to draw in, or None.
        title: above the picture.
        label: what the rewards are.
    """
    picture = style.canvas(ax, (6.4, 4.2))
    panel, marks = picture.panel, {}
    if before is None:
        marks["before training"] = panel.axhline(0, color=style.GREY, linewidth=0.8, linestyle=":")
    else:
        marks |= _curves(panel, *before, "before: ", linewidth=0.9, alpha=0.18)
    marks = _curves(panel, chosen, rejected, "", linewidth=2.0, alpha=0.45) | marks
    panel.set(xlabel="quantile level", ylabel=label, xlim=(0, 1))
    style.clean(panel)
    picture.legend(list(marks.values()), list(marks), _columns(picture, len(marks)))
    picture.head(title)
    picture.finish(path)
    return panel


def margins(
    policy: Sequence[float] | np.ndarray,
    reference: Sequence[float] | np.ndarray,
    path: str | os.PathLike[str] | None = None,
    *,
    ax: style.Panels = None,
    title: str = "Margins of held-out pairs",
) -> "Axes":
    """The quantile functions of pairs' margins before and after, and where training made them smaller.

    A pair whose margin is above 0 is one that the model orders as wanted. Paired AOT asks of the margins after training
    that they dominate those before.

    Args:
        policy: (n,) log-probability of the chosen answer less that of the rejected after training, in nats.
        reference: (m,) before.
        path: png, svg or pdf; None: nothing is written.
        ax: axes to draw in, or None.
        title: above the picture.
    """
    picture = style.canvas(ax, (6.4, 4.2))
    panel, zero = picture.panel, {}
    zero["no preference"] = panel.axhline(0, color=style.GREY, linewidth=0.8, linestyle=":")
    names = {"chosen": "after training", "rejected": "before training"}
    found = _curves(panel, policy, reference, "", linewidth=2.0, alpha=0.45)
    marks = {names.get(name, name): handle for name, handle in found.items()} | zero
    panel.set(xlabel="quantile level", ylabel="log-probability, chosen less rejected, nats", xlim=(0, 1))
    style.clean(panel)
    picture.legend(list(marks.values()), list(marks), _columns(picture, len(marks)))
    picture.head(title)
    picture.finish(path)
    return panel


def course(
    history: Sequence[Mapping[str, float]],
    path: str | os.PathLike[str] | None = None,
    *,
    ax: style.Panels = None,
    title: str = "Loss while learning",
) -> "Axes":
    """The loss of each step's batch, and that of the held-out answers where it was evaluated.

    Args:
        history: one record a step: "step", "loss" and, of evaluations, "held_out_loss".
        path: png, svg or pdf; None: nothing is written.
        ax: axes to draw in, or None.
        title: above the picture.
    """
    picture = style.canvas(ax, (6.4, 4.2))
    panel = picture.panel
    evaluated = [record for record in history if "held_out_loss" in record]
    steps, losses = ([record[name] for record in history] for name in ("step", "loss"))
    apart, held_out = ([record[name] for record in evaluated] for name in ("step", "held_out_loss"))
    handles = [
        panel.plot(steps, losses, color=style.GREY, linewidth=0.9)[0],
        panel.plot(apart, held_out, color=style.DOT, marker="o")[0],
    ]
    panel.set(xlabel="step", ylabel="loss, nats a token")
    picture.legend(handles, ("batch", "held out"), 2)
    picture.head(title)
    picture.finish(path)
    return panel


def _columns(picture: style.Canvas, marks: int) -> int:
    """Of the legend: below a picture of our own there is room."""
    return min(marks, 4 if marks < 6 else 3) if picture.own else 1


def _curves(
    panel: "Axes",
    upper: Sequence[float] | np.ndarray,
    lower: Sequence[float] | np.ndarray,
    when: str,
    *,
    linewidth: float,
    alpha: float,
) -> dict[str, Any]:
    """Two quantile functions, the first of which shall lie above, with what is violated shaded; marks by name."""
    level = np.linspace(0.0005, 0.9995, 1000)
    u, v = (np.quantile(np.asarray(x, float), level, method="inverted_cdf") for x in (upper, lower))
    shade = panel.fill_between(level, u, v, where=v > u, step="mid", color=style.AMBER, alpha=alpha, linewidth=0)
    words: dict[str, Any] = {"where": "mid", "linewidth": linewidth}
    return {
        f"{when}chosen": panel.step(level, u, color=style.DOT, **words)[0],
        f"{when}rejected": panel.step(level, v, color=style.TRUE, linestyle="--", **words)[0],
        f"{when}dominance violated": shade,
    }
