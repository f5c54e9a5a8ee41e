"""`lleval sloth`: what the next size will score, by a scaling law learned from a leaderboard."""

import dataclasses
import pathlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer

import lleval_jax as ll
from lleval_jax.cli import bayes
from lleval_jax.cli.shell import options, speaking, typed
from lleval_jax.cli.shell.verb import Outputs, Run, verb
from lleval_jax.errors import nearest, require

if TYPE_CHECKING:
    from lleval_jax.estimators.sloth import Target

TABLE = "sloth-open-llm"  # the leaderboard that is used where none is named
NEW = "new"  # a family that is not in the leaderboard
SKILLS, AUTO = 3, "auto"  # skills: as usual, which is also the most that are tried to choose
LINKS: tuple[Literal["monotone", "logistic"], ...] = ("monotone", "logistic")
EXPLAINED: tuple[Literal["loading", "efficiency"], ...] = ("loading", "efficiency")
NUMBER = re.compile(r"(\d+\.?\d*)(?:(e[+-]?\d+)|([MBT]))?", re.IGNORECASE)
UNITS = {"": 1.0, "M": 1e6, "B": 1e9, "T": 1e12}
LEAST = {"size": (1e6, "7e9 or 7B"), "tokens": (1e8, "2e12 or 2T")}  # a count below is in another unit
POINTS, REACH, SPAN = 25, 1.5, 30.0  # of a line: points; beyond its models, a factor; the least range of parameters
SHOWN = 4  # families in a picture where none is asked for

Input = Annotated[
    str | None,
    typer.Argument(
        metavar="INPUT",
        help="A table (.parquet, .csv, .jsonl), a row a model: columns model, family, params, tokens, perhaps "
        "base_family and instruct; all others that are numeric are benchmarks. Chance scores are in "
        f"floors.csv next to it (benchmark, floor). Or a law: a folder kept by --out, or {TABLE}-v1 or -v2, shipped. "
        f"Or nothing: the shipped table {TABLE}.",
        show_default=False,
    ),
]
Predict = Annotated[
    list[str] | None,
    typer.Option(
        metavar="F:P:T",
        help=f"Family, parameters, tokens: llama-3:70e9:15e12 or llama-3:70B:15T; may be given again. '{NEW}' is a "
        "family that is not in the table.",
    ),
]
Skills = Annotated[
    str | None,
    typer.Option(
        metavar=f"N|{AUTO}",
        callback=lambda text: text and typed.dims(text),
        help=f"Skills behind all benchmarks; {AUTO}: as many, with the link, as predict held-out scores best, which "
        f"takes minutes.  [default: {SKILLS}, or as many as benchmarks]",
        show_default=False,
    ),
]
Link = Annotated[
    Literal["monotone", "logistic"] | None,
    typer.Option(help="Each benchmark's curve learned, or all the same.  [default: monotone]", show_default=False),
]
Benchmark = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Use only this one; may be given again. Fewer are quicker.", show_default=False),
]
Instruct = Annotated[
    bool | None,
    typer.Option(
        "--instruct/--base", help="Tuned to follow instructions or not, if not as its family.", show_default=False
    ),
]
Explain = Annotated[
    bool,
    typer.Option("--explain", help="Also what each benchmark asks of each skill, and what families have beyond size."),
]
LeftOut = Annotated[
    bool,
    typer.Option(
        "--left-out",
        help="Also predict the larger models of held-out families (5-fold cross-validation), to show the law's error.",
    ),
]
Plot = Annotated[
    pathlib.Path | None,
    typer.Option(
        metavar="PATH",
        help="Draw scores against parameters there (png, svg, pdf), or with --left-out predicted against observed "
        "ones; needs the extra 'plot'.",
    ),
]
Out = Annotated[pathlib.Path | None, typer.Option(metavar="DIR", help="Keep the law there; INPUT of a later call.")]
Seed = Annotated[int | None, typer.Option(help="Seed of where the search starts.  [default: 0]", show_default=False)]


def sloth(
    input: Input = None,
    predict: Predict = None,
    skills: Skills = None,
    link: Link = None,
    benchmark: Benchmark = None,
    instruct: Instruct = None,
    explain: Explain = False,
    left_out: LeftOut = False,
    with_bayes: bayes.Whole = False,
    engine: bayes.BayesEngine = "auto",
    draws: bayes.Draws = 1000,
    plot: Plot = None,
    level: options.Level = 0.95,
    strict: options.Strict = False,
    seed: Seed = None,
    out: Out = None,
    json: options.Json = None,
) -> None:
    """Predict the scores of larger models with a scaling law fitted to a leaderboard, with intervals (Sloth).

    Families differ in how good they are, and share how scores grow with size and training tokens.

    Examples; the first asks a law that ships, the third keeps one, and the fourth asks it again without fitting:

      lleval sloth sloth-open-llm-v1 --predict meta-llama-3:30B:15T
      lleval sloth --benchmark MMLU --benchmark GSM8K --predict meta-llama-3:30B:15T
      lleval sloth leaderboard.csv --predict llama-3:70e9:15e12 --predict new:7B:2T --out law --json -
      lleval sloth law --predict llama-3:400B:15T --plot law.png
      lleval sloth --benchmark MMLU --skills 1 --predict meta-llama-3:30B:15T --bayes
    """
    targets = _targets(predict or (), instruct)
    message = (
        "nothing is asked for; give --predict family:size:tokens, as --predict llama-3:70B:15T, or --explain, "
        "--left-out, --out or --plot"
    )
    require(bool(targets or explain or left_out or out or plot), message)
    require(bool(targets) or not with_bayes, "--bayes is of predictions; give --predict family:size:tokens")
    if plot is not None and not left_out:
        _require_few(targets)
    outputs = Outputs(json=json, plot=plot, folder=out, kind="fit")
    if input is None:
        speaking.note(f"no INPUT is given: using the leaderboard {TABLE}, which comes with the package")
    with verb("reading the leaderboard", outputs, strict=strict, seed=seed or 0) as run:
        if input is not None and _is_law(input):
            given = {"skills": skills, "link": link, "benchmark": benchmark, "seed": seed, "out": out}
            fit = _kept(input, [f"--{word}" for word, value in given.items() if value is not None], strict)
            board = ll.sloth.leaderboard_of(fit)
            _require_known(targets, board.families)
        else:
            board = _read(input or TABLE, benchmark, strict)
            _require_known(targets, board.families)
            fit = _fitted(board, skills, link, run)
        fit = run.stamped(fit, fit.settings["seed"])
        run.say("predicting")
        found, more = ll.sloth.estimate(fit, family=targets, level=level) if targets else _nothing(fit, level), {}
        if with_bayes:
            found, more = _sampled(run, fit, board, targets, level, engine, draws)
        content = found.to_dict() | {"fit": ll.report.sloth_tables.facts(fit)} | more
        tables = ll.report.sloth_tables.tables(fit, found)
        if explain:
            run.say("explaining; compiling first")
            explained = _explained(fit, level)
            tables += ll.report.sloth_tables.skills(*explained.values())
            content["skills"] = {of: part.to_dict() for of, part in explained.items()}
        check = None
        if left_out:
            check = _checked(fit, board, level, run)
            tables.append(ll.report.sloth_tables.left_out(check, board))
            content["left_out"] = check.to_dict()
        run.draw(lambda path: _draw(fit, board, found, targets, check, path))
        run.keep(fit)
        run.show(tables, content)


def _read(name: str, benchmarks: Sequence[str] | None, strict: bool) -> "ll.Leaderboard":
    """The leaderboard, or these benchmarks of it."""
    board = ll.read_leaderboard(name, strict=strict)
    return board.select(list(dict.fromkeys(benchmarks))) if benchmarks else board


def _fitted(board: "ll.Leaderboard", skills: "int | str | None", link: str | None, run: Run) -> "ll.FitResult":
    """The law of a leaderboard."""
    words: dict[str, Any] = {"seed": run.seed, "strict": run.strict, "tell": run.tell}
    count, words["link"] = _form(board, skills, link, run, words)
    run.say(f"fitting {len(board.models):,} models x {len(board.benchmarks)} benchmarks; compiling first")
    return ll.sloth.fit(board, skills=count, **words)


def _explained(fit: "ll.FitResult", level: float) -> "dict[str, ll.Estimate]":
    """What benchmarks ask of each skill, and what families have beyond size."""
    return {of: ll.skills.estimate(fit, of=of, level=level, seed=fit.settings["seed"]) for of in EXPLAINED}


def _checked(fit: "ll.FitResult", board: "ll.Leaderboard", level: float, run: Run) -> "ll.Estimate":
    """The larger models of families left out, predicted by laws of the same form."""
    run.say("leaving families out")
    words = {"link": fit.settings["link"], "seed": fit.settings["seed"], "strict": run.strict, "tell": run.tell}
    found = ll.sloth.left_out(board, skills=fit.settings["skills"], level=level, **words)
    return dataclasses.replace(found, source=fit.source)


def _sampled(
    run: Run,
    fit: "ll.FitResult",
    board: "ll.Leaderboard",
    targets: "Sequence[Target]",
    level: float,
    engine: bayes.Engine,
    draws: int,
) -> "tuple[ll.Estimate, dict[str, Any]]":
    """Predictions by the posterior of the law that was fitted, and what is known of it."""
    from lleval_jax.bayes import sloth as law

    model = law(targets, skills=fit.settings["skills"], link=fit.settings["link"])
    posterior = bayes.sampled(run, model, board, engine, draws, fit)
    return run.stamped(posterior.estimate("score", level=level)), bayes.facts(posterior)


def _form(
    board: "ll.Leaderboard", skills: "int | str | None", link: str | None, run: Run, words: dict[str, Any]
) -> tuple[int, Any]:
    """The number of skills and the link: given, default, or selected (and reported)."""
    known = len(board.benchmarks)
    if skills != AUTO:
        return min(SKILLS, known) if skills is None else int(skills), link or LINKS[0]
    run.say("choosing the number of skills and the link; compiling first")
    tried = range(1, min(SKILLS, known) + 1)
    chosen = ll.sloth.choose(board, skills=tried, link=[link] if link else LINKS, **words)  # type: ignore[list-item]
    speaking.note(f"chosen by {chosen.why[0]}")
    ((count, curve),) = chosen.items
    return int(count), curve


def _targets(words: Sequence[str], instruct: bool | None) -> "list[Target]":
    """What --predict names, each once."""
    found = []
    for word in words:
        parts = word.rsplit(":", 2)
        message = f"--predict {word}: family:size:tokens is wanted, as llama-3:70e9:15e12 or llama-3:70B:15T"
        require(len(parts) == 3 and bool(parts[0].strip()), message)
        size, tokens = (_count(text, name, word) for text, name in zip(parts[1:], LEAST, strict=True))
        found.append(ll.sloth.Target(parts[0].strip(), size, tokens, instruct=instruct))
    return list({str(target): target for target in found}.values())


def _count(text: str, name: str, word: str) -> float:
    """A count as people write it: 70e9, 7B, 15T."""
    least, such = LEAST[name]
    found = NUMBER.fullmatch(text.strip())
    require(found is not None, f"--predict {word}: {name} is {text!r}; a count such as {such} is wanted")
    digits, power, unit = found.groups(default="")  # type: ignore[union-attr]
    count = float(digits + power) * UNITS[unit.upper()]
    fine = least <= count < np.inf
    require(fine, f"--predict {word}: {name} is {count:g}; a count such as {such} is wanted")
    return count


def _require_known(targets: "Sequence[Target]", families: Sequence[str]) -> None:
    """`BadInput` for a family that is not there, with the nearest that are, before anything is fitted."""
    for target in targets:
        hint = nearest(target.family, families)
        message = (
            f"--predict: family {target.family!r} is not in the leaderboard{hint} ('{NEW}' is one that is not there)"
        )
        require(target.family in (NEW, *families), message)


def _require_few(targets: "Sequence[Target]") -> None:
    lines, most = len({(target.family, target.tokens) for target in targets}), len(ll.report.style.COLOURS)
    require(lines <= most, f"--plot holds {most} families and numbers of tokens; --predict names {lines}")


def _is_law(name: str) -> bool:
    """Whether it is a folder, or a law that ships; `BadInput` if there is none of that name."""
    path, laws = pathlib.Path(name), ll.list_laws()
    known = sorted([*ll.list_leaderboards(), *laws])
    hint = nearest(name, known)
    message = (
        f"there is no file {name}, and no leaderboard or law of that name ships; there are: {', '.join(known)}{hint}"
    )
    require(path.exists() or name in known, message)
    return path.is_dir() or (name in laws and not path.exists())


def _kept(name: str, words: Sequence[str], strict: bool) -> "ll.FitResult":
    """The law that --out kept or that ships, which no word can change."""
    fit = ll.load(name) if pathlib.Path(name).is_dir() else ll.load_law(name)
    if not (isinstance(fit, ll.FitResult) and isinstance(fit.params, ll.sloth.SlothParams)):
        raise ll.BadInput(f"{name} holds no law; INPUT is a table, or a folder that 'lleval sloth --out' made")
    message = f"{name} is a law that is fitted already ({fit.method}); leave out {' and '.join(words)}, or name a table"
    require(not words, message)
    if strict and not fit.converged:
        raise ll.NotConverged(f"the law in {name} is {fit.status} after {fit.steps} steps")
    return fit


def _nothing(fit: "ll.FitResult", level: float) -> "ll.Estimate":
    """Of no target."""
    none = np.zeros(0)
    return ll.Estimate("score", fit.method, (), (), none, none, none, level, none, none, (), fit.source)


def _largest(fit: "ll.FitResult") -> "list[Target]":
    """The largest models of the families of most sizes."""
    families, p = np.array(fit.names("families", fit.params.family), object), fit.params
    sizes = {name: len(set(p.size[families == name])) for name in dict.fromkeys(families)}
    found = []
    for name in sorted(sizes, key=lambda name: -sizes[name])[:SHOWN]:
        own = np.flatnonzero(families == name)
        last = own[np.argmax(p.size[own])]
        found.append(ll.sloth.Target(name, float(p.size[last]), float(p.tokens[last])))
    return found


def _draw(
    fit: "ll.FitResult",
    board: "ll.Leaderboard",
    found: "ll.Estimate",
    targets: "Sequence[Target]",
    check: "ll.Estimate | None",
    path: str,
) -> None:
    """Predicted against observed scores where families were left out; else the curves."""
    if check is not None:
        ll.report.sloth_plots.observed(check, ll.report.sloth_tables.truth_of(board), path)
    else:
        _curves(fit, board, found, targets or _largest(fit), path)


def _curves(
    fit: "ll.FitResult", board: "ll.Leaderboard", found: "ll.Estimate", targets: "Sequence[Target]", name: str
) -> None:
    """A line for each family and number of tokens, over the sizes of its models and of what is asked for."""
    shown = {target.family for target in targets}
    sizes = [*board.params[[name in shown for name in board.families]], *(target.size for target in targets)]
    low, high = min(sizes) / REACH, max(sizes) * REACH
    more = max(1.0, SPAN / (high / low)) ** 0.5
    grid = np.geomspace(max(low / more, LEAST["size"][0]), high * more, POINTS)
    lines = {(target.family, target.tokens): target for target in targets}.values()
    curve = ll.sloth.estimate(
        fit, family=[line._replace(size=float(x)) for line in lines for x in grid], level=found.level
    )
    ll.report.sloth_plots.curves(curve, board, found if found.rows else None, name)
