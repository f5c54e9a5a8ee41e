"""Leaderboards: read from `.parquet`, `.csv`, `.jsonl`, or by the name under which one ships."""

import os
import pathlib
from typing import Any

import numpy as np
import pandas as pd

from lleval_jax.data import archive, files, opening, remote, store
from lleval_jax.data.tables import columns, frames
from lleval_jax.errors import BadInput, require
from lleval_jax.values.leaderboard import FACTS, Leaderboard
from lleval_jax.values.results import Source

TABLE = "leaderboard.csv"  # of a folder in models/, with two tables beside it:
FLOORS = "floors.csv"  # benchmark, floor
CORRECTIONS = "corrections.csv"  # model, column, published, corrected, why


@opening.shelved
def read_leaderboard(
    path: str | os.PathLike[str] | Any,
    *,
    floors: dict[str, float] | None = None,
    corrected: bool = True,
    encoding: str | None = None,
    strict: bool = False,
) -> Leaderboard:
    """The leaderboard in one table, a row a model, as `Leaderboard.from_frame` describes it.

    Args:
        path: a `.parquet`, `.csv` or `.jsonl` file, perhaps compressed, an address, "-" for stdin. Or the name of a
            leaderboard that ships: see `list_leaderboards`. Or a table in memory: a frame of pandas, polars or
            pyarrow, a dict of columns, or a list of dicts.
        floors: benchmark -> score of guessing; None: those of a table `floors.csv` next to the file, else 0.
        corrected: put right what a table `corrections.csv` next to the file names; False: all as published.
        encoding: of text that is neither UTF-8 nor UTF-16: "latin-1", "cp1252".
        strict: make an error of every warning.

    Raises:
        BadInput: as `Leaderboard.from_frame`, with the line of the file; or the file is none or damaged, or says
            something else than its corrections say that it does.
    """
    if frames.is_table(path):
        sheet = frames.sheet(path)
        frame = _ours(sheet.take(None).to_pandas())
        return Leaderboard.from_frame(frame, floors=floors, strict=strict, place=sheet.place)
    place = pathlib.Path(opening.local(os.fspath(path))).expanduser()
    if not place.exists() and str(path) in list_leaderboards():
        place = list_leaderboards()[str(path)] / TABLE
    is_here = remote.scheme(os.fspath(path)) in ("", "file") and os.fspath(path) != opening.STDIN
    ship = ", ".join(list_leaderboards()) or "none"
    message = f"there is no file {path}, and no leaderboard of that name ships; there are: {ship}"
    require(place.is_file() or not is_here, message)
    path = opening.one(place if is_here else path, encoding=encoding)
    frame, first = _frame(path)
    used = {path.name: archive.file_hash(path)}
    folder = place.parent if is_here else path.parent
    beside = folder / CORRECTIONS
    if corrected and beside.is_file():
        frame = _put_right(frame, _frame(beside)[0], beside)
        used[beside.name] = archive.file_hash(beside)
    beside = folder / FLOORS
    if floors is None and beside.is_file():
        floors = dict(zip(*(_column(_frame(beside)[0], name, beside) for name in ("benchmark", "floor")), strict=True))
        used[beside.name] = archive.file_hash(beside)
    return Leaderboard.from_frame(
        _ours(frame),
        floors=floors,
        strict=strict,
        place=lambda row: f"{path.name}:{first + row}",
        source=Source(files=used),
    )


def list_leaderboards() -> dict[str, pathlib.Path]:
    """Name -> folder of every leaderboard that ships."""
    found: dict[str, pathlib.Path] = {}
    for folder in store.BANK_FOLDERS:
        for inside in sorted(folder.glob(f"*/{TABLE}")):
            found.setdefault(inside.parent.name, inside.parent)
    return dict(sorted(found.items()))


def _frame(path: pathlib.Path) -> tuple[pd.DataFrame, int]:
    """The whole table, and the line of its first row (0 in a format without lines)."""
    with files.damage(path.name), files.in_utf8(path):
        require(path.stat().st_size > 0, f"{path.name} is empty")
        head = files.head(path).removeprefix(b"\xef\xbb\xbf").lstrip()
        if head.startswith(b"PAR1"):
            return pd.read_parquet(path), 0
        try:
            with files.open_plain(path) as stream:
                if head.startswith(b"{"):
                    return pd.read_json(stream, lines=True), 1
                return pd.read_csv(stream, encoding="utf-8-sig"), 2
        except (ValueError, pd.errors.ParserError) as error:
            raise BadInput(f"{path.name} is no table: {' '.join(str(error).split())}") from error


def _ours(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with our names of columns where only case, blanks or "_" differ."""
    found = columns.find("the leaderboard", list(map(str, frame.columns)), dict.fromkeys(FACTS, ()))
    return frame.rename(columns={name: use for use, name in found.items()})


def _column(frame: pd.DataFrame, name: str, path: pathlib.Path) -> list:
    require(name in frame.columns, f"{path.name} has no column {name!r}; it has {', '.join(map(str, frame.columns))}")
    return frame[name].tolist()


def _put_right(frame: pd.DataFrame, table: pd.DataFrame, path: pathlib.Path) -> pd.DataFrame:
    """The frame with each correction made where it says what the correction says that it does."""
    names = ("model", "column", "published", "corrected")
    frame = frame.copy()
    for model, column, published, right in zip(*(_column(table, name, path) for name in names), strict=True):
        here = frame["model"] == model if "model" in frame.columns else pd.Series(False, frame.index)
        require(column in frame.columns and bool(here.any()), f"{path.name}: there is no {column!r} of {model!r}")
        found = frame.loc[here, column].to_numpy(float)
        message = f"{path.name}: {column} of {model!r} is {found[0]:g}, where {published:g} is to be corrected"
        require(bool(np.allclose(found, published, equal_nan=True)), message)
        frame.loc[here, column] = right
    return frame
