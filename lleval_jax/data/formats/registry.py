"""The formats that can be read, and how one file is: known by its content, from the cache or parsed.

Other packages bring formats by entry points of the group `lleval_jax.formats` (see `outside.py`).
"""

import functools
import pathlib
import warnings
from collections.abc import Iterator, Sequence

from lleval_jax import outside
from lleval_jax.data import cache, files
from lleval_jax.data.answers import Answers, Options
from lleval_jax.data.formats import (
    every_eval,
    helm,
    inspect_log,
    lighteval,
    lm_eval,
    lmms_eval,
    matrix,
    opencompass,
    pyirt,
    swe_bench,
    table,
    torch_measure,
)
from lleval_jax.data.formats.format import Format
from lleval_jax.errors import BadFile, BadInput, NothingScored

# A file of one format is recognised by that format alone; were it recognised by two, the first here would read it.
FORMATS: list[Format] = [
    lm_eval.FORMAT,
    lmms_eval.FORMAT,
    inspect_log.FORMAT,
    lighteval.FORMAT,
    helm.FORMAT,
    opencompass.FORMAT,
    every_eval.FORMAT,
    pyirt.FORMAT,
    torch_measure.FORMAT,
    swe_bench.FORMAT,
    matrix.FORMAT,
    table.FORMAT,
]
OWN = tuple(FORMATS)
TABLE = table.FORMAT
GROUP = "lleval_jax.formats"
LONG = 1 << 22  # bytes of JSON in which the keys that say its format are looked for


def formats() -> Iterator[Format]:
    """All formats: those of `FORMATS`, then those that other packages bring, which are loaded when asked for."""
    yield from FORMATS
    yield from _brought()


def of(head: bytes, path: pathlib.Path) -> Format | None:
    """The format of a file, known by its first bytes; of JSON by more of them, where a long value stands first."""
    found = next((format for format in formats() if format.recognises(head, path)), None)
    if found is None and len(head) == files.HEAD and head.lstrip()[:1] in (b"{", b"["):
        longer = files.head(path, LONG)
        return next((format for format in formats() if format.recognises(longer, path)), None)
    return found


def resembling(head: bytes, path: pathlib.Path, options: Options, named: bool) -> Format | None:
    """The format of a file that `of` does not know: a table by looser names, or a matrix; see `table.resembles`."""
    return TABLE if TABLE in FORMATS and table.resembles(head, path, options, named) else None


def is_companion(path: pathlib.Path) -> bool:
    """Whether this is a file that a program writes with its answers, and that holds none."""
    return any(format.companion(path) for format in formats())


def remembered(path: pathlib.Path, place: pathlib.Path | None) -> Format | None:
    """The format of a file, where the cache at `place` knows it: a look into a large zip takes a while.

    Only where all formats are the package's own: the cache does not notice that another one would claim the file now.
    """
    if place is None or tuple(FORMATS) != OWN or path.stat().st_size < cache.SMALLEST:
        return None
    facts = cache.remembered(path, place)
    return None if facts is None else next((format for format in OWN if format.name == facts[1]), None)


def named(name: str) -> Format | None:
    """The format of that name; None where there is none."""
    return next((format for format in formats() if format.name == name), None)


def is_everywhere(format: Format) -> bool:
    """Whether another process knows the format too: the package has it, or an installed one brings it."""
    return format in OWN or format in _brought()


def require_used(options: Options, involved: Sequence[tuple[str, Format]]) -> None:
    """`BadInput` for an option that was given and means nothing to the readers of these (file, format).

    "metric", "filter" and "no_answer" choose among what a file has; in a folder of several formats one reader that
    uses them is enough. "rows" says what a row of the one result is, so every reader must know it.
    """
    for name, value in options.given().items():
        without = [(file, format) for file, format in involved if name not in format.options]
        if not without or (name != "rows" and len(without) < len(involved)):
            continue
        file, format = without[0]
        users = ", ".join(each.title for each in formats() if name in each.options)
        more = f" (and so {len(without) - 1} more files)" if len(without) > 1 else ""
        word = name.replace("_", "-")
        raise BadInput(
            f"{file}{more}: {name} {value!r} was given, but the reader of {format.title} does not use {name!r}. "
            f"It is used by: {users}.",
            python=f"Leave out {name}={value!r}.",
            shell=f"Leave out --{word} {value}.",
        )


def parse(
    path: pathlib.Path,
    format: Format,
    options: Options,
    place: pathlib.Path | None,
) -> tuple[Answers, str]:
    """(the answers of one file in [0, 1], the hash of its content), from the cache at `place` where they are there."""
    with files.damage(path.name):
        source = _source(format)
        if place is None or source is None or path.stat().st_size < cache.SMALLEST:
            return _read(path, format, options), cache.content_hash(path, None)
        content = cache.content_hash(path, place, format.name)
        name = cache.key(content, path, format.name, options, format.beside(path), source)
        found = cache.load(place, name)
        if found is None:
            found = _read(path, format, options)
            if cache.content_hash(path, place) == content:  # unchanged while it was read
                cache.store(place, name, found)
        return found, content


def tried(
    path: pathlib.Path, format: Format, options: Options, place: pathlib.Path | None
) -> tuple[Answers, str] | BadFile:
    """The same, or what is wrong with the file as a whole."""
    try:
        return parse(path, format, options, place)
    except BadFile as error:
        return error


def _read(path: pathlib.Path, format: Format, options: Options) -> Answers:
    """The answers as the reader finds them, moved to [0, 1]. `BadInput` says which reader spoke."""
    try:
        with files.damage(path.name), files.in_utf8(path):
            found = format.read(path, options).scaled(options.scale)
        if not len(found.row):
            raise NothingScored(f"{path.name} holds no answer that was scored")
        return found
    except BadInput as error:
        if format is TABLE or format.title.lower() in str(error).replace(path.name, "").lower():
            raise
        said = f"read as {format.title}: {error.what}"
        raise type(error)(said, python=error.python, shell=error.shell) from error


def _brought() -> tuple[Format, ...]:
    """The formats of other packages. A name that is taken is left out with a warning."""
    return tuple(_packages())


def _packages() -> dict[Format, str]:
    """Each format that a package brings -> that package and its version."""
    return _distinct(outside.brought(GROUP, Format), tuple(format.name for format in FORMATS))


@functools.cache
def _distinct(brought: tuple[outside.Outside[Format], ...], taken: tuple[str, ...]) -> dict[Format, str]:
    found, names = {}, set(taken)
    for each in brought:
        if each.value.name in names:
            text = f"{each.package} brings the format {each.value.name!r}, which there is already; it was left out"
            warnings.warn(text, RuntimeWarning, stacklevel=2)
            continue
        names.add(each.value.name)
        found[each.value] = each.package
    return found


def _source(format: Format) -> str | None:
    """What else the cache's key needs: "" for our own readers, whose code is in it; None: do not keep its answers."""
    if format in OWN:
        return ""
    code = outside.fingerprint(format.read)
    return code and f"{_packages().get(format, '')} {code}"
