"""What a version of a living benchmark is made of: a TOML file, read strictly and hashed.

    name = "2026-11"

    [papers]
    categories = ["cs.LG", "q-bio.BM"]
    first = 2026-10-01                # days on which the first versions were made, both included, UTC
    last = 2026-10-31
    allow = ["CC-BY", "CC-BY-SA", "CC0"]
    images = "kept"                   # or "by-reference": other papers too, of which an export holds nothing
    most = 100                        # papers
    delay = 3                         # seconds between requests

    [models.writer]                   # of the server of OPENAI_BASE_URL, with the key of OPENAI_API_KEY
    client = "openai"
    model = "qwen3-vl-32b"
    price = [0.2, 0.6]                # of a million tokens read, and written

    [ask]
    model = "writer"                  # none: only questions with computed keys
    exact = 6                         # of these, a table; 0: none

    [filter]
    blind = "reader"                  # models that test the questions; none: not tested
    judges = ["one", "two"]

A key that is not known is refused with the nearest that is.
"""

import dataclasses
import datetime
import hashlib
import json
import os
import pathlib
import re
import tomllib
from typing import Any, Literal

import msgspec

from lleval_jax.errors import BadInput, nearest, require
from lleval_jax.live import licences
from lleval_jax.live.archive import Addresses

SHIPPED = pathlib.Path(__file__).parent / "example"
DEMO = "demo:"  # before the name of a recipe that ships
LOOPBACK = "example"  # in place of an address: the archive that ships, started for the run
LARGER = re.compile(rf"{LOOPBACK}-(\d{{1,2}})")  # the same with so many papers
HARNESSES = ("hf", "lm-eval", "lmms-eval", "inspect")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Papers:
    """Which papers.

    `images`: "kept", or "by-reference": papers that may not be shown are taken too, and an export names the page and
    box of their pictures in place of holding them.
    `address`: "arxiv", "example" (the archive that ships; "example-42" with so many papers) or that of a server with
    all interfaces.
    """

    categories: tuple[str, ...]
    first: datetime.date
    last: datetime.date
    address: str = "arxiv"
    allow: tuple[str, ...] = licences.ALLOW
    images: Literal["kept", "by-reference"] = "kept"
    most: int = 1000
    delay: float = 3.0

    def __post_init__(self) -> None:
        require(self.first <= self.last, f"[papers] last is {self.last}, before first, {self.first}")
        require(self.most >= 1 and self.delay >= 0, "[papers] most is 1 or more, delay 0 or more")
        require(bool(self.categories), "[papers] categories is empty; name one, such as cs.LG")
        for family in self.allow:
            known = licences.FAMILIES
            require(
                family in known, f"[papers] allow has {family!r}; there are {', '.join(known)}{nearest(family, known)}"
            )

    @property
    def loopback(self) -> int | None:
        """Papers of the archive that ships, 0 for as many as it has; None where another one is asked."""
        larger = LARGER.fullmatch(self.address)
        return int(larger[1]) if larger else 0 if self.address == LOOPBACK else None

    @property
    def addresses(self) -> Addresses:
        """Where the archive answers; of the example once it runs."""
        return Addresses() if self.address == "arxiv" else Addresses.at(self.address)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """Who answers.

    client    "openai": the server of OPENAI_BASE_URL, with the key of OPENAI_API_KEY; "recording": a file of replies;
              "scripted": the models that ship with the example
    model     its name there; of a recording its path
    at_once   requests under way at a time
    price     money for a million tokens read, and written
    """

    client: Literal["openai", "recording", "scripted"]
    model: str
    at_once: int = 4
    price: tuple[float, float] = (0.0, 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ask:
    """Who asks: a model by its name in [models], `count` questions an element; `exact` computed ones a table."""

    model: str = ""
    count: int = 5
    exact: int = 6
    seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filter:
    """Who tests. `caption`: the blind model is asked with it too, for the report. `per_paper`: questions of a kind."""

    blind: str = ""
    judges: tuple[str, ...] = ()
    caption: bool = False
    per_paper: int = 12
    seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """Where to when a run is through; without any `lleval live export` does it later."""

    to: tuple[str, ...] = ()
    shard: int = 500_000_000  # bytes of a file

    def __post_init__(self) -> None:
        for name in self.to:
            text = f"[export] to has {name!r}; there are {', '.join(HARNESSES)}{nearest(name, HARNESSES)}"
            require(name in HARNESSES, text)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that a version is made of. The same text of TOML, or another that says the same, has the same hash."""

    name: str
    papers: Papers
    models: dict[str, Model] = dataclasses.field(default_factory=dict)
    ask: Ask = Ask()
    filter: Filter = Filter()
    export: Export = Export()

    def __post_init__(self) -> None:
        roles = {"[ask] model": self.ask.model, "[filter] blind": self.filter.blind}
        roles |= {f"[filter] judges {i + 1}": name for i, name in enumerate(self.filter.judges)}
        for role, name in roles.items():
            known = f"there are {', '.join(self.models) or 'none'}{nearest(name, self.models)}"
            require(not name or name in self.models, f"{role} is {name!r}, which is not in [models]; {known}")
        judges = [self.models[name].model for name in self.filter.judges]
        require(len(set(judges)) == len(judges), "[filter] judges: two of them are the same model")

    def digest(self, *parts: str) -> str:
        """The SHA-256 of parts, or of all: what a step that reads these parts depends on."""
        found = msgspec.to_builtins(self)
        chosen = {name: found[name] for name in parts or found}
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()


def read(path: str | os.PathLike[str]) -> Recipe:
    """The recipe in a file, or one that ships: "demo:live".

    Raises:
        BadInput: it is not TOML, lacks a key, or has one that is not known or of another kind; the key is named.
    """
    place = place_of(os.fspath(path))
    require(place.is_file(), f"there is no recipe {place}")
    return parsed(place.read_bytes(), str(place))


def place_of(path: str) -> pathlib.Path:
    """A file, or that of a recipe that ships."""
    if not path.startswith(DEMO):
        return pathlib.Path(path)
    name, there = path.removeprefix(DEMO), [each.stem for each in sorted(SHIPPED.glob("*.toml"))]
    require(name in there, f"no recipe {name!r} ships{nearest(name, there)}; there are {', '.join(there)}")
    return SHIPPED / f"{name}.toml"


def parsed(content: bytes, where: str = "the recipe") -> Recipe:
    """The recipe in bytes of TOML. `BadInput` as by `read`."""
    try:
        found = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{where} is not TOML: {error}") from error
    _known(found, Recipe, where, "")
    for name, kind in {"papers": Papers, "ask": Ask, "filter": Filter, "export": Export}.items():
        _known(found.get(name, {}), kind, where, f"[{name}] ")
    for name, table in _table(found.get("models", {}), where, "[models] ").items():
        _known(table, Model, where, f"[models.{name}] ")
    try:
        return msgspec.convert(found, Recipe)
    except msgspec.ValidationError as error:
        raise BadInput(f"{where}: {_said(error)}") from error
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None


def _table(found: Any, where: str, part: str) -> dict[str, Any]:
    require(isinstance(found, dict), f"{where}: {part.strip()} is {found!r}; it must be a table")
    return found


def _known(found: Any, kind: type, where: str, part: str) -> None:
    """All keys are known, and none without a default is missing."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in _table(found, where, part or "it "):
        require(key in fields, f"{where}: {part}has no {key!r}{nearest(key, fields)}; there are {', '.join(fields)}")
    missing, absent = dataclasses.MISSING, set(fields) - set(found)
    lost = [n for n in fields if n in absent and fields[n].default is missing and fields[n].default_factory is missing]
    require(not lost, f"{where}: {part}lacks {', '.join(map(repr, lost))}")


def _said(error: msgspec.ValidationError) -> str:
    """An error of msgspec, the key first: "papers.most: Expected `int`, got `str`"."""
    text, _, place = str(error).partition(" - at ")
    return f"{place.strip('`').removeprefix('$.')}: {text}" if place else text
