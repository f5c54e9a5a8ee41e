"""`lleval estimate`: scores with intervals, from a model's own answers or, with a bank, of a benchmark from few."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import lleval_jax as ll
from lleval_jax import outside
from lleval_jax.cli import bayes, drawing
from lleval_jax.cli.asked import Asked
from lleval_jax.cli.shell import inputs as given
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.verb import Outputs, Run, verb
from lleval_jax.errors import BadInput, NotConverged, nearest, require, require_known

if TYPE_CHECKING:
    from lleval_jax.report import truth as scores
    from lleval_jax.report.text import Table

Bank = Annotated[
    str | None,
    typer.Option(help="Name of a bank (see 'lleval bank list'), or its folder; without one: the plain mean."),
]
Target = Annotated[
    Literal["accuracy", "ability"],
    typer.Option(help="With a bank: the benchmark's score, or ability on its scale."),
]
PLAIN = ("wilson (default)", "t")
OWN = ("auto (default)", "weighted", "pirt", "gpirt", "kriged", "head", "mixed")  # help must not load JAX
BROUGHT = outside.names("lleval_jax.methods")
By = Annotated[
    str | None,
    typer.Option(
        metavar="METHOD",
        help=f"For accuracy: {', '.join((*OWN, *BROUGHT))}. For ability: map (default), eap, mle, wle. "
        f"Without --bank: {', '.join(PLAIN)}.",
    ),
]
Groups = Annotated[bool, typer.Option("--groups", help="Also the score on each part of the benchmark.")]
Leaderboard = Annotated[bool, typer.Option("--leaderboard", help="Best first, with the ranks that each may have.")]
Compare = Annotated[
    tuple[str, str] | None,
    typer.Option(metavar="A B", help="Also the difference of two models, with its interval."),
]
Cluster = Annotated[
    Literal["group"] | None,
    typer.Option(
        metavar="group",
        help="Without a bank: questions of one group are not independent. --columns group=COLUMN of a table makes any "
        "column the group.",
    ),
]
Population = Annotated[
    str | None,
    typer.Option(
        metavar="N|all",
        help="Without a bank: the score on a benchmark of N questions, of which those answered are a random sample; "
        "all: these are all its questions.",
    ),
]
PassAt = Annotated[
    int | None, typer.Option("--pass-at", metavar="K", min=1, help="Without a bank: one of K tries is right (pass@k).")
]
PassAll = Annotated[
    int | None,
    typer.Option("--pass-all", metavar="K", min=1, help="Without a bank: all of K tries are right (pass^k)."),
]
Guarantee = Annotated[
    pathlib.Path | None,
    typer.Option(
        metavar="FILE",
        help="Also the interval that holds whatever the model is, from items that 'lleval ask --guarantee FILE' drew.",
    ),
]
EveryLook = Annotated[
    bool, typer.Option("--every-look", help="With --guarantee: valid however often you look and stop.")
]
Known = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Known full scores (model, score[, group]) to compare with; or demo:BANK."),
]
Seed = Annotated[int, typer.Option(help="Seed of what a method draws at random; kept in the result.")]
Out = Annotated[pathlib.Path | None, typer.Option(metavar="DIR", help="Keep the estimate in this folder.")]


def estimate(
    inputs: options.Inputs,
    bank: Bank = None,
    target: Target = "accuracy",
    by: By = None,
    groups: Groups = False,
    leaderboard: Leaderboard = False,
    compare: Compare = None,
    cluster: Cluster = None,
    population: Population = None,
    pass_at: PassAt = None,
    pass_all: PassAll = None,
    truth: Known = None,
    guarantee: Guarantee = None,
    every_look: EveryLook = False,
    with_bayes: bayes.Bayes = False,
    engine: bayes.BayesEngine = "auto",
    curve: bayes.BayesModel = "2pl",
    draws: bayes.Draws = 1000,
    level: options.Level = 0.95,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    seed: Seed = 0,
    plot: options.Plot = None,
    out: Out = None,
    json: options.Json = None,
) -> None:
    """Each model's score with an interval; with a bank, of the whole benchmark from a few of its questions.

    Without --bank: the mean over the questions that a model answered, and paired comparisons on common questions.

    Examples, the last with answers that come with the package:

      lleval estimate logs/ --leaderboard
      lleval estimate logs/ --compare model-a model-b
      lleval estimate logs/ --bayes --leaderboard
      lleval estimate demo:livexiv-vqa --bank livexiv-vqa
    """
    tries = {"--pass-at": pass_at, "--pass-all": pass_all}
    require(not all(tries.values()), "--pass-at and --pass-all are two questions; ask one at a time")
    if with_bayes:
        bayes.require_alone({"--bank": bank, "--by": by, "--cluster": cluster, "--population": population} | tries)
    else:
        _refuse(bank, target, by, {"--cluster": cluster, "--population": population} | tries)
    if target == "ability":
        _refuse_scores({"--groups": groups, "--truth": truth, "--leaderboard": leaderboard})
    drawing.require_bank(guarantee, every_look, bank, target, with_bayes)
    outputs = Outputs(json=json, plot=plot, folder=out, kind="estimate")
    with verb("reading the bank", outputs, strict=strict, seed=seed, computes=with_bayes or bank is not None) as run:
        known = None if truth is None else given.known_scores(truth)
        chosen = None if bank is None else ll.load_bank(bank)
        responses = _tried(run.answers(inputs, reading), pass_at, pass_all)
        asked = Asked(level, by, groups, leaderboard, compare, known, seed)
        _require_models(responses, compare)
        run.say(f"estimating {len(responses.rows)} models")
        if with_bayes:
            found, tables, content = bayes.found(run, responses, bayes.How(engine, curve, draws, target), asked)
        elif chosen is None:
            named = f"pass@{pass_at}" if pass_at else f"pass^{pass_all}" if pass_all else ""
            found, tables, content = _plain(run, responses, asked, cluster, _number(population), named)
        else:
            found, tables, content = _banked(run, responses, chosen, target, asked)
            if guarantee is not None:
                tables += drawing.guaranteed(
                    run, responses, chosen, guarantee, every_look or None, known, content, level
                )
        run.draw(lambda path: ll.report.plot.forest(found, known, path, group=found.group[0]))
        run.keep(found)
        run.show(tables, content)


def _tried(responses: Any, pass_at: int | None, pass_all: int | None) -> Any:
    """Each question's score as the chance of so many tries, where that is asked."""
    k = pass_at or pass_all
    return responses if k is None else ll.plain.tries(responses, k=k, need="one" if pass_at else "all")


def _plain(
    run: Run, responses: Any, asked: Asked, cluster: str | None, population: int | str | None, target: str
) -> tuple["ll.Estimate", list["Table"], dict[str, Any]]:
    """From the answers alone."""
    words: dict[str, Any] = {"level": asked.level, "cluster": cluster, "population": population, "groups": asked.groups}
    found = run.stamped(ll.plain.estimate(responses, by=asked.by or "wilson", **words))
    found = dataclasses.replace(found, target=target or found.target)
    content: dict[str, Any] = found.to_dict()
    _add_truth(found, asked.truth, content)
    ranks = None
    if asked.leaderboard:
        ranks = _placed(found, ll.plain.ranks(responses, level=asked.level, cluster=cluster, population=population))
        content["ranks"] = ranks.entries(found.rows)
    show = ll.report.plain
    tables = [show.scores(found, ranks=ranks, truth=asked.truth, remarks=[*_differing(responses), show.BANK])]
    if asked.compare is not None:
        first, second = asked.compare
        way = "t" if asked.by == "t" else "adjusted"
        gap = ll.plain.compare(responses, first=first, second=second, by=way, seed=asked.seed, **words)
        content["comparison"] = _part(gap.to_dict(), "power", "how")
        tables.append(show.comparison(gap))
    return found, tables, content


def _placed(found: "ll.Estimate", ranks: Any) -> Any:
    """Ranks of models as ranks of the entries that are of the whole benchmark."""
    whole = [i for i, group in enumerate(found.group) if group == found.group[0]]
    return dataclasses.replace(ranks, order=[whole[i] for i in ranks.order])


def _differing(responses: Any) -> list[str]:
    """What is to be said where models answered different numbers of questions."""
    few, most = int(responses.n_seen.min()), int(responses.n_seen.max())
    if few == most:
        return []
    return [
        f"Models answered {few:,} to {most:,} questions: scores on different questions differ also by the questions. "
        "--compare and --leaderboard take common questions."
    ]


def _banked(
    run: Run, responses: Any, bank: "ll.ItemBank", target: str, asked: Asked
) -> tuple["ll.Estimate", list["Table"], dict[str, Any]]:
    """With a bank."""
    words: dict[str, Any] = {"level": asked.level, "strict": run.strict} | ({"by": asked.by} if asked.by else {})
    if target == "ability":
        found = ll.ability.estimate(responses, bank=bank, **words)
    else:
        found = ll.tiny.estimate(responses, bank=bank, groups=asked.groups, seed=asked.seed, **words)
    found = run.stamped(found)
    if run.strict:
        _require_converged(found)
    content: dict[str, Any] = found.to_dict()
    _add_truth(found, asked.truth, content)
    if asked.leaderboard:
        ranks = ll.report.compare.ranks(found)
        tables = [ll.report.text.leaderboard(found, ranks, asked.truth)]
        content["ranks"] = ranks.entries(found.rows)
    else:
        tables = [ll.report.text.table(found, asked.truth)]
    if asked.compare is not None:
        first, second = asked.compare
        if target == "ability":
            content["comparison"] = _part(ll.report.compare.difference(found, first, second).to_dict())
            tables.append(ll.report.text.comparison(found, first, second))
        else:
            shared = {"level": asked.level, "groups": asked.groups, "seed": asked.seed, "by": asked.by or "auto"}
            gap = ll.tiny.compare(responses, bank=bank, first=first, second=second, **shared)
            content["comparison"] = _part(gap.to_dict(), "power", "how")
            tables.append(ll.report.plain.comparison(gap))
    return found, tables, content


def _part(content: dict[str, Any], *more: str) -> dict[str, Any]:
    """What a comparison adds to the JSON of the estimate that it stands in."""
    return {name: content[name] for name in ("target", "level", "estimates", *more)}


def _refuse(bank: str | None, target: str, by: str | None, without: dict[str, Any]) -> None:
    """Options that do not go together, before anything is read."""
    for word, value in without.items():
        require(bank is None or not value, f"{word} is for plain scores; leave it out, or --bank")
    require(target == "accuracy" or bank is not None, "abilities are on the scale of a bank; add --bank")
    if bank is None and by is not None:
        require_known(by, [name.split()[0] for name in PLAIN], "without a bank, --by")


def _refuse_scores(words: dict[str, Any]) -> None:
    for word, value in words.items():
        require(not value, f"{word} goes with --target accuracy; abilities have no groups, ranks or known scores")


def _number(population: str | None) -> int | str | None:
    if population is None or population == "all":
        return population
    require(population.isdecimal(), f"--population {population} is neither a number nor 'all'")
    return int(population)


def _require_models(responses: Any, compare: Sequence[str] | None) -> None:
    """The models to compare are there: said before the work."""
    first, second = compare or ("", "")
    require(compare is None or first != second, f"two different models are needed to compare; both are {first!r}")
    for name in compare or ():
        if name not in responses.rows:
            few = ", ".join(map(repr, responses.rows[:6]))
            raise BadInput(f"there is no model {name!r} to compare; there are {few}{nearest(name, responses.rows)}")


def _require_converged(found: "ll.Estimate") -> None:
    failed = [(row, status) for row, status in zip(found.rows, found.status, strict=True) if status != "ok"]
    if failed:
        row, status = failed[0]
        raise NotConverged(f"the estimate of {row!r}: {status} ({len(failed)} such entries)")


def _add_truth(found: "ll.Estimate", known: "scores.Known | None", content: dict[str, Any]) -> None:
    if known is None:
        return
    held = ll.report.text.inside(found, known)
    some = sorted({model for model, _ in known})[:3]
    require(bool(held), f"--truth knows none of the models estimated; it has {some}")
    for entry in content["estimates"]:
        key = entry["row"], entry["group"]
        if key in held:
            entry |= {"truth": known[key], "inside": held[key]}
