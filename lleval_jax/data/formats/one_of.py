"""Which metric or filter to read of those that a log has: the one asked for, the only one, or the first of a list."""

from collections.abc import Sequence

from lleval_jax.errors import BadInput, require

MOST = 24  # names in a message


def asked_for(where: str, what: str, have: Sequence[str], asked: str, option: str) -> str:
    """The `asked` one; `BadInput` where the log does not have it. `option` is the word that chooses a `what`."""
    message = f"{where} has no {what} {asked!r}; it has {list(have)[:MOST]}. Pass {option}=... with one of these."
    require(asked in have, message)
    return asked


def only(where: str, what: str, have: Sequence[str], asked: str | None, option: str, *, or_else: str = "") -> str:
    """The one `asked` for, else the only one; `BadInput` where there are several. `or_else` is another way out."""
    if asked is not None:
        return asked_for(where, what, have, asked, option)
    if len(have) != 1:
        raise BadInput(
            f"{where} holds {len(have)} {what}s, {list(have)[:MOST]}; they must not be mixed. "
            f"Pass {option}={(have or [''])[0]!r}{or_else}."
        )
    return have[0]


def best(
    where: str, have: Sequence[str], usable: Sequence[str], priority: Sequence[str], asked: str | None
) -> tuple[str, tuple[str, ...]]:
    """(the metric to read, what to warn of): the one `asked` for of all there are, else the `usable` one named first.

    Args:
        where: file, or file and line, for messages.
        have: the metrics of the log.
        usable: those of them that can be read without being asked for.
        priority: usual metrics, the best first; usable ones that are not among them follow as they stand.
        asked: the metric asked for, if any.
    """
    if asked is not None:
        return asked_for(where, "metric", have, asked, "metric"), ()
    require(
        bool(usable), f"{where} has no metric to read unasked; it has {list(have)[:MOST]}. Pass metric=... with one."
    )
    ranked = sorted(usable, key=lambda name: priority.index(name) if name in priority else len(priority))
    note = f"read metric {ranked[0]!r}; the log also has {ranked[1:]}. Pass metric={ranked[0]!r} to say so."
    return ranked[0], (note,) if ranked[1:] else ()
