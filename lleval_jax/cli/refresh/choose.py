"""`lleval refresh choose`: which models to run on the next version."""

import dataclasses
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

import lleval_jax as ll
from lleval_jax.cli.refresh import words
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.verb import Outputs, verb
from lleval_jax.errors import nearest, require

if TYPE_CHECKING:
    from lleval_jax.report.refresh import Cost

RANKING = "ranking"

Count = Annotated[int | None, typer.Option("-k", metavar="K", min=1, help="How many models to run.")]
Ask = Annotated[
    str,
    typer.Option(
        metavar=f"{words.WHOLE}|DOMAIN|{RANKING}",
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
        metavar="NAME", help="A model that is run in any case, besides the others; a new one too. May be given again."
    ),
]
Among = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Choose among these models only; may be given again.", show_default=False),
]
Items = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DOMAIN=N",
        help="How many items of a domain the next version will have, once for each domain; of a version without "
        f"domains, {words.WHOLE}=N. As the newest version has them otherwise.",
        show_default=False,
    ),
]
Plot = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--plot",
        metavar="PATH",
        help="Draw the expected error with the best set of each size (png, svg, pdf), and with models spread evenly "
        "over the scores; needs the extra 'plot'.",
    ),
]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is to be known of the next version, and who may be run for it: words that fit the versions so far."""

    models: list[str]
    ask: str
    items: dict[str, int]
    forced: list[str]
    among: list[str] | None
    prices: dict[str, float] | None

    @property
    def group(self) -> str:
        """The domain whose scores count, or the whole."""
        return words.WHOLE if self.ask == RANKING else self.ask

    def cost(self, rows: Sequence[str]) -> "Cost":
        """Of running these."""
        every = {*self.models, *rows}
        price = self.prices or dict.fromkeys(every, 1.0)
        return ll.report.refresh.Cost(
            float(sum(price[name] for name in rows)),
            float(sum(price[name] for name in every)),
            sum(self.items.values()),
        )


def choose(
    inputs: words.Versions,
    k: Count = None,
    ask: Ask = words.WHOLE,
    budget: Budget = None,
    price: Price = None,
    force: Force = None,
    among: Among = None,
    items: Items = None,
    dims: words.Dims = words.DIMS,
    plot: Plot = None,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    out: words.OutFit = None,
    json: options.Json = None,
) -> None:
    """Choose which models to re-run on the next version, so that all others are predicted best.

    Examples, the first with answers that come with the package:

      lleval refresh choose bank:livexiv-vqa/v1 bank:livexiv-vqa/v2 -k 3
      lleval refresh choose v1.parquet v2.parquet -k 5 --ask ranking --plot choice.png
      lleval refresh choose v1.parquet v2.parquet --budget 40 --price prices.csv --force NewModel
      lleval refresh choose v1.parquet v2.parquet -k 3 --items law=200 --items math=500
    """
    require((k is None) != (budget is None), "say either -k, how many models, or --budget, what they may cost")
    require(budget is None or price is not None, "--budget needs --price, a table of columns model, price")
    forced, counts = list(dict.fromkeys(force or ())), _counts(items or ())
    outputs = Outputs(json=json, plot=plot, folder=out, kind="fit")
    with verb("reading answers", outputs, strict=strict) as run:
        versions = words.read(inputs, reading, run)
        wanted = _wanted(versions, ask, counts, forced, among, price, strict)
        _require_enough(k, wanted)
        fit = words.fit(versions, dims, run)
        run.say("choosing; compiling first")
        chosen = dataclasses.replace(_chosen(fit, k, budget, wanted), source=fit.source)
        known = [name for name in chosen.rows if name in wanted.models]
        outlooks = ll.refresh.outlooks(fit, rerun=known, items=wanted.items)
        run.draw(lambda path: _draw(fit, _best_sets(fit, k, outlooks, wanted), wanted, path))
        run.keep(fit)
        cost, show = wanted.cost(chosen.rows), ll.report.refresh
        table = show.choice(chosen, fit, outlooks, cost, ask=ask, price=wanted.prices)
        run.show([table], show.choice_content(chosen, fit, outlooks, cost, ask=ask))


def _wanted(
    versions: "Mapping[str, ll.Responses]",
    ask: str,
    counts: dict[str, int],
    forced: list[str],
    among: list[str] | None,
    price: pathlib.Path | None,
    strict: bool,
) -> Wanted:
    """The words, once they are known to fit the versions; a new model or domain is said."""
    models = words.models(versions)
    items = _next_items(counts, versions, strict)
    _require_asked(ask, items)
    for name in among or ():
        words.require_model("--among", name, models)
    new = [name for name in forced if name not in models]
    for name in new:
        hint = nearest(name, models)
        words.warn(f"--force: {name!r} is in no version, and taken for a new model{hint}", strict)
    return Wanted(models, ask, items, forced, among, None if price is None else _prices(price, [*models, *new]))


def _require_enough(k: int | None, wanted: Wanted) -> None:
    """No more models than can be chosen."""
    members = [name for name in dict.fromkeys(wanted.among or wanted.models) if name not in wanted.forced]
    require(k is None or k <= len(members), f"-k is {k}; there are {len(members)} models to choose from")


def _chosen(fit: "ll.FitResult", k: int | None, budget: float | None, wanted: Wanted) -> "ll.Choice":
    return ll.refresh.choose(
        fit,
        k=k,
        of=wanted.ask,
        budget=budget,
        price=wanted.prices,
        force=wanted.forced,
        among=wanted.among,
        items=wanted.items,
    )


def _best_sets(
    fit: "ll.FitResult", k: int | None, outlooks: "Sequence[ll.Estimate]", wanted: Wanted
) -> "Sequence[ll.Estimate]":
    """What to expect after running none, those forced, and the best set of each size up to k.

    The models of the best set of k need not be the best of fewer. Under a budget sets have no sizes: one after another.
    """
    if k is None:
        return outlooks
    sets = [[name for name in _chosen(fit, i, None, wanted).rows if name in wanted.models] for i in range(1, k)]
    found = [ll.refresh.preview(fit, rerun=names, items=wanted.items) for names in sets]
    return [*outlooks[: len(outlooks) - k], *found, outlooks[-1]]


def _draw(fit: "ll.FitResult", outlooks: "Sequence[ll.Estimate]", wanted: Wanted, path: str) -> None:
    """What each further model brings, and what as many that are spread evenly over the scores do."""
    spread = ll.refresh.spread(fit, k=len(outlooks) - 1)
    even = [ll.refresh.preview(fit, rerun=names, items=wanted.items) for names in spread]
    ll.report.refresh_plots.choice(outlooks, even, path, group=wanted.group)


def _counts(pairs: Sequence[str]) -> dict[str, int]:
    """Domain -> items of the next version, of pairs DOMAIN=N."""
    found: dict[str, int] = {}
    for word in pairs:
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
        require(
            name != words.WHOLE or known == [words.WHOLE],
            f"--items: {words.WHOLE!r} is the whole version; name its domains",
        )
        if name not in known:
            words.warn(f"--items: {name!r} is in no version, and taken for a new domain{nearest(name, known)}", strict)
    return counts


def _require_asked(ask: str, items: Iterable[str]) -> None:
    """A domain of the next version, the whole, or the ranking."""
    known = [name for name in items if name != words.WHOLE]
    there = f"there are {', '.join([*known, words.WHOLE, RANKING])}"
    require(
        ask in (*known, words.WHOLE, RANKING),
        f"--ask: the next version has no domain {ask!r}{nearest(ask, known)}; {there}",
    )


def _prices(path: pathlib.Path, models: Sequence[str]) -> dict[str, float]:
    """Model -> price, of all these models."""
    import pandas as pd  # not needed for --help

    require(path.is_file(), f"--price: there is no file {path}")
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = [name for name in ("model", "price") if name not in table.columns]
    require(not missing, f"{path} has no column {missing and missing[0]!r}; it has {list(map(str, table.columns))}")
    found: dict[str, float] = {}
    for model, text in zip(table["model"].astype(str), table["price"].astype(str), strict=True):
        require(model not in found, f"{path}: model {model!r} is listed twice")
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
