"""`lleval prompts`: how much the prompt matters (PromptEval); its other verbs are in `cells` and `run`."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

import lleval_jax as ll
from lleval_jax.cli import bayes
from lleval_jax.cli.prompts import cells, grids
from lleval_jax.cli.prompts.run import run_cells
from lleval_jax.cli.shell import itself, options
from lleval_jax.cli.shell.verb import Outputs, Run, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.report.text import Table
    from lleval_jax.report.truth import Truth


SIMULATED = "simulated answers: "


prompts = itself.group(
    "How much does the prompt matter, from few answers; what to run next ('plan'), to run it ('run'), the best prompt "
    "('best')."
)

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Answers of each prompt: a table with columns prompt, item, score and, of several models, model; a matrix "
        f"or logs, as files, folders or globs; or {grids.DEMO}, which is simulated.",
        show_default=False,
    ),
]
Quantiles = Annotated[
    str, typer.Option(metavar="P,P,...", help="Quantiles of the score distribution over prompts, in percent.")
]
What = Annotated[
    str,
    typer.Option(metavar="W,W,...", help="Also the mean over prompts, the worst 5% and the spread: mean,worst,spread."),
]
PerPrompt = Annotated[bool, typer.Option("--per-prompt", help="Also the score of each prompt.")]
Compare = Annotated[
    tuple[str, str] | None,
    typer.Option(metavar="A B", help="Also the difference of two prompts or two models, and which is better."),
]
Known = Annotated[
    str | None, typer.Option(metavar="PATH", help=f"A grid with all answers, to compare with; or {grids.DEMO}.")
]
Reference = Annotated[
    bool,
    typer.Option("--reference", help="The paper's own estimator, to compare with; intervals by bootstrap."),
]
Out = Annotated[pathlib.Path | None, typer.Option(metavar="DIR", help="Keep the fit there.")]


def estimate(
    inputs: Inputs,
    quantiles: Quantiles = "5,25,50,75,95",
    what: What = "",
    per_prompt: PerPrompt = False,
    compare: Compare = None,
    truth: Known = None,
    about: cells.About = cells.NOTHING,
    reference: Reference = False,
    with_bayes: bayes.Whole = False,
    engine: bayes.BayesEngine = "auto",
    draws: bayes.Draws = 1000,
    plot: options.Plot = None,
    level: options.Level = 0.95,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    seed: cells.Seed = 0,
    out: Out = None,
    json: options.Json = None,
) -> None:
    """How much does the prompt matter: the distribution of scores over prompts, from few answers (PromptEval).

    The score of a prompt is that on all examples of the grid. 'lleval prompts plan' says which cells to run, and
    'lleval prompts best' looks for the best prompt.

    Examples, the first two with a simulated grid of 40 prompts that comes with the package:

      lleval prompts demo:prompts --what mean,worst,spread
      lleval prompts demo:prompts --truth demo:prompts --compare prompt-00 prompt-01
      lleval prompts grid.parquet --templates templates.csv --per-prompt --plot prompts.png --json -
      lleval prompts grid.parquet --bayes --per-prompt
    """
    if with_bayes:
        bayes.require_alone({"--reference": reference})
    shares, functionals = [grids.share(word) for word in grids.listed(quantiles)], _functionals(what)
    require(bool(shares or functionals or per_prompt), "nothing is asked for; give --quantiles, --what or --per-prompt")
    outputs, names = Outputs(json=json, plot=plot, folder=out, kind="fit"), about.names()
    with verb("reading answers", outputs, strict=strict, seed=seed) as run:
        words: dict[str, Any] = {"strict": strict, "tell": run.tell}
        grid = grids.completed(grids.read(inputs, reading, **words), *names)
        _require_known(compare or (), grid)
        known = None if truth is None else _scores(grids.read([truth], reading, whole=True, **words), grid)
        fit, more = run.stamped(_fitted(grid, about, run, reference=reference)), {}
        if with_bayes:
            fit, more = _sampled(run, fit, grid, about, engine, draws)
        run.say("scoring the prompts")
        asked: dict[str, Any] = {"quantiles": shares, "of": functionals, "per_prompt": per_prompt, "level": level}
        found = dataclasses.replace(ll.prompts.estimate(fit, **asked), caveats=tuple(_advice(more)))
        true = None if known is None else _true(fit, known, asked)
        tables = [ll.report.prompts.table(fit, found, true)]
        content = found.to_dict() | {"fit": ll.report.prompts.facts(fit), "simulated": grid.simulated} | more
        content["source"] = run.stamped(found).source.to_dict()
        if true is not None:
            _add_truth(content, true)
        if compare is not None:
            table, content["comparison"] = _comparison(fit, *compare, level)
            tables.append(table)
        tables, content = _distances(fit, known, tables, content)
        each, title = found if per_prompt else None, SIMULATED * grid.simulated
        run.draw(lambda path: _draw(fit, known, each, true, level, title, path))
        if grid.simulated:
            tables[0] = dataclasses.replace(tables[0], title=SIMULATED + tables[0].title)
        run.keep(fit)
        run.show(tables, content)


def _fitted(grid: grids.Grid, about: cells.About, run: Run, *, reference: bool) -> "ll.FitResult":
    """The model of a grid, with what is told of its prompts and examples."""
    words: dict[str, Any] = {
        "seed": run.seed,
        "row_features": about.of_rows(grid),
        "item_features": about.of_items(grid),
    }
    run.say(f"fitting {len(grid.answers.rows):,} prompts x {len(grid.answers.items):,} examples; compiling first")
    if reference:
        require(grid.models is None, "--reference knows one model; the answers are of several")
        return ll.prompts.published.fit(grid.answers, **words)
    return ll.prompts.fit(grid.answers, models=grid.models, prompts=grid.prompts, strict=run.strict, **words)


def _sampled(
    run: Run, fit: "ll.FitResult", grid: grids.Grid, about: cells.About, engine: bayes.Engine, draws: int
) -> tuple["ll.FitResult", dict[str, Any]]:
    """The fit with the scores that the posterior of its model draws, and what is known of that."""
    from lleval_jax.bayes import prompts as model

    rows, parts = grid.answers.rows, zip(grid.models or (), grid.prompts or (), strict=True)
    models = dict(zip(rows, parts, strict=True)) if grid.models else None
    how = model(models=models, features=about.of_rows(grid), item_features=about.of_items(grid))
    posterior = bayes.sampled(run, how, grid.answers, engine, draws, fit)
    params = fit.params._replace(draws=posterior.outcome("score")[:, :, 0])
    ended = dataclasses.replace(fit.ended, status=posterior.diagnostics.status)
    method = f"{posterior.model.name}, {posterior.engine}"
    return dataclasses.replace(fit, params=params, ended=ended, method=method), bayes.facts(posterior)


def _advice(facts: dict[str, Any]) -> list[str]:
    """What to do where a posterior fails its checks."""
    return facts["diagnostics"]["advice"] if facts else []


def _require_known(names: Sequence[str], grid: grids.Grid) -> None:
    """Two prompts, or two models where there are several."""
    rows, models = grid.answers.rows, list(dict.fromkeys(grid.models or ()))
    of_models = set(names) <= set(models)
    for name in () if of_models else names:
        some, also = ", ".join(map(repr, rows[:6])), f"; models are {', '.join(models[:6])}" if models else ""
        require(name in rows, f"--compare: there is no prompt {name!r}; there are {some}{also}")
    what = "models" if of_models else "prompts"
    require(len(set(names)) == len(names), f"--compare: two different {what} are needed, not {', '.join(names)}")


def _comparison(fit: "ll.FitResult", first: str, second: str, level: float) -> tuple["Table", dict[str, Any]]:
    """As a table, and as plain JSON types."""
    gap, sure = ll.prompts.difference(fit, first, second, level=level), ll.prompts.better(fit, first, second)
    won = None if {first, second} <= set(fit.rows) else ll.prompts.won(fit, first, second, level=level)
    content = {name: gap.to_dict()[name] for name in ("target", "level", "estimates")} | {"probability": sure}
    if won is not None:
        content["won"] = won.to_dict()["estimates"]
    return ll.report.prompts.comparison(gap, first, second, sure, won), content


def _functionals(words: str) -> list[str]:
    for word in grids.listed(words):
        known = ", ".join(ll.prompts.WHAT)
        require(word in ll.prompts.WHAT, f"--what has {word!r}; it takes {known}, with commas between")
    return grids.listed(words)


def _scores(known: grids.Grid, grid: grids.Grid) -> np.ndarray:
    """(rows,) the true score of each row of `grid`: its mean over the examples that all rows answered."""
    place = {name: i for i, name in enumerate(known.answers.rows)}
    missing = [row for row in grid.answers.rows if row not in place]
    require(not missing, f"--truth lacks {len(missing)} of the prompts, such as {missing[:1]}")
    full = known.answers.select(grid.answers.items)
    where = [place[row] for row in grid.answers.rows]
    gaps = int((~full.seen[where]).sum())
    require(
        not gaps, f"--truth lacks {gaps:,} of the {full.seen[where].size:,} answers of this grid; it needs them all"
    )
    return full.scores[where].astype(float).mean(1)


def _true(fit: "ll.FitResult", scores: np.ndarray, asked: dict[str, Any]) -> "Truth":
    """(row, group) -> what `estimate` would say if it knew the scores."""
    sure = dataclasses.replace(fit, params=fit.params._replace(draws=np.stack([scores, scores])))
    found = ll.prompts.estimate(sure, **asked)
    return {(r, g): float(v) for r, g, v in zip(found.rows, found.group, found.value, strict=True)}


def _add_truth(content: dict[str, Any], true: "Truth") -> None:
    for entry in content["estimates"]:
        known = true[entry["row"], entry["group"]]
        entry |= {"truth": known, "inside": bool(entry["low"] <= known <= entry["high"])}


def _models(fit: "ll.FitResult") -> dict[str | None, np.ndarray]:
    """Model -> its rows; None where there is one model."""
    model = fit.params.model
    if model is None:
        return {None: np.arange(len(fit.rows))}
    return {fit.axes["models"][code]: np.flatnonzero(model == code) for code in dict.fromkeys(model.tolist())}


def _distances(
    fit: "ll.FitResult", known: np.ndarray | None, tables: list, content: dict[str, Any]
) -> tuple[list, dict[str, Any]]:
    """With the W1 distance of each model's distribution to the true one."""
    if known is None:
        return tables, content
    curves = {model: ll.prompts.distribution(fit, model=model) for model in _models(fit)}
    far = {m: ll.prompts.wasserstein(curves[m], np.sort(known[here])) for m, here in _models(fit).items()}
    said = [f"distance to the true distribution (W1){f' of {m}' if m else ''}: {d:.3f}" for m, d in far.items()]
    first = dataclasses.replace(tables[0], remarks=(*tables[0].remarks, *said))
    return [first, *tables[1:]], content | {"wasserstein": {model or "all": d for model, d in far.items()}}


def _draw(
    fit: "ll.FitResult",
    known: np.ndarray | None,
    found: "ll.Estimate | None",
    true: "Truth | None",
    level: float,
    title: str,
    path: str,
) -> None:
    """The distribution of each model, and perhaps each prompt."""
    curves = {m or "": ll.prompts.distribution(fit, model=m, level=level) for m in _models(fit)}
    truth = None if known is None else {m or "": known[here] for m, here in _models(fit).items()}
    each = None if found is None else ll.report.prompts.only_prompts(fit, found)
    ll.report.prompts.plot(fit, curves, level, truth=truth, each=each, known=true, title=title, path=path)


for another in (cells.plan, cells.best):
    options.add(prompts, another, without=("item_features",))
options.add(prompts, run_cells, "run")
itself.add(prompts, estimate)
