"""`lleval pepr score`: the table that `lleval pepr` reads, from a language model."""

import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import options, speaking, typed
from lleval_jax.cli.shell.verb import Outputs, verb

if TYPE_CHECKING:
    from lleval_jax.harness.prompt_scores import Found
    from lleval_jax.report.text import Table

SCHEMA = "lleval/pepr-scores/1"

Texts = Annotated[
    str,
    typer.Option(
        metavar="TABLE",
        help="Texts (.csv, .parquet, .jsonl): columns text (a name), input, answer and, if wanted, desired; of pairs "
        "preferred, rejected in place of answer.",
        show_default=False,
    ),
]
Elements = Annotated[
    pathlib.Path,
    typer.Option(
        metavar="TOML",
        help="[elements]: names and texts; if wanted before it template, join, chat = true.",
        show_default=False,
    ),
]
Out = Annotated[
    pathlib.Path,
    typer.Option(metavar="CSV", help="Write the scores there as they come; go on with it if it was begun."),
]
Subset = Annotated[
    list[str] | None, typer.Option("--subset", metavar="A+B", help="Score this combination too; may be given again.")
]
Bare = Annotated[bool, typer.Option("--bare", help="Score the prompt without any element too, as 'bare'.")]
Batch = Annotated[int, typer.Option(min=1, help="Texts of a call of the model.")]


def score(
    model: options.Model,
    texts: Texts,
    elements: Elements,
    out: Out,
    subset: Subset = None,
    bare: Bare = False,
    batch: Batch = 32,
    dtype: options.Dtype = "float32",
    json: options.Json = None,
) -> None:
    r"""Score texts by a language model under each element of a prompt, and under all together: for 'lleval pepr'.

    A score is the log-probability of the answer after the prompt, in nats, summed over its tokens. A run that was
    stopped goes on where it was when the same is typed again.

    Prompts are made as elements.toml says; template and join are shown as they are without saying:

      template = "{elements}\n\n{input}\n"
      join = "\n"
      chat = false
      [elements]
      role = "You are a careful teacher."
      rule = "Answer with a number."

    With chat = true the elements are the system message of the model's chat template, and template, "{input}", is
    the user's.

    Examples, the first with a model that comes with the package:

      lleval pepr score --model tiny-lm --texts texts.csv --elements elements.toml --out scores.csv
      lleval pepr score --model smollm2 --texts texts.csv --elements elements.toml --subset role+rule --out scores.csv
    """
    with verb("reading texts", Outputs(json=json, file=out)) as run:
        from lleval_jax.harness import library, prompt_scores, scored_texts  # not needed for --help
        from lleval_jax.harness.local import local

        made_of = library.read_library(elements)
        made_of.combinations(subset or ())
        table = scored_texts.read_texts(texts)
        run.say(f"loading {model}")
        scorer = local(model, dtype=dtype, tell=run.tell)
        run.say("scoring; compiling first")
        words: dict[str, Any] = {"subsets": subset or (), "bare": bare, "batch": batch, "tell": run.tell}
        found = prompt_scores.score_texts(scorer, table, made_of, out=out, **words)
        if found.cut:
            speaking.note(f"{out}: its last line was cut short and was scored again: {found.cut!r}")
        run.show([_table(found, out)], _content(found, out, scorer.known))


def _means(found: "Found") -> list[dict[str, Any]]:
    """The mean score of each combination."""
    frame = found.frame
    values = [name for name in ("logprob", "preferred", "rejected") if name in frame]
    means = frame.groupby("element", sort=False)[values].mean()
    return [{"element": str(name), **dict(zip(values, row, strict=True))} for name, row in means.iterrows()]


def _table(found: "Found", out: pathlib.Path) -> "Table":
    """The mean scores, a line a combination."""
    means = _means(found)
    lines = [tuple(one if isinstance(one, str) else f"{one:z.3f}" for one in mean.values()) for mean in means]
    pace = f", {found.tokens / found.seconds:,.0f} tokens/s" if found.new else ""
    there = len(found.frame) - found.new
    done = f"{found.new:,} rows in {found.seconds:,.0f} s{pace}; {there:,} were there before"
    title = f"mean log-probability of {found.frame['text'].nunique():,} texts, written to {out}"
    return ll.report.text.Table(title, tuple(means[0]), tuple(lines), (done, f"now: lleval pepr {out}"))


def _content(found: "Found", out: pathlib.Path, known: str) -> dict[str, Any]:
    """The same as plain JSON types."""
    source = typed.stamped(ll.Source(cite=("feffer2024prompt",)), 0)
    return {
        "schema": SCHEMA,
        "out": str(out),
        "model": known,
        "texts": int(found.frame["text"].nunique()),
        "rows": len(found.frame),
        "new": found.new,
        "tokens": found.tokens,
        "seconds": round(found.seconds, 3),
        "tokens_per_second": round(found.tokens / found.seconds, 1) if found.new else None,
        "means": _means(found),
        "source": source.to_dict(),
    }
