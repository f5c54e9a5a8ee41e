"""lleval_jax as a contestant: the same script protocol as the rivals, run by the interpreter at hand."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent / "rivals"))
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

import common  # noqa: E402


def prepare(problem, threads):
    """The 2PL of `lleval_jax.irt`, default settings."""
    import jax
    import numpy as np

    import lleval_jax

    responses = lleval_jax.Responses.build(scores=problem["scores"])

    def fit():
        result = lleval_jax.irt.fit(responses, model="2pl", dims=int(problem["dims"]))
        jax.block_until_ready(jax.tree.leaves(result))
        found = {name: getattr(result, name, None) for name in common.ARRAYS}
        found = {name: np.asarray(array, float) for name, array in found.items() if array is not None}
        if "slopes" in found:
            found["slopes"] = found["slopes"].reshape(len(found["intercepts"]), -1)
        said = {name: getattr(result, name, None) for name in ("converged", "steps")}
        return {
            **found,
            **{name: value.item() for name, value in said.items() if value is not None},
        }

    return fit


if __name__ == "__main__":
    common.main({"best": prepare}, "lleval-jax", "jax", "numpy")
