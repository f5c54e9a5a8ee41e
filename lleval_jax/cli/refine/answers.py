"""`lleval refine`: a strong model answers for itself, after it was shown a weak model's answers."""

import pathlib
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli import answering
from lleval_jax.cli.shell import options, output, typed
from lleval_jax.cli.shell.verb import Outputs, Run, verb

if TYPE_CHECKING:
    from lleval_jax.report.text import Table
    from lleval_jax.values.pool import Pool, Refined

SCHEMA = "lleval/refined/1"
PART = "refine"  # of `training`, whose examples ship

PoolFile = Annotated[
    str,
    typer.Argument(
        metavar="POOL",
        help="A table (.jsonl, .csv, .parquet) with columns question, weak and, if wanted, id, topic; or demo:pool.",
        show_default=False,
    ),
]
Out = Annotated[
    pathlib.Path,
    typer.Option("--out", metavar="JSONL", help="Write the answers there, as 'lleval train' reads them."),
]
How = Annotated[
    Literal["refine", "infer", "improve"],
    typer.Option(
        help="Show weak answers to other questions; infer a rule from them and answer by it; or ask to improve each."
    ),
]
Shown = Annotated[int, typer.Option("--shown", min=0, help="Weak answers that are shown for each question.")]
Way = Annotated[
    Literal["fresh", "block", "fixed"] | None,
    typer.Option(
        help="A set for each question, for each block of questions, or one for all; without it fresh, and to infer "
        "block.",
    ),
]
Near = Annotated[
    str | None,
    typer.Option(
        metavar="ENCODER", help="Show the questions nearest in meaning, by this text encoder, such as minilm."
    ),
]
Apart = Annotated[bool, typer.Option("--apart", help="Show none of the same topic.")]
Limit = Annotated[int, typer.Option(min=1, help="Tokens of an answer, at most; one that is cut there is dropped.")]
Temperature = Annotated[float, typer.Option(min=0, help="0 takes the most probable token.")]
Chat = Annotated[
    bool,
    typer.Option("--chat", help="Write only messages, as providers of fine-tuning take them, in place of columns."),
]
Price = Annotated[
    tuple[float, float] | None,
    typer.Option(metavar="IN OUT", help="Of a million tokens read and a million written: what it cost is shown."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="USE=NAME,...",
        callback=typed.pairs,
        help="What a table's columns are: question=prompt,weak=completion; also id, truth, topic.",
    ),
]
Seed = Annotated[int, typer.Option(help="Of which answers are shown.")]


def answers(
    pool: PoolFile,
    out: Out,
    client: answering.Client = "local",
    model: options.Answering = "",
    how: How = "refine",
    shown: Shown = 4,
    way: Way = None,
    near: Near = None,
    apart: Apart = False,
    limit: Limit = 512,
    temperature: Temperature = 0.0,
    chat: Chat = False,
    record: answering.Record = None,
    at_once: answering.AtOnce = None,
    price: Price = None,
    columns: Columns = None,
    dtype: options.Dtype = "float32",
    seed: Seed = 0,
    json: options.Json = None,
) -> None:
    """Refine weak answers: a strong model is shown a few of a weak one's, and answers for itself.

    A question's own weak answer is never shown, except to be improved. Replies are kept as they come: the same command
    goes on where it was stopped, and asks nothing twice. What is empty, cut or refused is dropped and counted.

    Examples, the first with replies that come with the package:

      lleval refine demo:pool --client demo:replies --limit 48 --out refined.jsonl
      lleval refine pool.jsonl --client openai --model qwen3-8b --how infer --out refined.jsonl
      lleval refine pool.jsonl --model smollm2 --shown 8 --near minilm --record replies.jsonl --out refined.jsonl
    """
    with verb("reading the pool", Outputs(json=json, file=out), seed=seed, computes=client == "local") as run:
        from lleval_jax import training
        from lleval_jax.data.pool import read_pool

        given = read_pool(answering.place_of(pool, PART), columns=typed.columns(columns))
        strong = answering.client_of(client, model, record, dtype, run, PART)
        decoding = training.Decoding(limit=limit, temperature=temperature, seed=seed)
        words: dict[str, Any] = {"decoding": decoding, "at_once": at_once, "tell": run.tell}
        if how == "improve":
            found = training.ask_to_improve(strong, given, **words)
        else:
            chosen = way or ("block" if how == "infer" and not near else "fresh")
            demonstrate = training.Demonstrate(shown, chosen, near is not None, apart, seed)
            method = training.refine if how == "refine" else training.infer_and_respond
            found = method(strong, given, demonstrate, vectors=_vectors(near, given, run), **words)
        run.say("writing")
        output.text(found.lines(chat=chat), out)
        run.failed = not found.rows or "no reply" in found.reasons
        run.show([_table(found, out, price)], _content(found, out, price, seed))


def _vectors(near: str | None, pool: "Pool", run: Run) -> Any:
    """Of the questions, for near sets."""
    if near is None:
        return None
    from lleval_jax import lm

    run.say(f"loading {near}")
    return lm.embed(lm.load_encoder(near), pool.questions, unit=True, tell=run.tell)


def _table(found: "Refined", out: pathlib.Path, price: tuple[float, float] | None) -> "Table":
    spent, many = found.spent, len(found.rows) + len(found.dropped)
    lines = [("questions", f"{many:,}"), ("answered", f"{len(found.rows):,}")]
    lines += [(f"dropped: {reason}", f"{count:,}") for reason, count in found.reasons.items()]
    lines += [("requests", f"{spent.requests:,}"), ("of these kept from before", f"{spent.cached:,}")]
    lines += [("tokens read", f"{spent.asked:,}"), ("tokens written", f"{spent.written:,}")]
    lines += [("money", f"{spent.money(*price):,.4f}")] if price else []
    unknown = (f"the tokens of {spent.unknown:,} requests are not known",) if spent.unknown else ()
    named = [f"{each.id!r}: {each.reason} {each.detail}".rstrip() for each in found.dropped[:1]]
    first = tuple(f"the first that was dropped is {each}" for each in named)
    learn = f'to learn them: lleval train, with data = "{out}" and name = "sft" in [loss]'
    title = f"answers of {found.model}, written to {out}"
    return ll.report.text.Table(title, ("", ""), tuple(lines), (*first, *unknown, learn))


def _content(found: "Refined", out: pathlib.Path, price: tuple[float, float] | None, seed: int) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "out": str(out),
        "how": found.how,
        "model": found.model,
        "answers": len(found.rows),
        "dropped": [each._asdict() for each in found.dropped],
        "reasons": found.reasons,
        "spent": found.spent._asdict(),
        "money": found.spent.money(*price) if price else None,
        "source": typed.stamped(found.source.merge(ll.Source(cite=("somerstep2024transfer",))), seed).to_dict(),
    }
