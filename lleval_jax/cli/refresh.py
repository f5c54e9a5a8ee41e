"""`lleval refresh`: a new version of a benchmark for the price of a few models; banks on one scale (LiveXiv)."""

import dataclasses
import math
import os
import pathlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli import check as answers_check
from lleval_jax.cli.shell import inputs as given
from lleval_jax.cli.shell import options, output, typed
from lleval_jax.cli.shell.shown import help_of
from lleval_jax.cli.shell.waiting import Waiting, waiting
from lleval_jax.errors import nearest, require

if TYPE_CHECKING:
    from lleval_jax.estimators.refresh.drift import Suspicion
    from lleval_jax.estimators.refresh.rows import RowCheck
    from lleval_jax.report.text import Table

WHOLE, RANKING = "all", "ranking"
DIMS = 3  # as in `refresh.fit`
ROWS = 3  # models without which a version cannot be compared with others
MEANING = ("exchanged", "fits no row")  # findings that a row is another model than its name says
FAMILIES = 5  # families without which nobody is suspected

refresh = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="A new version of a benchmark for the price of a few models: whom to run ('choose'), the scores of all "
    "('estimate'), whether rows mean the same models ('check'), two banks on one scale ('link').",
)

Versions = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Answers, one file, folder or glob a version, the oldest first: columns model, item, score and, of "
        "several domains, group. Or bank:NAME/GROUP: a part of what a bank was made from.",
        show_default=False,
    ),
]
Count = Annotated[int | None, typer.Option("-k", "--models", metavar="N", min=1, help="How many models to run.")]
Ask = Annotated[
    str,
    typer.Option(
        metavar=f"{WHOLE}|DOMAIN|{RANKING}",
        help="What is to be known best: scores on the whole version, on a domain, or the order of the models.",
    ),
]
Budget = Annotated[
    float | None, typer.Option(metavar="X", help="Instead of -k: what the models chosen may cost in all; with --price.")
]
Price = Annotated[
    pathlib.Path | None,
    typer.Option(metavar="PATH", help="What running each model costs: a table, columns model, price."),
]
Force = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="A model that is run in any case, beside the others; a new one too. May be given again."
    ),
]
Pool = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Choose among these models only; may be given again.", show_default=False),
]
Items = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DOMAIN=N",
        help="How many items of a domain the next version will have, once for each domain; of a version without "
        f"domains, {WHOLE}=N. As the newest version has them otherwise.",
        show_default=False,
    ),
]
Dims = Annotated[int, typer.Option(metavar="N", min=0, help="Loadings of a model on what items have in common.")]
Ranks = Annotated[
    bool, typer.Option("--ranks", help="Also the rank of each model, its interval, and the chance that it holds.")
]
Suspects = Annotated[
    bool, typer.Option("--suspects", help="Also families that gain on a version beyond what honest drift explains.")
]
Rerun = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Take only this model's answers to the new version, and show how well those of the others are foretold; "
        "may be given again.",
        show_default=False,
    ),
]
Family = Annotated[
    str | None,
    typer.Option(
        metavar="PATH|name|none",
        help="Families of models: a table with columns model, family; by the models' names; or none.  [default: name]",
        show_default=False,
    ),
]
Alarm = Annotated[float, typer.Option(help="Chance of any finding of a kind where all is well.")]
Side = Annotated[Literal["higher", "both"], typer.Option(help="Gains, or losses as well.")]
Parts = Annotated[Literal["version", "domain"], typer.Option("--by", help="Compare versions, or domains of versions.")]
By = Annotated[
    Literal["stocking-lord", "haebara", "mean-sigma", "mean-mean", "concurrent"],
    typer.Option(help="How common items are compared; concurrent: one fit of all answers. Else by common models."),
]
Bank = Annotated[str, typer.Argument(metavar="BANK", help="Name of a bank, or its folder.", show_default=False)]
Answers = Annotated[
    str | None,
    typer.Option(
        metavar="INPUT", help="Answers to that bank; without it those that it was made from.", show_default=False
    ),
]
PlotChoice = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--plot",
        metavar="PATH",
        help="Draw there what each further model brings (png, svg, pdf), beside models spread evenly over the scores; "
        "needs the extra 'plot'.",
    ),
]
PlotScores = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--plot",
        metavar="PATH",
        help="Draw the scores there (png, svg, pdf). In a folder: scores.png and, with --ranks, ranks.png, how models "
        "change places. Needs the extra 'plot'.",
    ),
]
OutFit = Annotated[pathlib.Path | None, typer.Option("--out", metavar="DIR", help="Keep the fit there.")]
OutBank = Annotated[
    pathlib.Path | None, typer.Option("--out", metavar="DIR", help="Keep the new bank, on the old scale, there.")
]
Seed = Annotated[int | None, typer.Option(help="Seed of what --ranks draws.  [default: 0]", show_default=False)]
StrictCheck = Annotated[bool, typer.Option("--strict", help="Exit with status 1 if anything is found.")]


def choose(
    inputs: Versions,
    k: Count = None,
    ask: Ask = WHOLE,
    budget: Budget = None,
    price: Price = None,
    force: Force = None,
    pool: Pool = None,
    items: Items = None,
    dims: Dims = DIMS,
    plot: PlotChoice = None,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    out: OutFit = None,
    json: options.Json = None,
) -> None:
    """Whom to run on the next version, so that the scores of all other models will be known best.

    Examples, the first with answers that come with the package:

      lleval refresh choose bank:livexiv-vqa/v1 bank:livexiv-vqa/v2 -k 3
      lleval refresh choose v1.parquet v2.parquet -k 5 --ask ranking --plot choice.png
      lleval refresh choose v1.parquet v2.parquet --budget 40 --price prices.csv --force NewModel
      lleval refresh choose v1.parquet v2.parquet -k 3 --items law=200 --items math=500
    """
    require((k is None) != (budget is None), "say either -k, how many models, or --budget, what they may cost")
    require(budget is None or price is not None, "--budget needs --price, a table of columns model, price")
    typed.file_for(json)
    typed.picture_for(plot)
    if out is not None:
        typed.place_for(out, "fit")
    forced, counts = list(dict.fromkeys(force or ())), _counts(items or ())
    with waiting("reading answers") as wait:
        versions = _read(inputs, reading, strict=strict, wait=wait)
        models = _models(versions)
        counts = _next_items(counts, versions, strict)
        _require_asked(ask, counts)
        for name in pool or ():
            _require_model("--pool", name, models)
        for name in forced:
            if name not in models:
                _warn(f"--force: {name!r} is in no version, and taken for a new model{nearest(name, models)}", strict)
        members = [name for name in dict.fromkeys(pool or models) if name not in forced]
        require(k is None or k <= len(members), f"-k is {k}; there are {len(members)} models to choose from")
        prices = None if price is None else _prices(price, [*models, *(name for name in forced if name not in models)])
        fit = _fit(versions, dims, strict, wait)
        wait.say("choosing; compiling first")
        words: dict[str, Any] = {
            "ask": ask,
            "budget": budget,
            "price": prices,
            "force": forced,
            "pool": pool,
            "items": counts,
        }
        chosen = ll.refresh.choose(fit, k, **words)
        known = [name for name in chosen.rows if name in models]
        outlooks = [ll.refresh.foretell(fit, known[:i], items=counts) for i in range(len(known) + 1)]
        group = WHOLE if ask == RANKING else ask
        if plot is not None:
            wait.say("drawing")
            even = [ll.refresh.foretell(fit, names, items=counts) for names in _spread(fit, len(known))]
            with output.picture(plot) as name:
                ll.report.refresh.plot_choice(outlooks, even, name, group=group)
    fit = dataclasses.replace(fit, source=typed.stamped(fit.source, 0))
    cost = prices or dict.fromkeys([*models, *chosen.rows], 1.0)
    saved = {
        "chosen": float(sum(cost[name] for name in chosen.rows)),
        "all": float(sum(cost[name] for name in {*models, *chosen.rows})),
        "items": float(sum(counts.values())),
    }
    content = dataclasses.replace(chosen, source=fit.source).to_dict()
    content["ask"] = ask
    content["expected"] = [
        {"run": i, "row": known[i - 1] if i else None, "error": ll.report.refresh.error(told, group)}
        for i, told in enumerate(outlooks)
    ]
    content["cost"] = {"chosen": saved["chosen"], "all": saved["all"], "saved": 1 - saved["chosen"] / saved["all"]}
    content["fit"] = ll.report.refresh.facts(fit)
    if out is not None:
        ll.save(fit, out)
    output.write([ll.report.refresh.choice(chosen, fit, outlooks, saved, ask=ask, price=prices)], content, json)


def estimate(
    inputs: Versions,
    rerun: Rerun = None,
    ranks: Ranks = False,
    suspects: Suspects = False,
    family: Family = None,
    dims: Dims = DIMS,
    plot: PlotScores = None,
    level: options.Level = 0.95,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    seed: Seed = None,
    out: OutFit = None,
    json: options.Json = None,
) -> None:
    """The scores of all models on the last version, of which a few were run on it: on the whole and by domain.

    The last INPUT is the new version, with the answers of the models that were run again.

    Examples, the first with answers that come with the package, as if two models had been run on v4:

      lleval refresh estimate bank:livexiv-vqa/v3 bank:livexiv-vqa/v4 --rerun Phi3v --rerun Idefics2-8B
      lleval refresh estimate v1.parquet v2.parquet v3_partial.parquet --json -
      lleval refresh estimate v1.parquet v2.parquet v3_partial.parquet --ranks --suspects
    """
    message = "only one version is given; name the earlier versions first, then the new one"
    require(len(inputs) > 1, message)
    require(seed is None or ranks, "--seed is of what --ranks draws; give --ranks too, or leave it out")
    require(family is None or suspects, "--family is for --suspects; give --suspects too, or leave it out")
    typed.file_for(json)
    pictures = _pictures(plot, ranks)
    if out is not None:
        typed.place_for(out, "fit")
    with waiting("reading answers") as wait:
        versions = _read(inputs, reading, strict=strict, wait=wait)
        *_, new = versions
        truth = None
        if rerun:
            versions[new], truth = _hidden(versions[new], rerun)
        wait.say("checking the models' names")
        checked, names = _checked(versions)
        for one in checked.findings:
            if one.kind in MEANING:
                _warn(_said(one, names), strict)
        suspicion = _suspected(versions, family, required=True) if suspects else None
        fit = _fit(versions, dims, strict, wait)
        fit = dataclasses.replace(fit, source=typed.stamped(fit.source, seed or 0))
        wait.say("estimating; compiling first")
        found = ll.refresh.estimate(fit, level=level, strict=strict)
        standing = ll.refresh.ranks(fit, seed=seed or 0, level=level, strict=strict) if ranks else None
        if pictures:
            wait.say("drawing")
            with output.picture(pictures[0]) as name:
                ll.report.refresh.plot_scores(found, truth, name, title=new)
        if standing is not None and len(pictures) > 1:
            *before, _ = versions
            told = [ll.refresh.ranks(fit, version=v, seed=seed or 0, level=level).ranks for v in before]
            with output.picture(pictures[1]) as name:
                ll.report.refresh.plot_ranks(*told, standing.ranks, versions=list(versions), path=name)
    content = found.to_dict()
    for i, entry in enumerate(content["estimates"]):
        entry["known"] = ll.report.refresh.state(found, i)
        key = entry["row"], entry["group"]
        if truth is not None and key in truth:
            entry |= {"truth": truth[key], "inside": bool(entry["low"] <= truth[key] <= entry["high"])}
    whole = [i for i, group in enumerate(found.group) if group == WHOLE]
    content["version"] = new
    content["rerun"] = [found.rows[i] for i in whole if found.n_seen[i] > 0]
    content["fit"] = ll.report.refresh.facts(fit)
    content["check"] = _check_content(checked, names)
    words: dict[str, Any] = {"truth": truth}
    if standing is not None:
        entries = standing.ranks.to_dict()["estimates"]
        content["ranks"] = [
            entry | {"holds": float(holds), "chance": [float(part) for part in chance]}
            for entry, holds, chance in zip(entries, standing.holds, standing.chance, strict=True)
        ]
        words |= {"ranks": standing.ranks, "holds": standing.holds}
    tables = ll.report.refresh.tables(found, new, **words)
    if suspicion is not None:
        content["suspects"] = suspicion.to_dict()
        tables.append(_suspects_table(suspicion))
    if out is not None:
        ll.save(fit, out)
    output.write(tables, content, json)


def check(
    inputs: Versions,
    family: Family = None,
    alarm: Alarm = 0.05,
    side: Side = "higher",
    by: Parts = "version",
    reading: options.Reading = options.AS_WRITTEN,
    strict: StrictCheck = False,
    json: options.Json = None,
) -> None:
    """Do rows mean the same models in all versions, and does a family gain on one beyond what honest drift explains?

    Versions need not share items. Rows that were exchanged, that fit no earlier one, that are constant over a stretch
    of items, or that hold the same answers are named.

    Examples, the first with answers that come with the package:

      lleval refresh check bank:livexiv-vqa/v1 bank:livexiv-vqa/v2 bank:livexiv-vqa/v3
      lleval refresh check old.parquet v1.parquet --family families.csv --by domain --json -
    """
    require(0 < alarm < 1, f"--alarm is {alarm:g}; it must lie strictly between 0 and 1")
    typed.file_for(json)
    with waiting("reading answers") as wait:
        versions = _read(inputs, reading, strict=False, wait=wait)
        wait.say("comparing the versions")
        checked, names = _checked(versions, alarm)
        suspicion = _suspected(versions, family, required=family is not None, alarm=alarm, side=side, by=by)
    tables = [_check_table(checked, names, list(versions))]
    content: dict[str, Any] = {"schema": "lleval/refresh-check/1", "versions": list(versions)}
    content["check"] = _check_content(checked, names)
    content["suspects"] = None if suspicion is None else suspicion.to_dict()
    source = ll.Source()
    for answers in versions.values():
        source = source.merge(answers.source)
    content["source"] = typed.stamped(source, 0).to_dict()
    if suspicion is not None:
        tables.append(_suspects_table(suspicion))
    else:
        text = f"families were not compared: no version has {FAMILIES} of them that are on another version too"
        tables.append(ll.report.text.Table(text, (), ()))
    output.write(tables, content, json)
    if strict and (len(checked) or (suspicion is not None and suspicion.flagged)):
        raise typer.Exit(1)


def link(
    old: Bank,
    new: Bank,
    by: By = "stocking-lord",
    answers_old: Answers = None,
    answers_new: Answers = None,
    level: options.Level = 0.95,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    out: OutBank = None,
    json: options.Json = None,
) -> None:
    """Put the new BANK (the second) on the scale of the old one: old ability = scale * new ability + shift.

    By the items that both know; where these are fewer than three, by the models that took both.

    Examples, the first with banks that come with the package, linked by the models that took both:

      lleval refresh link livexiv-vqa livexiv-tqa
      lleval refresh link banks/v1 banks/v2 --by haebara --out banks/v2-on-v1 --json -
    """
    same = os.path.realpath(old) == os.path.realpath(new)
    require(not same, f"{new} is named twice; name the old bank, then the new one")
    reads = answers_old is not None or answers_new is not None
    message = "no answers are read; --strict and how to read them go with --answers-old and --answers-new"
    require(reads or (reading == options.AS_WRITTEN and not strict), message)
    typed.file_for(json)
    if out is not None:
        typed.place_for(out, "bank")
    with waiting("reading the banks") as wait:
        banks = ll.load_bank(old), ll.load_bank(new)
        wait.say("reading answers")
        one, two = (None if t is None else _one(t, reading, strict, wait) for t in (answers_old, answers_new))
        wait.say("linking; compiling first")
        found = ll.refresh.link(*banks, answers_old=one, answers_new=two, by=by, level=level)
    source = typed.stamped(banks[0].source.merge(found.estimate.source), 0)
    told = found.estimate
    lines = [
        (told.rows[i], f"{told.value[i]:.3f}", f"[{told.low[i]:.3f}, {told.high[i]:.3f}]", f"{told.std_error[i]:.3f}")
        for i in range(len(told.rows))
    ]
    title = f"{new} on the scale of {old}, by {found.method}, {100 * told.level:.4g}% intervals"
    unit = "logits" if found.kind == "items" else "units of the old ability"
    remarks = (
        "old ability = scale * new ability + shift",
        f"{len(found.common):,} common {found.kind}, which drift by {found.drift:.2f} {unit} beyond their errors",
    )
    table = ll.report.text.Table(title, ("", "value", "interval", "std. error"), tuple(lines), remarks)
    content = found.to_dict() | {"names": list(found.common), "source": source.to_dict()}
    if out is not None:
        moved = dataclasses.replace(found.bank, source=typed.stamped(found.bank.source, found.bank.source.seed))
        ll.save(moved, out)
    output.write([table], content, json)


def _read(inputs: Sequence[str], reading: options.Reading, *, strict: bool, wait: Waiting) -> "dict[str, ll.Responses]":
    """Version -> its answers, in the order given; names are the files' own."""
    places = [os.path.realpath(text) if os.path.exists(text) else text for text in inputs]
    for i, place in enumerate(places):
        require(place not in places[:i], f"{inputs[i]} is named twice; each INPUT is a version of its own")
    names = [pathlib.Path(text).stem or text for text in inputs]
    if len(set(names)) < len(names):
        names = list(inputs)
    found: dict[str, ll.Responses] = {}
    for name, text in zip(names, inputs, strict=True):
        answers = _one(text, reading, strict, wait)
        for other, before in found.items():
            same = bool(answers.source.files) and set(answers.source.files.values()) == set(
                before.source.files.values()
            )
            require(
                not same, f"versions {other!r} and {name!r} are the same answers; each INPUT is a version of its own"
            )
        found[name] = answers
    return found


def _one(text: str, reading: options.Reading, strict: bool, wait: Waiting) -> "ll.Responses":
    """The answers that a word names."""
    bank, _, group = text.removeprefix(given.BANK).partition("/")
    if text.startswith(given.BANK) and group:
        whole = given.answers([given.BANK + bank], reading, strict=strict)
        assert isinstance(whole, ll.Responses)
        require(group in whole.groups, f"bank {bank!r} has no group {group!r}; it has {', '.join(whole.groups)}")
        here = whole.group == whole.groups.index(group)
        part = whole.select([item for item, use in zip(whole.items, here, strict=True) if use])
        part = part.take(i for i, n in enumerate(part.n_seen) if n)
        return dataclasses.replace(part, group=0 * part.group, groups=(WHOLE,))
    answers = given.answers([text], reading, strict=strict, report=wait.bytes_read)
    return answers if isinstance(answers, ll.Responses) else answers.dense()


def _fit(versions: "Mapping[str, ll.Responses]", dims: int, strict: bool, wait: Waiting) -> "ll.FitResult":
    wait.say(f"fitting {len(_models(versions))} models on {len(versions)} versions; compiling first")
    return ll.refresh.fit(versions, dims=dims, strict=strict)


def _models(versions: "Mapping[str, ll.Responses]") -> list[str]:
    """Models with answers, in order of first sight."""
    return list(dict.fromkeys(row for v in versions.values() for row, n in zip(v.rows, v.n_seen, strict=True) if n))


def _pictures(plot: pathlib.Path | None, ranks: bool) -> list[pathlib.Path]:
    """Where scores are drawn and, in a folder and with --ranks, ranks."""
    names = ["scores.png", "ranks.png"][: 1 + ranks]
    paths = [] if plot is None else [plot / name for name in names] if plot.is_dir() else [plot]
    for path in paths:
        typed.picture_for(path)
    return paths


def _spread(fit: "ll.FitResult", most: int) -> list[list[str]]:
    """Models spread evenly over the scores on the newest version: none, one, two, …"""
    found = ll.refresh.estimate(fit)
    entries = zip(found.value.tolist(), found.rows, found.group, strict=True)
    order = [row for _, row in sorted((value, row) for value, row, group in entries if group == WHOLE)]
    return [[order[(2 * j + 1) * len(order) // (2 * i)] for j in range(i)] for i in range(most + 1)]


def _hidden(answers: "ll.Responses", rerun: Sequence[str]) -> "tuple[ll.Responses, dict[tuple[str, str], float]]":
    """Only the answers of these models, and the scores of all that answered all of a domain, or of the version."""
    for name in rerun:
        _require_model("--rerun", name, answers.rows)
    truth = {}
    parts = [(WHOLE, answers.group >= 0)]
    if len(answers.groups) > 1:
        parts += [(name, answers.group == g) for g, name in enumerate(answers.groups)]
    for name, here in parts:
        for i, row in enumerate(answers.rows):
            if here.any() and answers.seen[i, here].all():
                truth[row, name] = float(answers.scores[i, here].astype(float).mean())
    return answers.take(i for i, row in enumerate(answers.rows) if row in rerun), truth


def _counts(words: Sequence[str]) -> dict[str, int]:
    """Domain -> items of the next version, of words DOMAIN=N."""
    found: dict[str, int] = {}
    for word in words:
        domain, _, number = word.rpartition("=")
        fine = bool(domain) and number.isdecimal() and int(number) > 0
        require(fine, f"--items: {word!r} is no DOMAIN=N, N a whole number above 0; write it as law=200")
        require(domain not in found, f"--items: domain {domain!r} is named twice")
        found[domain] = int(number)
    return found


def _next_items(counts: dict[str, int], versions: "Mapping[str, ll.Responses]", strict: bool) -> dict[str, int]:
    """The same, as in the newest version where none is named; a domain that is new is said."""
    *_, newest = versions.values()
    if not counts:
        return {name: n for g, name in enumerate(newest.groups) if (n := int((newest.group == g).sum()))}
    known = list(dict.fromkeys(name for answers in versions.values() for name in answers.groups))
    for name in counts:
        require(name != WHOLE or known == [WHOLE], f"--items: {WHOLE!r} is the whole version; name its domains")
        if name not in known:
            _warn(f"--items: {name!r} is in no version, and taken for a new domain{nearest(name, known)}", strict)
    return counts


def _require_asked(ask: str, items: Iterable[str]) -> None:
    """A domain of the next version, the whole, or the ranking."""
    known = [name for name in items if name != WHOLE]
    there = f"there are {', '.join([*known, WHOLE, RANKING])}"
    require(
        ask in (*known, WHOLE, RANKING), f"--ask: the next version has no domain {ask!r}{nearest(ask, known)}; {there}"
    )


def _require_model(word: str, name: str, known: Sequence[str]) -> None:
    require(name in known, f"{word}: there is no model {name!r} among {len(known)}{nearest(name, known)}")


def _warn(message: str, strict: bool) -> None:
    require(not strict, message)
    warnings.warn(message, ll.DataWarning, stacklevel=2)


def _prices(path: pathlib.Path, models: Sequence[str]) -> dict[str, float]:
    """Model -> price, of all these models."""
    import pandas as pd  # not needed for --help

    require(path.is_file(), f"--price: there is no file {path}")
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = [name for name in ("model", "price") if name not in table.columns]
    require(not missing, f"{path} has no column {missing and missing[0]!r}; it has {list(map(str, table.columns))}")
    found: dict[str, float] = {}
    for model, text in zip(table["model"].astype(str), table["price"].astype(str), strict=True):
        require(model not in found, f"{path}: model {model!r} stands there twice")
        try:
            found[model] = float(text)
        except ValueError:
            raise ll.BadInput(f"{path}: the price of {model!r} is {text!r}; a number is wanted") from None
        fine = math.isfinite(found[model]) and found[model] > 0
        require(fine, f"{path}: the price of {model!r} is {text}; prices must be above 0")
    without = [name for name in models if name not in found]
    hint = nearest(without[0], found) if without else ""
    require(not without, f"{path} has no price of {len(without)} models, such as {without and without[0]!r}{hint}")
    return {name: found[name] for name in models}


def _checked(versions: "Mapping[str, ll.Responses]", alarm: float = 0.05) -> "tuple[RowCheck, list[str]]":
    """What is found of the rows of versions that have enough of them, and the names of these versions."""
    names = [name for name, answers in versions.items() if len(answers.rows) >= ROWS]
    message = f"no version has {ROWS} models or more; it takes so many to compare them"
    require(bool(names), message)
    return ll.refresh.check([versions[name] for name in names], alarm=alarm), names


def _said(one: Any, names: Sequence[str]) -> str:
    """A finding, with the versions' names in place of their numbers."""
    first, last = one.versions[0], one.versions[-1]
    text = one.found.replace(f"version {last}:", f"{names[last]}:", 1)
    end = f" version {first}"
    return f"{text.removesuffix(end)} {names[first]}" if text.endswith(end) else text


def _check_content(checked: "RowCheck", names: Sequence[str]) -> dict[str, Any]:
    content = checked.to_dict()
    told = [*content["findings"], *content["skipped"]]
    for entry, one in zip(told, [*checked.findings, *checked.skipped], strict=True):
        entry |= {"versions": [names[t] for t in one.versions], "found": _said(one, names)}
    return content | {"versions": list(names)}


def _check_table(checked: "RowCheck", names: Sequence[str], every: Sequence[str]) -> "Table":
    left = [name for name in every if name not in names]
    remarks = (f"left out, with fewer than {ROWS} models: {', '.join(left)}",) if left else ()
    remarks += tuple(_said(one, names) for one in checked.skipped)
    title = f"rows of {', '.join(names)}, {100 * checked.alarm:.3g}% false alarms"
    if not len(checked):
        return ll.report.text.Table(f"{title}: nothing is wrong that these answers can show", (), (), remarks)
    widest = max(len(_said(one, names)) for one in checked.findings)
    lines = [(one.kind, _said(one, names).ljust(widest), f"{one.p_value:.2g}") for one in checked.findings]
    return ll.report.text.Table(title, ("what", "found", "p"), tuple(lines), remarks, 2)


def _suspected(
    versions: "Mapping[str, ll.Responses]", family: str | None, *, required: bool, **words: Any
) -> "Suspicion | None":
    """Families with a gain, on the versions that have enough of them; None where none has."""
    models = tuple(_models(versions))
    member = answers_check.families(family or "name", models)
    if member is not None:
        member = {model: model for model in models} | member if family in (None, "name") else member
        without = [model for model in models if model not in member]
        require(not without, f"{family} has no family of {len(without)} models, such as {without and without[0]!r}")
    ran = [{row for row, n in zip(v.rows, v.n_seen, strict=True) if n} for v in versions.values()]
    on = []
    for t, here in enumerate(ran):
        elsewhere = set().union(*(other for u, other in enumerate(ran) if u != t))
        if len({row if member is None else member[row] for row in here & elsewhere}) >= FAMILIES:
            on.append(t)
    message = f"no version has {FAMILIES} families that are on another version too; fewer cannot tell drift from gain"
    require(bool(on) or not required, message)
    return ll.refresh.suspects(list(versions.values()), member, on=on, names=list(versions), **words) if on else None


def _suspects_table(found: "Suspicion") -> "Table":
    """Entries, most suspicious first: all that are flagged, and a few beside."""
    told = found.estimate
    order = sorted(range(len(told.rows)), key=lambda i: (found.p_values[i], -told.value[i]))
    shown = [i for place, i in enumerate(order) if place < 5 or found.p_values[i] <= found.alarm]
    lines = [
        (
            told.rows[i],
            told.group[i],
            f"{100 * told.value[i]:+.1f}",
            f"[{100 * told.low[i]:.1f}, {100 * told.high[i]:.1f}]",
            f"{found.p_values[i]:.2g}",
            f"{100 * found.detectable[i]:.1f}",
        )
        for i in shown
    ]
    who = ", ".join(found.flagged) or "nobody"
    title = f"families flagged at {100 * found.alarm:.3g}% false alarms over all: {who}"
    head = ("family", "version", "gain", "interval", "p", "would be seen")
    remark = "gain: points beyond what the other families foretell; most suspicious first, p adjusted for all entries"
    return ll.report.text.Table(title, head, tuple(lines), (remark,), 2)


for verb in (choose, estimate, check, link):
    refresh.command(help=help_of(verb), no_args_is_help=True)(options.reads(verb))
