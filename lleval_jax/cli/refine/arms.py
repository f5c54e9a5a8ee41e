"""`lleval refine compare`: what the arms of a weak-to-strong experiment reached."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lleval_jax as ll
from lleval_jax.cli import answering
from lleval_jax.cli.shell import options, typed
from lleval_jax.cli.shell.verb import Outputs, verb

if TYPE_CHECKING:
    from lleval_jax.report.text import Table
    from lleval_jax.training.refine.compare import Compared

SCHEMA = "lleval/refine-compare/1"
ORDER = ("score", "minus base", "gap recovered")  # as the library names the groups

Scores = Annotated[
    str,
    typer.Argument(
        metavar="SCORES",
        help="A table (.csv, .jsonl, .parquet) with columns arm, question, if there are several seed, and measures: "
        "content, style, ...; also, if wanted, answer or distance, tokens, money. Or demo:scores.",
        show_default=False,
    ),
]
Base = Annotated[str, typer.Option(metavar="ARM", help="The strong model, untouched.")]
Teacher = Annotated[str, typer.Option(metavar="ARM", help="The weak model.")]
Ceiling = Annotated[
    str | None, typer.Option(metavar="ARM", help="The strong model that learned the truth: gaps recovered are shown.")
]
Refined = Annotated[
    list[str] | None,
    typer.Option(
        "--refined",
        metavar="ARM",
        help="Arms with refined answers, which are looked at for a misleading teacher; may be given again. Without it "
        "those whose names begin with refine, infer or improve.",
    ),
]
Seed = Annotated[int, typer.Option(help="Of the bootstrap.")]


def compare(
    scores: Scores,
    base: Base = "base",
    teacher: Teacher = "teacher",
    ceiling: Ceiling = None,
    refined: Refined = None,
    level: options.Level = 0.95,
    seed: Seed = 0,
    json: options.Json = None,
) -> None:
    """Compare arms: scores, differences to the untouched model, gaps recovered; paired over questions and seeds.

    Warns where refined answers move further from the untouched model's than the teacher's own do: the strong model may
    have become sure of what the teacher does not mean.

    Example, with simulated scores that come with the package:

      lleval refine compare demo:scores --ceiling oracle
    """
    with verb("reading scores", Outputs(json=json), seed=seed, computes=False) as run:
        from lleval_jax.data.rows import read_rows
        from lleval_jax.training.refine.arms import Arms
        from lleval_jax.training.refine.compare import compare as compared

        rows = read_rows(answering.place_of(scores, "refine"))
        words: dict[str, Any] = {"base": base, "teacher": teacher, "ceiling": ceiling, "refined": refined}
        run.say("drawing questions and seeds")
        arms = Arms.from_frame(rows.frame, base=base)
        found = compared(arms, **words, level=level, seed=seed, source=typed.stamped(rows.source, seed))
        tables = [_table(found, measure) for measure in found.estimates]
        tables[-1] = dataclasses.replace(tables[-1], remarks=(*tables[-1].remarks, *found.warnings))
        run.show(tables, {"schema": SCHEMA, **found.to_dict()})


def _table(found: "Compared", measure: str) -> "Table":
    """One line an arm."""
    estimate = found.estimates[measure]
    groups, arms = [one for one in ORDER if one in estimate.group], tuple(dict.fromkeys(estimate.rows))
    cells = {(entry.row, entry.group): entry for entry in estimate}
    lines = []
    for arm in arms:
        line = [arm]
        for group in groups:
            entry = cells.get((arm, group))
            known = entry is not None and entry.status == "ok"
            line += [f"{entry.value:z.3f}", f"[{entry.low:z.3f}, {entry.high:z.3f}]"] if known else ["", ""]  # type: ignore[union-attr]
        lines.append((*line, *(f"{costs[arm]:,.6g}" for costs in found.costs.values())))
    head = ("arm", *(word for group in groups for word in (group, "")), *found.costs)
    open_ = [entry.row for entry in estimate if entry.status != "ok"]
    unknown = (
        (f"no gap is given: the ceiling is not above the teacher by more than chance ({open_[0]})",) if open_ else ()
    )
    title = f"{measure}, {100 * estimate.level:g}% intervals over questions and seeds"
    return ll.report.text.Table(title, head, tuple(lines), (*estimate.caveats, *unknown))
