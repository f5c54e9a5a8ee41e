"""`lleval prompts plan` and `best`: which prompts to run next, on which examples; and which prompt is best."""

import csv
import dataclasses
import io
import pathlib
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli.prompts import grids
from lleval_jax.cli.shell import options, output, typed
from lleval_jax.cli.shell.verb import Outputs, Run, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    import pandas as pd

    from lleval_jax.report.text import Table

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet takes for a formula

SoFar = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[INPUT...]",
        help=f"Answers so far, as for 'lleval prompts'; or {grids.DEMO}, simulated; none: nothing was run yet.",
        show_default=False,
    ),
]
Budget = Annotated[int, typer.Option(min=1, help="Answers in the whole grid, those given already included.")]
Count = Annotated[
    int | None,
    typer.Option("-k", metavar="K", min=1, help="Answers between two looks; without it some eight looks."),
]
By = Annotated[
    Literal["balanced", "adaptive"],
    typer.Option(help="Every prompt and example about equally often, or those that tell most of --quantile."),
]
Quantile = Annotated[str, typer.Option(metavar="P", help="The percent that --by adaptive wants to know.")]
Rule = Annotated[
    Literal["top-two", "elimination", "thompson", "halving"],
    typer.Option(help="Sampling rule: top-two, successive elimination, Thompson sampling or sequential halving."),
]
Certainty = Annotated[float, typer.Option(help="Enough when a prompt is best, or within --tolerance, so surely.")]
Tolerance = Annotated[float, typer.Option(metavar="GAP", help="Enough too when one is surely so close to the best.")]
Price = Annotated[
    pathlib.Path | None, typer.Option(metavar="PATH", help="Price of a call: a table, columns prompt, price.")
]
Spend = Annotated[float, typer.Option(help="What all answers may cost; without --price their number.")]
Cells = Annotated[
    pathlib.Path | None, typer.Option(metavar="FILE", help="Write the cells there, as CSV: prompt, item.")
]
ItemFeatures = Annotated[
    pathlib.Path | None, typer.Option(metavar="PATH", help="The same of the examples: column item and any others.")
]
Seed = Annotated[int, typer.Option(help="Seed of all that is drawn at random.")]


@dataclasses.dataclass(frozen=True)
class About:
    """What is known of a grid besides its answers: the names of all there are, and covariates."""

    prompts: grids.Prompts = None
    items: grids.Items = None
    features: grids.Features = None
    item_features: ItemFeatures = None
    templates: grids.Templates = None

    def names(self) -> tuple[list[str] | None, list[str] | None]:
        """All prompts and all examples there are; None where it is not said."""
        return grids.names_in(self.prompts, "prompt"), grids.names_in(self.items, "item")

    def of_rows(self, grid: grids.Grid) -> "pd.DataFrame | None":
        """(rows, features) covariates of the prompts; None without any."""
        return grids.row_features(grid, self.features, self.templates)

    def of_items(self, grid: grids.Grid) -> "pd.DataFrame | None":
        """(items, features) covariates of the examples; None without any."""
        path = self.item_features
        return None if path is None else grids.covariates(path, "item", grid.answers.items)


NOTHING = About()


def plan(
    budget: Budget,
    inputs: SoFar = None,
    by: By = "balanced",
    quantile: Quantile = "50",
    price: Price = None,
    about: About = NOTHING,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    seed: Seed = 0,
    plot: options.Plot = None,
    out: Cells = None,
    json: options.Json = None,
) -> None:
    """Which cells to run next: which prompts on which examples, until --budget answers are there.

    Run them ('lleval prompts run' does it), add the answers to the grid, plan again with a larger budget.

    Examples, the first with a simulated grid that comes with the package:

      lleval prompts plan demo:prompts --budget 400
      lleval prompts plan --budget 200 --prompts prompts.txt --items examples.txt --out next.csv
      lleval prompts plan answers.csv --budget 400 --by adaptive --quantile 5 --out next.csv
    """
    share = grids.share(quantile)
    with verb("reading answers", Outputs(json=json, plot=plot, file=out), strict=strict, seed=seed) as run:
        grid = _so_far(inputs, about, reading, run)
        rows = about.of_rows(grid)
        run.say("planning" if by == "balanced" else "fitting and planning; compiling first")
        words: dict[str, Any] = {"by": by, "quantile": share, "row_features": rows, "seed": seed}
        words["price"] = None if price is None else _prices(price, grid)
        chosen = ll.prompts.choose(grid.answers, k=budget, **words)
        run.draw(lambda path: ll.report.prompts.cells(grid.answers, chosen, path, title=_said(grid)))
        _show(chosen, grid, budget, run, {"by": by})


def best(
    budget: Spend,
    inputs: SoFar = None,
    by: Rule = "top-two",
    k: Count = None,
    certainty: Certainty = 0.95,
    tolerance: Tolerance = 0.0,
    price: Price = None,
    about: About = NOTHING,
    level: options.Level = 0.95,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    seed: Seed = 0,
    plot: options.Plot = None,
    out: Cells = None,
    json: options.Json = None,
) -> None:
    """Which prompt is best, with its probability, and which cells to run next to find out; or "enough", and why.

    Run them, add the answers to the grid, ask again with the same --budget.

    Examples, the first with a simulated grid that comes with the package:

      lleval prompts best demo:prompts --budget 600
      lleval prompts best answers.csv --budget 600 --tolerance 0.02 --out next.csv
    """
    typed.require_answers(inputs, plot)
    with verb("reading answers", Outputs(json=json, plot=plot, file=out), strict=strict, seed=seed) as run:
        grid = _so_far(inputs, about, reading, run)
        _require_one(grid)
        names, examples = grid.answers.rows, grid.answers.items
        words: dict[str, Any] = {"by": by, "k": k, "certainty": certainty, "tolerance": tolerance}
        words["price"] = None if price is None else _prices(price, grid)
        words |= {"row_features": about.of_rows(grid), "seed": seed}
        state = ll.bandit.init(names, items=examples, budget=budget, **words)
        content: dict[str, Any] = {"by": by}
        tables: list[Table] = []
        if grid.answers.seen.any():
            run.say(f"fitting {len(names):,} prompts x {len(examples):,} examples; compiling first")
            state = ll.bandit.update(state, responses=grid.answers)
            found = ll.bandit.best(state, level=level)
            tables = [ll.report.prompts.best(found)]
            run.draw(lambda path: ll.report.prompts.rivals(found, path, title=_said(grid)))
            said = found.to_dict()
            content |= {name: said[name] for name in ("target", "method", "level", "estimates", "best")}
        run.say("choosing the next cells")
        _show(ll.bandit.choose(state), grid, budget, run, content, tables)


def _require_one(grid: grids.Grid) -> None:
    """`BadInput` for the answers of several models."""
    found = ", ".join(dict.fromkeys(grid.models or ()))
    require(not found, f"the answers are of several models ({found}); the best prompt is sought for one at a time")


def _prices(path: pathlib.Path, grid: grids.Grid) -> dict[str, float]:
    """Row of the grid -> price, from a table."""
    table = grids.covariates(path, "prompt", grid.names)
    require("price" in table, f"{path} has no column 'price'; it has {list(map(str, table))}")
    return dict(zip(grid.answers.rows, table["price"].to_numpy(float).tolist(), strict=True))


def _show(
    chosen: "ll.Choice",
    grid: grids.Grid,
    budget: float,
    run: Run,
    more: dict[str, Any],
    tables: Sequence["Table"] = (),
) -> None:
    """A choice on the page, as JSON and as a CSV of cells."""
    chosen, out = run.stamped(chosen), run.outputs.file
    place = dict(zip(grid.answers.rows, zip(grid.models or grid.names, grid.names, strict=True), strict=True))
    cells = [(*place[row], item) for row, items in zip(chosen.rows, chosen.items, strict=True) for item in items]
    head = ("model", "prompt", "item")
    if grid.models is None:
        cells, head = [cell[1:] for cell in cells], head[1:]
    if out is not None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([head, *cells])
        _warn_of_formulas([name for cell in cells for name in cell], run.strict)
        output.text(text.getvalue(), out)
    given = int(grid.answers.seen.sum())
    content = chosen.to_dict() | {"enough": chosen.enough, "cells": [list(cell) for cell in cells], "answered": given}
    content |= {"budget": budget, "simulated": grid.simulated} | more
    shown = ll.report.prompts.choice(chosen, head, cells, given, out)
    run.show([*tables, dataclasses.replace(shown, title=f"{_said(grid)}{shown.title}")], content)


def _said(grid: grids.Grid) -> str:
    """What a title begins with."""
    return "simulated answers: " if grid.simulated else ""


def _warn_of_formulas(names: Sequence[str], strict: bool) -> None:
    """Names stay as they are in CSV, since it is read back; a spreadsheet would run some of them."""
    found = [name for name in dict.fromkeys(names) if name.startswith(FORMULA)]
    message = f"{len(found)} names such as {found[:1]} begin as a formula does; do not open the CSV in a spreadsheet"
    require(not (found and strict), message)
    if found:
        warnings.warn(message, ll.DataWarning, stacklevel=2)


def _so_far(inputs: list[str] | None, about: About, reading: options.Reading, run: Run) -> grids.Grid:
    """The answers, if any, and all names there are."""
    every, examples = about.names()
    if inputs:
        return grids.completed(grids.read(inputs, reading, strict=run.strict, tell=run.tell), every, examples)
    if every is None or examples is None:
        raise ll.BadInput("nothing was run yet: name what there is with --prompts FILE and --items FILE, one a line")
    return grids.empty(every, examples)
