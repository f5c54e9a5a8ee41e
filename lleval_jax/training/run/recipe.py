"""A training run in a TOML file: model, data, adapter, loss, schedule, mesh.

    model = "tiny-lm"                 # a folder, a .gguf file, or a name that `lleval models list` shows
    data = "pairs.jsonl"              # prompt, chosen, rejected; prompt, completion, label; or, for sft, prompt,
                                      # completion, or messages; of chats see `Preferences.from_frame`
    unfit = "drop"                    # rows that nothing can be learned from; without this they are refused
    long = "cut"                      # prompts of rows that are too long; or "drop" the rows; without this refused
    held_out = 0.1                    # a share of the data, or another file
    out = "runs/aot"
    dtype = "bfloat16"                # of products, and of weights that do not learn; without this float32
    tensorboard = true                # metrics for TensorBoard too, next to metrics.jsonl

    [loss]
    name = "aot"                      # aot, dpo, ipo, kto, sft; its settings follow. Of weak texts, which are learned
                                      # as by sft: smoothing (share), confidence (coef, warm_up, jump), product
                                      # (alpha, beta, share)
    beta = 0.01

    [adapter]                         # without this table all weights learn
    rank = 8
    learn = "B"

    [schedule]
    steps = 100

    [mesh]                            # without this table: one device
    fsdp = 8                          # parts that rows and weights are shared out to; also data and tensor

Paths are from the folder that the file lies in. A key that is not known is refused, with the nearest that is.
"""

import dataclasses
import os
import pathlib
import tomllib
from typing import Any, Literal

import msgspec
import numpy as np
from jax.sharding import Mesh

from lleval_jax.errors import BadInput, chosen, nearest, require
from lleval_jax.lm.mesh import mesh
from lleval_jax.training import losses, weak_text
from lleval_jax.training.losses import Loss
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.run.batches import Long
from lleval_jax.training.run.schedule import Schedule
from lleval_jax.values.preferences import Preferences, WhenUnfit

SHIPPED = pathlib.Path(__file__).parent / "recipes"
DEMO = "demo:"  # before the name of a recipe that ships
Dtype = Literal["float32", "bfloat16"]
LOSSES = losses.LOSSES | weak_text.LOSSES
TABLES = ("loss", "adapter", "schedule", "columns", "mesh")


@dataclasses.dataclass(frozen=True)
class Devices:
    """How many devices, and what each axis shares out: see `lm.mesh.mesh`.

    Attributes:
        data: parts that the rows of a batch are shared out to.
        fsdp: parts that the rows and the weights are shared out to.
        tensor: parts that heads, hidden numbers and the vocabulary are shared out to.
    """

    data: int = 1
    fsdp: int = 1
    tensor: int = 1

    def mesh(self) -> Mesh:
        """The first so many devices. `BadInput`: there are fewer."""
        return mesh(self.data, self.fsdp, self.tensor)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that a training run is made of.

    Attributes:
        model: what `lm.load` takes.
        data: a file of preferences, or of answers without alternatives.
        loss: what is minimised.
        out: the folder of the run.
        adapter: what learns; None for all weights.
        schedule: how long and how fast.
        held_out: another such file, or the share of `data` that is not learned.
        unpaired: take pairs apart: their sides are two samples.
        longest: tokens of an answer with its prompt, at most; None for the model's context.
        long: what to do with longer ones.
        unfit: what to do with rows that nothing can be learned from.
        columns: what a column of the data is, where its name does not tell.
        dtype: of products, and of weights that do not learn; what learns is float32.
        tensorboard: write metrics for TensorBoard too.
        mesh: the devices that share the work; None for one.
    """

    model: str
    data: str
    loss: Loss
    out: str
    adapter: Lora | None = None
    schedule: Schedule = Schedule()
    held_out: float | str = 0.1
    unpaired: bool = False
    longest: int | None = None
    long: Long = "refuse"
    unfit: WhenUnfit = "refuse"
    dtype: Dtype = "float32"
    tensorboard: bool = False
    columns: dict[str, str] | None = None
    mesh: Devices | None = None

    @property
    def kept_as(self) -> Dtype:
        """The type of the weights in memory: float32 where they learn."""
        return "float32" if self.adapter is None else self.dtype

    def parts(self, data: Preferences) -> tuple[Preferences, Preferences | None]:
        """What is learned and what is held out, by the share `held_out`: drawn once, by the schedule's seed."""
        whole = data.unpaired() if self.unpaired else data
        if isinstance(self.held_out, str) or self.held_out == 0:
            return whole, None
        return whole.split(self.held_out, np.random.default_rng(self.schedule.seed))


def read(path: str | os.PathLike[str]) -> Recipe:
    """The recipe in a file, or one that ships: "demo:aot". Of those the run's folder is one where you are.

    Raises:
        BadInput: it is not TOML, lacks a key, or has one that is not known or of another kind; the key is named.
    """
    ships = str(path).startswith(DEMO)
    place = SHIPPED / f"{_shipped(str(path).removeprefix(DEMO))}.toml" if ships else pathlib.Path(path)
    require(place.is_file(), f"there is no recipe {place}")
    try:
        found = tomllib.loads(place.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{place} is not TOML: {error}") from error
    for key in ("model", "data", "out", "loss"):
        require(key in found, f"{place} has no {key!r}")
    settings: dict[str, Any] = {key: value for key, value in found.items() if key not in TABLES}
    _require_known(place, "", settings, Recipe)
    made = {
        "loss": _loss(place, found["loss"]),
        "schedule": _made(place, "schedule", found.get("schedule", {}), Schedule),
        "adapter": _made(place, "adapter", found["adapter"], Lora) if "adapter" in found else None,
        "mesh": _made(place, "mesh", found["mesh"], Devices) if "mesh" in found else None,
    }
    for key in ("data", "out", *(["held_out"] if isinstance(found.get("held_out"), str) else [])):
        here = pathlib.Path() if ships and key == "out" else place.parent
        settings[key] = str(here / pathlib.Path(settings[key]).expanduser())
    nearby = place.parent / settings["model"]
    settings["model"] = str(nearby) if nearby.exists() else settings["model"]
    recipe = _converted(place, "", settings | {"loss": None, "columns": found.get("columns")}, Recipe, **made)
    share = recipe.held_out
    require(isinstance(share, str) or 0 <= share < 1, f"{place}: held_out is {share}; it is a share from 0 to below 1")
    return recipe


def _shipped(name: str) -> str:
    """The name of a recipe that ships."""
    there = [each.stem for each in sorted(SHIPPED.glob("*.toml"))]
    require(name in there, f"no recipe {name!r} ships{nearest(name, there)}; there are {', '.join(there)}")
    return name


def _loss(place: pathlib.Path, table: Any) -> Loss:
    require(isinstance(table, dict) and "name" in table, f"{place}: [loss] needs a name, one of {', '.join(LOSSES)}")
    rest = {key: value for key, value in table.items() if key != "name"}
    return _made(place, "loss", rest, chosen(LOSSES, table["name"], "loss"))


def _made(place: pathlib.Path, name: str, table: Any, kind: type) -> Any:
    require(isinstance(table, dict), f"{place}: {name} is {table!r}; it must be a table, [{name}]")
    _require_known(place, f"[{name}] ", table, kind)
    return _converted(place, f"[{name}] ", table, kind)


def _require_known(place: pathlib.Path, where: str, table: dict[str, Any], kind: type) -> None:
    known = [field.name for field in dataclasses.fields(kind)]
    for key in table:
        require(key in known, f"{place}: {where}has no {key!r}{nearest(key, known)}; there are {', '.join(known)}")


def _converted(place: pathlib.Path, where: str, table: dict[str, Any], kind: type, **made: Any) -> Any:
    """The table as its type, each value of the kind that its field has."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.name in made:
            values[field.name] = made[field.name]
        elif field.name in table and field.name != "loss":
            try:
                values[field.name] = msgspec.convert(table[field.name], field.type)
            except msgspec.ValidationError as error:
                raise BadInput(f"{place}: {where}{field.name} is {table[field.name]!r}: {error}") from error
    return kind(**values)
