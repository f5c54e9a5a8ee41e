"""`lleval bank`: which banks there are, what one holds, whether one is whole."""

import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import options, output, typed
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.report.text import Table

bank = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Banks of calibrated items: list, show, verify.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a bank, or its folder.", show_default=False)]


@bank.command("list")
def list_(json: options.Json = None) -> None:
    """The banks that come with the package.

    Example: lleval bank list
    """
    typed.file_for(json)
    banks = [_facts(ll.load_bank(folder)) for folder in ll.list_banks().values()]
    head = ("name", "version", "items", "abilities", "groups", "anchors", "models")
    lines = tuple(tuple(str(facts[name]) for name in head) for facts in banks)
    remarks = () if banks else ("none; make one with 'lleval calibrate'",)
    table = ll.report.text.Table("banks", head, lines, remarks)
    output.write([table], {"schema": "lleval/banks/1", "banks": banks}, json)


@bank.command(no_args_is_help=True)
def show(
    name: Name,
    anchors: Annotated[
        bool, typer.Option("--anchors", help="Only the items to run on a new model, one a line.")
    ] = False,
    json: options.Json = None,
) -> None:
    """What a bank holds.

    Example: lleval bank show livexiv-vqa --anchors
    """
    typed.file_for(json)
    found = ll.load_bank(name)
    if anchors:
        require(json is None, "--anchors prints item names and nothing else; leave out --json")
        require(
            bool(found.anchor_items),
            f"bank {found.name!r} has no anchors; choose some with 'lleval calibrate'",
        )
        print("\n".join(found.anchor_items))
        return
    facts = _facts(found)
    output.write([_table(found, facts)], {"schema": "lleval/banks/1", "banks": [facts]}, json)


@bank.command(no_args_is_help=True)
def verify(
    folder: Annotated[
        pathlib.Path,
        typer.Argument(metavar="DIR", help="Folder of a bank, fit or estimate.", show_default=False),
    ],
    json: options.Json = None,
) -> None:
    """Check that a folder is whole and as it was written: its files, hashes and values.

    Example: lleval bank verify models/my-bench
    """
    typed.file_for(json)
    files = ll.verify(folder)
    table = ll.report.text.Table(f"{folder}: whole", ("file", "hash"), tuple(files.items()), left=2)
    output.write([table], {"schema": "lleval/verify/1", "files": files}, json)


def _facts(found: "ll.ItemBank") -> dict[str, Any]:
    made = found.calibration
    return {
        "name": found.name,
        "version": found.version,
        "items": len(found.items),
        "abilities": found.dims,
        "groups": len(found.groups),
        "anchors": len(found.anchor_items),
        "models": 0 if made is None else len(made.rows),
        "negative_slopes": int((found.slope[:, 0] < 0).sum()),
        "made_by": found.source.command,
        "made_with": found.source.version,
    }


def _table(found: "ll.ItemBank", facts: dict[str, Any]) -> "Table":
    """The facts, then each group with its share of the score."""
    by = "" if found.anchors is None else f" by {found.anchors.by}"
    lines = [
        (key.replace("_", " "), str(value) + (by if key == "anchors" else ""))
        for key, value in facts.items()
        if value != ""
    ]
    if len(found.groups) > 1:
        for i, group in enumerate(found.groups):
            inside = found.group == i
            lines.append((f"group {group}", f"{inside.sum()} items, {found.weight[inside].sum():.1%} of the score"))
    return ll.report.text.Table(f"bank {found.name!r}", ("what", "found"), tuple(lines), left=2)
