"""`lleval calibrate`: an item bank from many models' answers."""

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

import lleval_jax as ll
from lleval_jax.cli.left_out import Held, held_out
from lleval_jax.cli.shell import inputs as given
from lleval_jax.cli.shell import options, output, typed
from lleval_jax.cli.shell.waiting import waiting
from lleval_jax.curves import Model

if TYPE_CHECKING:
    from lleval_jax.report.text import Table

CHOICE = "lleval/choice/1"

Out = Annotated[pathlib.Path, typer.Option(metavar="DIR", help="Keep the bank in this folder.")]
Function = Annotated[Model, typer.Option("--model", help="Item response function.")]
Dims = Annotated[
    str,
    typer.Option(
        metavar="N|auto",
        callback=typed.dims,
        help="Abilities; 'auto': the fewest that predict as well as any.",
    ),
]
Anchors = Annotated[int, typer.Option(metavar="K", min=1, help="Items to choose for asking new models.")]
By = Annotated[
    str,
    typer.Option(help="How to choose them: auto, random, correctness, irt, information, disagreement, spread."),
]
Balance = Annotated[
    bool,
    typer.Option("--balance", help="Let each part of the benchmark count alike, however many items it has."),
]
Name = Annotated[str | None, typer.Option(help="The bank's name; that of its folder if not given.")]
Version = Annotated[str, typer.Option("--bank-version", help="The bank's version.")]
Scores = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Full scores (model, score[, group]) where answers hold only a part."),
]
Check = Annotated[
    bool,
    typer.Option("--check/--no-check", help="Leave models out and see whether intervals hold their scores."),
]
Replay = Annotated[
    bool,
    typer.Option("--replay", help="Replay adaptive sessions of models left out, to check the intervals of 'ask'."),
]
Float64 = Annotated[bool, typer.Option("--float64", help="Fit in double precision.")]
Seed = Annotated[int, typer.Option(help="Seed of starts, of held-out cells and of chosen anchors.")]


def calibrate(
    inputs: options.Inputs,
    out: Out,
    model: Function = "2pl",
    dims: Dims = "1",
    anchors: Anchors = 100,
    by: By = "auto",
    balance: Balance = False,
    name: Name = None,
    bank_version: Version = "1",
    scores: Scores = None,
    check: Check = True,
    replay: Replay = False,
    float64: Float64 = False,
    level: options.Level = 0.95,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    seed: Seed = 0,
    json: options.Json = None,
) -> None:
    """Fit the items of a benchmark from many models' answers, and choose the few to ask new models.

    Examples, the first with the answers that a shipped bank was made from:

      lleval calibrate bank:livexiv-vqa --anchors 50 --out my-bench
      lleval calibrate leaderboard.parquet --dims auto --out my-bench
    """
    typed.place_for(out, "bank")
    typed.file_for(json)
    precision = "float64" if float64 else "float32"
    fitting: dict[str, Any] = {"model": model, "dims": dims, "precision": precision, "seed": seed, "strict": strict}
    choosing: dict[str, Any] = {"k": anchors, "by": by, "seed": seed, "version": bank_version, "balance": balance}
    choosing["name"] = name or out.absolute().name
    with waiting("reading answers") as wait:
        choosing["full_scores"] = None if scores is None else ll.read_scores(scores)
        responses = given.answers(inputs, reading, strict=strict, tell=wait.tell)
        wait.say(f"fitting {len(responses.rows)} models x {len(responses.items)} items; compiling first")
        fit = ll.irt.fit(responses, tell=wait.tell, **fitting)
        wait.say("choosing anchors")
        bank = ll.anchors.choose(fit, responses=responses, tell=wait.tell, **choosing)
        if replay:
            bank = ll.sessions.prepare(bank, fit=fit, responses=responses, seed=seed, tell=wait.tell)
        bank = dataclasses.replace(bank, source=typed.stamped(bank.source, seed))
        held = held_out(responses, bank, fitting, choosing, level, wait) if check else None
        wait.say("writing")
        ll.save(bank, out)
    summary = _summary(fit, bank)
    output.write([_table(summary, held, out)], _content(bank, summary, held), json)


def _content(bank: "ll.ItemBank", summary: dict[str, Any], held: Held | None) -> dict[str, Any]:
    """The anchors as a choice, with what a reader must know of the bank."""
    content = {"schema": CHOICE, "items": list(bank.anchor_items), "why": f"anchors of bank {bank.name!r}"}
    content |= {"bank": summary, "check": None if held is None else held.to_dict()}
    return content | {"source": bank.source.to_dict()}


def _summary(fit: Any, bank: "ll.ItemBank") -> dict[str, Any]:
    """What a reader must know of a bank before using it."""
    return {
        "name": bank.name,
        "models": len(fit.rows),
        "items": len(bank.items),
        "dims": bank.dims,
        "negative_slopes": int(np.sum(bank.slope[:, 0] < 0)),
        "method": fit.method,
        "status": fit.status,
        "steps": fit.steps,
        "anchors": len(bank.anchor_items),
        "by": "" if bank.anchors is None else bank.anchors.by,
    }


def _table(summary: dict[str, Any], held: Held | None, out: pathlib.Path) -> "Table":
    share = summary["negative_slopes"] / max(1, summary["items"])
    lines = [
        ("models", f"{summary['models']:,}"),
        ("items", f"{summary['items']:,}"),
        ("abilities", str(summary["dims"])),
        (
            "negative slopes",
            f"{summary['negative_slopes']:,} ({share:.1%}): better models fail these more often",
        ),
        ("fit", f"{summary['method']}: {summary['status']} after {summary['steps']} steps"),
        ("anchors", f"{summary['anchors']:,} by {summary['by']}"),
        ("interval check", "not made (--no-check)" if held is None else str(held)),
    ]
    remark = f"what to run on a new model: lleval bank show {out} --anchors"
    return ll.report.text.Table(
        f"bank {summary['name']!r}, kept in {out}", ("what", "found"), tuple(lines), (remark,), left=2
    )
