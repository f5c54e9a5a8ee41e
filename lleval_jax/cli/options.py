"""Options that several verbs share, with one wording."""

import dataclasses
import functools
import inspect
import pathlib
from collections.abc import Callable
from typing import Annotated, Literal, get_type_hints

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


@dataclasses.dataclass(frozen=True)
class Reading:
    """How logs are read: what every verb that reads answers can be told."""

    metric: Metric = None
    filter: Filter = None
    scale: Scale = None
    no_answer: NoAnswer = "zero"
    repeats: Repeated = "count"


AS_WRITTEN = Reading()


def reads(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb as typer sees it: the options of `Reading` stand where its parameter `reading` is."""
    hints, fields = get_type_hints(Reading, include_extras=True), dataclasses.fields(Reading)
    words = [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=hints[f.name])
        for f in fields
    ]
    known = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in inspect.signature(verb).parameters.values()]
    place = [p.name for p in known].index("reading")

    @functools.wraps(verb)
    def typed_verb(**given: object) -> None:
        reading = Reading(**{f.name: given.pop(f.name) for f in fields})  # type: ignore[arg-type]
        verb(**given, reading=reading)

    parameters = known[:place] + words + known[place + 1 :]
    typed_verb.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    typed_verb.__annotations__ = {p.name: p.annotation for p in parameters}
    return typed_verb
