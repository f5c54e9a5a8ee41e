"""The verbs of `lleval live`."""

import typer

from lleval_jax.cli.live.giving import export, review, sheet
from lleval_jax.cli.live.making import new, run, status
from lleval_jax.cli.live.restoring import restore
from lleval_jax.cli.live.retiring import retire
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.commands import Group

live = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    help="A living benchmark: questions about figures and tables of papers that may be shared. A run's folder ('new'), "
    "the version in it ('run', 'status'), people who look at it ('review'), data sheet and exports.",
)
for verb in (new, run, status, review, sheet, export, retire, restore):
    options.add(live, verb)
