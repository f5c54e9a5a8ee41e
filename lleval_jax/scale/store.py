"""Where a study lies: a folder, or a place of an object store. Content is put whole, under its name, or not at all."""

import contextlib
import os
import pathlib
import secrets
from typing import Any, Protocol

from lleval_jax import writing
from lleval_jax.errors import BadInput

SCHEME = "://"


class Store(Protocol):
    """Names and bytes."""

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

    def __init__(self, place: "str | os.PathLike[str]") -> None:
        self.place = pathlib.Path(place)

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
        self.place.mkdir(parents=True, exist_ok=True)
        writing.put(self.place / name, content)

    def add(self, name: str, content: bytes) -> bool:
        """As `Store.add`; of several who try at once one succeeds."""
        self.place.mkdir(parents=True, exist_ok=True)
        part = self.place / f".{name}.{secrets.token_hex(6)}"
        part.write_bytes(content)
        try:
            os.link(part, self.place / name)
        except FileExistsError:
            return False
        finally:
            part.unlink()
        return True

    def remove(self, name: str) -> None:
        """As `Store.remove`."""
        (self.place / name).unlink(missing_ok=True)

    def names(self) -> set[str]:
        """As `Store.names`; parts of writers are none."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.place) as inside:
            return {entry.name for entry in inside if not entry.name.startswith(".")}
        return set()


class Remote:
    """A place that fsspec knows (s3://, gs://, memory://); needs the extra `remote` and the store's own package."""

    def __init__(self, address: str) -> None:
        try:
            import fsspec
        except ModuleNotFoundError as error:
            raise BadInput(f'{address} needs fsspec. Install it: pip install "lleval-jax[remote]".') from error
        try:
            self.files, self.place = fsspec.core.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise BadInput(f"{address} cannot be reached: {error}") from error
        self.address = address

    def __str__(self) -> str:
        return self.address

    def get(self, name: str) -> bytes | None:
        """As `Store.get`."""
        try:
            return self.files.cat_file(self._path(name))
        except FileNotFoundError:
            return None

    def put(self, name: str, content: bytes) -> None:
        """As `Store.put`: an object appears once all of it is there."""
        self.files.pipe_file(self._path(name), content)

    def add(self, name: str, content: bytes) -> bool:
        """As `Store.add`; two who try in the same moment may both succeed: then a chunk is done twice, to one end."""
        if self.files.exists(self._path(name)):
            return False
        self.put(name, content)
        return self.get(name) == content

    def remove(self, name: str) -> None:
        """As `Store.remove`."""
        with contextlib.suppress(FileNotFoundError):
            self.files.rm_file(self._path(name))

    def names(self) -> set[str]:
        """As `Store.names`."""
        self.files.invalidate_cache()
        with contextlib.suppress(FileNotFoundError):
            return {path.rsplit("/", 1)[-1] for path in self.files.ls(self.place, detail=False)}
        return set()

    def _path(self, name: str) -> str:
        return f"{self.place}/{name}"


def store_at(place: "str | os.PathLike[str]") -> Any:
    """The store at a path, or at an address."""
    text = os.fspath(place)
    return Remote(text) if SCHEME in text else Folder(text)
