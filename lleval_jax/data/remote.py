"""Files at an address, brought to this machine before they are read: http and https, s3, gs and others, hf."""

import glob
import http.client
import importlib
import os
import pathlib
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import IO, Any

import pyarrow as pa

from lleval_jax.data import finding
from lleval_jax.errors import BadInput, require
from lleval_jax.values.progress import Progress, Tell

SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
MOST = 1 << 36  # bytes of one address
BLOCK = 1 << 20
PATIENCE = 30.0  # seconds without a byte
OWN = ("s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss")  # schemes that Arrow knows itself
PACKAGE = {"hf": "huggingface_hub", "az": "adlfs"}  # scheme -> what fsspec needs for it


def scheme(text: str) -> str:
    """The scheme of an address, in small letters; "" of what is none, such as a path."""
    found = SCHEME.match(text)
    return found[1].lower() if found else ""


def shown(address: str) -> str:
    """An address as it may be printed and kept: without passwords, keys and signatures."""
    parts = urllib.parse.urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def fetch(address: str, folder: pathlib.Path, tell: Tell) -> list[tuple[pathlib.Path, str]]:
    """Bring the file at an address, or all files below it or that its glob matches, into an empty folder.

    Returns:
        (file on this machine, its address as it may be shown) of each.

    Raises:
        BadInput: it cannot be reached or is not there, came cut short or is too large, or a package is missing.
    """
    try:
        found = list(_remote(address))
        require(bool(found), f"{shown(address)}: there is no file")
        return [_put(folder, address, *each, tell) for each in found]
    except urllib.error.HTTPError as error:
        raise BadInput(f"{shown(address)} cannot be read: the server says {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise BadInput(f"{shown(address)} cannot be reached: {error.reason}") from error
    except (pa.ArrowException, http.client.HTTPException, OSError, ValueError) as error:
        if isinstance(error, BadInput) or (isinstance(error, OSError) and error.filename is not None):
            raise
        raise BadInput(f"{shown(address)} cannot be read: {_line(error)}") from error


Remote = tuple[str, Callable[[], IO[bytes]], int | None]  # (name below the address, how to open it, its size)


def _remote(address: str) -> Iterator[Remote]:
    """The files at an address."""
    if scheme(address) in ("http", "https"):
        yield "", *_http(address)
        return
    rest, _, query = address.partition("?") if scheme(address) in OWN else (address, "", "")
    parts = rest.split("/")
    plain = next((at for at, part in enumerate(parts) if at > 2 and glob.has_magic(part)), len(parts))
    system, base = _system("/".join(parts[:plain]) + (f"?{query}" if query else ""))
    base, pattern = base.rstrip("/"), parts[plain:]
    about = system.get_file_info(base)
    if about.is_file and not pattern:
        yield "", lambda: system.open_input_stream(base, compression=None), about.size
        return
    fs = importlib.import_module("pyarrow.fs")
    for each in sorted(system.get_file_info(fs.FileSelector(base, recursive=True)), key=lambda each: each.path):
        name = each.path.removeprefix(base).lstrip("/")
        hidden = any(part.startswith(".") for part in name.split("/"))
        if each.is_file and not hidden and (not pattern or finding.is_match(pattern, name.split("/"))):
            yield name, lambda path=each.path: system.open_input_stream(path, compression=None), each.size


def _http(address: str) -> tuple[Callable[[], IO[bytes]], int | None]:
    """(how to read it, its size) of one file on a web server."""
    request = urllib.request.Request(address, headers={"User-Agent": "lleval"})
    answer = urllib.request.urlopen(request, timeout=PATIENCE)
    size = answer.headers.get("Content-Length")
    return lambda: answer, int(size) if size and size.isdecimal() else None


def _system(address: str) -> tuple[Any, str]:
    """(an Arrow file system, the path in it) of an address."""
    fs, kind = importlib.import_module("pyarrow.fs"), scheme(address)
    if kind in OWN:
        return fs.FileSystem.from_uri(address)
    try:
        fsspec = importlib.import_module("fsspec")
        found, path = fsspec.core.url_to_fs(address)
    except ImportError as error:
        needed = f"fsspec {PACKAGE.get(kind, '')}".rstrip()
        what = f"{shown(address)}: {kind}:// needs a package that is not installed."
        raise BadInput(what, python=f"pip install {needed}", shell=f"pip install {needed}") from error
    except ValueError as error:
        raise BadInput(f"{shown(address)}: {kind}:// is no kind of address that is known") from error
    return fs.PyFileSystem(fs.FSSpecHandler(found)), path


def _put(
    folder: pathlib.Path, address: str, name: str, open_it: Callable[[], IO[bytes]], size: int | None, tell: Tell
) -> tuple[pathlib.Path, str]:
    """One file, brought to its place in the folder, and its address."""
    base = shown(address).rstrip("/").split("/")
    plain = next((at for at, part in enumerate(base) if at > 2 and glob.has_magic(part)), len(base)) if name else None
    where = "/".join([*base[:plain], *filter(None, [name])])
    above = (base[:plain] if name else base[:-1])[-1]  # a log's folder may name its model
    own = name or (urllib.parse.unquote(base[-1]) if len(base) > 3 else "download")
    place = folder / safe(f"{urllib.parse.unquote(above)}/{own}")
    place.parent.mkdir(parents=True, exist_ok=True)
    with open_it() as stream:
        done = copy(stream, place, where, lambda done: tell(Progress("fetching", done, size, unit="bytes")))
    require(size is None or done == size, f"{where} came cut short: {done} of {size} bytes. Try again.")
    return place, where


def copy(stream: IO[bytes], place: pathlib.Path, where: str, told: Callable[[int], None] = lambda done: None) -> int:
    """All bytes of a stream into a file; how many. `BadInput` where they do not end."""
    done = 0
    with place.open("wb") as file:
        while block := stream.read(BLOCK):
            done += len(block)
            require(done <= MOST, f"{where} is larger than {MOST >> 30} GiB; bring it to this machine yourself")
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(place.parent)) from error
            told(done)
    return done


def safe(name: str) -> pathlib.PurePath:
    """A name from elsewhere as a path below a folder. `BadInput` where it leads out of it."""
    path = pathlib.PurePosixPath(name)
    strange = "\0\\:" if os.name == "nt" else "\0"
    bad = path.is_absolute() or ".." in path.parts or not path.parts or any(letter in name for letter in strange)
    require(not bad, f"{name[:80]!r} is no name of a file below a folder; refused")
    return pathlib.PurePath(*path.parts)


def _line(error: BaseException) -> str:
    """What a library says, as one short line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
