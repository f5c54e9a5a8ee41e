"""Options that several verbs share, with one wording."""

import pathlib
from typing import Annotated, Literal

import typer

from lleval_jax.cli import typed

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Files, folders or globs of answers, of any known format; or demo:BANK, bank:BANK.",
        show_default=False,
    ),
]
Json = Annotated[
    pathlib.Path | None,
    typer.Option("--json", metavar="PATH", help="Write JSON there; '-' is stdout, and then nothing else is."),
]
Level = Annotated[float, typer.Option("--level", callback=typed.level, help="Coverage the intervals aim at.")]
Metric = Annotated[
    str | None,
    typer.Option(
        "--metric",
        help="The metric to take where a log has several; choice_probability: the right choice's probability.",
    ),
]
Filter = Annotated[
    str | None, typer.Option("--filter", help="The answer filter to take where an lm-eval log has several.")
]
Scale = Annotated[
    tuple[float, float] | None,
    typer.Option("--scale", metavar="LOW HIGH", help="Lowest and highest score possible, if not 0 and 1."),
]
NoAnswer = Annotated[
    Literal["zero", "missing"], typer.Option("--no-answer", help="What Inspect's 'N' (no answer) counts as.")
]
Repeated = Annotated[
    Literal["count", "first", "error"],
    typer.Option("--repeats", help="Several answers to one question (epochs, runs): k of n, the first, or an error."),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Make an error of every warning about the data and of a fit not converged."),
]
