"""theta-irt 0.1.1: marginal EM in JAX, float64; on few rows it converges only with its optional priors."""

import common


def fit_with(priors=None, **settings):
    """A variant: `theta.fit` with these priors and settings."""

    def prepare(problem, threads):
        import jax
        import theta
        from theta.priors import Priors

        scores = problem["scores"].astype(float)
        chosen = Priors(**priors) if priors else None
        said = {**(priors or {}), **settings}

        def fit():
            result = theta.fit(scores, "2PL", priors=chosen, **settings)
            jax.block_until_ready((result.a, result.b))
            return {
                "slopes": result.a.reshape(-1, 1),
                "intercepts": -result.a * result.b,
                "converged": bool(result.converged),
                "steps": int(result.n_iter),
                "log_likelihood": float(result.loglik),
                "settings": ", ".join(f"{k}={v}" for k, v in said.items()) or "defaults",
            }

        return fit

    return prepare


if __name__ == "__main__":
    weak = {"la_sd": 0.5, "beta_sd": 3.0}
    best, plain = fit_with(weak), fit_with(max_iter=2000)
    common.main(
        {"best": best, "no_priors": plain, "defaults": fit_with()},
        "theta-irt",
        "jax",
        "numpy",
    )
