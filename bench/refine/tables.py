"""Tables and the picture of what refinement can reach."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.kit.results import read
from bench.kit.tables import bold, markdown, number


def wrong() -> str:
    """The probability of the wrong concept."""
    found = read("refine", "theory")
    rows = []
    for spread, each in found["errors"].items():
        rows.append((spread, "exact", *(f"{value:.3g}" for value in each["exact"])))
        both = zip(each["simulated"], each["error"], strict=True)
        rows.append(("", "simulated", *(f"{value:.3g} ± {error:.1g}" for value, error in both)))
        rows.append(("", "bound", *(f"{value:.3g}" for value in each["bound"])))
    return markdown(("V", "", *(f"n = {n}" for n in found["shown"])), rows)


def risks() -> str:
    """Fixed and fresh sets, and the naive limit."""
    found = read("refine", "theory")
    rows = []
    for name, each in found["refinement"].items():
        limit = each["naive limit"]
        both = zip(each["fixed"], each["fresh"], strict=True)
        cells = [f"{bold(number(a, 3), a > limit)} / {bold(number(b, 3), b > limit)}" for a, b in both]
        rows.append((name, *cells, number(limit, 3), number(each["weak labels"], 3)))
    return markdown(("teacher", *(f"n = {n}" for n in found["shown"]), "naive limit", "weak labels"), rows)


def picture(found: Mapping[str, Any], path: pathlib.Path) -> None:
    """Four panels: error and bound, naive training, a good teacher, a misleading one."""
    from lleval_jax.report import style

    canvas = style.canvas(None, (10.5, 7.6), 2, 2)
    (first, second), (third, fourth) = canvas.panels
    _errors(first, found["errors"], found["shown"])
    _training(second, found["training"], found["refinement"]["bias 1, orthogonal"])
    for panel, name in ((third, "bias 1, orthogonal"), (fourth, "0.6 of the wanted, 0.8 of another")):
        _risks(panel, found["refinement"][name], found["shown"], name)
    fourth.sharey(third)
    third.set(ylim=(0, 1.6))
    for panel in canvas.panels.flat:
        panel.legend(frameon=False, fontsize=8)
        style.clean(panel)
    canvas.head("Weak labels, learned as they are or refined first. Points: simulated. Lines above: exact")
    canvas.finish(path)


def _errors(panel: Any, found: Mapping[str, Any], shown: Sequence[int]) -> None:
    from lleval_jax.report import style

    for (spread, each), colour, mark in zip(found.items(), style.COLOURS, style.MARKERS, strict=False):
        panel.plot(shown, each["exact"], color=colour, linewidth=1.4, label=f"V = {spread}")
        panel.plot(shown, each["bound"], color=colour, linewidth=1, linestyle=":")
        _points(panel, shown, each["simulated"], each["error"], colour, mark)
    panel.plot([], [], color=style.GREY, linestyle=":", label="bound")
    panel.set(xscale="log", yscale="log", xlabel="labels shown", ylabel="probability of the wrong concept")
    panel.set_ylim(3e-5, 1.2)
    _ticks(panel, shown, "two concepts; V = bias² + noise² of the teacher")


def _training(panel: Any, found: Mapping[str, Any], limits: Mapping[str, Any]) -> None:
    from lleval_jax.report import style

    panel.plot(found["labels"], found["exact"], color=style.DOT, linewidth=1.4, label="least squares")
    names = [name for name in found if name.startswith("ridge")]
    for name, colour, mark in zip(names, style.COLOURS[1:], style.MARKERS[1:], strict=False):
        penalty = name.removeprefix("ridge ")
        panel.plot(found["labels"], found[name]["exact"], color=colour, linewidth=1.4, label=f"penalty {penalty}")
        panel.plot(found["labels"], found[name]["simulated"], mark, color=colour, markersize=4)
    limit = limits["naive limit"]
    panel.axhline(limit, color=style.GREY, linestyle="--", linewidth=1, label=f"naive limit, {limit:.3f}")
    panel.set(xscale="log", xlabel="weak labels learned", ylabel="risk", ylim=(0, 3))
    _ticks(panel, found["labels"][::2], "naive training, drawn to the strong model; bias 1, orthogonal")


def _risks(panel: Any, found: Mapping[str, Any], shown: Sequence[int], name: str) -> None:
    from lleval_jax.report import style

    lines = (("fixed", "one fixed set", style.DOT, "o"), ("fresh", "a fresh set each", style.GREEN, "s"))
    for key, label, colour, mark in lines:
        panel.plot(shown, found[key], color=colour, linewidth=1, label=label)
        _points(panel, shown, found[key], found[f"{key} error"], colour, mark)
    panel.axhline(found["naive limit"], color=style.GREY, linestyle="--", linewidth=1, label="naive limit")
    panel.axhline(found["weak labels"], color=style.TRUE, linestyle=":", linewidth=1, label="the weak labels")
    panel.set(xscale="log", xlabel="labels shown", ylabel="risk of the refined student")
    _ticks(panel, shown, f"teacher: {name}")


def _points(panel: Any, x: Sequence[int], y: Sequence[float], error: Sequence[float], colour: str, mark: str) -> None:
    """Simulated, with two standard errors."""
    panel.errorbar(x, y, 2 * np.array(error), fmt=mark, color=colour, markersize=4, capsize=2, linewidth=1)


def _ticks(panel: Any, shown: Sequence[int], title: str) -> None:
    panel.set_xticks(shown, [str(n) for n in shown])
    panel.minorticks_off()
    panel.set_title(title, fontsize=9, loc="left")


def style() -> str:
    """Nats a token by how many answers are shown."""
    names = ("styled", "plain", "styled less plain")
    rows = [
        (each["shown"], *(f"{number(each[name], 2)} ± {number(each[f'{name}, error'], 2)}" for name in names))
        for each in read("refine", "style")["rows"]
    ]
    return markdown(("answers shown", *names), rows)


def preference() -> str:
    """Accuracy of each arm, and less that of the labels as they are."""
    found = read("refine", "preference")
    rows = [
        (name, interval(each), interval(found["less weak labels"].get(name)))
        for name, each in found["accuracy"].items()
    ]
    return markdown(("student", "accuracy", "less weak labels"), rows)


def interval(each: Mapping[str, float] | None) -> str:
    """Value and bounds; "" for none."""
    return "" if each is None else "{value} [{low}, {high}]".format(**{k: number(v, 3) for k, v in each.items()})


TABLES = {"wrong": wrong, "risks": risks, "style": style, "preference": preference}
