"""Options that several verbs share, with one wording."""

import dataclasses
import functools
import inspect
import itertools
import pathlib
from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal, get_type_hints

import typer

from lleval_jax.cli.shell import config_file, speaking, typed
from lleval_jax.cli.shell.commands import Verb
from lleval_jax.cli.shell.shown import help_of

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Files, folders, globs or addresses (https:, s3:, hf:) of answers, of any known format; - is stdin; or "
        "demo:BANK, bank:BANK.",
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
Level = Annotated[float, typer.Option("--level", callback=typed.level, help="Confidence level of the intervals.")]
Alarm = Annotated[
    float, typer.Option("--alarm", callback=typed.level, help="False-alarm rate: chance of any finding of a kind.")
]
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
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", metavar="NAME", help="Of text that is not UTF-8 or UTF-16: latin-1, cp1252, ..."),
]
Joined = Annotated[
    Literal["content", "number"],
    typer.Option(
        "--join",
        help="By what questions of several logs are the same: the content's hash, or the number in the data set.",
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="USE=NAME,...",
        callback=typed.pairs,
        help="What a table's columns are: model=model_name,item=question_id,score=correct; also group, weight, repeat, "
        "prompt.",
    ),
]
Answering = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="A folder, a .gguf file or a name, as 'lleval models list' shows them; with --client openai a server's "
        "name for it.",
        show_default=False,
    ),
]
Matrix = Annotated[bool, typer.Option("--matrix", help="The file is scores without any names, a model a line.")]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="A folder as Hugging Face publishes it, a .gguf file, or a name: tiny-lm, smollm2 ('lleval models list').",
        show_default=False,
    ),
]
Dtype = Annotated[
    Literal["float32", "bfloat16"],
    typer.Option("--dtype", help="Of the model's weights; bfloat16 takes half the memory and differs in the digits."),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Warnings are errors: about the data, of a fit not converged, and what a check finds (exit status 1).",
    ),
]


@dataclasses.dataclass(frozen=True)
class Reading:
    """How logs are read: what every verb that reads answers can be told."""

    metric: Metric = None
    filter: Filter = None
    scale: Scale = None
    no_answer: NoAnswer = "zero"
    repeats: Repeated = "count"
    join: Joined = "content"
    encoding: Encoding = None
    columns: Columns = None
    matrix: Matrix = False

    def keywords(self) -> dict[str, Any]:
        """The same as `ll.read` takes it."""
        return dataclasses.asdict(self) | {"columns": typed.columns(self.columns)}


AS_WRITTEN = Reading()


@dataclasses.dataclass(frozen=True)
class Common:
    """What every verb can be told. The callbacks do what is asked, so no verb sees these."""

    config: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            callback=config_file.load,
            is_eager=True,
            help="Options from a TOML file: long names without dashes; what is typed wins.",
        ),
    ] = None
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", callback=speaking.quiet, help="No progress and no notes; warnings stay.")
    ] = False
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", callback=speaking.wordy, help="Also each part of the work and its time."),
    ] = False
    debug: Annotated[bool, typer.Option("--debug", help="The traceback of an error.")] = False


def add(app: typer.Typer, verb: Callable[..., None], name: str | None = None, **words: Any) -> None:
    """A verb of `app`: with the options that all share, and its docstring as help."""
    without, cls = words.pop("without", ()), words.pop("cls", Verb)
    words = {"no_args_is_help": True} | words
    app.command(name, cls=cls, help=help_of(verb), **words)(reads(verb, without=without))


def reads(verb: Callable[..., None], *, without: Collection[str] = ()) -> Callable[..., None]:
    """The verb as typer sees it: where a parameter is a dataclass of options, such as `Reading`, these stand.

    `without` names options of such a dataclass that this verb does not take.
    """
    known = inspect.signature(verb).parameters
    groups: dict[str, Any] = {n: p.annotation for n, p in known.items() if dataclasses.is_dataclass(p.annotation)}
    words = {name: _options(group, without) for name, group in groups.items()}
    common = _options(Common, ())

    @functools.wraps(verb)
    def typed_verb(**given: object) -> None:
        for parameter in common:
            given.pop(parameter.name)
        made = {name: group(**{p.name: given.pop(p.name) for p in words[name]}) for name, group in groups.items()}
        verb(**given, **made)

    each = [words.get(name, [p.replace(kind=inspect.Parameter.KEYWORD_ONLY)]) for name, p in known.items()]
    parameters = [*itertools.chain.from_iterable(each), *common]
    typed_verb.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    typed_verb.__annotations__ = {p.name: p.annotation for p in parameters}
    return typed_verb


def _options(group: type, without: Collection[str]) -> list[inspect.Parameter]:
    """The fields of a dataclass as parameters."""
    hints, kind = get_type_hints(group, include_extras=True), inspect.Parameter.KEYWORD_ONLY
    fields = [field for field in dataclasses.fields(group) if field.name not in without]
    return [inspect.Parameter(f.name, kind, default=f.default, annotation=hints[f.name]) for f in fields]
