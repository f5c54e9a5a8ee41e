"""Whether logs of one task mean the same questions: one comparison for all readers whose logs are joined by name.

Two things go wrong without a trace in the matrix. Ids that were given after a shuffle join answers to *different*
questions under one name: the names are the same, the contents are not. Documents that a task changes in every run
(mixed choices) keep answers to the *same* question apart: the numbers are the same, the names, which are hashes of the
content, are not. Logs in another order, and logs of different parts of a data set, are neither.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from lleval_jax.data.answers import Answers, parts_of
from lleval_jax.data.notes import Note

UNKNOWN = np.iinfo(np.int64).min  # no digest: the log does not say
LARGEST = 1 << 62  # a number below is its own digest


def digest(text: str | bytes) -> int:
    """64 bits of a text, the same in every process. Two texts share them by chance once in 10^19."""
    content = text.encode("utf-8", "replace") if isinstance(text, str) else text
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little", signed=True)


def number(value: int | str | None) -> int:
    """The digest of an item's number in its data set, which may be a text; `3` and `"3"` are the same."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 19:
        value = int(value)
    if isinstance(value, int) and 0 <= value < LARGEST:
        return int(value)
    return UNKNOWN if value is None else digest(str(value))


@dataclasses.dataclass(frozen=True, eq=False)
class _Log:
    """What one file says of one task: (items,) places on the common axis, contents, numbers."""

    item: np.ndarray
    content: np.ndarray
    number: np.ndarray


def compared(parts: Sequence[Answers], places: Sequence[np.ndarray], n_items: int) -> list[Note]:
    """What to say of the logs of each task; `places` are the items of each part on the common axis."""
    tasks: dict[str, list[_Log]] = {}
    for part, place in zip(parts, places, strict=True):
        for task, log in _by_task(part, place):
            tasks.setdefault(task, []).append(log)
    several = {task: logs for task, logs in tasks.items() if len(logs) > 1}
    found = (note(task, logs, n_items) for task, logs in several.items() for note in (_contents, _names))
    return [note for note in found if note is not None]


def _by_task(part: Answers, place: np.ndarray) -> Iterator[tuple[str, _Log]]:
    """(task, log) of one file; nothing where it says neither contents nor numbers, or mixes several prompts."""
    if part.content is None and part.number is None:
        return
    unknown = np.full(len(part.items), UNKNOWN)
    content, numbers = (unknown if each is None else each for each in (part.content, part.number))
    prompts = parts_of(part.rows.tolist()).get("prompt")
    if prompts is not None:
        if len(set(prompts)) == 1:
            yield prompts[0], _Log(place, content, numbers)
        return
    for task in dict.fromkeys(part.group.tolist()):
        mine = part.group == task
        yield task, _Log(place[mine], content[mine], numbers[mine])


def _contents(task: str, logs: Sequence[_Log], n_items: int) -> Note | None:
    """The same name, another content."""
    first, other = np.full(n_items, UNKNOWN), np.zeros(n_items, bool)
    for log in logs:
        known = log.content != UNKNOWN
        item, content = log.item[known], log.content[known]
        before = first[item]
        other[item] |= (before != UNKNOWN) & (before != content)
        first[item] = np.where(before == UNKNOWN, content, before)
    count = int(other.sum())
    if not count:
        return None
    return Note(
        f"task {task!r}: {count} of {int((first != UNKNOWN).sum())} ids stand for different questions in {len(logs)} "
        "logs, and answers to them were joined as if to one. The ids were given after a shuffle, or the data set has "
        "changed: give each sample its own id in the data set, or do not shuffle before ids are given."
    )


def _names(task: str, logs: Sequence[_Log], n_items: int) -> Note | None:
    """The same number, another name, where neither log has the other's item elsewhere."""
    seen, known, first, source = np.zeros(n_items, bool), *(np.zeros(0, np.int64) for _ in range(3))
    changed: set[int] = set()
    for at, log in enumerate(logs):
        mine = log.number != UNKNOWN
        numbers, once = np.unique(log.number[mine], return_index=True)
        item = log.item[mine][once]
        seen[item] = True
        where = np.searchsorted(known, numbers)
        met = np.zeros(len(numbers), bool)
        inside = where < len(known)
        met[inside] = known[where[inside]] == numbers[inside]
        apart = np.flatnonzero(met)[first[where[met]] != item[met]]
        alone = _lonely(logs, log, item[apart], first, source, where[apart])
        changed.update(numbers[apart[alone]].tolist())
        known, first = np.r_[known, numbers[~met]], np.r_[first, item[~met]]
        source = np.r_[source, np.full(int((~met).sum()), at)]
        order = np.argsort(known, kind="stable")
        known, first, source = known[order], first[order], source[order]
    if not changed:
        return None
    return Note(
        f"task {task!r}: {len(logs)} logs number {len(known)} documents and have {int(seen.sum())} different ones: "
        f"{len(changed)} numbers stand for one document in one log and for another in the next, so that these "
        "questions are not joined. The task changes its documents from run to run, as where it mixes choices without "
        "a fixed seed, or its data set or its version did.",
        python="Pass join='number' where the same number is the same question all the same.",
        shell="Pass --join number where the same number is the same question all the same.",
    )


def _lonely(
    logs: Sequence[_Log], log: _Log, item: np.ndarray, first: np.ndarray, source: np.ndarray, where: np.ndarray
) -> np.ndarray:
    """Which of `item`, of this log, the log that first had its number has not, while this one has not that one's."""
    found = ~np.isin(first[where], log.item)
    for at in np.unique(source[where]):
        here = source[where] == at
        found[here] &= ~np.isin(item[here], logs[at].item)
    return found
