"""Options that several verbs share, with one wording."""

import dataclasses
import functools
import inspect
import itertools
import pathlib
from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal, get_type_hints

import typer

from lleval_jax.cli.shell import typed

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
Plot = Annotated[
    pathlib.Path | None,
    typer.Option("--plot", metavar="PATH", help="Draw it there (png, svg, pdf); needs the extra 'plot'."),
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


def reads(verb: Callable[..., None], *, without: Collection[str] = ()) -> Callable[..., None]:
    """The verb as typer sees it: where a parameter is a dataclass of options, such as `Reading`, these stand.

    `without` names options of such a dataclass that this verb does not take.
    """
    known = inspect.signature(verb).parameters
    groups: dict[str, Any] = {n: p.annotation for n, p in known.items() if dataclasses.is_dataclass(p.annotation)}
    words = {name: _options(group, without) for name, group in groups.items()}

    @functools.wraps(verb)
    def typed_verb(**given: object) -> None:
        made = {name: group(**{p.name: given.pop(p.name) for p in words[name]}) for name, group in groups.items()}
        verb(**given, **made)

    each = [words.get(name, [p.replace(kind=inspect.Parameter.KEYWORD_ONLY)]) for name, p in known.items()]
    parameters = list(itertools.chain.from_iterable(each))
    typed_verb.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    typed_verb.__annotations__ = {p.name: p.annotation for p in parameters}
    return typed_verb


def _options(group: type, without: Collection[str]) -> list[inspect.Parameter]:
    """The fields of a dataclass as parameters."""
    hints, kind = get_type_hints(group, include_extras=True), inspect.Parameter.KEYWORD_ONLY
    fields = [field for field in dataclasses.fields(group) if field.name not in without]
    return [inspect.Parameter(f.name, kind, default=f.default, annotation=hints[f.name]) for f in fields]
