"""`lleval serve`: one model and many adapters behind an address that OpenAI's clients ask."""

import contextlib
import importlib.util
import ipaddress
import os
import pathlib
from typing import TYPE_CHECKING, Annotated

import typer

from lleval_jax.cli.shell.speaking import note
from lleval_jax.cli.shell.verb import Outputs, Run, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel
    from lleval_jax.training.serve.engine import Engine
    from lleval_jax.training.serve.resident import Residents

KEY = "LLEVAL_SERVE_KEY"
STOP = 30.0  # seconds for what is being written when the server is stopped
PACKAGES = ("uvicorn", "starlette", "prometheus_client")
WARM = 16  # tokens of the prompt that is read first

Adapters = Annotated[
    pathlib.Path,
    typer.Argument(metavar="ADAPTERS", help="What `lleval compress` kept, or a folder with a PEFT folder an adapter."),
]
Model = Annotated[
    str, typer.Option("--model", help="The base model: a folder, a .gguf file or a name of `lleval models`.")
]
Host = Annotated[str, typer.Option("--host", help="Address to listen at. Others than this machine's need a key.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="0 for any that is free.")]
Rows = Annotated[int, typer.Option("--rows", min=1, help="Texts that are written at once.")]
Length = Annotated[int, typer.Option("--length", min=16, help="Tokens of a prompt with what is written, at most.")]
Queue = Annotated[int, typer.Option("--queue", min=1, help="Requests that may wait; more get status 429.")]


def serve(
    adapters: Adapters,
    model: Model,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    rows: Rows = 16,
    length: Length = 512,
    queue: Queue = 1024,
) -> None:
    """Serve one model with many adapters: the name of a model is the name of an adapter.

    Chats, completions, streams, /v1/models, /health, and /metrics for Prometheus. With LLEVAL_SERVE_KEY in the
    environment clients must give that key. Ctrl-C stops once what is being written is finished.

    Example, with what `lleval compress` kept:

      lleval serve shared --model path/to/model
    """
    with contextlib.ExitStack() as stack:
        with verb("loading the model", Outputs(), computes=True) as run:
            missing = [each for each in PACKAGES if importlib.util.find_spec(each) is None]
            hint = 'pip install "lleval-jax[serve]"'
            require(not missing, f"serving needs {', '.join(missing)}", shell=hint)
            from lleval_jax.training.serve import app as apps
            from lleval_jax.training.serve import listening

            key = os.environ.get(KEY, "")
            closed = bool(key) or _is_here(host)
            require(closed, f"{host} can be reached from other machines; set {KEY} to a key for clients")
            place = stack.enter_context(contextlib.closing(listening.bound(host, port)))
            base, engine = _engine(model, adapters, rows, length, queue, run)
        count, where = len(engine.residents.names), listening.address(place)
        note(f"{count:,} adapters of {base} at {where}/v1; Ctrl-C stops")
        listening.listen(
            apps.app(engine, base=base, key=key, most=length), place, seconds=STOP, stopping=lambda: _stopping(engine)
        )
    note("stopped" if engine.close(STOP) else "stopped; some texts were not finished")


def _stopping(engine: "Engine") -> None:
    note(f"stopping: {engine.waiting + engine.writing:,} texts are finished first; Ctrl-C again stops at once")


def _is_here(host: str) -> bool:
    """Whether an address is this machine's alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _engine(model: str, folder: pathlib.Path, rows: int, length: int, queue: int, run: Run) -> "tuple[str, Engine]":
    """The name of the base model, and an engine whose most used programs are compiled."""
    from lleval_jax import lm
    from lleval_jax.lm.sampling import Sampling
    from lleval_jax.training.serve.asking import Request
    from lleval_jax.training.serve.engine import Engine

    base = lm.load(model, tell=run.tell)
    engine = Engine(base, _residents(base, folder, run), rows=rows, length=length, queue=queue)
    run.say("compiling")
    tokens = (1,) * min(WARM, length - 2)
    for how in (Sampling(temperature=0.0), Sampling(temperature=1.0)):
        engine.write([Request(tokens, how=how, limit=2)])
    return base.name, engine


def _residents(base: "LanguageModel", folder: pathlib.Path, run: Run) -> "Residents":
    """Adapters in shared bases, or uncompressed ones."""
    from lleval_jax.training.compress import files
    from lleval_jax.training.compress.folders import read_adapters
    from lleval_jax.training.serve.resident import Residents

    run.say("reading adapters")
    if (folder / files.FACTS).is_file():
        return Residents.of(base.decoder, files.load(folder))
    found = read_adapters(folder, tell=run.tell)
    rank = max(each.rank for each in found.adapters)
    residents = Residents.apart(base.decoder, found.shapes, rank, len(found.names) + 1)
    for each in found.adapters:
        residents.add(each.name, residents.padded(each))
    return residents
