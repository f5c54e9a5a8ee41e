"""Who answers what a verb asks: a model on this machine, a server, or a recording; and files that ship."""

import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lleval_jax as ll
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.cli.shell.verb import Run
    from lleval_jax.lm.client import Client as AnyClient

DEMO = "demo:"

Client = Annotated[
    str,
    typer.Option(
        metavar="local|openai|FILE",
        help="Who answers: a model on this machine; the server of OPENAI_BASE_URL with the key of OPENAI_API_KEY; or a "
        "recording of replies, a file or demo:replies.",
    ),
]
Record = Annotated[
    pathlib.Path | None, typer.Option(metavar="FILE", help="Keep the replies there too, for --client FILE.")
]
AtOnce = Annotated[int | None, typer.Option("--at-once", min=1, help="Requests under way at a time.")]


def place_of(word: str, part: str) -> str:
    """A file, or one that ships with a part of `training`: "demo:pool" of "refine"."""
    if not word.startswith(DEMO):
        return word
    folder = pathlib.Path(ll.__file__).parent / "training" / part / "demo"
    names = {each.stem: each for each in sorted(folder.iterdir())}
    asked = word.removeprefix(DEMO)
    require(asked in names, f"there is no {word}; there are {', '.join(DEMO + name for name in names)}")
    return str(names[asked])


def client_of(client: str, model: str, record: pathlib.Path | None, dtype: str, run: "Run", part: str) -> "AnyClient":
    """Who answers, and what keeps the replies.

    Args:
        client: "local", "openai", or a recording.
        model: its name.
        record: where replies are kept too.
        dtype: of a local model's weights.
        run: the verb at work.
        part: of `training`, whose recordings ship.
    """
    from lleval_jax import lm

    if client not in ("local", "openai"):
        require(record is None, f"--client {client} is a recording already; leave --record out")
        return lm.Recording(place_of(client, part))
    require(bool(model), f"--client {client} needs a model: say --model NAME")
    if client == "openai":
        answers: Any = lm.OpenAIClient(model)
    else:
        run.say(f"loading {model}")
        answers = lm.LocalClient(lm.load(model, dtype=dtype, tell=run.tell), tell=run.tell)
    kept = lm.cached(answers)
    return kept if record is None else lm.Recording(record, kept)
