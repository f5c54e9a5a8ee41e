"""Which metric or filter to read of those that a log has: the one asked for, the only one, or the first of a list."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lleval_jax.data.notes import Note
from lleval_jax.data.unscored import does_not_apply, is_unscored
from lleval_jax.errors import BadFile, BadInput, require

MOST = 24  # names in a message
LOOK = 64  # lines that say which metrics there are


def asked_for(where: str, what: str, have: Sequence[str], asked: str, option: str) -> str:
    """The `asked` one; `BadInput` where the log does not have it. `option` is the word that chooses a `what`."""
    require(
        asked in have,
        f"{where} has no {what} {asked!r}; it has {list(have)[:MOST]}.",
        python=f"Pass {option}=... with one of these.",
        shell=f"Pass --{option} with one of these.",
    )
    return asked


def only(
    where: str,
    what: str,
    have: Sequence[str],
    asked: str | None,
    option: str,
    *,
    or_else: tuple[str, str] = ("", ""),
) -> str:
    """The one `asked` for, else the only one; `BadInput` where there are several.

    `or_else` is another way out, as Python and the shell say it.
    """
    if asked is not None:
        return asked_for(where, what, have, asked, option)
    if len(have) != 1:
        first = (have or [""])[0]
        raise BadInput(
            f"{where} holds {len(have)} {what}s, {list(have)[:MOST]}; they must not be mixed.",
            python=f"Pass {option}={first!r}{or_else[0]}.",
            shell=f"Pass --{option} {first}{or_else[1]}.",
        )
    return have[0]


def best(
    where: str, have: Sequence[str], usable: Sequence[str], priority: Sequence[str], asked: str | None
) -> tuple[str, tuple[Note, ...]]:
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
        bool(usable),
        f"{where} has no metric to read unasked; it has {list(have)[:MOST]}.",
        python="Pass metric=... with one.",
        shell="Pass --metric with one.",
    )
    ranked = sorted(usable, key=lambda name: priority.index(name) if name in priority else len(priority))
    note = Note(
        f"read metric {ranked[0]!r}; the log also has {ranked[1:]}.",
        python=f"Pass metric={ranked[0]!r} to say so.",
        shell=f"Pass --metric {ranked[0]} to say so.",
    )
    return ranked[0], (note,) if ranked[1:] else ()


def on_lines(
    file: str, lines: Iterable[Mapping[str, Any]], priority: Sequence[str], asked: str | None
) -> tuple[str, tuple[Note, ...]]:
    """(the metric to read, what to warn of) of a log whose lines need not all have the same metrics.

    One that is asked for must stand on some line. Else `LOOK` lines, and as many more as it takes to find a score, say
    which there are; of those that most of these lines have, the one named first is read.

    Args:
        file: for messages.
        lines: each line's metrics and their values; None where a metric is listed and absent.
        priority: as for `best`.
        asked: the metric asked for, if any.

    Raises:
        BadFile: no line has a metric, or none was scored.
        BadInput: there is no metric `asked`, or none is a number.
    """
    scored: dict[str, int] = {}
    other = False  # something is neither a number nor missing
    for count, line in enumerate(lines, start=1):
        for name, value in line.items():
            is_number = isinstance(value, int | float)
            good = is_number and not is_unscored(value) and not does_not_apply(name, value)
            scored[name] = scored.get(name, 0) + good
            other |= not is_number and not is_unscored(value)
        if asked in scored or (asked is None and count >= LOOK and any(scored.values())):
            break
    if not scored:
        raise BadFile(f"{file} has no metric on any line")
    usual = sorted(scored, key=lambda name: priority.index(name) if name in priority else len(priority))
    ranked = sorted((name for name in usual if scored[name]), key=lambda name: -scored[name])
    if asked is None and not ranked and not other:
        raise BadFile(f"{file}: none of its answers was scored; it has metrics {list(scored)[:MOST]}")
    return best(file, list(scored), ranked, ranked, asked)
