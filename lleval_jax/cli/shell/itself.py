"""A verb that has other verbs: `lleval prompts GRID` is the verb itself, `lleval prompts plan` another one."""

import os
from typing import Any

import typer
from typer.core import TyperGroup

from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.commands import Group, Verb, list_verbs
from lleval_jax.errors import nearest, require

NAME = "estimate"  # what the verb itself is called among the others, where it is hidden


class Itself(Group):
    """A first word that names another verb is that verb; everything else belongs to the verb itself."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        """A first word that names no other verb is the input, or an option, of the verb itself."""
        if args and args[0] not in self.commands:
            self._require_no_typo(args[0])
        return TyperGroup.parse_args(self, ctx, args if args and args[0] in self.commands else ["", *args])

    def _require_no_typo(self, word: str) -> None:
        """`BadInput` for a word that nearly names a verb, and no file."""
        if word.isalpha() and not os.path.exists(word):
            near = nearest(word, [name for name, verb in self.commands.items() if not verb.hidden])
            require(not near, f"no such command or file: {word!r}{near}")

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:
        """The command of that name; "" is the verb itself."""
        return super().get_command(ctx, cmd_name or NAME)


class ItselfVerb(Verb):
    """The verb itself, whose name stands before it already."""

    def format_usage(self, ctx: typer.Context, formatter: Any) -> None:
        """Without the space of the name that is not there, and with the other verbs."""
        path = ctx.command_path.rstrip()
        formatter.write_usage(path, " ".join(self.collect_usage_pieces(ctx)))
        formatter.write_usage(path, "COMMAND [ARGS]...")

    def format_options(self, ctx: typer.Context, formatter: Any) -> None:
        """The options, then the other verbs."""
        super().format_options(ctx, formatter)
        if ctx.parent is not None:
            list_verbs(ctx.parent.command, ctx, formatter)  # pyright: ignore[reportArgumentType]


def group(help: str) -> typer.Typer:
    """A verb that will have others."""
    return typer.Typer(cls=Itself, rich_markup_mode=None, help=help)


def add(app: typer.Typer, verb: Any) -> None:
    """The verb itself."""
    options.add(app, verb, NAME, cls=ItselfVerb, hidden=True)
