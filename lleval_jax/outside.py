"""What other installed packages bring: formats, methods, curves, found by entry points and loaded when first needed.

A package adds a reader, say, by an entry point in its `pyproject.toml`, and needs nothing of ours but the type:

    [project.entry-points."lleval_jax.formats"]
    mine = "my_package.reader:FORMAT"      # a `lleval_jax.data.Format`

It is then known in Python, in the shell and in the processes that read many files. What cannot be loaded is left out
with one warning that names the package: a broken package must not keep anybody from reading other files.
"""

import dataclasses
import functools
import hashlib
import inspect
import pathlib
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class Outside(Generic[Value]):
    """One value that a package brings.

    name     of the entry point
    value    what it names
    package  the distribution, with its version, such as "my-package 1.2"
    """

    name: str
    value: Value
    package: str


def brought(group: str, kind: type[Value]) -> tuple[Outside[Value], ...]:
    """What the installed packages bring under the entry points of `group`, by package and name.

    Args:
        group: such as "lleval_jax.formats".
        kind: the type that each must have.

    Warns:
        RuntimeWarning: an entry point cannot be loaded, or is of another type. Once a process.
    """
    return _brought(group, kind, tuple(sys.path))


def joined(own: Mapping[str, Value], group: str, kind: type[Value]) -> dict[str, Value]:
    """A registry of the package, then what installed packages bring for it under the names of their entry points.

    Warns:
        RuntimeWarning: as `brought`; and for a name that is taken, which is left out. Once a process.
    """
    return {**own, **_new(brought(group, kind), tuple(own))}


def names(group: str) -> tuple[str, ...]:
    """The names of the entry points of `group`; nothing is loaded, so it is quick, and some may not be usable."""
    return tuple(sorted({entry.name for entry in metadata.entry_points(group=group)}))


def fingerprint(function: Callable[..., Any]) -> str | None:
    """The hash of the source code that a function stands in: its package, else its module.

    None where the code does not say what the function does: it has no file, or closes over values.
    """
    if not inspect.isfunction(function) or function.__closure__:
        return None
    return _fingerprint(function)


@functools.cache
def _new(brought: tuple[Outside[Value], ...], taken: tuple[str, ...]) -> dict[str, Value]:
    """What is brought under a name that is not taken."""
    found: dict[str, Value] = {}
    for each in brought:
        if each.name in taken or each.name in found:
            text = f"{each.package} brings {each.name!r}, which there is already; it was left out"
            warnings.warn(text, RuntimeWarning, stacklevel=3)
        else:
            found[each.name] = each.value
    return found


@functools.cache
def _brought(group: str, kind: type[Value], path: tuple[str, ...]) -> tuple[Outside[Value], ...]:
    entries = sorted(metadata.entry_points(group=group), key=lambda entry: (_package(entry), entry.name))
    return tuple(found for entry in dict.fromkeys(entries) if (found := _loaded(entry, kind)) is not None)


def _loaded(entry: metadata.EntryPoint, kind: type[Value]) -> Outside[Value] | None:
    """What one entry point names; None with a warning where that is nothing of the right type."""
    package = _package(entry)
    try:
        value = entry.load()
        if isinstance(value, kind):
            return Outside(entry.name, value, package)
        wrong = f"it is a {type(value).__name__}, not a {kind.__name__}"
    except Exception as error:  # whatever a package's own code raises
        wrong = f"{type(error).__name__}: {error}"
    text = f"{package} brings {entry.name!r} ({entry.value}) for {entry.group}, which cannot be used: {wrong}"
    warnings.warn(f"{text}. It was left out. Upgrade or uninstall {package.split()[0]}.", RuntimeWarning, stacklevel=4)
    return None


def _package(entry: metadata.EntryPoint) -> str:
    """The distribution of an entry point, with its version."""
    return "a package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"


@functools.cache
def _fingerprint(function: Callable[..., Any]) -> str | None:
    """Hashed when first asked for, so that it is the code that runs; a module loaded again has other functions."""
    module = sys.modules.get(function.__module__)
    file = getattr(module, "__file__", None)
    if file is None or not pathlib.Path(file).is_file():
        return None
    root = sys.modules.get(function.__module__.partition(".")[0])
    folders = [pathlib.Path(folder) for folder in getattr(root, "__path__", ())]
    sources = sorted({pathlib.Path(file), *(source for folder in folders for source in folder.rglob("*.py"))})
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
