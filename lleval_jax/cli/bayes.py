"""`--bayes`: the posterior of scores, ranks and differences of `lleval estimate`, and what other verbs share of it."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli.asked import Asked
from lleval_jax.cli.shell.verb import Run
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.report.text import Table

Engine = Literal["auto", "nuts", "svi", "laplace"]
Curve = Literal["rasch", "2pl", "3pl", "4pl"]
Bayes = Annotated[
    bool,
    typer.Option("--bayes", help="Without a bank: the posterior of an item response model; needs the extra 'bayes'."),
]
Whole = Annotated[
    bool,
    typer.Option(
        "--bayes",
        help="The whole posterior of the same model, sizes of effects not taken as known; needs the extra 'bayes'.",
    ),
]
BayesEngine = Annotated[Engine, typer.Option("--engine", help="With --bayes: how the posterior is found.")]
BayesModel = Annotated[Curve, typer.Option("--curve", help="With --bayes: the items' curve.")]

Draws = Annotated[int, typer.Option("--draws", min=10, help="With --bayes: of each of four chains.")]


def require_alone(words: dict[str, Any]) -> None:
    """Options that do not go with --bayes."""
    for word, value in words.items():
        require(not value, f"{word} does not go with --bayes; leave one of them out")


@dataclasses.dataclass(frozen=True)
class How:
    """How the posterior is found, and of what."""

    engine: Engine
    curve: Curve
    draws: int
    target: str


def found(run: Run, responses: Any, how: How, wanted: Asked) -> tuple["ll.Estimate", list["Table"], dict[str, Any]]:
    """The estimate, its tables, and its JSON, which names engine and diagnostics."""
    from lleval_jax import bayes

    model = bayes.irt(how.curve, groups=wanted.groups and len(responses.groups) > 1)
    posterior = sampled(run, model, responses, how.engine, how.draws)
    words: dict[str, Any] = {"groups": wanted.groups, "level": wanted.level}
    estimate = run.stamped(posterior.estimate("ability" if how.target == "ability" else "rate", **words))
    content = estimate.to_dict() | facts(posterior)
    show = ll.report.posterior
    tables = [show.scores(estimate, truth=wanted.truth)]
    if wanted.leaderboard:
        rank, best = (posterior.estimate(what, **words) for what in ("rank", "best"))
        content["ranks"] = show.entries(estimate, rank, best)
        tables = [show.leaderboard(estimate, rank, best)]
    if wanted.compare is not None:
        first, second = wanted.compare
        gap, above = (posterior.estimate(what, first=first, second=second, **words) for what in ("difference", "ahead"))
        entries = gap.to_dict()["estimates"]
        for entry, probability in zip(entries, above.value, strict=True):
            entry["first_is_better"] = float(probability)
        content["comparison"] = {"target": gap.target, "level": gap.level, "estimates": entries}
        tables.append(show.difference(gap, above))
    return estimate, tables, content


def sampled(run: Run, model: Any, value: Any, engine: Engine, draws: int, fit: Any = None) -> Any:
    """A `bayes.Posterior`, begun at a fit of the same model; with --strict the verb fails where its checks do."""
    from lleval_jax import bayes

    how = bayes.engine(engine, value, model, draws=draws)
    posterior = bayes.sample(model, value, engine=how, key=run.seed, fit=fit, tell=run.tell)
    run.fails(posterior.diagnostics.status == "not converged")
    return posterior


def facts(posterior: Any) -> dict[str, Any]:
    """What the JSON says of a posterior besides its estimates."""
    return {"engine": posterior.engine, "diagnostics": posterior.diagnostics.to_dict()}
