"""`lleval serve-bench`: how fast many adapters of one model are served, against their number."""

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

import lleval_jax as ll
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.verb import Outputs, Run, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel
    from lleval_jax.training.serve.load import Measured
    from lleval_jax.values.shared_adapters import Shared

SERVED = "lleval/served/1"

Folder = Annotated[
    pathlib.Path | None,
    typer.Argument(metavar="[SHARED]", help="What `lleval compress` kept.", show_default=False),
]
Drawn = Annotated[
    int | None,
    typer.Option("--random", min=1, metavar="N", help="In place of a folder: N adapters that were never trained."),
]
Rank = Annotated[int, typer.Option("--rank", min=1, help="With --random: of bases and adapters.")]
Clusters = Annotated[int, typer.Option("--clusters", min=1, help="With --random: bases a module.")]
Numbers = Annotated[
    str | None,
    typer.Option("--adapters", metavar="N,N,...", help="Numbers of adapters; 1, 4, 16, ... up to all without it."),
]
Requests = Annotated[int, typer.Option("--requests", min=1, help="Of a round.")]
Clients = Annotated[int, typer.Option("--clients", min=1, help="Requests that wait or are written at any time.")]
New = Annotated[int, typer.Option("--new-tokens", min=1, help="To write for each request.")]
Prompt = Annotated[int, typer.Option("--prompt-tokens", min=1, help="Of each prompt.")]
Rounds = Annotated[int, typer.Option("--rounds", min=1, help="In each, all servers are asked by turns.")]
Rows = Annotated[int, typer.Option("--rows", min=1, help="Texts that are written at once.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of all that is drawn.")]


def serve_bench(
    shared: Folder = None,
    model: options.Model = "tiny-lm",
    random: Drawn = None,
    rank: Rank = 16,
    clusters: Clusters = 1,
    adapters: Numbers = None,
    requests: Requests = 256,
    clients: Clients = 64,
    new_tokens: New = 10,
    prompt_tokens: Prompt = 32,
    rounds: Rounds = 3,
    rows: Rows = 32,
    plot: options.Plot = None,
    seed: Seed = 0,
    json: options.Json = None,
) -> None:
    """Measure how fast many adapters are served: compressed, uncompressed in the same memory, and one merged.

    Clients ask for drawn adapters and ask again once they are answered. Three servers are asked by turns: a model with
    one adapter in its weights; uncompressed adapters, as many on the device as take the memory of the compressed ones,
    the least recently used making room for others; and all adapters compressed.

    Examples, with a model that comes with the package:

      lleval serve-bench --model tiny-lm --random 64 --adapters 1,64 --requests 64 --rounds 1
      lleval serve-bench shared --model path/to/model --plot speed.png
    """
    with verb("loading the model", Outputs(json=json, plot=plot)) as run:
        from lleval_jax import lm
        from lleval_jax.training.serve.load import Load, measure

        require((shared is None) != (random is None), "give a folder that `lleval compress` kept, or --random N")
        load = Load(requests, clients, prompt_tokens, new_tokens, rounds, rows, seed)
        base = lm.load(model, tell=run.tell)
        everything = _adapters(base, shared, random, rank, clusters, seed, run)
        found: list[Measured] = []
        for count in _numbers(adapters, len(everything.names)):
            run.say(f"{count:,} adapters")
            found += measure(base, everything.first(count), load, tell=run.tell)
        points = [point(each) for each in found]
        run.draw(lambda path: ll.report.serving.curves(points, path))
        content = {"schema": SERVED, "model": base.name, "load": dataclasses.asdict(load)}
        run.show([ll.report.serving.table(points)], content | {"servers": [_content(each) for each in found]})


def point(each: "Measured") -> "ll.report.serving.Point":
    """What is shown of a server."""
    middle, slow, slowest = np.quantile(each.latency, (0.5, 0.9, 0.99)).tolist()
    head = (each.server, each.adapters, each.resident, each.bytes, each.speed, min(each.speeds), max(each.speeds))
    return ll.report.serving.Point(*head, middle, slow, slowest, each.loads)


def _adapters(
    base: "LanguageModel", folder: pathlib.Path | None, count: int | None, rank: int, clusters: int, seed: int, run: Run
) -> "Shared":
    from lleval_jax.training.compress import files
    from lleval_jax.training.serve.drawn import drawn

    run.say("reading adapters")
    if folder is None:
        assert count is not None
        return drawn(base.decoder, count, rank=rank, clusters=clusters, seed=seed)
    kept = (folder / files.FACTS).is_file()
    require(kept, f"{folder} holds no {files.FACTS}: it is not what `lleval compress --out` keeps")
    return files.load(folder)


def _numbers(text: str | None, most: int) -> list[int]:
    """Numbers of adapters, each once, in their order."""
    if text is None:
        return sorted({*(4**k for k in range(16) if 4**k < most), most})
    words = text.split(",")
    fits = all(word.strip().isdecimal() and 0 < int(word) <= most for word in words)
    require(fits, f"--adapters is {text!r}; give numbers from 1 to {most:,} with commas between")
    return sorted({int(word) for word in words})


def _content(each: "Measured") -> dict[str, Any]:
    shown = point(each)._asdict()
    return shown | {"rounds": list(each.speeds)}
