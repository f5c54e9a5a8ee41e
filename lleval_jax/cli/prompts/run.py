"""`lleval prompts run`: the cells that `prompts plan` names, answered by a language model."""

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import options, speaking, typed
from lleval_jax.cli.shell.verb import Outputs, Run, verb

if TYPE_CHECKING:
    from lleval_jax.harness.cells import Answered
    from lleval_jax.report.text import Table

SCHEMA = "lleval/prompt-answers/1"

Prompts = Annotated[
    pathlib.Path,
    typer.Option(
        metavar="FILE",
        help="A table with columns prompt, template and, if wanted, system; or TOML, [prompts]. A template names the "
        "columns of the examples: 'Q: {question}'.",
        show_default=False,
    ),
]
Examples = Annotated[
    pathlib.Path,
    typer.Option(
        metavar="TABLE",
        help="Columns item, answer, those that templates name and, of multiple choice, option_1, option_2, ...",
        show_default=False,
    ),
]
Plan = Annotated[
    pathlib.Path | None,
    typer.Option(metavar="CSV", help="Cells to run, as 'prompts plan --out' writes them; without it all of them."),
]
Out = Annotated[
    pathlib.Path, typer.Option(metavar="CSV", help="Add the answers there, as they come; cells it has are not run.")
]
Client = Annotated[
    Literal["local", "openai"],
    typer.Option(help="Who answers: this machine, or the server of OPENAI_BASE_URL with the key of OPENAI_API_KEY."),
]
Chat = Annotated[bool, typer.Option("--chat", help="Prompts are a user's messages of the model's chat template.")]
Match = Annotated[
    Literal["normalised", "exact", "contains", "regex"],
    typer.Option(
        help="Written answers are right if they are the answer but for case and marks, or exactly; contain "
        "it; or if it is a regular expression that is found."
    ),
]
Per = Annotated[
    Literal["text", "token", "character"], typer.Option(help="Options by their log-probability, or its mean per that.")
]
Limit = Annotated[int, typer.Option(min=1, help="Tokens of a written answer, at most.")]
Stop = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        help=r"What ends a written answer; may be given again; \n is a line break, which is used where nothing is "
        "said and --chat is not given.",
    ),
]
Name = Annotated[
    str, typer.Option("--as", metavar="NAME", help="Write a column model with this name: a grid of several models.")
]
Batch = Annotated[int, typer.Option(min=1, help="Cells of a call of the model.")]


def run_cells(
    model: options.Answering,
    prompts: Prompts,
    examples: Examples,
    out: Out,
    plan: Plan = None,
    client: Client = "local",
    chat: Chat = False,
    match: Match = "normalised",
    per: Per = "text",
    limit: Limit = 32,
    stop: Stop = None,
    name: Name = "",
    batch: Batch = 16,
    dtype: options.Dtype = "float32",
    json: options.Json = None,
) -> None:
    """Run cells of the grid with a language model, and add the answers to the table that 'lleval prompts' reads.

    An example with options is answered by the most probable one, any other by what the model writes. A run that was
    stopped goes on where it was when the same is typed again.

    Examples, the first with a model that comes with the package:

      lleval prompts run --model tiny-lm --prompts prompts.csv --examples examples.csv --plan next.csv --out answers.csv
      lleval prompts run --model smollm2 --chat --prompts prompts.toml --examples examples.csv --out answers.csv
      lleval prompts run --client openai --model qwen3-8b --chat --prompts p.csv --examples e.csv --out answers.csv
    """
    with verb("reading prompts and examples", Outputs(json=json, file=out), computes=client == "local") as run:
        from lleval_jax.harness import cells, grid  # not needed for --help

        stops = None if stop is None else tuple(text.replace("\\n", "\n").replace("\\t", "\t") for text in stop)
        asking = cells.Asking(chat=chat, match=match, per=per, limit=limit, stop=stops)
        templates, questions = grid.read_prompts(prompts), grid.read_examples(examples, match=match)
        wanted, others = [grid.Cell(p, item) for p in templates for item in questions], 0
        if plan is not None:
            wanted, others = grid.read_plan(plan, templates, questions, name)
        words: dict[str, Any] = {"asking": asking, "out": out, "name": name, "batch": batch, "tell": run.tell}
        answers = _answering(model, client, dtype, run)
        run.say("answering; compiling first" if client == "local" else "answering")
        found = cells.answer_cells(wanted, templates, questions, model=answers, **words)
        _say(found, out, others, name)
        run.failed = bool(found.failed)
        run.show([_table(found, out)], _content(found, out, cells.known_as(answers)))


def _answering(model: str, client: str, dtype: str, run: Run) -> Any:
    """What answers: a model, or a client of a server."""
    if client == "openai":
        from lleval_jax.lm.openai_client import OpenAIClient

        return OpenAIClient(model)
    from lleval_jax.harness import local

    run.say(f"loading {model}")
    return local.local(model, dtype=dtype, tell=run.tell)


def _say(found: "Answered", out: pathlib.Path, others: int, name: str) -> None:
    """Notes of what a user would not expect."""
    if found.cut:
        speaking.note(f"{out}: its last line was cut short and was answered again: {found.cut!r}")
    if others:
        speaking.note(f"{others:,} cells of the plan are of other models than {name!r} and were left out")


def _table(found: "Answered", out: pathlib.Path) -> "Table":
    """What was added, a line a prompt."""
    lines = [(one["prompt"], f"{one['answers']:,}", f"{one['score']:.3f}") for one in _prompts(found)]
    pace = f", {found.tokens / found.seconds:,.0f} tokens/s" if found.tokens else ""
    remarks = [f"{found.before:,} cells were there before; {len(found.rows):,} in {found.seconds:,.0f} s{pace}"]
    for cell, why in found.failed[:1]:
        first = f"the first is {cell.prompt!r} on {cell.item!r}: {why}"
        remarks.append(f"{len(found.failed):,} cells got no answer; {first}. The same command runs them again.")
    title = f"{len(found.rows):,} answers, added to {out}"
    return ll.report.text.Table(
        title, ("prompt", "answers", "right"), tuple(lines), (*remarks, f"now: lleval prompts {out}")
    )


def _prompts(found: "Answered") -> list[Mapping[str, Any]]:
    """Of each prompt the answers that were added."""
    scores: dict[str, list[int]] = {}
    for row in found.rows:
        scores.setdefault(row["prompt"], []).append(int(row["score"]))
    return [{"prompt": name, "answers": len(s), "score": sum(s) / len(s)} for name, s in scores.items()]


def _content(found: "Answered", out: pathlib.Path, known: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "out": str(out),
        "model": known,
        "answers": len(found.rows),
        "before": found.before,
        "prompts": _prompts(found),
        "failed": [{"prompt": cell.prompt, "item": cell.item, "why": why} for cell, why in found.failed],
        "tokens": found.tokens,
        "seconds": round(found.seconds, 3),
        "tokens_per_second": round(found.tokens / found.seconds, 1) if found.tokens else None,
        "source": typed.stamped(ll.Source(cite=("polo2024prompteval",)), 0).to_dict(),
    }
