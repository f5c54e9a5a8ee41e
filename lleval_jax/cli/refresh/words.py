"""What is typed after `lleval refresh`: versions as INPUT words, and the options that several of its verbs share."""

import os
import pathlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import options
from lleval_jax.cli.shell.verb import Run
from lleval_jax.errors import nearest, require

WHOLE = "all"
DIMS = 3  # as in `refresh.fit`

Versions = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Answers, one file, folder or glob a version, the oldest first: columns model, item, score and, of "
        "several domains, group. Or bank:NAME/GROUP: a part of what a bank was made from.",
        show_default=False,
    ),
]
Dims = Annotated[int, typer.Option(metavar="N", min=0, help="Loadings of a model on what items have in common.")]
Family = Annotated[
    str | None,
    typer.Option(
        metavar="PATH|name|none",
        help="Families of models: a table with columns model, family; by the models' names; or none.  [default: name]",
        show_default=False,
    ),
]
OutFit = Annotated[pathlib.Path | None, typer.Option("--out", metavar="DIR", help="Keep the fit there.")]


def read(inputs: Sequence[str], reading: options.Reading, run: Run) -> "dict[str, ll.Responses]":
    """Version -> its answers, in the order given; names are the files' own."""
    places = [os.path.realpath(text) if os.path.exists(text) else text for text in inputs]
    for i, place in enumerate(places):
        require(place not in places[:i], f"{inputs[i]} is named twice; each INPUT is a version of its own")
    names = [pathlib.Path(text).stem or text for text in inputs]
    if len(set(names)) < len(names):
        names = list(inputs)
    found: dict[str, ll.Responses] = {}
    for name, text in zip(names, inputs, strict=True):
        answers = one(text, reading, run)
        for other, before in found.items():
            message = f"versions {other!r} and {name!r} are the same answers; each INPUT is a version of its own"
            require(not _same(answers, before), message)
        found[name] = answers
    return found


def _same(first: "ll.Responses", second: "ll.Responses") -> bool:
    """Are both of the same files?"""
    files = set(first.source.files.values())
    return bool(files) and files == set(second.source.files.values())


def one(text: str, reading: options.Reading, run: Run) -> "ll.Responses":
    """The answers that a word names."""
    answers = run.answers([text], reading)
    return answers if isinstance(answers, ll.Responses) else answers.dense()


def fit(versions: "Mapping[str, ll.Responses]", dims: int, run: Run) -> "ll.FitResult":
    """What the versions teach, while it is said what takes long."""
    run.say(f"fitting {len(models(versions))} models on {len(versions)} versions; compiling first")
    return run.stamped(ll.refresh.fit(versions, dims=dims, strict=run.strict))


def models(versions: "Mapping[str, ll.Responses]") -> list[str]:
    """Models with answers, in order of first sight."""
    return list(dict.fromkeys(row for v in versions.values() for row, n in zip(v.rows, v.n_seen, strict=True) if n))


def require_model(word: str, name: str, known: Sequence[str]) -> None:
    """`BadInput` with the nearest names for a model that is not there."""
    require(name in known, f"{word}: there is no model {name!r} among {len(known)}{nearest(name, known)}")


def warn(message: str, strict: bool) -> None:
    """A `DataWarning`, or with --strict an error."""
    require(not strict, message)
    warnings.warn(message, ll.DataWarning, stacklevel=2)
