"""All verbs of `lleval`."""

from typing import Annotated

import typer

import lleval_jax as ll
from lleval_jax.cli.align.group import align
from lleval_jax.cli.ask import ask
from lleval_jax.cli.audit import audit
from lleval_jax.cli.bank import bank
from lleval_jax.cli.calibrate import calibrate
from lleval_jax.cli.check import check
from lleval_jax.cli.compress import compress
from lleval_jax.cli.convert import convert
from lleval_jax.cli.estimate import estimate
from lleval_jax.cli.gate import gate
from lleval_jax.cli.judge import judge
from lleval_jax.cli.live.group import live
from lleval_jax.cli.models import models
from lleval_jax.cli.pepr.group import pepr
from lleval_jax.cli.prompts.quantiles import prompts
from lleval_jax.cli.refine.group import refine
from lleval_jax.cli.refresh.group import refresh
from lleval_jax.cli.report import report
from lleval_jax.cli.run import run
from lleval_jax.cli.serve import serve
from lleval_jax.cli.serve_bench import serve_bench
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.commands import Group
from lleval_jax.cli.sloth import sloth
from lleval_jax.cli.train import train

app = typer.Typer(
    name="lleval",
    cls=Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (
    estimate,
    gate,
    audit,
    judge,
    calibrate,
    check,
    ask,
    convert,
    report,
    sloth,
    train,
    compress,
    serve,
    serve_bench,
    run,
):
    options.add(app, verb)
app.add_typer(align, name="align")
app.add_typer(pepr, name="pepr")
app.add_typer(prompts, name="prompts")
app.add_typer(refresh, name="refresh")
app.add_typer(refine, name="refine")
app.add_typer(live, name="live")
app.add_typer(bank, name="bank")
app.add_typer(models, name="models")


def _version(value: bool) -> None:
    if value:
        print(ll.__version__)
        raise typer.Exit


@app.callback()
def lleval(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Estimate a language model's score on a whole benchmark, with an interval, from a fraction of its questions.

    Example, with answers that come with the package:

      lleval estimate demo:livexiv-vqa --bank livexiv-vqa
    """
