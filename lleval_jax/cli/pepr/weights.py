"""`lleval pepr`: what each element of a prompt does, and which to take."""

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.verb import Outputs, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.values.results import Estimate, FitResult


def _auto(text: str) -> float | str:
    """A number, or "auto"."""
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither 'auto' nor a number") from None


Input = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        help="A table (.parquet, .csv, .jsonl), a row a text and element: columns text, element, logprob, and tokens "
        "if lengths matter. An element is a name, 'a+b' for two together, 'full' for all; 'full' is needed.",
        show_default=False,
    ),
]
Size = Annotated[list[int], typer.Option("-k", metavar="K", help="Elements to take, exactly; may be given again.")]
Pairs = Annotated[
    bool, typer.Option("--pairs", help="Columns preferred, rejected in place of logprob; 'full' is not needed.")
]
Per = Annotated[
    Literal["auto", "token", "text", "length"],
    typer.Option(help="Texts by their mean per token, their sum, or by length; auto: token if lengths are known."),
]
Ridge = Annotated[
    str,
    typer.Option(metavar="X|auto", callback=_auto, help="Pull the weights together, for elements that are much alike."),
]
Scale = Annotated[
    str, typer.Option(metavar="X|auto", callback=_auto, help="Of pairs: log-odds a unit of log-probability.")
]
Subset = Annotated[
    list[str] | None, typer.Option("--subset", metavar="A+B", help="Predict this combination; may be given again.")
]
Out = Annotated[pathlib.Path | None, typer.Option(metavar="DIR", help="Keep the fit there.")]
Seed = Annotated[int, typer.Option(help="Seed of the bootstrap draws.")]


def pepr(
    input: Input,
    k: Size = [3],  # noqa: B006
    pairs: Pairs = False,
    per: Per = "auto",
    ridge: Ridge = "0",
    scale: Scale = "1",
    subset: Subset = None,
    plot: options.Plot = None,
    level: options.Level = 0.95,
    strict: options.Strict = False,
    seed: Seed = 0,
    out: Out = None,
    json: options.Json = None,
) -> None:
    """What each element of a prompt does, and the best combination of exactly -k of them (PEPR).

    The log-probability of a text under several elements is taken to be a weighted mean of those under each alone.
    The weights follow from texts scored under every element and under the full prompt, and predict all combinations.
    'lleval pepr score' makes the table with a language model.

    Examples, the second with a combination whose score is wanted:

      lleval pepr scores.csv -k 3 --plot elements.png
      lleval pepr scores.parquet -k 2 --subset examples+rules --json -
    """
    outputs = Outputs(json=json, plot=plot, folder=out, kind="fit")
    with verb("reading log-probabilities", outputs, strict=strict, seed=seed) as run:
        scores = ll.read_logprobs(input, pairs=pairs or None)
        _require_size(k, scores.elements)
        _require_elements(subset or (), scores.elements)
        run.say("fitting; compiling first")
        words = {"per": None if per == "auto" else per, "ridge": ridge, "scale": scale, "seed": seed, "strict": strict}
        fit = run.stamped(ll.pepr.fit(scores, tell=run.tell, **words))  # type: ignore[arg-type]
        run.say("choosing elements")
        chosen = ll.pepr.choose(fit, k=k, level=level)
        weight = ll.pepr.estimate(fit, level=level)
        wanted = list(dict.fromkeys([*map("+".join, chosen.items), *(subset or ()), *ll.pepr.scored(fit)]))
        score = ll.pepr.estimate(fit, subsets=wanted, level=level)
        run.draw(lambda path: _draw(fit, weight, level, path))
        run.keep(fit)
        show = ll.report.pepr
        content = show.content(fit, chosen, weight, score, ll.pepr.check(fit))
        content["source"] = fit.source.to_dict()
        run.show([show.weights(fit, weight), show.scores(fit, score), show.choice(chosen)], content)


def _require_size(size: Sequence[int], elements: Sequence[str]) -> None:
    """`BadInput` for more elements than there are."""
    for one in size:
        message = f"-k is {one}; the table has {len(elements)} elements: {', '.join(elements)}"
        require(1 <= one <= len(elements), message)


def _require_elements(subsets: Sequence[str], elements: Sequence[str]) -> None:
    """`BadInput` for a combination of anything but elements."""
    from lleval_jax.values.logprobs import members_of  # not needed for --help

    for name in subsets:
        members_of(name, elements)


def _draw(fit: "FitResult", weight: "Estimate", level: float, path: str) -> None:
    best = ll.pepr.choose(fit, k=range(1, len(fit.items) + 1))
    scores = ll.pepr.estimate(fit, subsets=best.items, level=level)
    scored = ll.pepr.estimate(fit, subsets="scored", level=level)
    ll.report.pepr.plot(fit, weight, scores, scored, path)
