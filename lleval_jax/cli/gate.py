"""`lleval gate`: may the new model take the place of the old? Pass, fail or inconclusive, by exit status."""

import pathlib
from typing import Annotated, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli.estimate import Cluster
from lleval_jax.cli.shell import options, output, typed
from lleval_jax.cli.shell.status import GATE_FAILED, GATE_INCONCLUSIVE, OK
from lleval_jax.cli.shell.verb import Outputs, verb
from lleval_jax.errors import require

New = Annotated[
    list[str],
    typer.Argument(metavar="NEW...", help="Answers of the new model, of any known format.", show_default=False),
]
Baseline = Annotated[
    list[str], typer.Option("--baseline", metavar="PATH", help="Answers of the old model; may be said again.")
]
Margin = Annotated[float, typer.Option("--margin", metavar="X", help="The largest loss accepted: 0.02 is two points.")]
Level = Annotated[
    float,
    typer.Option("--level", callback=typed.level, help="1 - level: chance of a false pass, and of a false fail."),
]
Named = Annotated[str | None, typer.Option("--model", help="The new model, where NEW has several.")]
BaselineNamed = Annotated[str | None, typer.Option("--baseline-model", help="The same of --baseline.")]
Population = Annotated[
    Literal["all"] | None,
    typer.Option(
        metavar="all",
        help="The verdict is on these questions, and repeats are all that varies; without it: on questions like these.",
    ),
]
JUnit = Annotated[pathlib.Path | None, typer.Option("--junit", metavar="PATH", help="Write JUnit's XML there.")]
STATUS = {"pass": OK, "fail": GATE_FAILED, "inconclusive": GATE_INCONCLUSIVE}


def gate(
    new: New,
    baseline: Baseline,
    margin: Margin,
    model: Named = None,
    baseline_model: BaselineNamed = None,
    cluster: Cluster = None,
    population: Population = None,
    level: Level = 0.95,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    junit: JUnit = None,
    json: options.Json = None,
) -> None:
    """Is a new model worse than the baseline by more than a margin? Paired on common questions.

    Exit status: 0 pass, 3 fail, 4 inconclusive; 1 and 2 as of all verbs, so what cannot be compared never passes.

    Examples:
      lleval gate new.jsonl --baseline old.jsonl --margin 0.02
      lleval gate new.jsonl --baseline old.jsonl --margin 0.02 --cluster group --junit gate.xml
    """
    ll.plain.require_margin(margin)
    typed.file_for(junit, "--junit")
    require(junit is None or json is None or junit.absolute() != json.absolute(), "--junit and --json name one place")
    with verb("reading the new answers", Outputs(json=json), strict=strict, computes=False) as run:
        one = run.answers(new, reading)
        two = run.answers(baseline, reading)
        words = {"model": model, "baseline_model": baseline_model, "level": level}
        found = run.stamped(
            ll.gate(one, baseline=two, margin=margin, cluster=cluster, population=population, **words)  # pyright: ignore[reportArgumentType]
        )
        if junit is not None:
            output.text(ll.report.gate.junit(found).decode(), junit)
        run.show([ll.report.gate.table(found)], found.to_dict())
    raise typer.Exit(STATUS[found.verdict])
