"""`lleval compress`: many LoRA adapters of one model in a basis that they share."""

import pathlib
import shutil
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.verb import Outputs, Run, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    import numpy as np

    from lleval_jax.training.compress.folders import Collection
    from lleval_jax.values.shared_adapters import Shared

COMPRESSED = "lleval/compressed/1"
TARGET = 0.6  # the paper's, and that of `training.compress.choose`

Folder = Annotated[pathlib.Path, typer.Argument(metavar="ADAPTERS", help="A folder with a PEFT folder an adapter.")]
Rank = Annotated[
    str,
    typer.Option(
        "--rank",
        metavar="N|auto|rule",
        help="Columns of a basis; auto: the smallest that will do, measured; rule: the paper's for so many adapters.",
    ),
]
Clusters = Annotated[
    str,
    typer.Option(
        "--clusters",
        metavar="N|auto|rule",
        help="Bases a module; an adapter uses one. auto: as many as will do; rule: the paper's.",
    ),
]
Method = Annotated[
    Literal["full", "diag", "svd"],
    typer.Option("--method", help="Cores: full, diagonal; svd: each adapter cut by itself, for comparison."),
]
Target = Annotated[
    float,
    typer.Option(
        "--target-error", help="Mean squared relative error that auto stays below, and above which an adapter is named."
    ),
]
Budget = Annotated[
    float | None,
    typer.Option(
        "--budget",
        metavar="SHARE",
        help="With auto: the most exact that takes this share of the adapters' memory, in place of the target.",
    ),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out adapters that cannot be used, and name them.")]
Out = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        help="Where to keep bases and cores; a new folder. Until all are there, FOLDER.parts holds what is done.",
    ),
]
Export = Annotated[
    pathlib.Path | None,
    typer.Option("--export", metavar="FOLDER", help="Where to put each as an ordinary PEFT adapter."),
]
Bounds = Annotated[
    bool,
    typer.Option("--bounds", help="Also find the error that no bases of this size are below; products of every two."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of all that is drawn.")]


def compress(
    adapters: Folder,
    rank: Rank = "auto",
    clusters: Clusters = "1",
    method: Method = "full",
    target_error: Target = TARGET,
    budget: Budget = None,
    bounds: Bounds = False,
    skip_bad: SkipBad = False,
    out: Out = None,
    export: Export = None,
    plot: options.Plot = None,
    seed: Seed = 0,
    json: options.Json = None,
) -> None:
    """Put many LoRA adapters of one base model into a basis that they share, and say what it costs.

    Each keeps a small core: a thousand adapters then take the memory of a few. What comes out is kept as one folder,
    and as ordinary PEFT adapters where asked. Run it again to go on where it was stopped.

    Examples, with a folder of adapters of yours:

      lleval compress adapters/ --rank 16 --out shared
      lleval compress adapters/ --rank auto --clusters auto --target-error 0.5 --out shared --plot errors.png
    """
    with verb("reading adapters", Outputs(json=json, plot=plot)) as run:
        from lleval_jax.training.compress.folders import read_adapters  # not needed for --help

        for place in (out, export):
            require(place is None or not place.exists() or not any(place.iterdir()), f"{place} is not empty")
        found = read_adapters(adapters, skip_bad=skip_bad, tell=run.tell)
        looked, size = _size(found, rank, clusters, method, target_error, budget, seed, run)
        parts = None if out is None else out.with_name(f"{out.name}.parts")
        shared = _compressed(found, size, method, seed, parts, run)
        least = _least(found, shared, run) if bounds else None
        _keep(shared, out, export, run)
        if parts is not None:
            shutil.rmtree(parts, ignore_errors=True)
        tables = [ll.report.compression.summary(shared, most=target_error, least=least)]
        tables.append(ll.report.compression.worst(shared))
        tables += [ll.report.compression.sizes(looked)] if looked else []
        run.draw(lambda path: _draw(shared, looked, target_error, path))
        run.show(tables, _content(shared, looked, found.skipped, least))
        for name, why in found.skipped.items():
            run.say(f"left out {name}: {why}")


def _number(text: str, option: str, rule: int) -> int | None:
    """A count; None for "auto"; `rule` for "rule"."""
    if text in ("auto", "rule"):
        return rule if text == "rule" else None
    require(text.isdigit() and int(text) > 0, f"{option} is {text!r}; it is a number from 1, auto or rule")
    return int(text)


def _size(
    found: "Collection", rank: str, clusters: str, method: Any, target: float, budget: float | None, seed: int, run: Run
) -> tuple[list[Any], tuple[int, int]]:
    """The sizes that were looked at, and rank and clusters."""
    from lleval_jax.training.compress import choose as choosing
    from lleval_jax.training.compress.fit import Search

    rule = choosing.by_rule(len(found.names), min(map(min, found.shapes.values())))
    wanted, many = _number(rank, "--rank", rule[0]), _number(clusters, "--clusters", rule[1])
    if wanted is not None and many is not None:
        return [], (wanted, many)
    require(method != "svd", "--method svd needs a number for --rank, and has no clusters")
    run.say("looking at sizes")
    choice, looked = choosing.choose(
        found,
        target=target,
        budget=budget,
        method=method,
        ranks=choosing.RANKS if wanted is None else (wanted,),
        clusters=choosing.CLUSTERS if many is None else (many,),
        search=Search(starts=2, seed=seed),
        tell=run.tell,
    )
    sizes = [ll.report.compression.Size(each.rank, each.clusters, each.share, each.error) for each in looked]
    return sizes, (choice.rank, choice.clusters)


def _compressed(
    found: "Collection", size: tuple[int, int], method: Any, seed: int, parts: pathlib.Path | None, run: Run
) -> "Shared":
    from lleval_jax.training.compress.fit import Search, compress

    run.say("finding bases")
    return compress(
        found, size[0], method=method, clusters=size[1], search=Search(seed=seed), keep=parts, tell=run.tell
    )


def _least(found: "Collection", shared: "Shared", run: Run) -> "np.ndarray":
    from lleval_jax.training.compress import bounds

    run.say("finding bounds")
    return bounds.least_errors(found, shared, run.tell)


def _keep(shared: "Shared", out: pathlib.Path | None, export: pathlib.Path | None, run: Run) -> None:
    from lleval_jax.training.compress import files

    run.say("writing")
    if out is not None:
        files.save(shared, out)
    if export is not None:
        for name in shared.names:
            files.export(shared, name, export / name)


def _draw(shared: "Shared", looked: list[Any], target: float, path: str) -> None:
    """Where sizes were looked at, error against memory; else the errors of all modules."""
    if looked:
        ll.report.compression.curve(looked, path, target=target)
    else:
        ll.report.compression.heat(shared, path)


def _content(
    shared: "Shared", looked: list[Any], skipped: dict[str, str], least: "np.ndarray | None"
) -> dict[str, Any]:
    return {
        "schema": COMPRESSED,
        "method": shared.method,
        "rank": shared.rank,
        "clusters": shared.clusters,
        "settled": shared.settled,
        "values": {"before": int(shared.before.sum()), "after": shared.after},
        "matched": shared.matched,
        "least_squared_error": None if least is None else least.tolist(),
        "modules": list(shared.modules),
        "adapters": [
            {"name": name, "cluster": int(cluster), "squared_error": error.tolist(), "relative_error": ratio.tolist()}
            for name, cluster, error, ratio in zip(
                shared.names, shared.cluster, shared.error, shared.ratio, strict=True
            )
        ],
        "sizes": [each._asdict() for each in looked],
        "skipped": skipped,
    }
