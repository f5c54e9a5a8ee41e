"""`lleval live new`, `run` and `status`: a version is made, and how far it is."""

import pathlib
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli.live import words
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.verb import Outputs, verb

if TYPE_CHECKING:
    from lleval_jax.live.run import Version
    from lleval_jax.report.text import Table

NEW, RUN, STATUS = (f"lleval/live-{name}/1" for name in ("new", "run", "status"))

RecipeFile = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A TOML file; or demo:live, which ships.", show_default=False)
]
Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Of the folder, such as the month.")]
Place = Annotated[pathlib.Path, typer.Option("--in", metavar="DIR", help="Where the folder is made.")]
Until = Annotated[
    Literal["fetch", "read", "ask", "filter", "export"],
    typer.Option("--until", help="The last step that is done; the same command without it goes on."),
]


def new(recipe: RecipeFile, name: Name, place: Place = pathlib.Path("runs"), json: options.Json = None) -> None:
    """Make the folder of a run from a recipe. Nothing is fetched yet.

    Examples, the first with the recipe that ships:

      lleval live new demo:live --name 2026-11
      lleval live new monthly.toml --name 2026-12 --in /data/runs
    """
    with verb("reading the recipe", Outputs(json=json), computes=False) as run:
        from lleval_jax.live import run as runs

        folder = runs.new(recipe, name, place)
        table = ll.report.text.Table(f"{folder} is made; to go on: lleval live run {folder}", (), ())
        run.show([table], {"schema": NEW, "run": str(folder), "recipe": recipe})


def run(folder: words.Folder, until: Until = "export", json: options.Json = None) -> None:
    """Make the version in a run's folder, or go on with it: papers, elements, questions, filters, data sheet, exports.

    What is done is kept, and no model is asked twice for the same; so a run that was stopped anywhere goes on. Models
    that are not scripted or recorded are those of the server of OPENAI_BASE_URL.

    Examples:
      lleval live run runs/2026-11
      lleval live run runs/2026-11 --until ask
    """
    with verb("looking for papers", Outputs(json=json), computes=False) as shown:
        words.require_run(folder)
        from lleval_jax.live import run as runs

        start = time.monotonic()
        last = "filter" if until == "export" else until
        version = runs.run(folder, until=last, tell=shown.tell)
        written = _given(folder, version) if until == "export" else {}
        shown.failed = any("no reply" in each.reason for each in version.findings)
        shown.show([_made(folder, version, written)], _content(folder, version, written, time.monotonic() - start))


def status(folder: words.Folder, json: options.Json = None) -> None:
    """How far a run is: units done, requests, replies, tokens, money.

    Example:
      lleval live status runs/2026-11
    """
    with verb("looking", Outputs(json=json), computes=False) as run:
        words.require_run(folder)
        from lleval_jax.live import requests
        from lleval_jax.live.progress import progress

        found = progress(folder)
        steps = [(each.step, f"{each.done:,}", "" if each.total is None else f"{each.total:,}") for each in found.steps]
        remarks = () if found.left is None else (f"about {found.left:,.0f} seconds left at the pace of this run",)
        spent = requests.spent(folder, found.recipe.models.values())
        rows = [
            (
                n,
                f"{s.requests:,}",
                f"{s.replies:,}",
                f"{s.extra:,}",
                f"{s.asked:,}",
                f"{s.written:,}",
                f"{s.money:,.4f}",
            )
            for n, s in spent.items()
        ]
        head = ("model", "requests", "replies", "sent again", "tokens read", "written", "money")
        tables = [ll.report.text.Table(f"{folder}", ("step", "done", "of"), tuple(steps), remarks)]
        tables.append(ll.report.text.Table("models", head, tuple(rows)))
        content = {"schema": STATUS, "run": str(folder), "steps": [each._asdict() for each in found.steps]}
        content |= {"left": found.left, "models": {name: each._asdict() for name, each in spent.items()}}
        run.show(tables, content)


def _given(folder: pathlib.Path, version: "Version") -> dict[str, str]:
    """The data sheet, and the exports that the recipe names, in the run's own folder; name -> place."""
    import shutil

    from lleval_jax.live import sheet
    from lleval_jax.live.exports import write
    from lleval_jax.live.steps import Blobs

    facts = sheet.made(version, folder)
    places = {"data sheet": str(sheet.write(facts, folder / "sheet")[0])}
    if version.recipe.export.to:
        place = folder / "export"
        shutil.rmtree(place, ignore_errors=True)  # made from the tables each time
        text = sheet.markdown(sheet.sections(facts))
        write.write(version, Blobs(folder / "blobs"), place, to=version.recipe.export.to, sheet=text)
        places["export"] = str(place)
    return places


def _made(folder: pathlib.Path, version: "Version", written: dict[str, str]) -> "Table":
    lines = [(name, f"{len(getattr(version, name)):,}") for name in ("papers", "elements", "questions")]
    lines += [("questions kept", f"{len(version.kept):,}")] if version.verdicts else []
    lines += list(written.items())
    silent = [each for each in version.findings if "no reply" in each.reason]
    remarks = [f"{len(silent)} elements got no reply ({silent[0].reason}); run it again to ask again"] if silent else []
    return ll.report.text.Table(f"{version.recipe.name} in {folder}", ("", ""), tuple(lines), tuple(remarks))


def _content(folder: pathlib.Path, version: "Version", written: dict[str, str], seconds: float) -> dict[str, Any]:
    return {
        "schema": RUN,
        "run": str(folder),
        "name": version.recipe.name,
        "papers": len(version.papers),
        "elements": len(version.elements),
        "questions": len(version.questions),
        "kept": len(version.kept) if version.verdicts else None,
        "findings": [{"paper": each.paper, "step": each.step, "reason": each.reason} for each in version.findings],
        "written": written,
        "seconds": round(seconds, 1),
    }
