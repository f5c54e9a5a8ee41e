"""`lleval live restore`: the pictures that an export holds by reference, cut out of the papers again."""

import pathlib
from typing import Annotated

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.verb import Outputs, verb

RESTORED = "lleval/live-restore/1"
SHOWN = 12  # failures on the page

Export = Annotated[
    pathlib.Path,
    typer.Argument(metavar="EXPORT", help="A folder that 'lleval live export' made.", show_default=False),
]
Delay = Annotated[float, typer.Option(min=0, help="Seconds between requests.")]
Address = Annotated[
    str, typer.Option("--address", metavar="URL", help="A server with the papers, in place of arXiv's.")
]


def restore(folder: Export, delay: Delay = 3.0, address: Address = "", json: options.Json = None) -> None:
    """Fetch the papers whose pictures an export only refers to, and cut the pictures out of them.

    It is for you alone: such papers may not be handed on, nor may what is cut out of them.

    Example:
      lleval live restore bench-2026-11
    """
    with verb("reading references", Outputs(json=json), computes=False) as run:
        from lleval_jax.live import references
        from lleval_jax.live.archive import Addresses
        from lleval_jax.live.fetch import Fetcher

        with Fetcher(delay=delay) as fetcher:
            places = Addresses.at(address) if address else None
            found = references.restore(folder, fetcher, places, tell=run.tell)
        run.failed = bool(found.failed)
        lines = tuple((each.paper, each.reason) for each in found.failed[:SHOWN])
        more = () if len(found.failed) <= SHOWN else (f"and {len(found.failed) - SHOWN:,} more; --json has all",)
        title = (
            f"{found.same + found.alike:,} pictures in {folder / 'images'}, {found.alike:,} of them drawn by another "
            f"version of the renderer; {len(found.failed):,} failures"
        )
        content = {"schema": RESTORED, "same": found.same, "alike": found.alike}
        content |= {"failed": [{"paper": each.paper, "reason": each.reason} for each in found.failed]}
        run.show([ll.report.text.Table(title, ("paper", "what failed"), lines, more, left=2)], content)
