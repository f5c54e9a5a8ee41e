"""Files and folders put whole: written under a name of their own, then renamed; so old or new is there at every moment.

Who writes holds a lock (flock) on the part it writes, and a lock goes with its process. A part without a lock is left
of a writer that died; the next one that writes to the same place takes it away. Where the system has no such locks
(Windows, some network disks) parts of dead writers go once they are a day old, and writers do not wait for each other.
"""

import contextlib
import errno
import os
import pathlib
import re
import secrets
import shutil
import time
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

WAIT = 60.0  # seconds to wait for another writer
LOOK = 0.02  # seconds between looks whether it is done
OLD = 86_400.0  # seconds after which a part that cannot be locked is taken for a dead writer's
TOKEN = "[0-9a-f]{12}"  # what makes the name of a part its own
IS_PART = re.compile(rf"(^|[/\\])\.[^/\\]*\.{TOKEN}([./\\]|$)")  # in the path of a file
WAS_PART = re.compile(r".*\.part(\d+)")  # as earlier versions named them, by the number of the process
UNSUPPORTED = (  # what a system says that cannot lock, or sync
    errno.ENOLCK,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EBADF,
    errno.EINVAL,
)


@contextlib.contextmanager
def replacing(path: pathlib.Path, *, private: bool = False, lasting: bool = False) -> Iterator[pathlib.Path]:
    """A file to write to, with the same ending, that takes the place of `path` after the block: whole or not at all.

    Args:
        path: the file to put.
        private: only who runs this may read it; else who the system lets.
        lasting: through a power cut too.

    Raises:
        OSError: it cannot be written (no room, no permission). The error names `path`, and nothing is left of the part.
    """
    with _part(path, private, lasting) as (part, _):
        yield part


def put(
    path: pathlib.Path, content: bytes, *, private: bool = False, lasting: bool = False, tidied: bool = False
) -> None:
    """The whole content under its name, or nothing: as `replacing`.

    Args:
        path: as of `replacing`, and so are the next two.
        content: of the file.
        private: only who runs this may read it.
        lasting: through a power cut too.
        tidied: what dead writers left need not be looked for; in a folder of many files that takes long.
    """
    with _part(path, private, lasting, tidied) as (_, handle):
        _write(handle, content)


def add(path: pathlib.Path, content: bytes) -> bool:
    """Whether nothing had this name: then the whole content has it now. Of several who try at once one succeeds."""
    place = path.absolute()
    with _blamed(path):
        part, handle = _begun(place, mode=0o666)
        try:
            _write(handle, content)
            os.link(part, place)
        except FileExistsError:
            return False
        finally:
            try:
                part.unlink(missing_ok=True)
            finally:
                _close(handle)
    return True


def _write(handle: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]


@contextlib.contextmanager
def new_folder(place: pathlib.Path) -> Iterator[pathlib.Path]:
    """An empty folder to write to, that becomes `place` after the block: all that is in it, or nothing.

    A folder `place` that holds some of the same files already gets the rest.

    Raises:
        FileExistsError: `place` holds another file. It stays as it was.
        OSError: as `replacing`.
    """
    place = place.absolute()
    made = _missing(place.parent)
    with _blamed(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        tidy(place)
        part, handle = _begun(place, folder=True)
        try:
            yield part
            for inside, _, names in os.walk(part):
                for name in names:
                    sync(pathlib.Path(inside, name))
                sync(pathlib.Path(inside))
            if place.is_dir() and any(place.iterdir()):
                _completed(part, place)
            else:
                _named(part, place)
        finally:
            try:
                shutil.rmtree(part, ignore_errors=True)
                _unmade(made)
            finally:
                _close(handle)


@contextlib.contextmanager
def passing_folder(above: pathlib.Path, name: str) -> Iterator[pathlib.Path]:
    """A folder for the time of the block, for its user alone. What a kill leaves of it goes with the next one."""
    place = above.absolute() / name
    tidy(place)
    part, handle = _begun(place, folder=True, mode=0o700)
    try:
        yield part
    finally:
        try:
            shutil.rmtree(part, ignore_errors=True)
        finally:
            _close(handle)


@contextlib.contextmanager
def kept(folder: pathlib.Path) -> Iterator[None]:
    """A folder to write in, made where there is none, and no other writer in it meanwhile.

    After an error it is taken away again, where it was made here and is empty.

    Raises:
        BlockingIOError: another process, or thread, has been writing there for more than `WAIT` seconds.
    """
    made = _missing(folder.absolute())
    handle = _folder_lock(folder, make=True)
    try:
        yield
    finally:
        try:
            _unmade(made)
        finally:
            _close(handle)


@contextlib.contextmanager
def locked(folder: pathlib.Path, *, shared: bool = False, seconds: float | None = None) -> Iterator[None]:
    """During the block the first who asked is the folder's only writer; `shared`: others may ask so too, to read.

    Raises:
        BlockingIOError: it was not free within so many seconds; None: `WAIT`.
    """
    handle = _folder_lock(folder, shared=shared, seconds=seconds)
    try:
        yield
    finally:
        _close(handle)


def is_passing(path: pathlib.Path) -> bool:
    """Whether a file lies in a passing folder, or is a part."""
    return IS_PART.search(os.fspath(path)) is not None


def files_in(folder: pathlib.Path) -> list[str]:
    """The files in a folder and below, by their names from there."""
    return sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if not each.is_dir())


def tidy(place: pathlib.Path) -> None:
    """Take away what dead writers of `place` left next to it."""
    _tidy(place.parent, re.compile(rf"\.{re.escape(place.stem[:40])}\.{TOKEN}{re.escape(place.suffix)}"), place.name)


def tidy_all(folder: pathlib.Path) -> None:
    """Take away what dead writers left in a folder that is ours alone."""
    _tidy(folder, re.compile(rf"\..*\.{TOKEN}(\..*)?"), "")


def sync(path: pathlib.Path) -> None:
    """Make a file, or the renames in a folder, last through a power cut, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNSUPPORTED:  # not every network disk can
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        os.close(handle)


@contextlib.contextmanager
def _part(path: pathlib.Path, private: bool, lasting: bool, tidied: bool = False) -> Iterator[tuple[pathlib.Path, int]]:
    """(the file to write to, a handle of it), put in place after the block."""
    place = path.absolute()
    with _blamed(path):
        if not tidied:
            tidy(place)
        part, handle = _begun(place, mode=0o600 if private else 0o666)
        try:
            yield part, handle
            if lasting:
                os.fsync(handle)
            if fcntl is None:  # Windows renames no open file
                os.close(handle)
                handle = -1
            os.replace(part, place)
            if lasting:
                sync(place.parent)
        finally:
            try:
                part.unlink(missing_ok=True)
            finally:
                _close(handle)


def _begun(place: pathlib.Path, *, mode: int = 0o777, folder: bool = False) -> tuple[pathlib.Path, int]:
    """(a new part of `place`, the handle that holds its lock; -1 where a folder has none)."""
    while True:
        part = place.with_name(f".{place.stem[:40]}.{secrets.token_hex(6)}{place.suffix}")
        if folder:
            part.mkdir(mode)
            handle = -1 if fcntl is None else os.open(part, os.O_RDONLY)
        else:
            handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0), mode)
        if handle == -1:
            return part, handle
        lock(handle, wait=True)
        if _same(handle, part):  # nobody took it for a dead writer's before it had its lock
            return part, handle
        os.close(handle)


def _named(part: pathlib.Path, place: pathlib.Path) -> None:
    """Give a whole folder its name, which an empty one may have."""
    if os.name == "nt" and place.is_dir():  # there a rename does not replace it
        place.rmdir()
    try:
        os.rename(part, place)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _completed(part, place)  # another one was quicker
    sync(place.parent)


def _completed(part: pathlib.Path, place: pathlib.Path) -> None:
    """Give a folder that holds some of the files of a whole one the others."""
    new, have = files_in(part), files_in(place)
    left = [name for name in have if IS_PART.search(name) or WAS_PART.fullmatch(name)]
    for name in set(have).difference(left):
        if name not in new or (part / name).read_bytes() != (place / name).read_bytes():
            raise FileExistsError(errno.EEXIST, f"it holds {name}, another file; name a new folder", os.fspath(place))
    for name in sorted(set(new).difference(have)):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        os.rename(part / name, place / name)
        sync((place / name).parent)
    for name in left:
        (place / name).unlink(missing_ok=True)


def _tidy(folder: pathlib.Path, named: re.Pattern[str], was: str) -> None:
    """Take away parts of dead writers: those so `named`, and of earlier versions those of the file that `was`."""
    with contextlib.suppress(OSError), os.scandir(folder) as inside:
        for each in [entry.name for entry in inside]:
            if named.fullmatch(each):
                with contextlib.suppress(OSError):
                    _take_dead(folder / each)
            elif was and each.startswith(f"{was}.part"):
                with contextlib.suppress(OSError):
                    _take_older(folder / each)


def _take_dead(part: pathlib.Path) -> None:
    """Remove a part whose lock is free."""
    kind = os.O_RDONLY if part.is_dir() else os.O_RDWR
    handle = os.open(part, kind | getattr(os, "O_NOFOLLOW", 0)) if fcntl else -1
    try:
        free = lock(handle) if fcntl else None
        if free is None:  # no locks here
            free = time.time() - part.lstat().st_mtime > OLD
        if free:
            shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
    finally:
        _close(handle)


def _take_older(part: pathlib.Path) -> None:
    """Remove a part that an earlier version wrote, if its process has ended."""
    found = WAS_PART.fullmatch(part.name)
    if found is None or not part.is_file():
        return
    try:
        if os.name == "posix":  # elsewhere signal 0 is not a mere question
            os.kill(int(found[1]), 0)
    except (ProcessLookupError, OverflowError):
        part.unlink(missing_ok=True)


def lock(handle: int, *, shared: bool = False, wait: bool = False) -> bool | None:
    """Whether the lock of an open file is ours now; None where there are no locks."""
    if fcntl is None:
        return None
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(handle, how if wait else how | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return None
        raise


def _folder_lock(
    folder: pathlib.Path, *, shared: bool = False, make: bool = False, seconds: float | None = None
) -> int:
    """The handle that holds the lock of a folder, which is made if it is to be; -1 where there are no locks."""
    seconds = WAIT if seconds is None else seconds
    until = time.monotonic() + seconds
    while True:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        if fcntl is None:
            return -1
        handle = os.open(folder, os.O_RDONLY)
        try:
            free = lock(handle, shared=shared) is not False
            if free and _same(handle, folder):  # it may have been put anew meanwhile
                kept, handle = handle, -1
                return kept
        finally:
            _close(handle)
        if time.monotonic() > until:
            text = f"another process has been writing there for {seconds:.0f} seconds; wait for it, or name another"
            raise BlockingIOError(errno.EWOULDBLOCK, text, os.fspath(folder))
        time.sleep(LOOK)


def _same(handle: int, path: pathlib.Path) -> bool:
    """Whether an open file still has this name."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _close(handle: int) -> None:
    if handle != -1:
        os.close(handle)


def _missing(folder: pathlib.Path) -> list[pathlib.Path]:
    """Which of a folder and those above it are not there, the innermost first."""
    return [each for each in (folder, *folder.parents) if not each.exists()]


def _unmade(made: list[pathlib.Path]) -> None:
    """Take folders away again that are still empty."""
    with contextlib.suppress(OSError):
        for each in made:
            each.rmdir()


@contextlib.contextmanager
def _blamed(path: pathlib.Path) -> Iterator[None]:
    """An error of the system that names no file, or a part of which the user never heard, names `path`."""
    try:
        yield
    except OSError as error:
        named = error.filename is not None and not IS_PART.search(os.fspath(error.filename))
        if error.errno is None or named:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
