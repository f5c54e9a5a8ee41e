"""A criterion: what makes an answer good, in words and in examples; some ship, others are TOML files."""

import dataclasses
import os
import pathlib
import tomllib
from typing import Any

import msgspec

from lleval_jax.errors import BadFile, BadInput, nearest, require

SHIPPED = pathlib.Path(__file__).parent / "criteria"


@dataclasses.dataclass(frozen=True)
class Demonstration:
    """An answer that is corrected.

    critique  what is wrong with it
    """

    question: str
    answer: str
    critique: str
    correction: str

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            require(bool(getattr(self, field.name).strip()), f"the {field.name} of a demonstration is empty")


@dataclasses.dataclass(frozen=True)
class Criterion:
    """What answers shall be.

    name            one word
    principles      what is wanted, as it is told to a model
    demonstrations  answers that are corrected; one at least
    seeds           questions, as examples for new ones
    banned          texts that no correction may hold, whatever their case

    Example:
        >>> polite = read_criterion("polite")
        >>> polite.name, len(polite.demonstrations)
        ('polite', 3)
    """

    name: str
    principles: str
    demonstrations: tuple[Demonstration, ...]
    seeds: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(bool(self.name.strip()), "a criterion needs a name")
        require(bool(self.principles.strip()), f"criterion {self.name!r} has no principles: say what answers shall be")
        text = f"criterion {self.name!r} has no demonstrations: give one answer with its correction at least"
        require(len(self.demonstrations) > 0, text)
        require(all(each.strip() for each in self.banned), f"criterion {self.name!r}: a banned text is empty")

    @property
    def questions(self) -> tuple[str, ...]:
        """Examples of questions: the seeds, else those of the demonstrations."""
        return self.seeds or tuple(each.question for each in self.demonstrations)


def names() -> list[str]:
    """The criteria that ship."""
    return [each.stem for each in sorted(SHIPPED.glob("*.toml"))]


def read_criterion(criterion: str | os.PathLike[str]) -> Criterion:
    """A criterion that ships, by its name, or one from a TOML file.

    Raises:
        BadInput: there is no such criterion; it has no principles or no demonstrations, or a key that is not known.
        BadFile: the file is no TOML.
    """
    place = pathlib.Path(criterion)
    if place.suffix != ".toml":
        text = f"there is no criterion {os.fspath(criterion)!r}{nearest(os.fspath(criterion), names())}; there are"
        require(os.fspath(criterion) in names(), f"{text} {', '.join(names())}, or name a .toml file")
        place = SHIPPED / f"{criterion}.toml"
    require(place.is_file(), f"{place}: there is no such file")
    try:
        found = tomllib.loads(place.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFile(f"{place} is not TOML: {error}") from error
    return _made(place, {"name": place.stem, "principles": "", "demonstrations": []} | found)


def _made(place: pathlib.Path, found: dict[str, Any]) -> Criterion:
    known = [field.name for field in dataclasses.fields(Criterion)]
    for key in found:
        require(key in known, f"{place}: there is no {key!r}{nearest(key, known)}; there are {', '.join(known)}")
    try:
        return msgspec.convert(found, Criterion)
    except msgspec.ValidationError as error:
        cause = error.__cause__
        raise BadInput(f"{place}: {cause.what if isinstance(cause, BadInput) else error}") from error
