"""tinyBenchmarks' way to an ability: scipy's BFGS from zero, no prior, one row after another."""

import time

import common

SAMPLE = 200


def fit_with(analytic):
    """A variant: its finite-difference gradient, or (the best it could do) an analytic one."""

    def prepare(problem, threads):
        import numpy as np
        from scipy.optimize import minimize

        slopes, intercepts = problem["slopes"], problem["intercepts"]
        rows, dims = len(problem["scores"]), slopes.shape[1]
        sample = problem["scores"][:SAMPLE].astype(float)

        def loss(ability, answers):
            chance = 1 / (1 + np.exp(-(slopes @ ability + intercepts)))
            return -np.sum(answers * np.log(chance + 1e-10) + (1 - answers) * np.log(1 - chance + 1e-10))

        def gradient(ability, answers):
            return slopes.T @ (1 / (1 + np.exp(-(slopes @ ability + intercepts))) - answers)

        def fit():
            wall, cpu = time.perf_counter(), time.process_time()
            jac = gradient if analytic else None
            found = [minimize(loss, np.zeros(dims), (row,), "BFGS", jac=jac) for row in sample]
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            share = rows / len(sample)
            return {
                "abilities": np.stack([each.x for each in found]),
                "converged": all(each.success for each in found),
                "steps": int(np.median([each.nit for each in found])),
                "settings": f"BFGS from 0, no prior, {'analytic' if analytic else 'numeric'} gradient; "
                f"{np.mean([each.success for each in found]):.0%} of rows converged",
                "whole": {
                    "seconds": wall * share / threads,
                    "cpu_seconds": cpu * share,
                    "from": f"{len(sample)} of {rows} rows on one core, split perfectly over {threads}",
                },
            }

        return fit

    return prepare


if __name__ == "__main__":
    common.main(
        {"best": fit_with(analytic=True), "numeric": fit_with(analytic=False)},
        "scipy",
        "numpy",
    )
