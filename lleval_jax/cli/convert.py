"""`lleval convert`: answers of any known format as a table or in the schema of Every Eval Ever."""

import pathlib
from typing import Annotated, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import options, typed
from lleval_jax.cli.shell.verb import Outputs, verb

Out = Annotated[pathlib.Path, typer.Option(metavar="PATH", help="The table's file, or the folder for Every Eval Ever.")]
Format = Annotated[Literal["parquet", "eee"], typer.Option(help="A long table, or Every Eval Ever.")]


def convert(
    inputs: options.Inputs,
    out: Out,
    format: Format = "parquet",  # noqa: A002
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    json: options.Json = None,
) -> None:
    """Write the answers of all inputs for other programs; `read` and every verb take them back.

    Examples, the first with answers that come with the package:

      lleval convert demo:livexiv-vqa --out answers.parquet
      lleval convert logs/ --format eee --out answers
    """
    from lleval_jax.data.write import require_place  # not needed for --help

    require_place(out, format)
    typed.require_writable(out)
    with verb("reading answers", Outputs(json=json), strict=strict, computes=False) as run:
        responses = run.answers(inputs, reading)
        run.say("writing")
        ll.write(responses, out, format=format)
        seen = int(responses.n_seen.sum())
        facts = {"models": len(responses.rows), "items": len(responses.items), "answers": seen, "out": str(out)}
        lines = tuple((name, f"{value:,}" if isinstance(value, int) else value) for name, value in facts.items())
        table = ll.report.text.Table(f"written to {out}", ("what", "found"), lines[:3], left=2)
        content = {"schema": "lleval/convert/1", **facts, "format": format, "source": responses.source.to_dict()}
        run.show([table], content)
