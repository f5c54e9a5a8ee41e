"""What a table that grows was made with: kept next to it in a hidden file, and compared when a run goes on."""

import contextlib
import dataclasses
import hashlib
import json
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lleval_jax import writing
from lleval_jax.data.growing import Growing, Passing, growing
from lleval_jax.errors import BadInput, require

SCHEMA = "lleval/made/1"
DIGEST = re.compile("[0-9a-f]{16}")
AGAIN = "Give the same again, or another file to write to; to start over, remove"


@dataclasses.dataclass(frozen=True)
class Made:
    """What the rows of one run depend on.

    fixed  what all rows share: word -> how it is known, such as "model" -> "smollm2 sha256:..."
    named  what single rows depend on: kind -> name -> digest, such as "text" -> "t1" -> "9f86d081884c7d65"
    """

    fixed: Mapping[str, str]
    named: Mapping[str, Mapping[str, str]]


def digest(*parts: object) -> str:
    """Of texts and numbers in this order: 16 hexadecimal digits of SHA-256."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def place(path: pathlib.Path) -> pathlib.Path:
    """Where the record of a table is. Hidden, so that who reads the folder passes it over."""
    return path.with_name(f".{path.name}.made.json")


@contextlib.contextmanager
def table(
    path: pathlib.Path | None, columns: Sequence[str], needed: Sequence[str] | None = None
) -> Iterator[Growing | Passing]:
    """The table that a run adds to, as `growing` opens it; None: rows are for the caller alone.

    Where nothing is added, no record is left.
    """
    if path is None:
        yield Passing(tuple(columns))
        return
    try:
        with growing(path, columns, ours=place(path).exists(), needed=needed) as opened:
            yield opened
    finally:
        if not path.exists():
            place(path).unlink(missing_ok=True)


def agree(path: pathlib.Path, made: Made, *, run: str = "", fresh: bool = False) -> None:
    """Compare with the record of a table and keep what is new; several runs may write to one table.

    A record of a table that has no rows yet, `fresh`, binds to nothing.

    Raises:
        BadInput: something is not what it was when these rows were begun.
    """
    runs = {} if fresh else _runs(path)
    before = runs.get(run, {"fixed": dict(made.fixed), "named": {}})
    for word, now in made.fixed.items():
        _require_same(path, f"another {word}", before["fixed"].get(word, ""), now)
    for kind, names in made.named.items():
        known = before["named"].setdefault(kind, {})
        for name in known.keys() & names.keys():
            _require_same(path, f"another {kind} {name!r}", known[name], names[name])
        known.update(names)
    runs[run] = before
    content = json.dumps({"schema": SCHEMA, "runs": runs}, indent=1, ensure_ascii=False)
    writing.put(place(path), f"{content}\n".encode("utf-8", "backslashreplace"))


def _require_same(path: pathlib.Path, what: str, then: str, now: str) -> None:
    shown = "" if DIGEST.fullmatch(then) else f": {then or 'none'} then, {now or 'none'} now"
    require(then == now, f"{path} was begun with {what}{shown}. {AGAIN} {path}.")


def _runs(table: pathlib.Path) -> dict[str, Any]:
    """Run -> what it was made with; none where there is no record."""
    path = place(table)
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_bytes())
        require(found["schema"] == SCHEMA, f"{path} has schema {found['schema']!r}; this version knows {SCHEMA!r}")
        return {run: {"fixed": dict(one["fixed"]), "named": dict(one["named"])} for run, one in found["runs"].items()}
    except BadInput:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is damaged; {AGAIN} it and {table}") from error
