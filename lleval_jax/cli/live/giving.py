"""`lleval live review`, `sheet` and `export`: what a version gives to people and to harnesses."""

import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lleval_jax as ll
from lleval_jax.cli.live import words
from lleval_jax.cli.shell import options, output
from lleval_jax.cli.shell.verb import Outputs, Run, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.live.run import Version

REVIEW, SHEET, EXPORT = (f"lleval/live-{name}/1" for name in ("reviewed", "sheets", "export"))

Sample = Annotated[int, typer.Option("--sample", metavar="N", min=1, help="Questions on the page.")]
Suspects = Annotated[
    pathlib.Path | None,
    typer.Option(metavar="FILE", help="JSON of 'lleval check': the page has the questions whose keys it suspects."),
]
Answers = Annotated[
    pathlib.Path | None,
    typer.Option(metavar="FILE", help="What the page gave back: it is kept in the run, and wrong keys are counted."),
]
PageOut = Annotated[
    pathlib.Path | None, typer.Option("--out", metavar="HTML", help="Where the page goes; else review.html of the run.")
]
SheetOut = Annotated[
    pathlib.Path | None, typer.Option("--out", metavar="DIR", help="Where it goes; else the folder sheet of the run.")
]
Taken = Annotated[
    list[str] | None,
    typer.Option("--answers", metavar="INPUT", help="Answers of models to an export of this run; repeatable."),
]
Family = Annotated[
    str,
    typer.Option(
        metavar="PATH|name|none",
        help="Families of models, also of the recipe's: a table with columns model, family; by their names; or none.",
    ),
]
ExportOut = Annotated[pathlib.Path, typer.Option("--out", metavar="DIR", help="A new folder.")]
To = Annotated[
    str,
    typer.Option("--to", metavar="NAME,...", help="hf: parquet for 'datasets'; lm-eval, lmms-eval, inspect: tasks."),
]
Shard = Annotated[int, typer.Option("--shard", metavar="BYTES", min=1, help="Of a parquet file, at most about.")]


def review(
    folder: words.Folder,
    sample: Sample = 200,
    suspects: Suspects = None,
    answers: Answers = None,
    out: PageOut = None,
    json: options.Json = None,
) -> None:
    """Make a page on which people judge questions, by keyboard alone; or take back what it gave.

    Questions that a person calls wrong or unusable are left out of the next export.

    Examples:
      lleval live review runs/2026-11 --sample 200
      lleval live review runs/2026-11 --answers review-2026-11.json
      lleval live review runs/2026-11 --suspects check.json --sample 50
    """
    require(
        answers is None or (suspects is None and out is None), "--answers makes no page: leave --suspects, --out out"
    )
    place = out or folder / "review.html"
    with verb("reading the version", Outputs(json=json, file=None if answers else place), computes=False) as run:
        from lleval_jax.live import review as reviews
        from lleval_jax.live.steps import Blobs

        version = words.version(folder)
        if answers is None:
            named = reviews.suspects_in(suspects, version) if suspects else []
            require(suspects is None or bool(named), f"{suspects} suspects no key")
            questions = reviews.sample(version, sample, suspects=named)
            output.text(reviews.page(version, questions, Blobs(folder / "blobs")), place)
            said = f"{len(questions):,} questions in {place}; open it in a browser, save, then --answers FILE"
            run.show(
                [ll.report.text.Table(said, (), ())],
                {"schema": REVIEW, "page": str(place), "questions": len(questions)},
            )
            return
        found = reviews.keep(folder, answers, version)
        share, counts = reviews.wrong_keys(found, version), {name: 0 for name in reviews.CHOICES}
        for each in found.reviews:
            counts[each.judgement] += 1
        lines = [(reviews.CHOICES[name], f"{count:,}") for name, count in counts.items()]
        lines.append(("wrong keys", f"{100 * share.value:z.1f}% [{100 * share.low:z.1f}, {100 * share.high:z.1f}]"))
        title = f"{len(found.reviews):,} questions of {version.recipe.name}, as a person judges them"
        content = {"schema": REVIEW, "judged": counts, "wrong": share._asdict()}
        remark = "interval at 95%, Wilson's, widened by how alike questions of one paper are"
        run.show([ll.report.text.Table(title, ("", ""), tuple(lines), (remark,))], content)


def sheet(
    folder: words.Folder,
    taken: Taken = None,
    family: Family = "name",
    out: SheetOut = None,
    reading: options.Reading = options.AS_WRITTEN,
    json: options.Json = None,
) -> None:
    """Write the data sheet: Markdown, HTML and JSON, all shares with 95% intervals clustered by paper.

    With answers of models it also says whether one gains on questions that its own family made or filtered.

    Examples:
      lleval live sheet runs/2026-11
      lleval live sheet runs/2026-11 --answers logs/ --family families.csv
    """
    with verb("reading the version", Outputs(json=json), computes=False) as run:
        from lleval_jax.live import sheet as sheets

        version = words.version(folder)
        more = _takers(version, taken, family, run, reading) if taken else {}
        facts = sheets.made(version, folder, **more)
        places = sheets.write(facts, out or folder / "sheet")
        lines = tuple(tuple(row) for row in sheets.sections(facts)[1].rows)
        head = ("filter", "came", "stayed", "share")
        run.show(
            [ll.report.text.Table(f"{facts['name']}: {facts['kept']:,} questions; {places[0]}", head, lines)],
            {"schema": SHEET, "files": [str(each) for each in places], "sheet": facts},
        )


def _takers(version: "Version", taken: list[str], family: str, run: Run, reading: options.Reading) -> dict[str, Any]:
    """Words for `sheet.made`: who answered what, and families."""
    from lleval_jax.cli.check import families

    responses: Any = run.answers(taken, reading)
    named = words.named(version, responses.items)
    place = {item: i for i, item in enumerate(responses.items)}
    at_work = {each.model for each in version.answers} | {each.made_by for each in version.questions}
    known = families(family, (*responses.rows, *sorted(at_work - set(responses.rows))))
    answers = {
        row: {id: float(scores[place[item]]) for id, item in named.items() if seen[place[item]]}
        for row, scores, seen in zip(responses.rows, responses.scores, responses.seen, strict=True)
    }
    return {"answers": answers, "families": known}


def export(
    folder: words.Folder,
    out: ExportOut,
    to: To = "hf,lm-eval,lmms-eval,inspect",
    shard: Shard = 500_000_000,
    json: options.Json = None,
) -> None:
    """Put a version where harnesses find it: one config a family of licences, attribution in each row and in NOTICE.

    Examples:
      lleval live export runs/2026-11 --to hf,lm-eval --out bench-2026-11
      lm_eval --include_path bench-2026-11/lm_eval --tasks live_2026_11 --model ...
    """
    with verb("reading the version", Outputs(json=json), computes=False) as run:
        from lleval_jax.errors import require_known
        from lleval_jax.live import sheet as sheets
        from lleval_jax.live.exports import write
        from lleval_jax.live.recipe import HARNESSES
        from lleval_jax.live.steps import Blobs

        names = [name.strip() for name in to.split(",")]
        for name in names:
            require_known(name, HARNESSES, "--to:")
        version = words.version(folder)
        text = sheets.markdown(sheets.sections(sheets.made(version, folder)))
        counts = write.write(version, Blobs(folder / "blobs"), out, to=names, sheet=text, shard=shard)
        lines = tuple((name, f"{count:,}") for name, count in counts.items())
        title = f"{sum(counts.values()):,} questions of {version.recipe.name} in {out}"
        content = {"schema": EXPORT, "out": str(out), "to": names, "configs": counts}
        run.show([ll.report.text.Table(title, ("config", "questions"), lines)], content)
