"""mirt-py 1.2.0: marginal EM in Rust; without standard errors, as the default ones need items^2 memory."""

import common


def fit_with(**settings):
    """A variant: `fit_mirt` with these settings."""

    def prepare(problem, threads):
        import mirt

        scores = problem["scores"].astype(int)

        def fit():
            result = mirt.fit_mirt(scores, model="2PL", **settings)
            found = result.model.parameters
            slopes = found["discrimination"].reshape(-1, 1)
            return {
                "slopes": slopes,
                "intercepts": -slopes[:, 0] * found["difficulty"],
                "converged": bool(result.converged),
                "steps": int(result.n_iterations),
                "log_likelihood": float(result.log_likelihood),
                "settings": ", ".join(f"{k}={v}" for k, v in settings.items()) or "defaults",
            }

        return fit

    return prepare


if __name__ == "__main__":
    best = fit_with(compute_standard_errors=False, max_iter=2000)
    fine = fit_with(compute_standard_errors=False, max_iter=2000, n_quadpts=61)
    common.main({"best": best, "nodes_61": fine, "defaults": fit_with()}, "mirt", "numpy")
