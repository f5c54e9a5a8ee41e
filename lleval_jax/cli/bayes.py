"""`--bayes` of `lleval estimate`: the posterior of scores, ranks and differences."""

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
    engine = bayes.engine(how.engine, responses, model, draws=how.draws)
    posterior = bayes.sample(model, responses, engine=engine, key=run.seed, tell=run.tell)
    run.fails(posterior.diagnostics.status == "not converged")
    words: dict[str, Any] = {"groups": wanted.groups, "level": wanted.level}
    estimate = run.stamped(posterior.estimate("ability" if how.target == "ability" else "rate", **words))
    content = estimate.to_dict() | {"engine": posterior.engine, "diagnostics": posterior.diagnostics.to_dict()}
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
