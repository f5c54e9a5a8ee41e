"""`lleval bank`: which banks there are, what one holds, whether one is whole."""

import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.commands import Group
from lleval_jax.cli.shell.verb import Outputs, verb
from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.report.text import Table

bank = typer.Typer(cls=Group, rich_markup_mode=None, help="Banks of calibrated items: list, show, verify.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a bank, or its folder.", show_default=False)]


def list_(json: options.Json = None) -> None:
    """The banks that come with the package.

    Example: lleval bank list
    """
    with verb("reading the banks", Outputs(json=json), computes=False) as run:
        banks = [_facts(ll.load_bank(folder)) for folder in ll.list_banks().values()]
        head = ("name", "version", "items", "abilities", "groups", "anchors", "models")
        lines = tuple(tuple(str(facts[name]) for name in head) for facts in banks)
        remarks = () if banks else ("none; make one with 'lleval calibrate'",)
        table = ll.report.text.Table("banks", head, lines, remarks)
        run.show([table], {"schema": "lleval/banks/1", "banks": banks})


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
    require(not (anchors and json), "--anchors prints item names and nothing else; leave out --json")
    with verb("reading the bank", Outputs(json=json), computes=False) as run:
        found = ll.load_bank(name)
        if anchors:
            none = f"bank {found.name!r} has no anchors; choose some with 'lleval calibrate'"
            require(bool(found.anchor_items), none)
            run.list(found.anchor_items)
            return
        facts = _facts(found)
        content = facts | {"caveats": list(found.caveats)} | _checks(found)
        run.show([_table(found, facts)], {"schema": "lleval/banks/1", "banks": [content]})


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
    with verb("checking the folder", Outputs(json=json), computes=False) as run:
        files = ll.verify(folder)
        table = ll.report.text.Table(f"{folder}: whole", ("file", "hash"), tuple(files.items()), left=2)
        run.show([table], {"schema": "lleval/verify/1", "files": files})


options.add(bank, list_, "list", no_args_is_help=False)
options.add(bank, show)
options.add(bank, verify)


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
    if found.verdict is not None:
        tried = {
            "models left out at random": found.verdict.random,
            "strongest models left out": found.verdict.strongest,
        }
        lines += [(who, str(check)) for who, check in tried.items() if check is not None]
    return ll.report.text.Table(f"bank {found.name!r}", ("what", "found"), tuple(lines), found.caveats, left=2)


def _checks(found: "ll.ItemBank") -> dict[str, Any]:
    """What the checks on models left out have shown, as the JSON of `calibrate` names them."""
    verdict = found.verdict
    tried = {} if verdict is None else {"check": verdict.random, "check_strongest": verdict.strongest}
    return {name: None if check is None else check.to_dict() for name, check in tried.items()}
