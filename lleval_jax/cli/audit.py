"""`lleval audit`: who is really ahead on a board, and what the board can tell."""

import pathlib
from typing import Annotated, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import options, output, typed
from lleval_jax.cli.shell.verb import Outputs, verb
from lleval_jax.errors import require

By = Annotated[
    Literal["group"] | None,
    typer.Option(
        "--by",
        metavar="group",
        help="Questions of one group (a repository, a scenario) are drawn together. --columns group=COLUMN of a table "
        "makes any column the group.",
    ),
]
Draws = Annotated[int, typer.Option(help="Random signs; a p value is 1 / (draws + 1) at least.")]
Page = Annotated[
    pathlib.Path | None,
    typer.Option("--html", metavar="PATH", help="Write one self-contained page there: no network, light and dark."),
]
Title = Annotated[str, typer.Option(help="Title of the page.")]
Seed = Annotated[int, typer.Option(help="Seed of all that is drawn at random.")]


def audit(
    inputs: options.Inputs,
    by: By = None,
    draws: Draws = 2000,
    level: options.Level = 0.95,
    reading: options.Reading = options.AS_WRITTEN,
    strict: options.Strict = False,
    seed: Seed = 0,
    html: Page = None,
    title: Title = "Audit of a board",
    json: options.Json = None,
) -> None:
    """Who is really ahead on a board of per-question results: paired tests of all pairs at once, and rank ranges.

    Also: what gap the board can separate and how many questions a smaller one needs, stability on random halves,
    questions that decide, constant questions, near-copies, reliability.

    Examples, the first with the answers that a shipped bank was made from:

      lleval audit bank:livexiv-vqa
      lleval audit board.csv --by group --html audit.html --json audit.json
    """
    typed.file_for(html, "--html")
    require(html is None or json is None or html.absolute() != json.absolute(), "--html and --json name one place")
    with verb("reading answers", Outputs(json=json), strict=strict, seed=seed, computes=False) as run:
        board = run.answers(inputs, reading)
        run.say(f"comparing all pairs of {len(board.rows):,} models on {len(board.items):,} questions")
        found = run.stamped(ll.audit(board, level=level, cluster=by, draws=draws, seed=seed))
        if html is not None:
            output.text(ll.report.audit_page.page(found, title), html)
        run.show([ll.report.audit.models(found), ll.report.audit.facts(found)], found.to_dict())
