"""Whole matrices in `.npz`: arrays `responses` (models, items), `models`, `items` and `groups` (items,)."""

import math
import pathlib
import zipfile
from typing import IO

import numpy as np

from lleval_jax.data import files
from lleval_jax.data.answers import Answers, Options, row_name
from lleval_jax.data.formats.format import Format, never, nothing
from lleval_jax.errors import require

ROW_ARRAYS = {"model": ("models",), "prompt": ("prompts", "templates")}


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether this is a zip that holds an array of responses."""
    return head.startswith(b"PK") and "responses.npy" in files.members(path)


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one matrix. NaN is missing, and so is -1 where scores are whole numbers."""
    with zipfile.ZipFile(path) as archive:
        have = [name.removesuffix(".npy") for name in archive.namelist()]
        names = next((name for name in ROW_ARRAYS[options.rows] if name in have), "")
        wanted = " or ".join(map(repr, ROW_ARRAYS[options.rows]))
        other = {"model": "prompt", "prompt": "model"}[options.rows]
        hint = f" Pass rows={other!r}." if any(name in have for name in ROW_ARRAYS[other]) else ""
        require(bool(names), f"{path.name} has no array {wanted}; it has {have}.{hint}")
        scores = _array(archive, "responses", path.name)
        rows, items = (_texts(archive, name, path.name) for name in (names, "items"))
        group = _texts(archive, "groups", path.name) if "groups" in have else np.full(len(items), "", object)
        weight = _array(archive, "weight", path.name) if "weight" in have else None
        model = str(_array(archive, "model", path.name)) if "model" in have else ""
    require(scores.ndim == 2, f"{path.name}: responses must be a matrix; it has shape {scores.shape}")
    require(scores.dtype.kind in "biuf", f"{path.name}: responses are {scores.dtype}, not numbers")
    for name, found in ((names, rows), ("items", items)):
        axis = scores.shape[0 if name == names else 1]
        require(len(found) == axis, f"{path.name}: {len(found)} {name} for {axis} in the matrix")
        require(len(set(found)) == len(found), f"{path.name}: the names in {name!r} must be unique")
    require(len(group) == len(items), f"{path.name}: {len(group)} groups for {len(items)} items")
    if weight is not None:
        good = weight.dtype.kind in "iuf" and weight.shape == scores.shape
        require(good, f"{path.name}: weight must be numbers of the shape of responses, {scores.shape}")
    seen = np.isfinite(scores) if scores.dtype.kind == "f" else scores != -1
    if weight is not None:
        require(bool((weight[seen] > 0).all()), f"{path.name}: weights must be positive")
    row, item = np.nonzero(seen)
    if options.rows == "prompt":
        rows = np.asarray([row_name(model, prompt, "prompt") for prompt in rows], object)
    kept = None if weight is None else weight[row, item].astype(np.float32)
    return Answers(path.name, rows, items, group, row, item, scores[row, item].astype(np.float64), kept)


def _texts(archive: zipfile.ZipFile, name: str, file: str) -> np.ndarray:
    """A vector of names."""
    found = _array(archive, name, file)
    good = found.ndim == 1 and found.dtype.kind in "USiu"
    require(good, f"{file}: {name!r} must be a list of names; it is {found.dtype} of shape {found.shape}")
    if found.dtype.kind == "S":
        found = np.char.decode(found, "utf-8")
    return np.asarray([str(value) for value in found.tolist()], object)


def _array(archive: zipfile.ZipFile, name: str, file: str) -> np.ndarray:
    """One array, read only if its header keeps to the bytes that are there and holds no Python objects."""
    member = f"{name}.npy"
    require(member in archive.namelist(), f"{file} has no array {name!r}")
    size = archive.getinfo(member).file_size
    most = files.allowed(pathlib.Path(archive.filename or ""), files.ARRAYS)
    require(size <= most, f"{file}: array {name!r} says it is {size} bytes; refused as too large for this file")
    with archive.open(member) as stream:
        shape, dtype = _header(stream)
        require(
            not dtype.hasobject,
            f"{file}: array {name!r} holds pickled Python objects; refused. Save plain text.",
        )
        need = math.prod(shape) * dtype.itemsize + stream.tell()
        require(need == size, f"{file}: array {name!r} says shape {shape}, {need} bytes; the file has {size}")
    with archive.open(member) as stream:
        found = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read(1)  # reaching the end is what checks the zip's checksum
    return found


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type that the first bytes of a `.npy` declare."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return shape, dtype


FORMAT = Format(
    name="matrix (.npz with responses, models, items)",
    recognises=recognises,
    read=read,
    beside=nothing,
    companion=never,
    options=frozenset(("rows",)),
)
