"""A study: verbs, inputs, and grids of settings, which together are its tasks.

    out = "runs/levels"            # a folder, or a place such as s3://bucket/levels
    chunk = 50                     # tasks that are written together
    seed = 0

    [[tasks]]
    verb = "estimate"              # see `studies.verbs`; its settings follow
    input = "logs/*.parquet"       # what `read` takes; a glob gives a task a file
    models = 1000                  # a task for so many models of an input; without it all of them at once
    bank = "livexiv-vqa"

    [tasks.grid]                   # a task for each combination
    level = [0.9, 0.95]

    [[tasks]]
    verb = "calibrate"
    input = "demo:livexiv-vqa"
    model = "rasch"
    seeds = 200                    # a task for each of so many seeds

Paths are from the folder that the file lies in. Tasks are counted, not listed: a million takes no memory.
"""

import bisect
import dataclasses
import itertools
import math
import os
import pathlib
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from lleval_jax.errors import BadInput, nearest, require, require_known
from lleval_jax.scale.store import SCHEME
from lleval_jax.studies import parts
from lleval_jax.studies.parts import Part
from lleval_jax.studies.task import Task
from lleval_jax.studies.verbs import VERBS

OWN = ("verb", "input", "models", "seeds", "grid")
TOP = ("out", "chunk", "seed", "tasks")
MOST = 100_000_000  # tasks
DEMO, SHIPPED = "demo:study", pathlib.Path(__file__).parent / "demo.toml"


@dataclasses.dataclass(frozen=True)
class Table:
    """Tasks of one verb.

    verb      what they do
    parts     what they read, in order
    settings  of the verb, the same for all
    grid      setting -> its values
    seeds     how many tasks for each combination
    """

    verb: str
    parts: tuple[Part, ...]
    settings: Mapping[str, Any]
    grid: Mapping[str, Sequence[Any]]
    seeds: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Inputs, each setting of the grid, seeds: the last changes first, so that a chunk reads few inputs."""
        return len(self.parts), *(len(values) for values in self.grid.values()), self.seeds

    def __len__(self) -> int:
        return math.prod(self.shape)

    def task(self, index: int, number: int, seed: int) -> Task:
        """The task at a place of this table."""
        *places, which = _unravel(index, self.shape)
        chosen = {key: values[place] for place, (key, values) in zip(places[1:], self.grid.items(), strict=True)}
        settings = {**self.settings, **chosen}
        return Task(number, self.verb, self.parts[places[0]], settings, chosen, seed + which)


@dataclasses.dataclass(frozen=True)
class Study:
    """All tables of tasks.

    out     where it lies
    tables  of tasks, one after another
    chunk   tasks that are written together
    seed    of the first of several seeds
    """

    out: str
    tables: tuple[Table, ...]
    chunk: int = 100
    seed: int = 0

    def __len__(self) -> int:
        return sum(map(len, self.tables))

    @property
    def chunks(self) -> int:
        """How many there are."""
        return -(-len(self) // self.chunk)

    def tasks(self, chunk: int) -> list[Task]:
        """Those of a chunk."""
        ends = list(itertools.accumulate(map(len, self.tables)))
        found = []
        for number in range(chunk * self.chunk, min((chunk + 1) * self.chunk, len(self))):
            at = bisect.bisect_right(ends, number)
            table = self.tables[at]
            found.append(table.task(number - ends[at] + len(table), number, self.seed))
        return found


def read_study(path: "str | os.PathLike[str]") -> Study:
    """The study in a TOML file; "demo:study" is one that ships, whose folder is made where you are.

    Raises:
        BadInput: it is not TOML, lacks a key, or has one that is not known; an input is not there; or there are more
            than `MOST` tasks.
    """
    ships = str(path) == DEMO
    place = SHIPPED if ships else pathlib.Path(path)
    require(place.is_file(), f"there is no study {place}")
    try:
        found = tomllib.loads(place.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{place} is not TOML: {error}") from error
    return study_of(found, pathlib.Path() if ships else place.parent, str(path))


def study_of(content: Mapping[str, Any], folder: pathlib.Path = pathlib.Path(), name: str = "the study") -> Study:
    """A study as a dict: what its TOML file would hold. Paths are from `folder`."""
    for key in content:
        require(key in TOP, f"{name} has no {key!r}{nearest(key, TOP)}; there are {', '.join(TOP)}")
    for key in ("out", "tasks"):
        require(key in content, f"{name} has no {key!r}")
    out, chunk, seed = str(content["out"]), content.get("chunk", 100), content.get("seed", 0)
    for key, value, least in (("chunk", chunk, 1), ("seed", seed, 0)):
        require(type(value) is int and value >= least, f"{name}: {key} is {value!r}; it is a whole number from {least}")
    tables = content["tasks"]
    require(isinstance(tables, list) and bool(tables), f"{name}: tasks is {tables!r}; it must be tables, [[tasks]]")
    made = tuple(_table(each, folder, f"{name}: tasks {k + 1}") for k, each in enumerate(tables))
    found = Study(out if SCHEME in out else str(folder / pathlib.Path(out).expanduser()), made, chunk, seed)
    counted = " + ".join(" x ".join(f"{size:,}" for size in table.shape) for table in made)
    require(len(found) <= MOST, f"{name} has {len(found):,} tasks ({counted}); there can be {MOST:,}")
    return found


def _table(content: Mapping[str, Any], folder: pathlib.Path, name: str) -> Table:
    for key in ("verb", "input"):
        require(key in content, f"{name} has no {key!r}")
    require_known(content["verb"], VERBS, f"{name}: the verb")
    verb = VERBS[content["verb"]]
    grid = content.get("grid", {})
    require(isinstance(grid, dict), f"{name}: grid is {grid!r}; it must be a table, [tasks.grid]")
    settings = {key: value for key, value in content.items() if key not in OWN}
    for key in (*settings, *grid):
        there = f"{content['verb']} has no {key!r}{nearest(key, verb.settings)}; there are {', '.join(verb.settings)}"
        require(key in verb.settings, f"{name}: {there}")
    for key, values in grid.items():
        require(isinstance(values, list) and bool(values), f"{name}: grid.{key} is {values!r}; it must be a list")
        require(key not in settings, f"{name}: {key} is a setting and in the grid")
    models, seeds = content.get("models"), content.get("seeds", 1)
    for key, value in (("models", models), ("seeds", seeds)):
        whole = value is None or (type(value) is int and value >= 1)
        require(whole, f"{name}: {key} is {value!r}; it is a whole number from 1")
    found = tuple(parts.of(content["input"], folder, models, name))
    return Table(content["verb"], found, settings, grid, seeds)


def _unravel(index: int, shape: Sequence[int]) -> list[int]:
    places = []
    for size in reversed(shape):
        index, place = divmod(index, size)
        places.append(place)
    return places[::-1]
