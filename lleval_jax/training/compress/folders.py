"""A folder of PEFT adapters of one base model: checked as a whole, then read some modules at a time."""

import dataclasses
import hashlib
import os
import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lleval_jax.errors import BadFile, BadInput, require
from lleval_jax.lm.tensors import Tensors
from lleval_jax.training.compress.stack import Stack
from lleval_jax.training.low_rank import adapter_files
from lleval_jax.values.progress import Progress, Tell, silent

SIDES = {"A": ".lora_A.weight", "B": ".lora_B.weight"}


class Adapter(NamedTuple):
    """One adapter on disk.

    name     of its folder
    base     the model that it says it is of
    rank     rows of A
    scale    what B A is multiplied with
    shapes   module -> (d_out, d_in)
    tensors  its file, not read yet
    """

    name: str
    base: str
    rank: int
    scale: float
    shapes: Mapping[str, tuple[int, int]]
    tensors: Tensors

    @property
    def size(self) -> int:
        """Values that it holds."""
        return self.rank * sum(map(sum, self.shapes.values()))

    @property
    def fingerprint(self) -> str:
        """The hash of what it holds, and of its scale; the file is read."""
        files = {tensor.file for tensor in self.tensors.values()}
        found = hashlib.sha256(repr((self.base, self.scale)).encode())
        for place in sorted(files):
            with place.open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
        return found.hexdigest()

    def factors(self, module: str) -> tuple[np.ndarray, np.ndarray]:
        """A (rank, d_in) and scale * B (d_out, rank), float32.

        Raises:
            BadFile: a value is not finite.
        """
        found = []
        for side, ending in SIDES.items():
            tensor = self.tensors[f"{adapter_files.HEAD}{module}{ending}"]
            values = np.asarray(tensor.read(), np.float32)
            if not np.isfinite(values).all():
                raise BadFile(f"{tensor.place} ({side} of adapter {self.name!r}) holds numbers that are not finite")
            found.append(values)
        return found[0], self.scale * found[1]


@dataclasses.dataclass(frozen=True, eq=False)
class Collection:
    """Adapters of one base model and the same modules.

    adapters  in the order of their names
    skipped   name -> why it was left out
    """

    adapters: tuple[Adapter, ...]
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the adapters."""
        return tuple(each.name for each in self.adapters)

    @property
    def shapes(self) -> Mapping[str, tuple[int, int]]:
        """Module -> (d_out, d_in)."""
        return self.adapters[0].shapes

    def groups(self) -> dict[tuple[int, int], tuple[str, ...]]:
        """Modules of one shape, which are solved together."""
        found: dict[tuple[int, int], list[str]] = {}
        for module, shape in self.shapes.items():
            found.setdefault(shape, []).append(module)
        return {shape: tuple(modules) for shape, modules in found.items()}

    def stack(self, modules: Sequence[str], rows: Sequence[int] | None = None) -> Stack:
        """These modules of all adapters, or of some: (modules, n, largest rank, size), float32."""
        chosen = [self.adapters[i] for i in (range(len(self.adapters)) if rows is None else rows)]
        out_size, in_size = self.shapes[modules[0]]
        rank = max(each.rank for each in self.adapters)
        out = np.zeros((len(modules), len(chosen), rank, out_size), np.float32)
        inn = np.zeros((len(modules), len(chosen), rank, in_size), np.float32)
        for n, adapter in enumerate(chosen):
            for m, module in enumerate(modules):
                a, b = adapter.factors(module)
                inn[m, n, : len(a)], out[m, n, : b.shape[1]] = a, b.T
        return Stack(jnp.asarray(out), jnp.asarray(inn))


def read_adapters(folder: "str | os.PathLike[str]", *, skip_bad: bool = False, tell: Tell = silent) -> Collection:
    """All PEFT adapters in the folders of a folder; values are read once, to see that they are finite.

    Args:
        folder: holds a folder an adapter.
        skip_bad: leave out adapters that cannot be used; `Collection.skipped` names them.
        tell: called with the adapters looked at.

    Raises:
        BadInput: there is none, or one cannot be used: an option that is not known, another base model, other modules
            or shapes than most have, a rank above a module's size, numbers that are not finite.
        BadFile: a file is damaged.

    Example:
        >>> read_adapters("adapters/").names
        ('sentiment', 'sql', 'summary')
    """
    place = pathlib.Path(folder)
    require(place.is_dir(), f"there is no folder {place}")
    folders = sorted(each for each in place.iterdir() if (each / adapter_files.CONFIG).is_file())
    require(bool(folders), f"{place} holds no folder with an {adapter_files.CONFIG}; PEFT writes one for each adapter")
    good, skipped = [], {}
    for number, each in enumerate(folders, 1):
        try:
            good.append(_read(each))
        except BadInput as error:
            if not skip_bad:
                raise
            skipped[each.name] = str(error)
        tell(Progress("reading adapters", number, len(folders), unit="adapters"))
    require(bool(good), f"no adapter in {place} can be used; the first: {next(iter(skipped.values()), '')}")
    return _alike(good, skipped, skip_bad)


def _read(folder: pathlib.Path) -> Adapter:
    """One adapter, looked at whole."""
    settings = adapter_files.settings(folder / adapter_files.CONFIG)
    file, tensors = folder / adapter_files.WEIGHTS, adapter_files.tensors_of(folder)
    sides = [_side(tensors, ending) for ending in SIDES.values()]
    for side, others, missing in ((sides[0], sides[1], "lora_B"), (sides[1], sides[0], "lora_A")):
        alone = sorted(side.keys() - others.keys())
        require(not alone, f"{file}: {alone[:1]} has no {missing}")
    named = {f"{adapter_files.HEAD}{module}{ending}" for module in sides[0] for ending in SIDES.values()}
    unknown = sorted(tensors.keys() - named)
    require(
        not unknown, f"{file}: tensor {unknown[:1]} is no factor of a linear layer; such adapters are not known here"
    )
    require(bool(sides[0]), f"{file} holds no adapter")
    shapes = {module: (sides[1][module][0], sides[0][module][1]) for module in sorted(sides[0])}
    rank = int(settings["r"])
    for module, shape in shapes.items():
        found = {sides[0][module][0], sides[1][module][1]}
        require(found == {rank}, f"{file}: {module} has a rank of {sorted(found)}; {adapter_files.CONFIG} says {rank}")
        require(rank <= min(shape), f"{file}: {module} is {shape[0]} x {shape[1]}, less than the rank of {rank}")
    scale = float(settings["lora_alpha"]) / (rank**0.5 if settings.get("use_rslora") else rank)
    adapter = Adapter(folder.name, str(settings.get("base_model_name_or_path") or ""), rank, scale, shapes, tensors)
    for module in shapes:
        adapter.factors(module)
    return adapter


def _side(tensors: Tensors, ending: str) -> dict[str, tuple[int, ...]]:
    """Module -> shape of one of its factors."""
    found = {}
    for name, tensor in tensors.items():
        if name.startswith(adapter_files.HEAD) and name.endswith(ending) and len(tensor.shape) == 2:
            found[name.removeprefix(adapter_files.HEAD).removesuffix(ending)] = tensor.shape
    return found


def _alike(found: list[Adapter], skipped: dict[str, str], skip_bad: bool) -> Collection:
    """Those of the base model and the modules that most have."""
    base = Counter(each.base for each in found).most_common(1)[0][0]
    shapes = Counter(tuple(each.shapes.items()) for each in found if each.base == base).most_common(1)[0][0]
    good = []
    for each in found:
        odd = _difference(each, base, dict(shapes))
        if odd:
            require(skip_bad, f"adapter {each.name!r} {odd}", python="Pass skip_bad=True.", shell="Pass --skip-bad.")
            skipped[each.name] = f"adapter {each.name!r} {odd}"
        else:
            good.append(each)
    return Collection(tuple(good), skipped)


def _difference(adapter: Adapter, base: str, shapes: Mapping[str, tuple[int, int]]) -> str:
    """How an adapter differs from most, in words; "" where it does not."""
    if adapter.base != base:
        return f"is of the base model {adapter.base!r}, and most are of {base!r}"
    more, fewer = sorted(adapter.shapes.keys() - shapes.keys()), sorted(shapes.keys() - adapter.shapes.keys())
    if more or fewer:
        first = (more + fewer)[0]
        return f"has {len(more)} modules that most have not and lacks {len(fewer)} that they have, first {first}"
    for module, shape in shapes.items():
        if adapter.shapes[module] != shape:
            return f"has {module} of shape {adapter.shapes[module]}, and most have {shape}"
    return ""
