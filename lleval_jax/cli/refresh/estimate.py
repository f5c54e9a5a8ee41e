"""`lleval refresh estimate`: the scores of all models on the last version, of which a few were run on it."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lleval_jax as ll
from lleval_jax.cli.refresh import words
from lleval_jax.cli.refresh.check import checked, suspected
from lleval_jax.cli.shell import options, output, typed
from lleval_jax.cli.shell.waiting import waiting
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.values.findings import RowCheck
    from lleval_jax.values.ranks import Standing

MEANING = ("exchanged", "fits no row")  # findings that a row is another model than its name says

Rerun = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Take only this model's answers to the new version, and show how well those of the others are foretold; "
        "may be given again.",
        show_default=False,
    ),
]
Ranks = Annotated[
    bool, typer.Option("--ranks", help="Also the rank of each model, its interval, and the chance that it holds.")
]
Suspects = Annotated[
    bool, typer.Option("--suspects", help="Also families that gain on a version beyond what honest drift explains.")
]
Plot = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--plot",
        metavar="PATH",
        help="Draw the scores there (png, svg, pdf). In a folder: scores.png and, with --ranks, ranks.png, how models "
        "change places. Needs the extra 'plot'.",
    ),
]
Seed = Annotated[int | None, typer.Option(help="Seed of what --ranks draws.  [default: 0]", show_default=False)]


def estimate(
    inputs: words.Versions,
    rerun: Rerun = None,
    ranks: Ranks = False,
    suspects: Suspects = False,
    family: words.Family = None,
    dims: words.Dims = words.DIMS,
    plot: Plot = None,
    level: options.Level = 0.95,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    seed: Seed = None,
    out: words.OutFit = None,
    json: options.Json = None,
) -> None:
    """The scores of all models on the last version, of which a few were run on it: on the whole and by domain.

    The last INPUT is the new version, with the answers of the models that were run again.

    Examples, the first with answers that come with the package, as if two models had been run on v4:

      lleval refresh estimate bank:livexiv-vqa/v3 bank:livexiv-vqa/v4 --rerun Phi3v --rerun Idefics2-8B
      lleval refresh estimate v1.parquet v2.parquet v3_partial.parquet --json -
      lleval refresh estimate v1.parquet v2.parquet v3_partial.parquet --ranks --suspects
    """
    _require_sense(inputs, ranks, suspects, family, seed)
    typed.file_for(json)
    pictures = _pictures(plot, ranks)
    if out is not None:
        typed.place_for(out, "fit")
    with waiting("reading answers") as wait:
        versions = words.read(inputs, reading, strict=strict, wait=wait)
        *_, new = versions
        truth = None
        if rerun:
            for name in rerun:
                words.require_model("--rerun", name, versions[new].rows)
            versions[new], truth = ll.refresh.hidden(versions[new], rerun)
        wait.say("checking the models' names")
        found, names = checked(versions)
        _warn_of(found, names, strict)
        suspicion = suspected(versions, family, required=True) if suspects else None
        fit = words.fit(versions, dims, strict, wait)
        fit = dataclasses.replace(fit, source=typed.stamped(fit.source, seed or 0))
        wait.say("estimating; compiling first")
        scores = ll.refresh.estimate(fit, level=level, strict=strict)
        drawn = {"seed": seed or 0, "level": level}
        standing = ll.refresh.ranks(fit, strict=strict, **drawn) if ranks else None
        if pictures:
            wait.say("drawing")
            _draw(fit, scores, truth, standing, list(versions), drawn, pictures)
    show, known = ll.report.refresh, {"truth": truth, "standing": standing}
    content = show.content(scores, fit, new, checked=found, versions=names, **known)
    tables = show.tables(scores, new, **known)
    if suspicion is not None:
        content["suspects"] = suspicion.to_dict()
        tables.append(show.suspects(suspicion))
    if out is not None:
        ll.save(fit, out)
    output.write(tables, content, json)


def _require_sense(inputs: Sequence[str], ranks: bool, suspects: bool, family: str | None, seed: int | None) -> None:
    """Two versions, and no word for something that is not asked for."""
    require(len(inputs) > 1, "only one version is given; name the earlier versions first, then the new one")
    require(seed is None or ranks, "--seed is of what --ranks draws; give --ranks too, or leave it out")
    require(family is None or suspects, "--family is for --suspects; give --suspects too, or leave it out")


def _warn_of(found: "RowCheck", names: Sequence[str], strict: bool) -> None:
    """Rows that are other models than their names say."""
    for one in found.findings:
        if one.kind in MEANING:
            words.warn(ll.report.refresh.finding(one, names), strict)


def _draw(
    fit: "ll.FitResult",
    scores: "ll.Estimate",
    truth: Mapping[tuple[str, str], float] | None,
    standing: "Standing | None",
    versions: Sequence[str],
    drawn: dict[str, Any],
    pictures: Sequence[pathlib.Path],
) -> None:
    """Scores on the new version; in a folder, ranks on all versions too."""
    *before, new = versions
    with output.picture(pictures[0]) as name:
        ll.report.refresh_plots.scores(scores, truth, name, title=new)
    if standing is not None and len(pictures) > 1:
        ranks = [ll.refresh.ranks(fit, version=version, **drawn).ranks for version in before]
        with output.picture(pictures[1]) as name:
            ll.report.refresh_plots.ranks(*ranks, standing.ranks, versions=versions, path=name)


def _pictures(plot: pathlib.Path | None, ranks: bool) -> list[pathlib.Path]:
    """Where scores are drawn and, in a folder and with --ranks, ranks."""
    names = ["scores.png", "ranks.png"][: 1 + ranks]
    paths = [] if plot is None else [plot / name for name in names] if plot.is_dir() else [plot]
    for path in paths:
        typed.picture_for(path)
    return paths
