"""`lleval ask`: the next items to run, or "enough"."""

import dataclasses
import itertools
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli import drawing
from lleval_jax.cli.shell import options, output, typed
from lleval_jax.cli.shell.verb import Outputs, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.report.text import Table
    from lleval_jax.values.ranks import Ranking

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[INPUT...]",
        help="Answers so far: files, folders or globs of any known format, or demo:BANK; none: a new model.",
        show_default=False,
    ),
]
Bank = Annotated[str, typer.Option(help="Name of a bank (see 'lleval bank list'), or its folder.")]
Count = Annotated[int, typer.Option("-k", metavar="K", min=1, help="Items to ask at a time.")]
Rule = Annotated[
    Literal["score", "information", "random"],
    typer.Option(help="Items that tell most of the full score, or of ability; or drawn at random."),
]
Error = Annotated[float | None, typer.Option("--std-error", help="Enough when the score's standard error is so small.")]
Width = Annotated[float | None, typer.Option(help="Enough when the interval is so narrow.")]
Threshold = Annotated[float | None, typer.Option(help="Enough when the score is surely above or below this.")]
Certainty = Annotated[float, typer.Option(help="Confidence that --threshold, --compare and --leaderboard ask for.")]
Budget = Annotated[int | None, typer.Option(min=1, help="Enough after so many answers.")]
Compare = Annotated[
    tuple[str, str] | None,
    typer.Option(metavar="A B", help="Ask two models the same items until it is clear which is better."),
]
Leaderboard = Annotated[
    bool, typer.Option("--leaderboard", help="Ask the models whose place is open, until the order of all is clear.")
]
Tolerance = Annotated[
    float, typer.Option(metavar="GAP", help="Models that are surely closer than this need no order (--leaderboard).")
]
Price = Annotated[str | None, typer.Option(metavar="PATH", help="Cost of each item: a table with columns item, price.")]
Balance = Annotated[bool, typer.Option("--balance", help="Ask each part of the benchmark in its proportion.")]
Exposure = Annotated[int, typer.Option(metavar="R", min=1, help="Draw each item from the best R, to spread exposure.")]
Guarantee = Annotated[
    pathlib.Path | None,
    typer.Option(
        metavar="FILE",
        help="Draw items at random and keep their chances in this file, made where there is none: 'lleval estimate "
        "--guarantee FILE' then gives an interval that needs no faith in the bank. Takes -k, --width, --threshold, "
        "--budget.",
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of what is drawn.")]
Out = Annotated[pathlib.Path | None, typer.Option(metavar="FILE", help="Write the items there, one a line.")]


def ask(
    bank: Bank,
    inputs: Inputs = None,
    k: Count = 10,
    by: Rule = "score",
    std_error: Error = None,
    width: Width = None,
    threshold: Threshold = None,
    certainty: Certainty = 0.95,
    budget: Budget = None,
    compare: Compare = None,
    leaderboard: Leaderboard = False,
    tolerance: Tolerance = 0.0,
    price: Price = None,
    balance: Balance = False,
    exposure: Exposure = 1,
    guarantee: Guarantee = None,
    level: options.Level = 0.95,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    seed: Seed = 0,
    plot: options.Plot = None,
    out: Out = None,
    json: options.Json = None,
) -> None:
    """The next items to run on each model, those that tell most; or "enough", and why.

    Examples, the first for a new model, the second after some answers:

      lleval ask --bank livexiv-vqa -k 5
      lleval ask demo:livexiv-vqa --bank livexiv-vqa --std-error 0.03
      lleval ask --bank livexiv-vqa -k 40 --guarantee draws.json --out next.txt
    """
    stop = ll.adaptive.Stop(std_error, width, threshold, certainty, budget)
    other = {"--compare": compare, "--std-error": std_error, "--width": width, "--threshold": threshold}
    other |= {"--price": price, "--balance": balance, "--exposure": exposure > 1, "--by": by != "score"}
    _require_alone(leaderboard, bool(inputs), tolerance, other)
    typed.require_answers(inputs, plot)
    if guarantee is not None:
        by_draws = {"--compare": compare, "--leaderboard": leaderboard, "--std-error": std_error, "--price": price}
        by_draws |= {"--balance": balance, "--exposure": exposure > 1, "--by": by != "score", "--plot": plot}
        given = [word for word, value in by_draws.items() if value]
        require(not given, f"--guarantee draws items at random; it does not go with {', '.join(given)}")
        typed.file_for(guarantee, "--guarantee")
        words: dict[str, Any] = {"k": k, "width": width, "threshold": threshold, "budget": budget, "level": level}
        return drawing.draw(bank, inputs, reading, guarantee, words, Outputs(json=json, file=out), strict, seed)
    with verb("reading the bank", Outputs(json=json, plot=plot, file=out), strict=strict, seed=seed) as run:
        known = ll.load_bank(bank)
        words = {"k": k, "by": by, "stop": stop, "compare": compare, "balance": balance}
        words |= {"exposure": exposure, "level": level, "seed": seed}
        words["price"] = None if price is None else _prices(price, known)
        responses = run.answers(inputs, reading) if inputs else None
        run.say("choosing; compiling first")
        if leaderboard and responses is not None:
            order: dict[str, Any] = {"certainty": certainty, "tolerance": tolerance}
            chosen = ll.ranking.choose(responses, bank=known, k=k, budget=budget, strict=strict, **order)
            standing = ll.ranking.estimate(responses, bank=known, level=level, **order)
            found, (tables, so_far) = standing.scores, _standing(standing)
        else:
            chosen = ll.adaptive.choose(responses, bank=known, strict=strict, **words)
            found = None if responses is None else _estimated(responses, known, compare, level)
            tables, so_far = ([], {}) if found is None else ([ll.report.text.table(found)], _entries(found))
        if found is not None:
            enough = sum(not items for items in chosen.items)
            words = {"goals": _goals(threshold, compare), "group": found.group[0]}
            words["title"] = f"Estimated {found.target} so far; enough answers: {enough} of {len(chosen.rows)} models"
            run.draw(lambda path: ll.report.plot.forest(found, path=path, **words))
        chosen = run.stamped(chosen)
        content = chosen.to_dict() | {"enough": chosen.enough, "checked": known.replayed is not None} | so_far
        content["caveats"] = list(known.caveats)
        if out is not None:
            output.lines(_once(chosen.items), out)
        said = () if tables else known.caveats  # the estimates so far say them already
        run.show(tables + _shown(chosen, known, said), content)


def _once(items: Sequence[Sequence[str]]) -> list[str]:
    """All items that any model is asked, each once."""
    return list(dict.fromkeys(itertools.chain.from_iterable(items)))


def _require_alone(leaderboard: bool, answers: bool, tolerance: float, other: dict[str, Any]) -> None:
    """A leaderboard is asked by its own rule."""
    require(leaderboard or not tolerance, "--tolerance goes with --leaderboard")
    if leaderboard:
        require(
            answers, "--leaderboard needs answers of each model; without it 'ask' names the first items of a new one"
        )
        given = [word for word, value in other.items() if value]
        require(not given, f"--leaderboard asks by its own rule; it does not go with {', '.join(given)}")


def _estimated(
    responses: "ll.Responses | ll.SparseResponses", bank: "ll.ItemBank", compare: tuple[str, str] | None, level: float
) -> "ll.Estimate":
    """What the answers say already."""
    if compare is None:
        return ll.adaptive.estimate(responses, bank=bank, level=level)
    return ll.adaptive.difference(responses, *compare, bank=bank, level=level)


def _goals(threshold: float | None, compare: tuple[str, str] | None) -> dict[str, float]:
    """What a score, or a difference, is asked to be clear of."""
    if threshold is not None:
        return {f"threshold {threshold:g}": threshold}
    return {} if compare is None else {"no difference": 0.0}


def _standing(found: "Ranking") -> tuple[list["Table"], dict[str, Any]]:
    """The leaderboard so far, as a table and for the JSON."""
    content = _entries(found.scores) | {
        "ranks": found.entries(found.scores.rows),
        "open": [list(pair) for pair in found.open_pairs],
        "expected_wrong": found.wrong,
    }
    table = ll.report.text.leaderboard(found.scores, found)
    n = len(found.open_pairs)
    said = f"open pairs: {n}, of which {found.wrong:.1f} are expected in the wrong order" if n else "no pair is open"
    return [dataclasses.replace(table, remarks=(*table.remarks, said))], content


def _entries(found: "ll.Estimate") -> dict[str, Any]:
    return {name: found.to_dict()[name] for name in ("target", "level", "estimates")}


def _prices(path: str, bank: "ll.ItemBank") -> dict[str, float]:
    """Item -> price, from a table; every item of the bank must have one."""
    import pandas as pd  # not needed for --help

    require(pathlib.Path(path).is_file(), f"there is no file {path}")
    try:
        table = pd.read_csv(path)
    except (ValueError, UnicodeDecodeError) as error:
        raise ll.BadInput(f"{path} is not a table: {error}") from error
    require({"item", "price"} <= set(table), f"{path} has columns {list(table)}; it needs item and price")
    priced = dict(zip(table.item.astype(str), pd.to_numeric(table.price, errors="coerce"), strict=True))
    missing = [item for item in bank.items if item not in priced]
    require(not missing, f"{path} has no price for {len(missing)} items of the bank, such as {missing[:1]}")
    return {item: float(priced[item]) for item in bank.items}


def _shown(chosen: "ll.Choice", bank: "ll.ItemBank", caveats: Sequence[str]) -> list["Table"]:
    group = dict(zip(bank.items, (bank.groups[g] for g in bank.group), strict=True))
    lines, remarks = [], []
    for row, items, why in zip(chosen.rows, chosen.items, chosen.why, strict=True):
        name = row or "new model"
        lines += [(name, item, group[item]) for item in items]
        remarks += [] if items else [f"{name}: enough, {why}"]
    if bank.replayed is None:
        remarks.append("Adaptive intervals of this bank are not validated.")
        remarks.append("Run 'lleval calibrate --replay' to calibrate them on held-out models.")
    remarks += caveats
    if lines:
        return [ll.report.text.Table("ask next", ("model", "item", "group"), tuple(lines), tuple(remarks), 3)]
    return [ll.report.text.Table("enough", ("model", "why"), tuple(zip(chosen.rows, chosen.why, strict=True)), (), 2)]
