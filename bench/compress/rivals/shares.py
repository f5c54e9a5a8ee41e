"""vlora-dev, lorashare and the authors' LoRALoLA on adapters of a few modules: error and stored numbers of each size.

A file holds `<module>.out` (n, rank, d_out), the transpose of B, and `<module>.inn` (n, rank, d_in), A. Each program is
given factors as they are, and those of adapters of norm 1, balanced; both results are kept.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

import numpy as np  # noqa: E402

from bench.compress import problem  # noqa: E402
from bench.compress.rivals import lorallola  # noqa: E402

Modules = dict[str, tuple[np.ndarray, np.ndarray]]


def main() -> None:
    """Write a list of points: setting, stored numbers, mean squared relative error."""
    parser = argparse.ArgumentParser()
    parser.add_argument("problem", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--variant")
    parser.add_argument("--ranks", type=int, nargs="+")
    wanted = parser.parse_args()

    import torch

    torch.manual_seed(0)
    with np.load(wanted.problem) as file:
        modules = {name[:-4]: (file[name], file[f"{name[:-4]}.inn"]) for name in file.files if name.endswith(".out")}
    way = {"vlora-dev": vlora, "lorashare": lorashare}.get(wanted.variant)
    points = []
    for unit in (False, True):
        given = {name: balanced(*pair) for name, pair in modules.items()} if unit else modules
        for rank in wanted.ranks:
            found = way(given, rank) if way else theirs(wanted.variant, given, rank)
            if found is not None:
                points.append({"rank": rank, "unit": unit, "values": found[0], "error": found[1]})
    wanted.out.write_text(json.dumps({"status": "ok", "points": points, "versions": versions(wanted.variant)}))


def versions(variant: str) -> dict[str, str]:
    """Of what was run."""
    names = ["torch", *(name for name in ("vlora-dev", "lorashare") if name == variant)]
    return {name: importlib.metadata.version(name) for name in names}


def balanced(out: np.ndarray, inn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same adapters of norm 1, their factors turned so that both are the same size in each direction."""
    left, right = np.linalg.qr(np.swapaxes(out, 1, 2)), np.linalg.qr(np.swapaxes(inn, 1, 2))
    u, values, v = np.linalg.svd(left.R @ np.swapaxes(right.R, 1, 2))
    size = np.sqrt(values / np.linalg.norm(values, axis=1, keepdims=True))[:, :, None]
    return size * np.swapaxes(left.Q @ u, 1, 2), size * (v @ np.swapaxes(right.Q, 1, 2))


def error(given: tuple[np.ndarray, np.ndarray], found: tuple[np.ndarray, np.ndarray]) -> float:
    """Mean squared relative error of adapters out' inn."""
    joined = [np.concatenate([each[0], each[1]], 1) for each in zip(given, found, strict=True)]
    r = given[0].shape[1]
    joined[0][:, r:] *= -1  # M - M~ as one product
    return float(np.mean((problem.norms(*joined) / problem.norms(*given)) ** 2))


def vlora(modules: Modules, k: int) -> tuple[int, float] | None:
    """`SharedSubspace` of k components."""
    import torch
    from vlora.io import LoRAWeights
    from vlora.subspace import SharedSubspace

    n, rank, _ = next(iter(modules.values()))[0].shape
    if k >= n:
        return None
    adapters = [
        LoRAWeights(
            list(modules),
            {name: torch.tensor(inn[i]) for name, (_, inn) in modules.items()},
            {name: torch.tensor(out[i].T.copy()) for name, (out, _) in modules.items()},
            rank,
        )
        for i in range(n)
    ]
    shared = SharedSubspace.from_adapters(adapters, num_components=k)
    again = [shared.reconstruct(f"task_{i}") for i in range(n)]
    errors = [
        error(
            pair,
            (np.stack([x.lora_b[name].numpy().T for x in again]), np.stack([x.lora_a[name].numpy() for x in again])),
        )
        for name, pair in modules.items()
    ]
    return int(shared.compression_stats()["total_params_compressed"]), float(np.mean(errors))


def lorashare(modules: Modules, k: int) -> tuple[int, float] | None:
    """PCA of the columns of all B, and of the rows of all A, with k components."""
    import torch
    from lorashare import compression

    n, rank, _ = next(iter(modules.values()))[0].shape
    if k > min(min(out.shape[2], inn.shape[2]) for out, inn in modules.values()):
        return None
    key = compression.build_lora_key
    states = {
        f"{i:05d}": {
            key(name, side): torch.tensor(values.copy())
            for name, (out, inn) in modules.items()
            for side, values in (("A", inn[i]), ("B", out[i].T))
        }
        for i in range(n)
    }
    components, _, k = compression.compute_shared_components(compression.combine_adapter_weights(states), k)
    again = [
        compression.reconstruct_adapter_weights(components, compression.compute_adapter_loadings(components, state))
        for state in states.values()
    ]
    errors = [
        error(
            pair,
            (
                np.stack([x[key(name, "B")].numpy().T for x in again]),
                np.stack([x[key(name, "A")].numpy() for x in again]),
            ),
        )
        for name, pair in modules.items()
    ]
    return sum(each.numel() for each in components.values()) + len(modules) * n * 2 * k * rank, float(np.mean(errors))


def theirs(variant: str, modules: Modules, k: int) -> tuple[int, float] | None:
    """LoRALoLA: "eigen", "alternating" or "diagonal"."""
    sizes = [(out.shape[2], inn.shape[2]) for out, inn in modules.values()]
    n = len(next(iter(modules.values()))[0])
    if k + 2 > min(map(min, sizes)):
        return None
    errors = [_diagonal(*pair, k) if variant == "diagonal" else _full(variant, *pair, k) for pair in modules.values()]
    core = k if variant == "diagonal" else k**2
    found = float(np.mean(errors))
    return (sum(k * sum(size) + n * core for size in sizes), found) if np.isfinite(found) else None


def _full(variant: str, out: np.ndarray, inn: np.ndarray, k: int) -> float:
    u, v = (np.asarray(side) for side in lorallola.bases(variant, out, inn, k)())
    return 1 - problem.kept(out, inn, u, v)


def _diagonal(out: np.ndarray, inn: np.ndarray, k: int) -> float:
    """Their 100 sweeps; a singular system, which they do not catch, is no result."""
    import torch

    search = lorallola.theirs("compression").diagonal_lora_pca_sparse
    sides = [[torch.tensor(each.T.copy()) for each in rows] for rows in (out, inn)]
    try:
        u, v, sigmas = search(*sides, k, display=False)
    except torch.linalg.LinAlgError:
        return float("nan")
    scales = np.stack([np.diag(each.numpy()) for each in sigmas])
    found = scales[:, :, None] * u.numpy().T, np.broadcast_to(v.numpy().T, (len(out), k, inn.shape[2]))
    return error((out, inn), found)


if __name__ == "__main__":
    main()
