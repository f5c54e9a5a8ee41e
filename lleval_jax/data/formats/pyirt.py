"""Data sets of py-irt: `.jsonlines`, one line a model: `{"subject_id": "...", "responses": {"item": 1}}`."""

import pathlib

import msgspec

from lleval_jax.data import files
from lleval_jax.data.answers import Answers, Options, from_columns
from lleval_jax.errors import require


class _Subject(msgspec.Struct):
    subject_id: str | int
    responses: dict[str, float | bool | None]


def recognises(head: bytes, path: pathlib.Path) -> bool:
    """Whether these are the first bytes of a py-irt data set."""
    first = head.lstrip()[:4096]
    return first.startswith(b"{") and b'"subject_id"' in first and b'"responses"' in first


def read(path: pathlib.Path, options: Options) -> Answers:
    """The answers of one data set: a row a subject; a response that is null is missing."""
    require(options.rows == "model", f"{path.name} is py-irt data, which names no prompts; rows must be 'model'")
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
