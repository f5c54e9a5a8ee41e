"""`lleval align data`: answers with corrections for a criterion, made by any model."""

import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lleval_jax as ll
from lleval_jax.cli import answering
from lleval_jax.cli.shell import options, output, typed
from lleval_jax.cli.shell.verb import Outputs, Run, verb

if TYPE_CHECKING:
    from lleval_jax.lm.client import Client as AnyClient
    from lleval_jax.report.text import Table
    from lleval_jax.training.aligners.criterion import Criterion
    from lleval_jax.training.aligners.examples import Making
    from lleval_jax.values.corrections import Corrections
    from lleval_jax.values.pool import Spent

SCHEMA = "lleval/corrections/1"
PART = "aligners"

Asked = Annotated[
    str,
    typer.Argument(
        metavar="CRITERION",
        help="careful, truthful, complete, polite, measured, whole, or a .toml file: principles, demonstrations.",
        show_default=False,
    ),
]
Out = Annotated[pathlib.Path, typer.Option("--out", metavar="JSONL", help="Write the examples there.")]
Answers = Annotated[
    str | None,
    typer.Option(
        metavar="TABLE",
        help="Correct these: a table with columns question and answer, or demo:answers. Without it questions are made "
        "up too.",
    ),
]
Topics = Annotated[int, typer.Option(min=1, help="Topics that questions are made up about, one each.")]
Limit = Annotated[int, typer.Option(min=1, help="Tokens of a reply, at most; one that is cut there is dropped.")]
Seed = Annotated[int, typer.Option(help="Of what is made up.")]


def data(
    criterion: Asked,
    out: Out,
    client: answering.Client = "local",
    model: options.Answering = "",
    answers: Answers = None,
    topics: Topics = 50,
    limit: Limit = 512,
    record: answering.Record = None,
    at_once: answering.AtOnce = None,
    dtype: options.Dtype = "float32",
    seed: Seed = 0,
    json: options.Json = None,
) -> None:
    """Make examples for an aligner: topics, questions about them, answers, and their corrections.

    Replies are kept as they come: the same command goes on where it was stopped, and asks nothing twice. What is left
    out is counted by its reason.

    Examples, the first with replies that come with the package:

      lleval align data polite --answers demo:answers --client demo:replies --limit 64 --out polite.jsonl
      lleval align data truthful --client openai --model qwen3-8b --topics 400 --out truthful.jsonl
    """
    with verb("reading the criterion", Outputs(json=json, file=out), seed=seed, computes=client == "local") as run:
        from lleval_jax import training

        wanted = training.read_criterion(criterion)
        making = training.Making(topics=topics, asking=training.Asking(limit=limit, seed=seed))
        maker = answering.client_of(client, model, record, dtype, run, PART)
        found, before = _made(maker, wanted, making, answers, at_once, run)
        run.say("writing")
        output.text(found.lines(), out)
        run.failed = not found.rows
        source = typed.stamped(found.source.merge(ll.Source(cite=("ngweta2024aligners",))), seed)
        run.show([_table(found, before, out)], _content(found, before, out, source))


def _made(
    maker: "AnyClient", wanted: "Criterion", making: "Making", answers: str | None, at_once: int | None, run: Run
) -> "tuple[Corrections, list[tuple[str, int, int, Spent]]]":
    """The examples, and (step, kept, dropped, spent) of what came before."""
    import dataclasses

    from lleval_jax.data.corrections import read_answers
    from lleval_jax.training import examples

    words: dict[str, Any] = {"at_once": at_once, "tell": run.tell}
    if answers is not None:
        pool = read_answers(answering.place_of(answers, PART))
        found = examples.corrections(maker, wanted, pool.questions, pool.weak, making, ids=pool.ids, **words)
        return dataclasses.replace(found, source=pool.source), []
    listed = examples.topics(maker, making, **words)
    asked = examples.questions(maker, wanted, listed.texts, making, **words)
    given = examples.answers(maker, asked.texts, making.asking, **words)
    found = examples.corrections(maker, wanted, asked.texts, given.texts, making, **words)
    steps = {"topics": listed, "questions": asked, "answers": given}
    return found, [(name, sum(map(bool, each.texts)), len(each.dropped), each.spent) for name, each in steps.items()]


def _table(found: "Corrections", before: "list[tuple[str, int, int, Spent]]", out: pathlib.Path) -> "Table":
    changed = sum(row.changed for row in found.rows)
    steps = [*before, ("corrections", len(found.rows), len(found.dropped), found.spent)]
    lines = [
        (name, f"{kept:,}", f"{left:,}", f"{spent.requests:,}", f"{spent.cached:,}", f"{spent.asked + spent.written:,}")
        for name, kept, left, spent in steps
    ]
    said = tuple(f"dropped: {reason}, {count:,}" for reason, count in found.reasons.items())
    notes = (f"{changed:,} of {len(found.rows):,} corrections differ from their answers",)
    learn = (f"to learn them: lleval align train {out}",)
    head = ("", "kept", "dropped", "requests", "from before", "tokens")
    return ll.report.text.Table(
        f"examples for {found.criterion!r}, written to {out}", head, tuple(lines), (*said, *notes, *learn)
    )


def _content(
    found: "Corrections", before: "list[tuple[str, int, int, Spent]]", out: pathlib.Path, source: "ll.Source"
) -> dict[str, Any]:
    steps = [*before, ("corrections", len(found.rows), len(found.dropped), found.spent)]
    return {
        "schema": SCHEMA,
        "out": str(out),
        "criterion": found.criterion,
        "examples": len(found.rows),
        "changed": sum(row.changed for row in found.rows),
        "reasons": found.reasons,
        "steps": [
            {"step": name, "kept": kept, "dropped": left, "spent": spent._asdict()} for name, kept, left, spent in steps
        ],
        "source": source.to_dict(),
    }
