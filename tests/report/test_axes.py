"""Every drawing function draws where it is told to, opens no figure then, and closes the one that it has written."""

import numpy as np
import pandas as pd
import pytest

import lleval_jax as ll
from lleval_jax.errors import BadInput
from lleval_jax.report import alignment, compression, plot, prompts, refresh_plots, sloth_plots, style
from lleval_jax.report.compression import Size
from lleval_jax.values.findings import Best, Distribution
from lleval_jax.values.shared_adapters import Module, Shared

plt = pytest.importorskip("matplotlib.pyplot", reason="needs the extra `plot`")
plt.switch_backend("agg")


def an_estimate(rows=("a", "$b$", "c"), groups=("all",), error=0.02):
    value = np.linspace(0.4, 0.7, len(rows) * len(groups)).reshape(len(rows), -1)
    numbers = [value, value - 2 * error, value + 2 * error, np.full(value.shape, error)]
    words = {"target": "accuracy", "method": "m", "level": 0.95, "source": ll.Source(), "status": "ok"}
    return ll.Estimate.crossed(tuple(rows), groups, numbers, n_seen=9, **words)


GRID = [f"new:{size:g}:{tokens:g}" for size in (1e9, 1e10) for tokens in (1e12, 2e12)]
BOARD = ll.Leaderboard.from_frame(
    pd.DataFrame({"model": ["x", "y"], "family": "f", "params": [1e9, 2e9], "tokens": 1e12, "MMLU": [0.5, 0.6]})
)
TRUTH = {("a", "all"): 0.41, ("c", "all"): 0.9}
SCORED = {(row, "MMLU"): 0.5 for row in GRID}
GRID_SEEN = ll.Responses.build(np.eye(3), seen=np.eye(3) > 0, rows=("a", "$b$", "c\n"), items=tuple("xyz"))
BEST = Best("c", 0.6, an_estimate(), (0.5,), (0.1,), 0.1, ("a", "$b$", "c"), np.array([0.0, 0.4, 0.6]), 27.0, "")
SHARED = Shared(
    ("a", "$b"),
    {"layer": Module(np.ones((1, 3, 2)), np.ones((1, 4, 2)), np.ones((2, 2, 2)))},
    np.zeros(2, int),
    np.array([[0.1], [0.3]]),
    "full",
    np.array([14, 14]),
    True,
)
DRAWN = {
    "forest": lambda **to: plot.forest(an_estimate(), TRUTH, goals={"threshold $": 0.5}, **to),
    "rivals": lambda **to: prompts.rivals(BEST, most=2, **to),
    "cells": lambda **to: prompts.cells(GRID_SEEN, ll.Choice(("a", "c\n"), (("y", "z"), ("x",)), ("", "")), **to),
    "curve": lambda **to: prompts.curve(Distribution(*4 * [np.linspace(0.1, 0.9, 5)]), 0.9, **to),
    "regret": lambda **to: prompts.regret([1, 2], {"$x": np.array([[0.2, 0.1], [0.1, 0.1]])}, **to),
    "scores": lambda **to: refresh_plots.scores(an_estimate(), TRUTH, **to),
    "choice": lambda **to: refresh_plots.choice([an_estimate(), an_estimate(error=0.01)], **to),
    "ranks": lambda **to: refresh_plots.ranks(an_estimate(), an_estimate(), **to),
    "curves": lambda **to: sloth_plots.curves(an_estimate(GRID[:1] + GRID[2:3], ("MMLU",)), BOARD, **to),
    "observed": lambda **to: sloth_plots.observed(an_estimate(GRID, ("MMLU",)), SCORED, **to),
    "levels": lambda **to: sloth_plots.levels(an_estimate(GRID, ("MMLU",)), BOARD, "new", "MMLU", **to),
    "quantiles": lambda **to: alignment.quantiles([1.0, 2.0, -0.5], [0.0, 1.5], **to),
    "quantiles, before and after": lambda **to: alignment.quantiles(
        [1.0, 2.0, -0.5], [0.0, 1.5], before=([0.5, 0.2], [0.3, 0.4]), **to
    ),
    "margins": lambda **to: alignment.margins([1.0, 2.0, -0.5], [0.0, 1.5], **to),
    "errors by size": lambda **to: compression.curve([Size(4, 1, 0.1, 0.6), Size(8, 1, 0.2, 0.4)], target=0.5, **to),
    "errors": lambda **to: compression.heat(SHARED, **to),
    "loadings": lambda **to: sloth_plots.loadings(an_estimate(("MMLU", "ARC"), ("one", "two")), **to),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_drawn_in_given_axes(name, tmp_path):
    figure, mine = plt.subplots()
    before = plt.get_fignums()
    found = DRAWN[name](ax=mine, path=tmp_path / "a.png")
    assert np.array(found, object).ravel().tolist() == [mine]
    assert mine.has_data()
    assert plt.get_fignums() == before
    assert (tmp_path / "a.png").stat().st_size > 1000
    plt.close(figure)


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_is_closed_once_it_is_written(name, tmp_path):
    before = plt.get_fignums()
    DRAWN[name](path=tmp_path / "a.svg")
    assert plt.get_fignums() == before
    DRAWN[name]()
    assert len(plt.get_fignums()) == len(before) + 1
    plt.close("all")


def test_another_number_of_axes_is_refused():
    figure, mine = plt.subplots(1, 2)
    with pytest.raises(BadInput, match="this picture has 1 panels; ax holds 2 axes"):
        DRAWN["scores"](ax=mine)
    plt.close(figure)


def test_colours_differ_for_every_kind_of_colour_vision():
    """Viénot, Brettel and Mollon 1999: what protanopes and deuteranopes see, in linear RGB."""
    seen = {
        "deuteranopia": [[0.29275, 0.70725, -0.02234], [0.29275, 0.70725, -0.02234], [-0.02234, 0.02234, 1.0]],
        "protanopia": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
    }
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    colours = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in style.COLOURS])
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    for matrix in seen.values():
        xyz = np.clip(linear @ np.array(matrix).T, 0, 1) @ to_xyz.T / to_xyz.sum(1)
        f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
        lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)
        away = np.linalg.norm(lab[:, None] - lab[None], axis=-1)[np.triu_indices(len(lab), 1)]
        assert away.min() > 15
    assert len(set(style.MARKERS)) == len(style.COLOURS)
