"""Whether a place holds this very run: what makes it so is kept there, and what differs is named."""

import json
from collections.abc import Iterator
from typing import Any

from lleval_jax.errors import BadFile, require
from lleval_jax.scale.store import Store

FACTS = "run.json"
HASH = 12  # letters of a hash that a message quotes


def begin(store: Store, facts: dict[str, Any]) -> None:
    """A place of a run, empty before or found to hold this very run.

    Args:
        store: of the run.
        facts: what makes it this run, as JSON has it.

    Raises:
        BadInput: it holds another run, or something else; what differs is named.
    """
    if store.get(FACTS) is None:
        require(not store.names(), f"{store} holds something else than a run; name another folder")
        if store.add(FACTS, json.dumps(facts, indent=1).encode()):
            return
    other = list(_differences(_before(store), facts))
    require(not other, f"{store} holds another run: {', '.join(other)}; name another folder, or delete this one")


def _before(store: Store) -> Any:
    try:
        return json.loads(store.get(FACTS) or b"")
    except ValueError as error:
        raise BadFile(f"{store}: {FACTS} is damaged; name another folder, or delete this one") from error


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
