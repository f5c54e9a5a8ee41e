"""`lleval refresh link`: two banks on one scale."""

import os
import pathlib
from typing import Annotated, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli.refresh import words
from lleval_jax.cli.shell import options, typed
from lleval_jax.cli.shell.verb import Outputs, verb
from lleval_jax.errors import require

By = Annotated[
    Literal["stocking-lord", "haebara", "mean-sigma", "mean-mean", "concurrent"],
    typer.Option(help="How common items are compared; concurrent: one fit of all answers. Else by common models."),
]
Bank = Annotated[str, typer.Argument(metavar="BANK", help="Name of a bank, or its folder.", show_default=False)]
Answers = Annotated[
    str | None,
    typer.Option(
        metavar="INPUT", help="Answers to that bank; without it those that it was made from.", show_default=False
    ),
]
Out = Annotated[
    pathlib.Path | None, typer.Option("--out", metavar="DIR", help="Keep the new bank, on the old scale, there.")
]


def link(
    old: Bank,
    new: Bank,
    by: By = "stocking-lord",
    answers_old: Answers = None,
    answers_new: Answers = None,
    level: options.Level = 0.95,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    out: Out = None,
    json: options.Json = None,
) -> None:
    """Put the new BANK (the second) on the scale of the old one: old ability = scale * new ability + shift.

    By the items that both know; where these are fewer than three, by the models that took both.

    Examples, the first with banks that come with the package, linked by the models that took both:

      lleval refresh link livexiv-vqa livexiv-tqa
      lleval refresh link banks/v1 banks/v2 --by haebara --out banks/v2-on-v1 --json -
    """
    same = os.path.realpath(old) == os.path.realpath(new)
    require(not same, f"{new} is named twice; name the old bank, then the new one")
    reads = answers_old is not None or answers_new is not None
    message = "no answers are read; --strict and how to read them go with --answers-old and --answers-new"
    require(reads or (reading == options.AS_WRITTEN and not strict), message)
    with verb("reading the banks", Outputs(json=json, folder=out, kind="bank"), strict=strict) as run:
        banks = ll.load_bank(old), ll.load_bank(new)
        one, two = (None if text is None else words.one(text, reading, run) for text in (answers_old, answers_new))
        run.say("linking; compiling first")
        found = ll.refresh.link(*banks, answers_old=one, answers_new=two, by=by, level=level)
        source = typed.stamped(banks[0].source.merge(found.estimate.source), 0)
        content = found.to_dict() | {"names": list(found.common), "source": source.to_dict()}
        run.keep(run.stamped(found.bank, found.bank.source.seed))
        run.show([ll.report.refresh.link(found, old, new)], content)
