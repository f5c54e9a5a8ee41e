"""`lleval align run`: answers through a squad of aligners and inspectors."""

import pathlib
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli import answering
from lleval_jax.cli.shell import options, output, typed
from lleval_jax.cli.shell.verb import Outputs, Run, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.report.text import Table
    from lleval_jax.training.aligners.squad import Member
    from lleval_jax.values.aligned import Aligned

SCHEMA = "lleval/aligned/1"
PART = "aligners"

Answers = Annotated[
    str,
    typer.Argument(
        metavar="ANSWERS",
        help="A table (.jsonl, .csv, .parquet) with columns question and answer, or demo:answers.",
        show_default=False,
    ),
]
Out = Annotated[pathlib.Path, typer.Option("--out", metavar="JSONL", help="Write the answers there.")]
Trained = Annotated[
    list[pathlib.Path] | None,
    typer.Option("--squad", metavar="DIR", help="What 'lleval align train' wrote; may be given again."),
]
Asked = Annotated[
    list[str] | None,
    typer.Option(
        "--criterion",
        metavar="NAME|FILE",
        help="Ask --client to grade and to correct by this, without training; may be given again.",
    ),
]
Order = Annotated[
    Literal["row", "batch"], typer.Option(help="Aligners in the order of each answer's scores, or of a batch's means.")
]
Most = Annotated[int, typer.Option(min=0, help="Passes over an answer, at most.")]
Accept = Annotated[
    Literal["rise", "always"],
    typer.Option(help="Accept a correction where its score rises and no other falls; or all."),
]
Fall = Annotated[float, typer.Option(min=0, help="How far another score may fall.")]
Threshold = Annotated[
    float, typer.Option(min=0, max=1, help="Of --criterion: an answer with a lower grade (0 to 1) is corrected.")
]
Limit = Annotated[int, typer.Option(min=1, help="Tokens of a reply of --client, at most.")]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="USE=NAME,...",
        callback=typed.pairs,
        help="What a table's columns are: question=prompt,answer=completion; also id.",
    ),
]


def run(
    answers: Answers,
    out: Out,
    squad: Trained = None,
    criterion: Asked = None,
    client: answering.Client = "local",
    model: options.Answering = "",
    order: Order = "row",
    most: Most = 3,
    accept: Accept = "rise",
    fall: Fall = 0.0,
    threshold: Threshold = 0.5,
    limit: Limit = 512,
    record: answering.Record = None,
    columns: Columns = None,
    dtype: options.Dtype = "float32",
    json: options.Json = None,
) -> None:
    """Correct answers where an inspector says so, by trained aligners or by any model that is asked.

    Examples, the first with replies that come with the package:

      lleval align run demo:answers --criterion polite --client demo:replies --limit 64 --out aligned.jsonl
      lleval align run answers.jsonl --squad squad/polite --squad squad/measured --out aligned.jsonl
    """
    replayed = client not in ("local", "openai") and not squad
    with verb("reading answers", Outputs(json=json, file=out), computes=not replayed) as work:
        from lleval_jax import training
        from lleval_jax.data.corrections import read_answers

        pool = read_answers(answering.place_of(answers, PART), columns=typed.columns(columns))
        require(bool(squad or criterion), "no aligner is named: say --squad DIR, or --criterion NAME with --client")
        members = [_trained(folder, work) for folder in squad or ()]
        if criterion:
            asked = answering.client_of(client, model, record, dtype, work, PART)
            members += [_asked(name, asked, threshold, limit) for name in criterion]
        found = training.Squad(tuple(members), order=order, most=most, accept=accept, fall=fall).run(
            pool, tell=work.tell
        )
        work.say("writing")
        output.text(found.lines(), out)
        work.failed = found.statuses.get("not inspected", 0) == len(found.rows)
        work.show([_table(found, out)], _content(found, out))


def _trained(folder: pathlib.Path, work: Run) -> "Member":
    """An aligner with its inspector, both as they were kept."""
    from lleval_jax import lm
    from lleval_jax.training import Member, aligner_files

    work.say(f"loading {folder}")
    aligner = aligner_files.load_aligner(folder / "aligner", tell=work.tell)
    inspector = aligner_files.load_inspector(folder / "inspector", margin=_margin(folder, aligner), tell=work.tell)
    import dataclasses

    return Member(inspector, dataclasses.replace(aligner, client=lm.cached(aligner.client)))


def _margin(folder: pathlib.Path, aligner: Any) -> Any:
    """What an inspector by margin needs; None where it is of another kind."""
    from lleval_jax.training import aligner_files

    said = folder / "inspector" / aligner_files.INSPECTOR
    require(said.is_file(), f"{folder / 'inspector'} holds no inspector: it has no {said.name}")
    if '"margin"' not in said.read_text(encoding="utf-8"):
        return None
    return aligner_files.margin_of(folder / "aligner", aligner)


def _asked(name: str, client: Any, threshold: float, limit: int) -> "Member":
    """A model that is asked for grades and corrections."""
    from lleval_jax import training
    from lleval_jax.training.aligners.calibrate import Unchanged

    wanted, asking = training.read_criterion(name), training.Asking(limit=limit)
    grades = training.scorers.Grades(client, wanted, asking)
    inspector = training.Inspector(wanted.name, grades, Unchanged(), threshold)
    return training.Member(inspector, training.Prompted(client, wanted, asking))


def _table(found: "Aligned", out: pathlib.Path) -> "Table":
    lines = [(status, f"{count:,}") for status, count in found.statuses.items()]
    lines += [("answers", f"{len(found.rows):,}"), ("changed", f"{sum(row.changed for row in found.rows):,}")]
    lines += [("passes, mean", f"{found.passes.mean():.2f}")]
    lines += [
        ("corrections asked for", f"{found.spent.requests:,}"),
        ("of these kept from before", f"{found.spent.cached:,}"),
    ]
    lines += [("tokens of corrections", f"{found.spent.asked + found.spent.written:,}")]
    blind = found.statuses.get("not inspected", 0)
    lost = (
        (f"{blind:,} answers got no score, and were left as they are: a grade is a number from 0 to 10",)
        if blind
        else ()
    )
    said = f"what it did: lleval align evaluate {out}"
    return ll.report.text.Table(
        f"answers by {', '.join(found.members)}, written to {out}", ("", ""), tuple(lines), (*lost, said)
    )


def _content(found: "Aligned", out: pathlib.Path) -> dict[str, Any]:
    source = typed.stamped(found.source.merge(ll.Source(cite=("ngweta2024aligners",))), 0)
    return {
        "schema": SCHEMA,
        "out": str(out),
        "members": list(found.members),
        "statuses": found.statuses,
        "changed": sum(row.changed for row in found.rows),
        "passes": float(found.passes.mean()),
        "spent": found.spent._asdict(),
        "source": source.to_dict(),
    }
