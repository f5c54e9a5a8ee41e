"""How verbs look: help that cuts nothing and names each choice, old options refused with the new ones named."""

import re
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from lleval_jax.cli.shell.status import BAD_INPUT
from lleval_jax.errors import BadInput

RENAMED = {  # options of older versions -> those of today, where a verb has the new and not the old
    "--prices": "--price",
    "--method": "--by",
    "--rule": "--by",
    "--anchors": "-k",
    "--size": "-k",
    "--models": "-k",
    "--pool": "--among",
}
TYPES = {
    "<int>": "N",
    "<int range>": "N",
    "<float>": "X",
    "<float range>": "X",
    "<str>": "TEXT",
    "<path>": "PATH",
    "<list[str]>": "TEXT",
}
LONGEST = 1000  # characters of a summary in a list of verbs: all of it


class Verb(TyperCommand):
    """A verb: without words it shows its help."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        """Words -> values; an option of an older version is refused with the one of today."""
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            _help(ctx)
        known = {word for param in self.params for word in param.opts}
        for word in (arg.partition("=")[0] for arg in args):
            new = RENAMED.get(word)
            if new in known and word not in known:
                raise BadInput(f"{word} is now {new}")
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: typer.Context) -> list[str]:
        """[OPTIONS] INPUT...: arguments by their own names."""
        names = [param.metavar if param.required else f"[{param.metavar}]" for param in _arguments(self)]
        return [self.options_metavar or "", *names]  # pyright: ignore[reportReturnType]

    def format_options(self, ctx: typer.Context, formatter: Any) -> None:
        """Arguments and options; a choice is shown as a|b."""
        options = [param for param in self.get_params(ctx) if param.param_type_name == "option"]
        for title, params in (("Arguments", _arguments(self)), ("Options", options)):
            records = [(_name(param, found[0]), found[1]) for param in params if (found := param.get_help_record(ctx))]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class Group(TyperGroup):
    """Several verbs: without words it shows its help, with all summaries whole."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        """Words -> the verb."""
        if not args and not ctx.resilient_parsing:
            _help(ctx)
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:
        """Each verb with its summary."""
        list_verbs(self, ctx, formatter)


def list_verbs(group: TyperGroup, ctx: typer.Context, formatter: Any) -> None:
    """The section of help that lists the verbs of a group."""
    shown = [(name, verb.get_short_help_str(LONGEST)) for name, verb in group.commands.items() if not verb.hidden]
    with formatter.section("Commands"):
        formatter.write_dl(shown)


def _help(ctx: typer.Context) -> None:
    """A verb alone: its help is the answer."""
    print(ctx.get_help(), file=sys.stderr)
    raise typer.Exit(BAD_INPUT)


def _arguments(verb: TyperCommand) -> Sequence[Any]:
    return [param for param in verb.params if param.param_type_name == "argument"]


def _name(param: Any, shown: str) -> str:
    """How an option or argument stands in the help."""
    if param.param_type_name == "argument":
        return param.metavar
    for type_, name in TYPES.items():
        shown = shown.replace(type_, name)
    return re.sub(r"<([^<>]+\|[^<>]+)>", r"\1", shown)
