"""The verbs of `lleval refresh`."""

import typer

from lleval_jax.cli.refresh.check import check
from lleval_jax.cli.refresh.choose import choose
from lleval_jax.cli.refresh.estimate import estimate
from lleval_jax.cli.refresh.link import link
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.commands import Group

refresh = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    help="A new version of a benchmark at the cost of a few models: which to run ('choose'), the scores of all "
    "('estimate'), whether rows mean the same models ('check'), two banks on one scale ('link').",
)
for verb in (choose, estimate, check, link):
    options.add(refresh, verb)
