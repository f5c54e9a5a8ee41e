"""`lleval report`: saved results as one page."""

import json
import pathlib
from typing import Annotated, Any

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import output, typed
from lleval_jax.errors import BadInput, require

Results = Annotated[
    list[pathlib.Path],
    typer.Argument(
        metavar="RESULT...",
        help="What a verb wrote with --json; or a folder of --out of 'estimate'.",
        show_default=False,
    ),
]
Page = Annotated[pathlib.Path, typer.Option("--html", metavar="PATH", help="Write the page there.")]
Title = Annotated[str, typer.Option(help="Title of the page.")]


def report(results: Results, html: Page, title: Title = "Results") -> None:
    """One self-contained page of saved results: tables, pictures, where they came from, how to cite.

    It needs no network, has no script, and reads well on a phone, light and dark.

    Examples:
      lleval report result.json --html out.html
      lleval report estimate.json gate.json audit.json --html out.html --title "Release 7"
    """
    typed.file_for(html, "--html")
    require(all(html.absolute() != path.absolute() for path in results), f"--html would replace a result, {html}")
    output.text(ll.report.result_page.page([(path.name, _content(path)) for path in results], title), html)


def _content(path: pathlib.Path) -> dict[str, Any]:
    """The JSON of a result."""
    if path.is_dir():
        found = ll.load(path)
        if isinstance(found, ll.Estimate):
            return found.to_dict()
        raise BadInput(f"{path} holds no estimate; pass what its verb wrote with --json")
    require(path.is_file(), f"there is no file {path}; a verb writes one with --json")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not JSON: {error}") from error
