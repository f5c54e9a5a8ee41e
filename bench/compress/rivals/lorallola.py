"""The authors' PyTorch code, bruel-gabrielsson/LoRALoLA at aab283c, from the folder that LLEVAL_LORALOLA names.

Its file with the weights is missing there (`SVDiteration.py`): they are 1 / ||M||^2, as the paper has them, and given.
"eigen" is its eigen-iteration, run until it says that it has converged; "alternating" its ten sweeps with sketched
singular vectors.
"""

from __future__ import annotations

import importlib
import os
import pathlib
import sys
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

import numpy as np  # noqa: E402

from bench.compress import problem  # noqa: E402


def theirs(name: str) -> types.ModuleType:
    """A file of theirs as a module."""
    package, missing = types.ModuleType("lorallola"), types.ModuleType("lorallola.SVDiteration")
    package.__path__ = [os.environ["LLEVAL_LORALOLA"]]
    missing.compute_weights = missing.fullSigmaObjective = None  # type: ignore[attr-defined]
    sys.modules |= {"lorallola": package, "lorallola.SVDiteration": missing}
    return importlib.import_module(f"lorallola.{name}")


def bases(variant: str, out: np.ndarray, inn: np.ndarray, width: int):  # noqa: ANN201
    """A call that finds U and V of a module's adapters, (n, rank, size), and draws anew each time."""
    import torch

    weights = 1 / problem.norms(out, inn) ** 2
    inn_columns = [torch.tensor(each.T.copy()) for each in inn]
    if variant == "eigen":
        columns = [torch.tensor(each.T.copy()) for each in out]
        search = theirs("compression_eigeniteration").loraEigenvalueIteration
        return lambda: search(columns, inn_columns, torch.tensor(weights), width, printstatus=False)
    columns = [torch.tensor((each * weight**0.5).T.copy()) for each, weight in zip(out, weights, strict=True)]
    search = theirs("compression").full_lora_pca
    return lambda: search(columns, inn_columns, width, display=False)[:2]


def main() -> None:
    """Time a search."""
    wanted = problem.asked()

    import torch

    torch.set_num_threads(wanted.threads)
    torch.manual_seed(0)
    out, inn = problem.made(wanted.adapters, wanted.size, wanted.rank)
    solve = bases(wanted.variant, out[0], inn[0], wanted.width)

    def about(found) -> dict:  # noqa: ANN001
        share = problem.kept(out[0], inn[0], *(np.asarray(side) for side in found))
        return {"kept": share, "versions": {"torch": torch.__version__}}

    problem.timed(wanted, solve, about)


if __name__ == "__main__":
    main()
