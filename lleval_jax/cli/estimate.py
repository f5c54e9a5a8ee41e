"""`lleval estimate`: a model's full-benchmark score, or its ability, from few answers."""

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import lleval_jax as ll
from lleval_jax import outside
from lleval_jax.cli.shell import inputs as given
from lleval_jax.cli.shell import options, output, typed
from lleval_jax.cli.shell.waiting import waiting
from lleval_jax.errors import NotConverged, require

if TYPE_CHECKING:
    from lleval_jax.report.text import Table, Truth

Bank = Annotated[str, typer.Option(help="Name of a bank (see 'lleval bank list'), or its folder.")]
Target = Annotated[Literal["accuracy", "ability"], typer.Option(help="The benchmark's score, or ability on its scale.")]
OWN = ("auto (default)", "weighted", "pirt", "gpirt", "kriged", "head", "mixed")  # help must not load JAX
BROUGHT = outside.names("lleval_jax.methods")
Method = Annotated[
    str | None,
    typer.Option(help=f"For accuracy: {', '.join((*OWN, *BROUGHT))}. For ability: map (default), eap, mle, wle."),
]
Groups = Annotated[bool, typer.Option("--groups", help="Also the score on each part of the benchmark.")]
Leaderboard = Annotated[
    bool, typer.Option("--leaderboard", help="Best first, with the ranks that the intervals support.")
]
Compare = Annotated[
    tuple[str, str] | None,
    typer.Option(metavar="A B", help="Also the difference of two models, with its interval."),
]
Known = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Known full scores (model, score[, group]) to show beside; or demo:BANK."),
]
Seed = Annotated[int, typer.Option(help="Seed of what a method draws at random; kept in the result.")]
Out = Annotated[pathlib.Path | None, typer.Option(metavar="DIR", help="Keep the estimate in this folder.")]


def estimate(
    inputs: options.Inputs,
    bank: Bank,
    target: Target = "accuracy",
    method: Method = None,
    groups: Groups = False,
    leaderboard: Leaderboard = False,
    compare: Compare = None,
    truth: Known = None,
    level: options.Level = 0.95,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    seed: Seed = 0,
    out: Out = None,
    json: options.Json = None,
) -> None:
    """A model's score on the whole benchmark from few answers, with an interval.

    Examples, the first with answers that come with the package:

      lleval estimate demo:livexiv-vqa --bank livexiv-vqa
      lleval estimate logs/ --bank livexiv-vqa --json -
    """
    if target == "ability":
        _refuse({"--groups": groups, "--truth": truth, "--leaderboard": leaderboard})
    typed.file_for(json)
    if out is not None:
        typed.place_for(out, "estimate")
    with waiting("reading the bank") as wait:
        known = None if truth is None else given.known_scores(truth)
        chosen = ll.load_bank(bank)
        wait.say("reading answers")
        responses = given.answers(inputs, reading, strict=strict, tell=wait.tell)
        wait.say(f"estimating {len(responses.rows)} models")
        words: dict[str, Any] = {"level": level, "strict": strict} | ({} if method is None else {"by": method})
        if target == "ability":
            found = ll.ability.estimate(responses, bank=chosen, **words)
        else:
            found = ll.tiny.estimate(responses, bank=chosen, groups=groups, seed=seed, **words)
    found = dataclasses.replace(found, source=typed.stamped(found.source, seed))
    if strict:
        _require_converged(found)
    tables, content = _shown(found, known, leaderboard, compare)
    if out is not None:
        ll.save(found, out)
    output.write(tables, content, json)


def _refuse(words: dict[str, Any]) -> None:
    for word, value in words.items():
        require(not value, f"{word} goes with --target accuracy; abilities have no groups, ranks or known scores")


def _require_converged(found: "ll.Estimate") -> None:
    failed = [row for row, status in zip(found.rows, found.status, strict=True) if status != "ok"]
    if failed:
        raise NotConverged(f"the estimate of {failed[0]!r} did not converge ({len(failed)} such rows)")


def _shown(
    found: "ll.Estimate", known: "Truth | None", leaderboard: bool, compare: tuple[str, str] | None
) -> tuple[list["Table"], dict[str, Any]]:
    """The tables, and the JSON that says the same."""
    content: dict[str, Any] = found.to_dict()
    if known is not None:
        _add_truth(found, known, content)
    if leaderboard:
        ranks = ll.report.compare.ranks(found)
        tables = [ll.report.text.leaderboard(found, ranks, known)]
        content["ranks"] = ranks.entries(found.rows)
    else:
        tables = [ll.report.text.table(found, known)]
    if compare is not None:
        gap = ll.report.compare.difference(found, *compare).to_dict()
        content["comparison"] = {name: gap[name] for name in ("target", "level", "estimates")}
        tables.append(ll.report.text.comparison(found, *compare))
    return tables, content


def _add_truth(found: "ll.Estimate", known: "Truth", content: dict[str, Any]) -> None:
    held = ll.report.text.inside(found, known)
    some = sorted({model for model, _ in known})[:3]
    require(bool(held), f"--truth knows none of the models estimated; it has {some}")
    for entry in content["estimates"]:
        key = entry["row"], entry["group"]
        if key in held:
            entry |= {"truth": known[key], "inside": held[key]}
