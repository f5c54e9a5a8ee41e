"""`lleval align evaluate`: wins, ties and losses of corrected answers, and what they cost good ones."""

import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lleval_jax as ll
from lleval_jax.cli import answering
from lleval_jax.cli.shell import options, typed
from lleval_jax.cli.shell.verb import Outputs, Run, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.report.text import Table
    from lleval_jax.values.results import Estimate

PART = "aligners"

File = Annotated[
    str,
    typer.Argument(metavar="ALIGNED", help="What 'lleval align run' wrote.", show_default=False),
]
Judge = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--judge", metavar="DIR", help="An inspector that did not take part, as 'lleval align train' keeps it."
    ),
]
Criterion = Annotated[
    str | None, typer.Option("--criterion", metavar="NAME|FILE", help="Ask --client which answer is better by this.")
]
Seed = Annotated[int, typer.Option(help="Of the bootstrap.")]


def evaluate(
    aligned: File,
    judge: Judge = None,
    criterion: Criterion = None,
    client: answering.Client = "local",
    model: options.Answering = "",
    record: answering.Record = None,
    dtype: options.Dtype = "float32",
    level: options.Level = 0.95,
    seed: Seed = 0,
    json: options.Json = None,
) -> None:
    """What a squad did: wins, ties, losses, harm to good answers, lengths and passes, with intervals over questions.

    The judge sees each pair in both orders; a verdict that turns with the order is a tie, and so is an answer that did
    not change. Answers count as good before where all inspectors found them so.

    Examples, of a second inspector and of a model that is asked:

      lleval align evaluate aligned.jsonl --judge other/polite/inspector
      lleval align evaluate aligned.jsonl --criterion polite --client openai --model qwen3-8b
    """
    replayed = client not in ("local", "openai") and judge is None
    with verb("reading answers", Outputs(json=json), seed=seed, computes=not replayed) as run:
        from lleval_jax import training
        from lleval_jax.data.corrections import read_aligned

        found = read_aligned(aligned)
        one = (judge is None) != (criterion is None)
        require(one, "who judges? Say either --judge DIR, or --criterion NAME with --client")
        who: Any = _inspector(judge, run) if judge is not None else None
        if who is None:
            asked = answering.client_of(client, model, record, dtype, run, PART)
            who = training.judges.Asked(asked, training.read_criterion(str(criterion)))
        run.say("judging")
        verdicts = training.judges.verdicts(who, found)
        source = typed.stamped(found.source.merge(ll.Source(cite=("ngweta2024aligners",))), seed)
        name = ", ".join(found.members)
        estimate = training.evaluate(found, verdicts, level=level, seed=seed, name=name, source=source)
        run.show([_table(estimate)], estimate.to_dict())


def _inspector(folder: pathlib.Path, run: Run) -> Any:
    from lleval_jax.training import aligner_files, judges

    run.say(f"loading {folder}")
    return judges.ByScore(aligner_files.load_inspector(folder, tell=run.tell))


def _table(estimate: "Estimate") -> "Table":
    lines = []
    for entry in estimate:
        known = entry.status == "ok"
        interval = f"[{entry.low:z.3f}, {entry.high:z.3f}]" if known else entry.status
        lines.append((entry.group, f"{entry.value:z.3f}" if known else "", interval, f"{entry.n_seen:,}"))
    title = f"answers by {estimate.rows[0]}, {100 * estimate.level:g}% intervals over questions"
    return ll.report.text.Table(title, ("", "", "", "answers"), tuple(lines), estimate.caveats)
