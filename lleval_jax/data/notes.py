"""What readers count and set aside, and how it is said: once for all files of a kind, not once a file."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lleval_jax.errors import DataWarning


class Note(NamedTuple):
    """Something that a reader wants to be known, and what to do about it as Python and the shell say it."""

    what: str
    python: str = ""
    shell: str = ""

    def of_files(self, names: Sequence[str]) -> "Note":
        """The same, with the files that it is true of."""
        more = f" (and so in {len(names) - 1} more files)" if len(names) > 1 else ""
        what = self.what.removesuffix(".")
        return Note(f"{names[0]}: {what}{more}{self.what[len(what) :]}", self.python, self.shell)

    def warning(self, kind: type[DataWarning] = DataWarning) -> DataWarning:
        """The same, to be warned of."""
        return kind(self.what, python=self.python, shell=self.shell)


class Left(NamedTuple):
    """Answers of one file that were left out: `count` of `of`; `why` is what they were, such as "not scored"."""

    why: str
    count: int
    of: int


def left_out(found: Iterable[tuple[str, str, Left]]) -> list[Note]:
    """One note for each kind of file and each reason, from (kind of file, file, what it left out)."""
    groups: dict[tuple[str, str], list[tuple[str, Left]]] = {}
    for kind, file, left in found:
        if left.count:
            groups.setdefault((kind, left.why), []).append((file, left))
    return [_summed(kind, why, each) for (kind, why), each in groups.items()]


def _summed(kind: str, why: str, found: Sequence[tuple[str, Left]]) -> Note:
    """What one file left out for a reason, or the sum over many files, and the first one's name."""
    count, of = sum(left.count for _, left in found), sum(left.of for _, left in found)
    was = "was" if count == 1 else "were"
    first = found[0][0]
    if len(found) == 1:
        return Note(f"{first}: {count} of {of} answers {was} {why} and {was} left out")
    text = f"{kind}: {count} of {of} answers in {len(found)} files {was} {why} and {was} left out; the first is {first}"
    return Note(text)
