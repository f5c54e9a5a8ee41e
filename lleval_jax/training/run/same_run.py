"""Whether a folder holds this very run: what makes it so is kept there, and what differs is named."""

import json
import pathlib
from collections.abc import Iterator
from typing import Any

from lleval_jax import writing
from lleval_jax.errors import require

FACTS = "run.json"
HASH = 12  # letters of a hash that a message quotes


def begin(folder: pathlib.Path, facts: dict[str, Any]) -> None:
    """The folder, made or found to hold this very run.

    Args:
        folder: of the run.
        facts: what makes it this run, as JSON has it.

    Raises:
        BadInput: it holds another run, or something else; what differs is named.
    """
    path = folder / FACTS
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        other = list(_differences(before, facts))
        hint = "name another folder, or delete this one"
        require(not other, f"{folder} holds another run: {', '.join(other)}; {hint}")
        return
    own = [each for each in folder.iterdir() if not writing.is_passing(each)] if folder.exists() else []
    require(not own, f"{folder} holds something else than a run; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    writing.put(path, json.dumps(facts, indent=1).encode())


def _differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    """What differs, in words: "schedule.rate is 0.1 there and 0.2 here". Of hashes the first letters."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*before, *now)):
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif before != now:
        yield f"{name} is {_short(before)} there and {_short(now)} here"


def _short(value: Any) -> str:
    is_hash = isinstance(value, str) and len(value) == 64
    return f"{value[:HASH]}..." if is_hash else str(value)
