"""`lleval check`: can these answers be fitted, does the fit hold, and which items are wrong?"""

import pathlib
import warnings
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import inputs as given
from lleval_jax.cli.shell import options, output, typed
from lleval_jax.cli.shell.waiting import Waiting, waiting
from lleval_jax.curves import Model
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.values.trust import Examination

FEWEST = 3  # models without which no fit is tried
NEAR = 5e-3  # tolerance of the fit: far below what any finding could see
COMPARED = 16  # models and items from which held-out answers can tell how many abilities there are

Function = Annotated[
    Literal["auto", Model],
    typer.Option("--model", help="Item response function; 'auto': 2pl if these answers can teach it, else rasch."),
]
Dims = Annotated[
    str,
    typer.Option(metavar="N|auto", callback=typed.dims, help="Abilities; 'auto': as many as held-out answers need."),
]
Family = Annotated[
    str,
    typer.Option(
        metavar="PATH|name|none",
        help="Families to compare: a table with columns model, family; by the models' names; or none.",
    ),
]
Recover = Annotated[
    bool, typer.Option("--recover", help="Also fit shuffled answers, and answers simulated from the fit.")
]
Rotate = Annotated[
    Literal["varimax", "oblimin", "geomin"], typer.Option(help="Rotation where there are several abilities.")
]
Seed = Annotated[int, typer.Option(help="Seed of all that is drawn at random.")]
StrictCheck = Annotated[bool, typer.Option("--strict", help="Exit with status 1 if there is a warning before the fit.")]


def check(
    inputs: options.Inputs,
    model: Function = "auto",
    dims: Dims = "1",
    family: Family = "name",
    recover: Recover = False,
    rotate: Rotate = "oblimin",
    plot: options.Plot = None,
    reading: options.Reading = options.AS_WRITTEN,
    strict: StrictCheck = False,
    seed: Seed = 0,
    json: options.Json = None,
) -> None:
    """Can these answers be trusted: can a model be fitted to them, does it fit, and which items are wrong?

    Examples, the first with the answers that a shipped bank was made from:

      lleval check bank:livexiv-vqa
      lleval check answers.parquet --recover --plot check.png --json check.json
    """
    typed.file_for(json)
    typed.picture_for(plot)
    with waiting("reading answers") as wait:
        responses = given.answers(inputs, reading, strict=strict, tell=wait.tell)
        member = families(family, responses.rows)
        wait.say(f"looking at {len(responses.rows):,} models x {len(responses.items):,} items")
        wanted = 1 if dims == "auto" else int(dims)
        guard = ll.estimable.check(responses, model=model, dims=wanted, seed=seed)
        fit = found = None
        more: dict[str, Any] = {}
        if guard.models >= FEWEST:
            fit, found, more = _after(responses, guard, model, dims, member, recover, rotate, seed, wait)
        if plot is not None and fit is not None and found is not None:
            wait.say("drawing")
            with output.picture(plot) as name:
                ll.report.plot.examination(guard, fit, found, name)
    content = ll.report.trust.content(guard, fit, found, **more)
    content["source"] = typed.stamped(responses.source, seed).to_dict()
    tables = [ll.report.trust.guard(guard)]
    if fit is not None and found is not None:
        tables += [ll.report.trust.summary(fit, found, **more), ll.report.trust.items(found)]
    output.write(tables, content, json)
    if strict and not guard.ok:
        raise typer.Exit(1)


def _after(
    responses: Any,
    guard: "ll.Guard",
    model: str,
    dims: str | int,
    member: dict[str, str] | None,
    recover: bool,
    rotate: str,
    seed: int,
    wait: Waiting,
) -> "tuple[ll.FitResult, Examination, dict[str, Any]]":
    """The fit, what the answers say against it, and what was asked for besides."""
    chosen: Any = guard.safe if model == "auto" else model
    more: dict[str, Any] = {"dims": None}
    if min(guard.models, guard.items) >= COMPARED:
        wait.say("comparing numbers of abilities on held-out answers; compiling first")
        more["dims"] = ll.irt.choose_dims(responses, seed=seed)
    if dims == "auto":
        dims = more["dims"] or 1
    dims = int(dims) if chosen == "2pl" else 1
    wait.say(f"fitting {chosen} to {len(responses.rows):,} models x {len(responses.items):,} items; compiling first")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # whether it converged stands in the table
        fitting: dict[str, Any] = {"model": chosen, "dims": dims, "seed": seed, "tol": NEAR, "tell": wait.tell}
        fit = ll.irt.fit(responses, standard_errors=False, **fitting)
        wait.say("examining the items")
        share = guard.distinct / guard.models
        found = ll.itemfit.examine(fit, responses=responses, family=member, distinct=share, seed=seed)
        if dims > 1:
            more["rotation"] = ll.rotation.rotate(fit, by=rotate, seed=seed)  # type: ignore[arg-type]
        if recover:
            wait.say("fitting shuffled answers")
            more["shuffled"] = ll.controls.shuffled(fit, responses=responses, seed=seed)
            wait.say("fitting answers simulated from the fit")
            more["recovery"] = ll.controls.recovery(fit, responses=responses, seed=seed)
    return fit, found, more


def families(words: str, rows: tuple[str, ...]) -> dict[str, str] | None:
    """Model -> family, from a table, from the names, or none."""
    if words == "none":
        return None
    if words == "name":
        return ll.itemfit.families(rows)
    return {model: family for model, family in _pairs(pathlib.Path(words)) if model in set(rows)}


def _pairs(path: pathlib.Path) -> list[tuple[str, str]]:
    import pandas as pd  # not needed for --help

    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = [name for name in ("model", "family") if name not in table.columns]
    require(not missing, f"{path} has no column {missing and missing[0]!r}; it has {list(map(str, table.columns))}")
    return list(zip(table["model"].astype(str), table["family"].astype(str), strict=True))
