"""Hugging Face checkpoints: safetensors files, one or several with an index, read and written a tensor at a time.

A file is the length of its header (8 bytes), the header (JSON: type, shape and place of each tensor), then the values.
Read here and not by the `safetensors` package, so that a fault names its tensor and no more than one is in memory.
"""

import functools
import json
import pathlib
import struct
from collections.abc import Callable, Sequence
from typing import IO, Any

import ml_dtypes
import numpy as np

from lleval_jax.errors import BadFile, BadInput, require
from lleval_jax.lm.tensors import Stored, Tensors, bytes_into, room
from lleval_jax.values.progress import Progress, Tell, silent

ONE, INDEX = "model.safetensors", "model.safetensors.index.json"
LONGEST = 100_000_000  # bytes of a header, as the format says
SHARD = 5_000_000_000  # bytes of values in a file, as transformers writes them
DTYPES = {  # the format's name -> type in memory; in the order in which a file holds them, wide ones first
    "U64": np.dtype(np.uint64),
    "I64": np.dtype(np.int64),
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "U32": np.dtype(np.uint32),
    "I32": np.dtype(np.int32),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F16": np.dtype(np.float16),
    "U16": np.dtype(np.uint16),
    "I16": np.dtype(np.int16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
ORDER = {name: at for at, name in enumerate(DTYPES)}
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
CONVERT = "Convert it once, where you trust it: transformers' from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)."


def read(folder: pathlib.Path) -> dict[str, Stored]:
    """All tensors of a checkpoint, by name; only headers are read.

    Args:
        folder: of `model.safetensors`, or of several files with `model.safetensors.index.json`.

    Raises:
        BadInput: there are no such files, or only PyTorch's pickles.
        BadFile: a file is damaged or cut short, or the index and the files do not agree.
    """
    index = folder / INDEX
    if index.is_file():
        return _indexed(index)
    if (folder / ONE).is_file():
        return read_file(folder / ONE)
    files = sorted(each for each in folder.glob("*.safetensors") if each.is_file())
    if len(files) == 1:
        return read_file(files[0])
    raise _no_weights(folder, files)


def read_file(file: pathlib.Path) -> dict[str, Stored]:
    """The tensors of one safetensors file, by name; only the header is read.

    Raises:
        BadFile: it is damaged or cut short; the message names the tensor where there is one.
    """
    header, start = _header(file)
    header.pop("__metadata__", None)
    length = file.stat().st_size - start
    found = {name: _stored(file, name, entry, start, length) for name, entry in header.items()}
    _require_apart(file, {name: entry["data_offsets"] for name, entry in header.items()}, length)
    return found


def _require_apart(file: pathlib.Path, places: dict[str, Sequence[int]], length: int) -> None:
    """Each tensor begins where the one before it ends, and the last one ends with the file."""
    at = 0
    for name, (first, end) in sorted(places.items(), key=lambda each: tuple(each[1])):
        if first != at:
            what = "lies in another one" if first < at else "does not follow the one before it"
            raise BadFile(f"{file} is damaged: tensor {name!r} {what}: it begins at byte {first:,}, not {at:,}")
        at = end
    if at != length:
        raise BadFile(f"{file} is damaged: its tensors are {at:,} bytes, and it holds {length:,}")


def _no_weights(folder: pathlib.Path, files: Sequence[pathlib.Path]) -> BadInput:
    """What is wrong with a folder from which nothing can be read."""
    if files:
        return BadInput(f"{folder} holds {len(files)} safetensors files, and no {INDEX} that says what is in which")
    pickles = sorted(each.name for pattern in PICKLES for each in folder.glob(pattern))
    if pickles:
        what = f"{folder} holds weights as a pickle only ({pickles[0]}), which can run any code when it is opened."
        return BadInput(what, python=CONVERT, shell=CONVERT)
    return BadInput(f"{folder} holds no weights: neither {ONE} nor {INDEX}")


def _indexed(index: pathlib.Path) -> dict[str, Stored]:
    """The tensors of the files that an index names."""
    where = _json(index, index.read_bytes()).get("weight_map")
    if not isinstance(where, dict) or not all(isinstance(file, str) for file in where.values()):
        raise BadFile(f"{index} has no 'weight_map' of tensors to files")
    found: dict[str, Stored] = {}
    for name in sorted(set(where.values())):
        if pathlib.PurePath(name).name != name:
            raise BadFile(f"{index} names {name!r}; files of a checkpoint lie in its folder")
        if not (index.parent / name).is_file():
            raise BadFile(f"{index} names {name}, and there is no such file next to it")
        for key, tensor in read_file(index.parent / name).items():
            if key in found:
                raise BadFile(f"{tensor.place} is in {found[key].file.name} too")
            found[key] = tensor
    for key, file in where.items():
        if key not in found:
            raise BadFile(f"{index.parent / file}: tensor {key!r} is missing; {INDEX} names it")
    return found


def _header(file: pathlib.Path) -> tuple[dict[str, Any], int]:
    """(the header of a file, where its values begin)."""
    with file.open("rb") as stream:
        first = stream.read(8)
        size = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
        if not 2 <= size <= LONGEST:
            raise BadFile(f"{file} is no safetensors file: its header would be {size:,} bytes long")
        text = stream.read(size)
    if len(text) < size:
        raise BadFile(f"{file} is cut short within its header")
    return _json(file, text), 8 + size


def _json(file: pathlib.Path, text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text, object_pairs_hook=functools.partial(_once, file))
    except BadFile:
        raise
    except (ValueError, RecursionError) as error:
        raise BadFile(f"{file} is damaged: its header is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise BadFile(f"{file} is damaged: its header is no JSON object")
    return found


def _once(file: pathlib.Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, in which no name is there twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for at, (name, _) in enumerate(pairs) if name in dict(pairs[:at]))
        raise BadFile(f"{file} is damaged: {twice!r} is there twice")
    return found


def _stored(file: pathlib.Path, name: str, entry: Any, start: int, length: int) -> Stored:
    """One entry of a header, checked."""
    what = f"{file}: tensor {name!r}"
    try:
        kind, shape, (first, end) = entry["dtype"], tuple(map(int, entry["shape"])), map(int, entry["data_offsets"])
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise BadFile(f"{what} is not described as the format asks") from error
    if not isinstance(kind, str) or kind not in DTYPES:
        raise BadFile(f"{what} is of type {kind}, which is not known; there are {', '.join(DTYPES)}")
    read = functools.partial(_values, file, name, shape, DTYPES[kind], start + first)
    found = Stored(file, name, shape, DTYPES[kind], read)
    if min((first, *shape), default=0) < 0 or end - first != found.size:
        raise BadFile(f"{what} of shape {shape} and type {kind} is {found.size:,} bytes, not {end - first:,}")
    if end > length:
        raise BadFile(f"{what} is cut short: it ends at byte {start + end:,}, and the file at {start + length:,}")
    return found


def _values(file: pathlib.Path, name: str, shape: tuple[int, ...], dtype: np.dtype, start: int) -> np.ndarray:
    return bytes_into(room(shape, dtype), file, start, f"tensor {name!r}")


def write(folder: pathlib.Path, tensors: Tensors, *, shard: int = SHARD, tell: Tell = silent) -> list[pathlib.Path]:
    """Write a checkpoint as transformers does: one file, or several of at most `shard` bytes with an index.

    Tensors are read one at a time, in the order in which they lie in the files.

    Args:
        folder: where to write; whole files only: see `lleval_jax.writing.new_folder`.
        tensors: name -> tensor; `read` gives its values when it is its turn.
        shard: bytes of values in a file; a larger tensor has a file of its own.
        tell: called with how far it is, in bytes.

    Returns:
        The files of weights.
    """
    require(bool(tensors), f"{folder}: there are no tensors to write")
    shards = _shards(tensors, shard)
    names = [ONE] if len(shards) == 1 else [_shard_name(i, len(shards)) for i in range(len(shards))]
    total, done = sum(each.size for each in tensors.values()), 0

    def wrote(size: int) -> None:
        nonlocal done
        done += size
        tell(Progress("writing weights", done, total, unit="bytes"))

    for name, keys in zip(names, shards, strict=True):
        write_file(folder / name, {key: tensors[key] for key in keys}, wrote)
    if len(shards) > 1:
        where = {key: name for name, keys in zip(names, shards, strict=True) for key in keys}
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return [folder / name for name in names]


def write_file(file: pathlib.Path, tensors: Tensors, wrote: Callable[[int], None] = lambda size: None) -> None:
    """One safetensors file, byte for byte as the `safetensors` package writes it for PyTorch.

    `wrote` is called with the bytes of each tensor that is written.
    """
    ordered = sorted(tensors, key=lambda name: (ORDER[NAMES[tensors[name].dtype]], name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name in ordered:
        planned = tensors[name]
        places = [at, at := at + planned.size]
        header[name] = {"dtype": NAMES[planned.dtype], "shape": list(planned.shape), "data_offsets": places}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for name in ordered:
            _put(stream, tensors[name])
            wrote(tensors[name].size)


def _put(stream: IO[bytes], tensor: Stored) -> None:
    """The values of a tensor, as they were planned."""
    values = np.asarray(tensor.read(), order="C")
    fits = values.shape == tensor.shape and values.dtype == tensor.dtype
    require(fits, f"{tensor.place} is {values.dtype} {values.shape}; {tensor.dtype} {tensor.shape} was planned")
    stream.write(values.reshape(-1).view(np.uint8).data)


def _shards(tensors: Tensors, shard: int) -> list[list[str]]:
    """Names in the order of the checkpoint, in groups of at most so many bytes."""
    require(shard > 0, f"shard is {shard}; it is the most bytes a file may hold, and more than 0")
    groups: list[list[str]] = [[]]
    held = 0
    for name, tensor in tensors.items():
        if groups[-1] and held + tensor.size > shard:
            groups.append([])
            held = 0
        groups[-1].append(name)
        held += tensor.size
    return groups


def _shard_name(at: int, count: int) -> str:
    return f"model-{at + 1:05d}-of-{count:05d}.safetensors"
