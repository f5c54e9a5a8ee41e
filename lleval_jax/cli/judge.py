"""`lleval judge`: a judge's scores corrected by human labels, and which answers to label next."""

import dataclasses
from typing import Annotated, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import options, typed
from lleval_jax.cli.shell.verb import Outputs, verb

Table = Annotated[
    str,
    typer.Argument(
        metavar="TABLE",
        help="A line an answer: columns model, item, judge (a score) and human (a label, empty where there is none).",
        show_default=False,
    ),
]
Judge = Annotated[str, typer.Option("--judge", metavar="COLUMN", help="The column of the judge's scores.")]
Human = Annotated[str, typer.Option("--human", metavar="COLUMN", help="The column of human labels.")]
More = Annotated[
    int, typer.Option("--next", metavar="K", min=0, help="Also name K answers to label next, drawn at random.")
]
Population = Annotated[
    Literal["all"] | None,
    typer.Option(metavar="all", help="The score on these questions; without it: on questions like these."),
]
Seed = Annotated[int, typer.Option(help="Seed of the answers drawn by --next.")]
DRAWN = "Intervals hold if the labelled answers are a random part of those that the judge scored, of each model."


def judge(
    table: Table,
    judge: Judge = "judge",
    human: Human = "human",
    more: More = 0,
    population: Population = None,
    level: options.Level = 0.95,
    scale: options.Scale = None,
    columns: options.Columns = None,
    encoding: options.Encoding = None,
    strict: options.Strict = False,
    seed: Seed = 0,
    plot: options.Plot = None,
    json: options.Json = None,
) -> None:
    """Each model's score as humans give it: a judge scored all answers, humans labelled some of them.

    It holds for any judge, however biased; a useless one changes nothing.

    Examples:
      lleval judge answers.csv
      lleval judge answers.csv --next 50 --judge gpt_score --human rating --scale 1 10
    """
    with verb("reading the table", Outputs(json=json, plot=plot), strict=strict, seed=seed, computes=False) as run:
        words = {"scale": scale, "columns": typed.columns(columns), "encoding": encoding, "strict": strict}
        scores, labels = ll.read_labels(table, judge=judge, human=human, tell=run.tell, **words)
        tables, content = [], {}
        if labels.seen.any() or not more:
            run.say("correcting the judge")
            found = run.stamped(ll.judged.estimate(scores, human=labels, level=level, population=population))
            worth = ll.judged.worth(scores, human=labels, level=level)
            content = found.to_dict() | {"worth": worth.to_dict()}
            shown = ll.report.text.table(found)
            tables.append(dataclasses.replace(shown, remarks=(worth.reason, DRAWN, *shown.remarks)))
            run.draw(lambda path: ll.report.plot.forest(found, path=path, group=found.group[0]))
        if more:
            chosen = run.stamped(ll.judged.choose(scores, human=labels, k=more, seed=seed))
            content["next"] = [
                {"model": row, "item": item}
                for row, items in zip(chosen.rows, chosen.items, strict=True)
                for item in items
            ]
            lines = tuple((each["model"], each["item"]) for each in content["next"])
            remark = "Label all of these: answers that are left out, or others, make the labels no random part."
            tables.append(ll.report.text.Table("label next", ("model", "item"), lines, (remark,), 2))
        run.show(tables, content)
