"""`lleval check`: can these answers be fitted, does the fit hold, and which items are wrong?"""

import dataclasses
import functools
import pathlib
import warnings
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import options, typed
from lleval_jax.cli.shell.verb import Outputs, Run, verb
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


def check(
    inputs: options.Inputs,
    model: Function = "auto",
    dims: Dims = "1",
    family: Family = "name",
    recover: Recover = False,
    alarm: options.Alarm = 0.05,
    rotate: Rotate = "oblimin",
    plot: options.Plot = None,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    seed: Seed = 0,
    json: options.Json = None,
) -> None:
    """Can these answers be trusted: can a model be fitted to them, does it fit, and which items are wrong?

    Examples, the first with the answers that a shipped bank was made from:

      lleval check bank:livexiv-vqa
      lleval check answers.parquet --recover --plot check.png --json check.json
    """
    with verb("reading answers", Outputs(json=json, plot=plot), strict=strict, seed=seed) as run:
        responses = run.answers(inputs, reading)
        member = families(family, responses.rows)
        run.say(f"looking at {len(responses.rows):,} models x {len(responses.items):,} items")
        wanted = 1 if dims == "auto" else int(dims)
        guard = ll.estimable.check(responses, model=model, dims=wanted, seed=seed, tell=run.tell)
        tables, more, fit, found = [ll.report.trust.guard(guard)], {}, None, None
        if guard.models >= FEWEST:
            asked = Asked(model, dims, member, recover, alarm, rotate)
            fit, found, more = _examined(responses, guard, asked, run)
            tables += [ll.report.trust.summary(fit, found, **more), ll.report.trust.items(found)]
            run.draw(functools.partial(ll.report.plot.examination, guard, fit, found))
        content = ll.report.trust.content(guard, fit, found, **more)
        content["source"] = run.stamped(responses).source.to_dict()
        run.fails(not guard.ok)
        run.show(tables, content)


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a user asked to be examined."""

    model: str
    dims: int | str
    families: dict[str, str] | None
    recover: bool
    alarm: float
    rotate: Any

    def dims_of(self, model: str, found: int | None) -> int:
        """How many abilities to fit: several only where the curve has a slope."""
        return (found or 1 if self.dims == "auto" else int(self.dims)) if model == "2pl" else 1


def _examined(
    responses: Any, guard: "ll.Guard", asked: Asked, run: Run
) -> "tuple[ll.FitResult, Examination, dict[str, Any]]":
    """The fit, what the answers say against it, and what was asked for besides."""
    model: Any = guard.safe if asked.model == "auto" else asked.model
    size = f"{len(responses.rows):,} models x {len(responses.items):,} items"
    more: dict[str, Any] = {"dims": None}
    if min(guard.models, guard.items) >= COMPARED:
        run.say("comparing numbers of abilities on held-out answers; compiling first")
        more["dims"] = ll.irt.choose_dims(responses, seed=run.seed)
    dims = asked.dims_of(model, more["dims"])
    run.say(f"fitting {model} to {size}; compiling first")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # whether it converged stands in the table
        words: dict[str, Any] = {"model": model, "dims": dims, "seed": run.seed, "tol": NEAR, "tell": run.tell}
        fit = ll.irt.fit(responses, standard_errors=False, **words)
        run.say("examining the items")
        share = guard.distinct / guard.models
        words: dict[str, Any] = {"family": asked.families, "distinct": share, "alarm": asked.alarm, "seed": run.seed}
        found = ll.itemfit.examine(fit, responses=responses, tell=run.tell, **words)
        if dims > 1:
            more["rotation"] = ll.rotation.rotate(fit, by=asked.rotate, seed=run.seed)
        if asked.recover:
            run.say("fitting shuffled answers")
            more["shuffled"] = ll.controls.shuffled(fit, responses=responses, seed=run.seed)
            run.say("fitting answers simulated from the fit")
            more["recovery"] = ll.controls.recovery(fit, responses=responses, seed=run.seed)
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
