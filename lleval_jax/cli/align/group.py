"""The verbs of `lleval align`: data, train, run, evaluate."""

import typer

from lleval_jax.cli.align.data import data
from lleval_jax.cli.align.evaluate import evaluate
from lleval_jax.cli.align.run import run
from lleval_jax.cli.align.train import train
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.commands import Group

align = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    help="Small models that correct answers of others: examples, training, correcting, what it did.",
)
for verb in (data, train, run, evaluate):
    options.add(align, verb)
