"""What was typed: the command as a line, words as values, places to write to."""

import contextlib
import contextvars
import csv
import dataclasses
import hashlib
import itertools
import os
import pathlib
import shlex
from collections.abc import Iterator, Sequence

import typer

import lleval_jax as ll
from lleval_jax.errors import BadInput, require

_FILES: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("files")
_LINE = contextvars.ContextVar("line", default="")


@contextlib.contextmanager
def remembered(words: Sequence[str]) -> Iterator[None]:
    """Keep the command line for the results made meanwhile."""
    line, files = _LINE.set(f"lleval {shlex.join(words)}".strip()), _FILES.set({})
    try:
        yield
    finally:
        _LINE.reset(line)
        _FILES.reset(files)


def remember_file(path: pathlib.Path) -> None:
    """A file of options, whose content belongs to the command line."""
    _FILES.get()[path.name] = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def stamped(source: "ll.Source", seed: int) -> "ll.Source":
    """The source of a result, with the command that made it."""
    files = {**source.files, **_FILES.get({})}
    return dataclasses.replace(source, files=files, version=ll.__version__, command=_LINE.get(), seed=seed)


def level(value: float) -> float:
    """Check a coverage."""
    if not 0 < value < 1:
        hint = f"; did you mean {value / 100:g}?" if 1 < value < 100 else ""
        raise typer.BadParameter(f"{value:g} must lie strictly between 0 and 1{hint}")
    return value


def columns(words: Sequence[str] | None) -> dict[str, str] | None:
    """What a table's columns are, of "model=name,item=id"; a name with a comma stands in quotes."""
    found: dict[str, str] = {}
    for pair in itertools.chain.from_iterable(csv.reader(words or ())):
        use, equals, name = pair.partition("=")
        if not equals or use.strip() in found:
            why = "is said twice" if equals else "is not USE=NAME, such as model=model_name"
            raise typer.BadParameter(f"{pair!r} {why}")
        found[use.strip()] = name
    return found or None


def pairs(words: list[str] | None) -> list[str] | None:
    """Check what `columns` will read."""
    columns(words)
    return words or None


def dims(text: str) -> int | str:
    """A number of dimensions, or "auto"."""
    if text == "auto":
        return text
    if not (text.isdecimal() and int(text) > 0):
        raise typer.BadParameter(f"{text!r} is neither 'auto' nor a whole number above 0")
    return int(text)


def place_for(folder: pathlib.Path, kind: str) -> None:
    """Before the work: may a value of this kind be kept there? Other folders are left alone."""
    require(not folder.is_file(), f"{folder} is a file; --out takes a folder")
    if folder.is_dir() and not (folder / f"{kind}.json").is_file():
        from lleval_jax.data import archive  # not needed for --help

        others = archive.foreign(folder, kind)
        if others:
            raise BadInput(f"{folder} is not empty and holds no {kind}, but {others[0]!r}; name a new folder")
    require_writable(folder)


def file_for(path: pathlib.Path | None, option: str = "--json") -> None:
    """Before the work: may the file of this option be written there? `-` is stdout."""
    if path is None or str(path) == "-":
        return
    require(not path.is_dir(), f"{path} is a folder; {option} takes a file, or - for stdout")
    _require_file(path)


def _require_file(path: pathlib.Path) -> None:
    """The folder is there, and may be written to."""
    require(path.absolute().parent.is_dir(), f"{path}: there is no folder {path.parent}; make it first")
    require_writable(path)
    if path.is_file():  # it will be replaced
        require_writable(path.absolute().parent)


def picture_for(path: pathlib.Path | None) -> None:
    """Before the work: may --plot draw a picture there, and can one be drawn at all?"""
    if path is None:
        return
    require(not path.is_dir(), f"{path} is a folder; --plot takes a file, named .png, .svg or .pdf")
    _require_file(path)
    ll.report.plot.available()
    require(path.suffix in (".png", ".svg", ".pdf"), f"{path} is not a picture file; name it .png, .svg or .pdf")


def require_answers(inputs: Sequence[str] | None, plot: pathlib.Path | None) -> None:
    """Before the work of a verb that may begin without answers: is there anything to draw?"""
    missing = plot is not None and not inputs
    require(
        not missing,
        "--plot draws what the answers so far say, and none are given.",
        shell="Name INPUT, or leave it out.",
    )


def require_writable(path: pathlib.Path) -> None:
    """Before the work: may a file or folder of this name be made, or written to?"""
    above = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    if above != path.absolute() and not above.is_dir():
        raise BadInput(f"{path} cannot be made: {above} is a file")
    if not os.access(above, os.W_OK):
        raise BadInput(f"{path} cannot be written: no permission to write to {above}")
