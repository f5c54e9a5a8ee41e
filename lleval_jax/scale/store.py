"""Where a study lies: a folder, or a place of an object store. Content is put whole, under its name, or not at all."""

import contextlib
import importlib
import os
import pathlib
import re
from typing import Any, Protocol

from lleval_jax import writing
from lleval_jax.errors import BadInput

SCHEME = "://"
OF_ARROW = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")  # schemes that need no further package
AT_ONCE = "allow_delayed_open=true"  # an object in one request, not in parts

WHO = re.compile("://[^/@]*@")  # keys and passwords, which no message shows


class Store(Protocol):
    """Names and bytes. `readers`: how many who read at once are served no slower than one."""

    readers: int

    def get(self, name: str) -> bytes | None:
        """The content; None where there is none."""
        ...

    def put(self, name: str, content: bytes) -> None:
        """Write it whole; what was there is replaced."""
        ...

    def add(self, name: str, content: bytes) -> bool:
        """Write it if nothing has this name; whether it was written."""
        ...

    def remove(self, name: str) -> None:
        """Take it away, if it is there."""
        ...

    def names(self) -> set[str]:
        """All that is there."""
        ...


class Folder:
    """A folder of this machine, or of a disk that machines share."""

    readers = 1

    def __init__(self, place: "str | os.PathLike[str]") -> None:
        self.place = pathlib.Path(place)
        self._ready = False

    def __str__(self) -> str:
        return str(self.place)

    def get(self, name: str) -> bytes | None:
        """As `Store.get`."""
        try:
            return (self.place / name).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, name: str, content: bytes) -> None:
        """As `Store.put`."""
        self._begin()
        writing.put(self.place / name, content, tidied=True)

    def add(self, name: str, content: bytes) -> bool:
        """As `Store.add`; of several who try at once one succeeds."""
        self._begin()
        return writing.add(self.place / name, content)

    def remove(self, name: str) -> None:
        """As `Store.remove`."""
        (self.place / name).unlink(missing_ok=True)

    def names(self) -> set[str]:
        """As `Store.names`; parts of writers are none."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.place) as inside:
            return {entry.name for entry in inside if not entry.name.startswith(".")}
        return set()

    def _begin(self) -> None:
        """Before the first file is written: a folder, without what dead writers left there."""
        if not self._ready:
            self.place.mkdir(parents=True, exist_ok=True)
            writing.tidy_all(self.place)
            self._ready = True


class Remote:
    """A place of an object store: s3://, gs:// and others that Arrow knows; with the extra `remote` all of fsspec.

    Their own programs try again what such stores refuse now and then.
    """

    readers = 32

    def __init__(self, address: str) -> None:
        self.address = WHO.sub("://", address.partition("?")[0])
        self.files, self.place = _system(address)

    def __str__(self) -> str:
        return self.address

    def get(self, name: str) -> bytes | None:
        """As `Store.get`."""
        try:
            with self.files.open_input_file(self._path(name)) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def put(self, name: str, content: bytes) -> None:
        """As `Store.put`: an object appears once all of it is there."""
        with self.files.open_output_stream(self._path(name), compression=None) as file:
            file.write(content)

    def add(self, name: str, content: bytes) -> bool:
        """As `Store.add`; two who try in the same moment may both succeed: then a chunk is done twice, to one end."""
        if self.get(name) is not None:
            return False
        self.put(name, content)
        return self.get(name) == content

    def remove(self, name: str) -> None:
        """As `Store.remove`."""
        with contextlib.suppress(FileNotFoundError):
            self.files.delete_file(self._path(name))

    def names(self) -> set[str]:
        """As `Store.names`."""
        fs = importlib.import_module("pyarrow.fs")
        all_here = fs.FileSelector(self.place, allow_not_found=True)
        return {each.base_name for each in self.files.get_file_info(all_here) if each.is_file}

    def _path(self, name: str) -> str:
        return f"{self.place}/{name}"


def _system(address: str) -> tuple[Any, str]:
    """(an Arrow file system, the path in it) of an address."""
    fs, kind = importlib.import_module("pyarrow.fs"), address.partition(SCHEME)[0]
    try:
        if kind in OF_ARROW:
            rest, _, query = address.partition("?")
            words = "&".join(filter(None, (query, AT_ONCE if kind == "s3" else "")))
            return fs.FileSystem.from_uri(f"{rest}?{words}" if words else rest)
        import fsspec

        found, path = fsspec.core.url_to_fs(address, use_listings_cache=False)
        return fs.PyFileSystem(fs.FSSpecHandler(found)), path.rstrip("/")
    except ModuleNotFoundError as error:
        raise BadInput(f'{address} needs fsspec. Install it: pip install "lleval-jax[remote]".') from error
    except (ImportError, ValueError, OSError) as error:
        raise BadInput(f"{address} cannot be reached: {error}") from error


def store_at(place: "str | os.PathLike[str]") -> Any:
    """The store at a path, or at an address."""
    text = os.fspath(place)
    return Remote(text) if SCHEME in text else Folder(text)
