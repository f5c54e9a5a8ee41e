"""`compress` on adapters in memory, from their factors to bases, cores and errors."""

from __future__ import annotations

import pathlib
import sys
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402

from bench.compress import problem  # noqa: E402

SEARCHES = {"8 starts": {}, "1 start": {"starts": 1}, "12 sweeps": {"starts": 1, "most": 12}}


def collection(modules: dict[str, tuple[np.ndarray, np.ndarray]]):  # noqa: ANN201
    """Arrays, transposed B and A of each module, as a folder of adapters: what is read is what files would give."""
    from lleval_jax.training.compress.folders import SIDES, Adapter, Collection
    from lleval_jax.training.low_rank import adapter_files

    def stored(values: np.ndarray) -> types.SimpleNamespace:
        return types.SimpleNamespace(read=lambda: values, place="memory")

    shapes = {name: (out.shape[-1], inn.shape[-1]) for name, (out, inn) in modules.items()}
    n, rank, _ = next(iter(modules.values()))[0].shape
    found = []
    for i in range(n):
        tensors = {
            f"{adapter_files.HEAD}{name}{ending}": stored(inn[i] if side == "A" else out[i].T)
            for name, (out, inn) in modules.items()
            for side, ending in SIDES.items()
        }
        found.append(Adapter(f"adapter-{i:05d}", "", rank, 1.0, shapes, tensors))  # type: ignore[arg-type]
    return Collection(tuple(found))


def main() -> None:
    """Time a search."""
    wanted = problem.asked()

    from lleval_jax.training.compress.fit import Search, compress

    out, inn = problem.made(wanted.adapters, wanted.size, wanted.rank, modules=wanted.modules)
    modules = {f"layers.{m}.q_proj": (out[m], inn[m]) for m in range(wanted.modules)}
    adapters, search = collection(modules), Search(**SEARCHES[wanted.variant])

    def about(shared) -> dict:  # noqa: ANN001
        first = next(iter(shared.modules.values()))
        share = problem.kept(out[0], inn[0], first.u[0], first.v[0])
        return {"kept": share, "settled": bool(shared.settled)}

    problem.timed(wanted, lambda: compress(adapters, wanted.width, search=search), about)


if __name__ == "__main__":
    main()
