"""`lleval refresh estimate`: the scores of all models on the last version, of which a few were run on it."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

import lleval_jax as ll
from lleval_jax.cli import bayes
from lleval_jax.cli.refresh import words
from lleval_jax.cli.refresh.check import checked, suspected
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.verb import Outputs, Run, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.values.findings import RowCheck
    from lleval_jax.values.ranks import Standing

MEANING = ("exchanged", "fits no row")  # findings that a row is another model than its name says

Rerun = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Take only this model's answers to the new version, and show how well those of the others are predicted; "
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
Seed = Annotated[
    int | None, typer.Option(help="Seed of what --ranks and --bayes draw.  [default: 0]", show_default=False)
]


def estimate(
    inputs: words.Versions,
    rerun: Rerun = None,
    ranks: Ranks = False,
    suspects: Suspects = False,
    family: words.Family = None,
    dims: words.Dims = words.DIMS,
    with_bayes: bayes.Whole = False,
    engine: bayes.BayesEngine = "auto",
    draws: bayes.Draws = 1000,
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
      lleval refresh estimate bank:livexiv-vqa/v3 bank:livexiv-vqa/v4 --rerun Phi3v --rerun Idefics2-8B --bayes
    """
    _require_sense(inputs, ranks or with_bayes, suspects, family, seed)
    outputs = Outputs(json=json, plots=_pictures(plot, ranks), folder=out, kind="fit")
    with verb("reading answers", outputs, strict=strict, seed=seed or 0) as run:
        versions = words.read(inputs, reading, run)
        *_, new = versions
        truth = None
        if rerun:
            for name in rerun:
                words.require_model("--rerun", name, versions[new].rows)
            versions[new], truth = ll.refresh.hidden(versions[new], rerun=rerun)
        run.say("checking the models' names")
        found, names = checked(versions)
        _warn_of(found, names, strict)
        suspicion = suspected(versions, family, required=True) if suspects else None
        fit = words.fit(versions, dims, run)
        run.say("estimating; compiling first")
        drawn, more = {"seed": run.seed, "level": level}, {}
        if with_bayes:
            posterior = _sampled(run, fit, versions, dims, engine, draws)
            scores, more = run.stamped(posterior.estimate("score", level=level)), bayes.facts(posterior)
            standing = _standing(posterior, scores) if ranks else None
        else:
            scores = ll.refresh.estimate(fit, level=level, strict=strict)
            standing = ll.refresh.ranks(fit, strict=strict, **drawn) if ranks else None
        _draw(fit, scores, truth, standing, list(versions), drawn, run)
        show, known = ll.report.refresh, {"truth": truth, "standing": standing}
        content = show.content(scores, fit, new, checked=found, versions=names, **known) | more
        tables = show.tables(scores, new, **known)
        if suspicion is not None:
            content["suspects"] = suspicion.to_dict()
            tables.append(show.suspects(suspicion))
        run.keep(fit)
        run.show(tables, content)


def _sampled(
    run: Run, fit: "ll.FitResult", versions: "Mapping[str, ll.Responses]", dims: int, engine: bayes.Engine, draws: int
) -> Any:
    """The posterior of the model that was fitted."""
    from lleval_jax.bayes import refresh

    return bayes.sampled(run, refresh(dims=dims), versions, engine, draws, fit)


def _standing(posterior: Any, scores: "ll.Estimate") -> "Standing":
    """Ranks on the whole version, from the posterior's draws."""
    whole = scores.take([i for i, group in enumerate(scores.group) if group == words.WHOLE])
    drawn, asked = posterior.outcome("score")[:, :, 0], np.reshape(whole.n_seen, (-1, 1))
    about = {"method": whole.method, "status": posterior.diagnostics.status, "source": whole.source}
    return ll.refresh.standing(whole.rows, whole.value, drawn, asked, level=whole.level, **about)


def _require_sense(inputs: Sequence[str], drawn: bool, suspects: bool, family: str | None, seed: int | None) -> None:
    """Two versions, and no word for something that is not asked for."""
    require(len(inputs) > 1, "only one version is given; name the earlier versions first, then the new one")
    require(seed is None or drawn, "--seed is of what --ranks draws; give --ranks too, or leave it out")
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
    run: Run,
) -> None:
    """Scores on the new version; in a folder, ranks on all versions too."""
    *before, new = versions
    if not run.outputs.plots:
        return
    first, *second = run.outputs.plots
    run.draw(lambda path: ll.report.refresh_plots.scores(scores, truth, path, title=new), first)
    if standing is not None and second:
        ranks = [ll.refresh.ranks(fit, version=version, **drawn).ranks for version in before]
        each = (*ranks, standing.ranks)
        run.draw(lambda path: ll.report.refresh_plots.ranks(*each, versions=versions, path=path), *second)


def _pictures(plot: pathlib.Path | None, ranks: bool) -> tuple[pathlib.Path, ...]:
    """Where scores are drawn and, in a folder and with --ranks, ranks."""
    names = ("scores.png", "ranks.png")[: 1 + ranks]
    return () if plot is None else tuple(plot / name for name in names) if plot.is_dir() else (plot,)
