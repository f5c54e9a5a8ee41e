"""Files on this machine by a path, a folder with all below it, or a glob: each real file once."""

import fnmatch
import glob
import os
import pathlib
from collections.abc import Iterator, Sequence

from lleval_jax.errors import BadInput, require


def find(text: str) -> tuple[list[pathlib.Path], bool]:
    """(files, whether `text` is one file's name) of a path, a folder or a glob. A pipe is a file.

    Names that begin with a dot are passed over.

    Raises:
        BadInput: nothing is there, or the system refuses to look.
    """
    try:
        path = pathlib.Path(text).expanduser()
        if path.exists() and not path.is_dir():
            return [path], True
        is_folder = path.is_dir()
        inside = _below(path) if is_folder else _matching(str(path))
        found = distinct(sorted(each for each in inside if each.is_file() and not each.name.startswith(".")))
        kind = "no file in the folder" if is_folder else "no such file, folder or glob:"
        require(bool(found), f"{kind} {text}. The current folder is {pathlib.Path.cwd()}.")
    except BadInput:
        raise
    except (ValueError, OSError, RuntimeError) as error:
        raise BadInput(f"cannot look for {text!r}: {error}") from error
    return found, False


def distinct(paths: Sequence[pathlib.Path]) -> list[pathlib.Path]:
    """The paths without those that lead to the same file as another: a file stays rather than a link to it."""
    kept: dict[str, pathlib.Path] = {}
    for path in sorted(paths, key=lambda path: path.is_symlink()):
        kept.setdefault(os.path.realpath(path), path)
    chosen = set(kept.values())
    return [path for path in dict.fromkeys(paths) if path in chosen]


def is_match(parts: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a path, as its names, matches a glob, as its parts; `**` stands for any folders, or none."""
    if not parts or not names:
        return not names and all(part == "**" for part in parts)
    if parts[0] == "**":
        return is_match(parts[1:], names) or (not names[0].startswith(".") and is_match(parts, names[1:]))
    hidden = names[0].startswith(".") and not parts[0].startswith(".")
    return not hidden and fnmatch.fnmatchcase(names[0], parts[0]) and is_match(parts[1:], names[1:])


def _matching(pattern: str) -> Iterator[pathlib.Path]:
    """What matches a glob."""
    parts = pathlib.PurePath(pattern).parts
    if "**" not in parts:
        yield from map(pathlib.Path, glob.glob(pattern))
        return
    plain = next(at for at, part in enumerate(parts) if glob.has_magic(part))
    base = pathlib.Path(*parts[:plain])
    for path in _below(base):
        if is_match(parts[plain:], path.relative_to(base).parts):
            yield path


def _below(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """All files in a folder and below. Links to folders are followed, but not upwards, and to no folder twice."""
    seen = {os.path.realpath(folder)}
    for inside, folders, names in os.walk(folder, followlinks=True):
        kept = []
        for name in sorted(folders):
            real = os.path.realpath(os.path.join(inside, name))
            upwards = os.path.commonpath([real, os.path.realpath(inside)]) == real
            if not name.startswith(".") and not upwards and real not in seen:
                seen.add(real)
                kept.append(name)
        folders[:] = kept
        yield from (pathlib.Path(inside, name) for name in names)
