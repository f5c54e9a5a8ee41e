"""`lleval calibrate`: an item bank from many models' answers."""

import dataclasses
import pathlib
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer

import lleval_jax as ll
from lleval_jax.cli.left_out import RANDOM, STRONGEST, Tried, known_scores, left_out
from lleval_jax.cli.shell import options, typed
from lleval_jax.cli.shell.verb import Outputs, verb
from lleval_jax.curves import Model
from lleval_jax.errors import require
from lleval_jax.words import Answers

if TYPE_CHECKING:
    from lleval_jax.report.text import Table

CHOICE = "lleval/choice/1"
FEW = "too few models"  # the guard's name for it
USUAL = 100  # anchors, where a bank has so many items

Out = Annotated[pathlib.Path, typer.Option(metavar="DIR", help="Keep the bank in this folder.")]
Function = Annotated[
    Literal["auto", Model],
    typer.Option("--model", help="Item response function; 'auto': 2pl where its slopes are identifiable, else rasch."),
]
Dims = Annotated[
    str,
    typer.Option(
        metavar="N|auto",
        callback=typed.dims,
        help="Abilities; 'auto': the fewest that predict as well as any.",
    ),
]
AnswersAre = Annotated[
    Answers,
    typer.Option(
        "--answers",
        help="How scores are spread around the items' curves; 'auto': chosen from the scores, with the reason. "
        "'bernoulli' takes a fraction as that share of a right answer.",
    ),
]
Count = Annotated[
    int | None,
    typer.Option(
        "-k",
        metavar="K",
        min=1,
        help="Anchors: items to choose for asking new models; by default 100, or all of fewer.",
    ),
]
By = Annotated[
    Literal["auto", "random", "correctness", "irt", "information", "disagreement", "spread"],
    typer.Option(help="How to choose them."),
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
    typer.Option(
        "--check/--no-check", help="Leave models out, and see whether the intervals contain their scores; after saving."
    ),
]
Replay = Annotated[
    bool,
    typer.Option("--replay", help="Replay adaptive sessions of models left out, to calibrate the intervals of 'ask'."),
]
Plot = Annotated[
    pathlib.Path | None,
    typer.Option("--plot", metavar="PATH", help="Draw what the check shows (png, svg, pdf); needs the extra 'plot'."),
]
Float64 = Annotated[bool, typer.Option("--float64", help="Fit in double precision.")]
Seed = Annotated[int, typer.Option(help="Seed of starts, of held-out cells and of chosen anchors.")]


def calibrate(
    inputs: options.Inputs,
    out: Out,
    model: Function = "auto",
    dims: Dims = "1",
    answers: AnswersAre = "bernoulli",
    k: Count = None,
    by: By = "auto",
    balance: Balance = False,
    name: Name = None,
    bank_version: Version = "1",
    scores: Scores = None,
    check: Check = True,
    replay: Replay = False,
    float64: Float64 = False,
    plot: Plot = None,
    level: options.Level = 0.95,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    seed: Seed = 0,
    json: options.Json = None,
) -> None:
    """Fit the items of a benchmark from many models' answers, and choose the few to ask new models.

    The bank is saved first, then checked on models left out of it; what that shows is added to the bank.

    Examples, the first with the answers that a shipped bank was made from:

      lleval calibrate bank:livexiv-vqa -k 50 --out my-bench
      lleval calibrate leaderboard.parquet --dims auto --out my-bench
    """
    require(check or plot is None, "--plot draws what the check shows; leave out --no-check")
    precision = "float64" if float64 else "float32"
    fitting: dict[str, Any] = {"dims": dims, "precision": precision, "seed": seed, "strict": strict}
    choosing: dict[str, Any] = {"by": by, "seed": seed, "version": bank_version, "balance": balance}
    choosing |= {"name": name or out.absolute().name, "check": check}
    outputs = Outputs(json=json, plot=plot, folder=out, kind="bank")
    with verb("reading answers", outputs, strict=strict, seed=seed) as run:

        def keep(bank: "ll.ItemBank") -> "ll.ItemBank":
            run.keep(bank := run.stamped(bank))
            return bank

        choosing["full_scores"] = None if scores is None else ll.read_scores(scores)
        responses = run.answers(inputs, reading)
        choosing["k"] = _anchors(k, len(responses.items))
        run.say(f"examining {len(responses.rows):,} models x {len(responses.items):,} items")
        kinds = ll.irt.answers_of(responses, answers, seed=seed, precision=precision)
        if not kinds.plain:
            _require_fits(kinds, model, dims, replay)
            model, dims = "2pl", "1"
        choosing["guard"] = guard = _examined(responses, model, dims, seed, strict)
        fitting |= {"model": guard.asked} | ({"dims": 1} if model == "auto" and guard.asked != "2pl" else {})
        if not kinds.plain:
            fitting |= {"dims": 1, "answers": dict(zip(responses.items, kinds.names, strict=True))}
        run.say(f"fitting {len(responses.rows):,} models x {len(responses.items):,} items; compiling first")
        fit = ll.irt.fit(responses, tell=run.tell, **fitting)
        run.say("choosing anchors")
        bank = keep(ll.anchors.choose(fit, responses=responses, early=keep, tell=run.tell, **choosing))
        if replay:
            bank = keep(ll.sessions.prepare(bank, fit=fit, responses=responses, seed=seed, tell=run.tell))
        tried: list[Tried] = []

        def say(part: str) -> None:
            run.say(f"{part}; the bank is saved already")

        for found in left_out(responses, bank, fitting, choosing, level, say) if check else ():
            tried.append(found)
            bank = keep(_checked(bank, found))
        if any(one.estimate is not None for one in tried):
            run.draw(lambda path: _draw(bank, tried, path))
        elif plot is not None:
            why = f"the check on models left out was skipped: {tried[0].found.why_not}"
            warnings.warn(f"{plot} was not drawn; {why}", ll.DataWarning, stacklevel=1)
        summary = _summary(fit, bank) | {"answers": {"asked": answers, "why": kinds.why}}
        run.show([_table(summary, tried, bank.caveats, out)], _content(bank, summary, tried))


def _require_fits(kinds: Any, model: str, dims: Any, replay: bool) -> None:
    """Refuse what is not fitted to graded or continuous answers, before the fit."""
    why = "; ".join(text if len(kinds.why) == 1 else f"{group}: {text}" for group, text in kinds.why.items())
    fits = model in ("auto", "2pl") and str(dims) in ("1", "auto")
    require(fits, f"answers are {why}. They are fitted with --model 2pl and --dims 1; or pass --answers bernoulli")
    require(not replay, f"answers are {why}. --replay takes --answers bernoulli")


def _anchors(asked: int | None, items: int) -> int:
    """How many anchors; more than items are refused before the fit."""
    require(asked is None or asked <= items, f"-k is {asked}; there are {items} items")
    return min(USUAL, items) if asked is None else asked


def _examined(responses: Any, model: Any, dims: Any, seed: int, strict: bool) -> "ll.Guard":
    """The guard of the model that is to be fitted; what it warns of is said, and with --strict refused."""
    words: dict[str, Any] = {"dims": 1 if dims == "auto" else int(dims), "seed": seed}
    found = ll.estimable.check(responses, model=model, **words)
    said = [f"{one.found}; {one.advice}" if one.advice else one.found for one in found.warnings]
    if model == "auto" and found.safe != found.asked:
        said = [
            f"{one.found}, and is fitted" if one.name == FEW else text
            for one, text in zip(found.warnings, said, strict=True)
        ]
        safe: Any = found.safe
        words["dims"] = 1
        found = ll.estimable.check(responses, model=safe, **words)
    said += [one for one in ll.estimable.verdict(found).warnings if one not in said]
    require(not (strict and said), f"{'; '.join(said)} (--strict)")
    for one in said:
        warnings.warn(one, ll.DataWarning, stacklevel=1)
    return found


def _draw(bank: "ll.ItemBank", tried: Sequence[Tried], path: str) -> None:
    """Predicted against true scores of the models left out."""
    found = {one.who: one.estimate for one in tried if one.estimate is not None}
    truth = {(row, "all"): score for row, score in known_scores(bank).items()}
    ll.report.plot.left_out(found, truth, path)


def _checked(bank: "ll.ItemBank", tried: Tried) -> "ll.ItemBank":
    """The bank with what a check has shown in its verdict."""
    shown: Any = {"random" if tried.who == RANDOM else "strongest": tried.found}
    return (
        bank if bank.verdict is None else dataclasses.replace(bank, verdict=dataclasses.replace(bank.verdict, **shown))
    )


def _content(bank: "ll.ItemBank", summary: dict[str, Any], tried: Sequence[Tried]) -> dict[str, Any]:
    """The anchors as a choice, with what a reader must know of the bank."""
    content = {"schema": CHOICE, "items": list(bank.anchor_items), "why": f"anchors of bank {bank.name!r}"}
    checks = {one.who: one.found.to_dict() for one in tried}
    content |= {"bank": summary, "check": checks.get(RANDOM), "check_strongest": checks.get(STRONGEST)}
    content["caveats"] = list(bank.caveats)
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


def _table(summary: dict[str, Any], tried: Sequence[Tried], caveats: tuple[str, ...], out: pathlib.Path) -> "Table":
    curve, engine = summary["method"].split(", ")
    name, dims, why = curve.split(" ")[0], summary["dims"], summary["answers"]["why"]
    ended = "converged" if summary["status"] == "ok" else summary["status"]
    way = {"marginal": "marginal ML"}.get(engine, engine)
    model = f"{'Rasch' if name == 'rasch' else name.upper()}, {dims} dimension{'s' * (dims > 1)}, {way}"
    lines = [
        *((f"answers of {group}" if len(why) > 1 else "answers", text) for group, text in why.items()),
        ("models", f"{summary['models']:,}"),
        ("items", f"{summary['items']:,}"),
        ("model", f"{model}, {ended} after {summary['steps']} iterations"),
        ("items with negative discrimination", f"{summary['negative_slopes']:,}"),
        ("anchors", f"{summary['anchors']:,} by {summary['by']}"),
        *((one.who, str(one.found)) for one in tried),
    ]
    if not tried:
        lines.append(("check on models left out", "skipped (--no-check)"))
    every = summary["anchors"] == summary["items"]
    remarks = (*caveats, *(["The anchors are all items; choose fewer with -k to save answers"] if every else []))
    remarks += (f"What to run on a new model: lleval bank show {out} --anchors",)
    return ll.report.text.Table(
        f"bank {summary['name']!r}, saved in {out}", ("", "found"), tuple(lines), remarks, left=2
    )
