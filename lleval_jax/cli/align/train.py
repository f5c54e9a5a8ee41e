"""`lleval align train`: an aligner and its inspector, of examples."""

import pathlib
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli import answering
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.verb import Outputs, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel
    from lleval_jax.report.text import Table
    from lleval_jax.training.aligners.inspector import Inspector
    from lleval_jax.training.aligners.train import Learned

SCHEMA = "lleval/align-train/1"

Examples = Annotated[
    str,
    typer.Argument(
        metavar="EXAMPLES",
        help="A table with columns question, answer, correction, as 'lleval align data' writes it.",
        show_default=False,
    ),
]
Out = Annotated[pathlib.Path, typer.Option("--out", metavar="DIR", help="Keep aligner, inspector and the run there.")]
Inspect = Annotated[
    Literal["embedding", "encoder", "margin"],
    typer.Option(
        "--inspector",
        help="Vectors of --encoder with a logistic regression; that encoder, which learns; or how much more readily "
        "the aligner leaves an answer as it is than before it learned.",
    ),
]
Encoder = Annotated[str, typer.Option(metavar="ENCODER", help="A text encoder, such as minilm, or its folder.")]
Marks = Annotated[
    Literal["added", "chat"] | None,
    typer.Option(help="How parts are separated: by added tokens, or by a chat's turns where the model has these."),
]
Steps = Annotated[int, typer.Option(min=1, help="Steps of training the aligner.")]
Batch = Annotated[int, typer.Option(min=1, help="Examples of a step.")]
Rate = Annotated[float, typer.Option(help="Learning rate.")]
Rank = Annotated[int, typer.Option(min=0, help="Of the adapters; 0: all weights learn.")]
Longest = Annotated[int | None, typer.Option(min=32, help="Tokens of question, answer and correction together.")]
Limit = Annotated[int, typer.Option(min=1, help="Tokens that the aligner writes, at most.")]
Harm = Annotated[float, typer.Option(min=0, help="Price of correcting a good answer; that of leaving a bad one is 1.")]
Seed = Annotated[int, typer.Option(help="Of the parts, and of the order of examples.")]


def train(
    examples: Examples,
    out: Out,
    model: options.Model = "smollm2",
    inspector: Inspect = "embedding",
    encoder: Encoder = "minilm",
    marks: Marks = None,
    steps: Steps = 100,
    batch: Batch = 8,
    rate: Rate = 1e-3,
    rank: Rank = 8,
    longest: Longest = None,
    limit: Limit = 256,
    harm: Harm = 1.0,
    dtype: options.Dtype = "float32",
    seed: Seed = 0,
    json: options.Json = None,
) -> None:
    """Train an aligner and the inspector that says where it is needed.

    Questions are split once: 70% are learned by both, 15% calibrate the inspector, 15% measure it. Run it again to go
    on where it was stopped.

    Example: lleval align train polite.jsonl --model smollm2 --out squad/polite
    """
    with verb("reading examples", Outputs(json=json), seed=seed) as run:
        from lleval_jax import lm, training
        from lleval_jax.data.corrections import read_corrections

        require(not out.is_file(), f"{out} is a file; --out takes a folder")
        given = read_corrections(answering.place_of(examples, "aligners"))
        require(bool(given.criterion), f"{examples} does not say which criterion it is for: give it a column criterion")
        parts = training.by_question(given, seed=seed)
        run.say(f"loading {model}")
        base = lm.load(model, dtype=dtype, tell=run.tell)
        read = None if inspector == "margin" else lm.load_encoder(encoder, tell=run.tell)
        learned = training.fit_aligner(
            base,
            parts["learn"],
            marks=marks,
            lora=_adapters(rank, seed),
            schedule=training.Schedule(steps=steps, batch=batch, rate=rate, seed=seed, keep=max(1, steps // 10)),
            held_out=parts["test"] if parts["test"].rows else None,
            longest=longest,
            limit=limit,
            out=out / "run",
            tell=run.tell,
        )
        run.say("training the inspector")
        kind = _kind(inspector, read, learned, base, seed, out)
        judge = training.fit_inspector(kind, parts, harm=harm, tell=run.tell)
        run.say("writing")
        _keep(learned, judge, out, model, encoder)
        run.show([_table(learned, judge, out)], _content(learned, judge, out))


def _adapters(rank: int, seed: int) -> Any:
    import dataclasses

    from lleval_jax.training.aligners.train import ADAPTERS

    return dataclasses.replace(ADAPTERS, rank=rank, seed=seed) if rank else None


def _kind(inspector: str, encoder: Any, learned: "Learned", base: "LanguageModel", seed: int, out: pathlib.Path) -> Any:
    from lleval_jax.training import Schedule, marks, scorers

    if inspector == "embedding":
        return scorers.Embedding(encoder)
    if inspector == "encoder":
        schedule = Schedule(steps=200, batch=16, rate=1e-3, seed=seed)
        return scorers.Encoder(encoder, schedule=schedule, out=out / "inspector-run")
    return scorers.Margin(learned.aligner.model, marks.flat(marks.marked(base, learned.marks)[0]))


def _keep(learned: "Learned", judge: "Inspector", out: pathlib.Path, model: str, encoder: str) -> None:
    """Both, in place of what an earlier end of the same run left."""
    import shutil

    from lleval_jax.training import aligner_files

    for name in ("aligner", "inspector"):
        shutil.rmtree(out / name, ignore_errors=True)
    aligner_files.save_aligner(learned, out / "aligner", base=model)
    aligner_files.save_inspector(judge, out / "inspector", encoder=encoder)


def _table(learned: "Learned", judge: "Inspector", out: pathlib.Path) -> "Table":
    first, last = learned.trained.history[0], learned.trained.history[-1]
    lines = [("steps", f"{len(learned.trained.history):,}"), ("loss", f"{first['loss']:.4f} -> {last['loss']:.4f}")]
    lines += [("examples that did not fit", f"{len(learned.dropped):,}"), ("examples cut", f"{learned.cut:,}")]
    found = judge.report
    if found is not None:
        lines += [("inspector's AUC on other questions", f"{found.auc:.3f} [{found.low:.3f}, {found.high:.3f}]")]
        lines += [("its calibration error", f"{found.ece:.3f}")]
    lines += [("answers are corrected below", f"{judge.threshold:.3f}")]
    use = f"to use it: lleval align run ANSWERS --squad {out} --out aligned.jsonl"
    return ll.report.text.Table(f"aligner for {judge.name!r}, in {out}", ("", ""), tuple(lines), (*judge.caveats, use))


def _content(learned: "Learned", judge: "Inspector", out: pathlib.Path) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "out": str(out),
        "criterion": judge.name,
        "marks": learned.marks,
        "history": list(learned.trained.history),
        "dropped": [each._asdict() for each in learned.dropped],
        "cut": learned.cut,
        "threshold": judge.threshold,
        "report": None if judge.report is None else judge.report._asdict(),
        "caveats": list(judge.caveats),
    }
