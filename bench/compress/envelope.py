"""Error against memory on the same adapters: shared bases, vlora-dev, lorashare and LoRALoLA, each at all its sizes.

The others run in the environment whose Python LLEVAL_PARITY names, with PyTorch and `pip install --no-deps
vlora-dev==1.0.0 lorashare==0.1.3`; LLEVAL_LORALOLA names the files of bruel-gabrielsson/LoRALoLA. LLEVAL_ADAPTERS may
name a folder of trained PEFT adapters, of which the modules of a middle layer are taken. Memory is counted in stored
numbers.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
import tempfile
from typing import Any

import numpy as np

from bench.compress import problem
from bench.compress.speed_ours import collection
from bench.kit.measure import run_script
from bench.kit.results import Record
from bench.kit.settings import setting

HERE = pathlib.Path(__file__).resolve().parent
RIVALS = {
    "vlora-dev": "vlora-dev 1.0.0",
    "lorashare": "lorashare 0.1.3",
    "eigen": "LoRALoLA, eigen-iteration",
    "alternating": "LoRALoLA, alternating",
    "diagonal": "LoRALoLA, diagonal",
}
Modules = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is run."""

    adapters: tuple[str, ...] = setting(("planted", "trained"), "trained: those of LLEVAL_ADAPTERS, if there are any")
    rivals: tuple[str, ...] = setting(tuple(RIVALS), "programs")
    ranks: tuple[int, ...] = setting((1, 2, 4, 8, 16, 24, 32, 64), "columns of a basis, or components")
    clusters: tuple[int, ...] = setting((1, 2, 4), "bases")
    n: int = setting(64, "planted adapters")
    size: int = setting(256, "of their module")
    rank: int = setting(8, "of them")
    starts: int = setting(2, "of our searches")
    timeout: float = setting(300.0, "seconds a program")


def study(settings: Settings, record: Record) -> None:
    """A part for each kind of adapters and each program."""
    for kind in settings.adapters:
        modules = made(kind, settings)
        if modules is None:
            print(f"{kind}: LLEVAL_ADAPTERS names no folder", flush=True)
            continue
        whole = sum(out.size + inn.size for out, inn in modules.values())
        about = {"n": len(next(iter(modules.values()))[0]), "modules": list(modules), "values": whole}
        _keep(record, kind, "lleval_jax", about, {"status": "ok", "points": ours(modules, settings)})
        for rival in settings.rivals:
            _keep(record, kind, RIVALS[rival], about, theirs(rival, modules, settings))


def made(kind: str, settings: Settings) -> Modules | None:
    """Adapters, module by module: transposed B and A of each."""
    if kind == "planted":
        out, inn = problem.made(settings.n, settings.size, settings.rank)
        return {"planted": (out[0], inn[0])}
    place = os.environ.get("LLEVAL_ADAPTERS", "")
    if not place or not pathlib.Path(place).is_dir():
        return None
    from lleval_jax.training.compress.folders import read_adapters

    found = read_adapters(place, skip_bad=True)
    layers = sorted({int(part) for name in found.shapes for part in name.split(".") if part.isdigit()})
    middle = f".{layers[len(layers) // 2]}."
    return {
        name: tuple(np.asarray(side)[0] for side in found.stack([name]))  # type: ignore[misc]
        for name in found.shapes
        if middle in name
    }


def ours(modules: Modules, settings: Settings) -> list[dict[str, Any]]:
    """All methods and sizes; one that takes more than the adapters themselves is left out."""
    from lleval_jax.training.compress.choose import stored
    from lleval_jax.training.compress.fit import METHODS, Search, compress

    adapters, search, points = collection(modules), Search(starts=settings.starts), []
    own, least = adapters.adapters[0].rank, min(map(min, adapters.shapes.values()))
    whole = sum(each.size for each in adapters.adapters)
    for method in METHODS:
        for rank in settings.ranks:
            for clusters in settings.clusters if method == "full" else (1,):
                if rank <= (own if method == "svd" else least) and stored(adapters, rank, clusters, method) < whole:
                    found = compress(adapters, rank, method=method, clusters=clusters, search=search)
                    point = {"method": method, "rank": rank, "clusters": clusters}
                    points.append(point | {"values": found.after, "error": float(found.error.mean())})
    return points


def theirs(rival: str, modules: Modules, settings: Settings) -> dict[str, Any]:
    """A program in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        problem_file, out = pathlib.Path(folder) / "problem.npz", pathlib.Path(folder) / "out.json"
        arrays = {f"{name}.{side}": x for name, pair in modules.items() for side, x in zip(("out", "inn"), pair)}  # noqa: B905
        np.savez(problem_file, **arrays)  # pyright: ignore[reportArgumentType]
        python = os.environ.get("LLEVAL_PARITY", sys.executable)
        words = [python, str(HERE / "rivals/shares.py"), str(problem_file), str(out), "--variant", rival]
        return run_script([*words, "--ranks", *map(str, settings.ranks)], out, settings.timeout)


def _keep(record: Record, kind: str, who: str, about: dict[str, Any], found: dict[str, Any]) -> None:
    print(kind, who, found["status"], found.get("error", f"{len(found.get('points', []))} points"), flush=True)
    record.part(f"{kind}, {who}", about | {"adapters": kind, "who": who} | found)
