"""Words that several verbs of `lleval live` share."""

import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from lleval_jax.errors import require

if TYPE_CHECKING:
    from lleval_jax.live.run import Version

Folder = Annotated[
    pathlib.Path,
    typer.Argument(metavar="RUN", help="The folder of a run, as 'lleval live new' makes it.", show_default=False),
]


def require_run(folder: pathlib.Path) -> None:
    """`BadInput` unless it is the folder of a run."""
    text = f"{folder} is no folder of a run: it has no recipe.toml."
    require((folder / "recipe.toml").is_file(), text, shell="Make one: lleval live new RECIPE --name NAME")


def version(folder: pathlib.Path) -> "Version":
    """The version in a run's folder, with what people said of it, and without what was retired."""
    require_run(folder)
    from lleval_jax.live import retire, review
    from lleval_jax.live.run import load

    return retire.applied(review.reviewed(folder, load(folder)), retire.decided(folder))


def named(version: "Version", answered: Iterable[str]) -> dict[str, str]:
    """Question id -> the item that logs of an export name. `BadInput` where no item is a question of this version."""
    from lleval_jax.live.exports.items import ids

    names, asked = ids(version), list(answered)
    found = {names[short]: item for item in asked if (short := item.rpartition("/")[2]) in names}
    text = f"none of the {len(asked):,} items answered is a question of {version.recipe.name}"
    require(bool(found), f"{text}; these must be logs of an export of this run, as it is now")
    return found
