"""Data sets of py-irt: `.jsonlines`, one line a model: `{"subject_id": "...", "responses": {"item": 1}}`."""

import pathlib

import msgspec

from lleval_jax.data import files
from lleval_jax.data.answers import Answers, Options, from_columns
from lleval_jax.data.formats.format import Format, never, nothing
from lleval_jax.errors import require


class _Subject(msgspec.Struct):
    subject_id: str | int
    responses: dict[str, float | bool | None]


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether these are the first bytes of a py-irt data set."""
    return head.lstrip()[:1] == b"{" and files.top_keys(head) >= {"subject_id", "responses"}


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one data set: a row a subject; a response that is null is missing."""
    row, item, score, line = [], [], [], []
    missing = 0
    for number, subject in files.records(path, _Subject):
        for name, value in subject.responses.items():
            if value is None:
                missing += 1
                continue
            row.append(str(subject.subject_id))
            item.append(name)
            score.append(float(value))
            line.append(number)
    require(bool(row), f"{path.name} holds no answers")
    notes = (f"{missing} responses are null; they were left out as missing answers",) if missing else ()
    return from_columns(path.name, row=row, item=item, score=score, line=line, notes=notes)


FORMAT = Format(
    name="py-irt data (.jsonlines)",
    recognises=recognises,
    read=read,
    beside=nothing,
    companion=never,
    options=frozenset(),
)
