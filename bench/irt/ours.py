"""lleval_jax as a contestant: the same script protocol as the rivals, run by the interpreter at hand."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent / "rivals"))
sys.path.append(str(pathlib.Path(__file__).resolve().parents[2]))

import common  # noqa: E402


def prepare(problem, threads, **options):
    """The 2PL of `lleval_jax.irt`, default settings, standard errors included; or abilities if items are given."""
    import numpy as np

    import lleval_jax
    import lleval_jax.estimators.irt  # names load when first used; the rivals load with their import

    if "slopes" in problem:
        return prepare_abilities(problem)
    responses = lleval_jax.Responses.build(problem["scores"])
    dims = int(problem["dims"])

    def fit():
        result = lleval_jax.irt.fit(responses, model="2pl", dims=dims, **options)
        found = {"slopes": result.params.slope, "intercepts": result.params.intercept}
        if dims > 1:  # in one dimension the judge integrates abilities out
            found["abilities"] = result.params.ability
        found = {name: np.asarray(array, float) for name, array in found.items()}
        said = {"converged": result.converged, "steps": result.steps, "log_likelihood": result.ended.value}
        return found | said | {"settings": result.settings}

    return fit


def no_errors(problem, threads):
    """Without standard errors, as most rivals fit."""
    return prepare(problem, threads, standard_errors=False)


def likelihood(problem, threads):
    """Maximum likelihood on R mirt's 61 nodes in float64: the definition its stored fit reports."""
    from lleval_jax.core.irt.quadrature import Grid

    nodes = {"nodes": Grid(61, 6.0), "fixed_nodes": True}
    return prepare(problem, threads, prior=None, precision="float64", tol=1e-4, **nodes)


def prepare_abilities(problem):
    """MAP abilities with standard errors, items known."""
    import lleval_jax
    import lleval_jax.estimators.irt  # names load when first used; the rivals load with their import
    from bench.kit.problems import bank_of

    bank = bank_of(problem["slopes"], problem["intercepts"])
    responses = lleval_jax.Responses.build(problem["scores"], items=bank.items)

    def score():
        value, _, status = lleval_jax.ability.score(responses, bank, "map")
        return {"abilities": value.astype(float), "converged": bool((status == 1).all())}

    return score


if __name__ == "__main__":
    variants = {"best": prepare, "no_errors": no_errors, "likelihood": likelihood}
    common.main(variants, "lleval-jax", "jax", "numpy")
