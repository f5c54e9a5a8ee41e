"""Words that several verbs of `lleval live` share."""

import pathlib
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
    """The version in a run's folder, with what people said of it."""
    require_run(folder)
    from lleval_jax.live import review
    from lleval_jax.live.run import load

    return load(folder).judged(review.verdicts(folder))
