"""What `lleval ask` and `lleval estimate` do with `--guarantee FILE`: items drawn with known chances."""

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

import lleval_jax as ll
from lleval_jax.cli.shell import options, output
from lleval_jax.cli.shell.verb import Outputs, Run, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.report import truth as scores
    from lleval_jax.report.text import Table

HOLDS = "Holds whatever the model is: all chance is that of the draws. It takes only the drawn items."
LOOKS = "Valid at every look, however often one looks and stops."


def draw(
    bank: str,
    inputs: list[str] | None,
    reading: options.Reading,
    file: pathlib.Path,
    words: dict[str, Any],
    outputs: Outputs,
    strict: bool,
    seed: int,
) -> None:
    """The next draws, added to the file."""
    require(outputs.file is None or outputs.file != file, f"--out and --guarantee name the same place, {file}")
    with verb("reading the bank", outputs, strict=strict, seed=seed) as run:
        known = ll.load_bank(bank)
        draws = ll.read_draws(file) if file.exists() else None
        responses = run.answers(inputs, reading) if inputs else None
        run.say("drawing items")
        chosen, after = ll.guarantee.choose(responses, bank=known, draws=draws, seed=seed, strict=strict, **words)
        chosen = run.stamped(chosen, after.seed)
        ll.write_draws(after, file)
        items = list(chosen.items[0])
        if outputs.file is not None:
            output.lines(items, outputs.file)
        run.show(_shown(chosen, known, after, file), chosen.to_dict() | {"enough": chosen.enough, "drawn": len(after)})


def _shown(chosen: "ll.Choice", bank: "ll.ItemBank", draws: "ll.Draws", file: pathlib.Path) -> list["Table"]:
    if chosen.enough:
        return [ll.report.text.Table("enough", ("draws", "why"), ((str(len(draws)), chosen.reason),), (), 1)]
    group = dict(zip(bank.items, (bank.groups[g] for g in bank.group), strict=True))
    lines = tuple((item, group[item]) for item in chosen.items[0])
    remarks = (f"{chosen.reason[0].upper()}{chosen.reason[1:]}.", f"{file} has the chances of all {len(draws)} draws.")
    return [ll.report.text.Table("ask next, of every model", ("item", "group"), lines, remarks, 2)]


def require_bank(file: pathlib.Path | None, every_look: bool, bank: str | None, target: str, with_bayes: bool) -> None:
    """The two options go with a bank and its score."""
    require(file is not None or not every_look, "--every-look goes with --guarantee FILE")
    if file is not None:
        require(not with_bayes, "--guarantee needs no model; it does not go with --bayes")
        require(bank is not None, "items are drawn from a bank; add --bank")
        require(target == "accuracy", "--guarantee is for scores; it goes with --target accuracy")


def guaranteed(
    run: Run,
    responses: "ll.Responses | ll.SparseResponses",
    bank: "ll.ItemBank",
    file: pathlib.Path,
    every_look: bool | None,
    truth: "scores.Known | None",
    content: dict[str, Any],
    level: float,
) -> list["Table"]:
    """The second interval, as a table; and put into the JSON."""
    run.say("following the draws")
    words: dict[str, Any] = {"bank": bank, "level": level, "every_look": every_look, "strict": run.strict}
    found = run.stamped(ll.guarantee.estimate(responses, draws=ll.read_draws(file), **words))
    content["guaranteed"] = {name: found.to_dict()[name] for name in ("target", "method", "level", "estimates")}
    table = ll.report.text.table(found, truth)
    looks = (LOOKS,) if found.method != "drawn" else ()
    return [dataclasses.replace(table, remarks=(HOLDS, *looks, *table.remarks))]
