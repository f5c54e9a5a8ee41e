"""Baseline in a few lines: penalised joint likelihood of abilities and items, L-BFGS, JAX gradient."""

import common


def prepare(problem, threads):
    """N(0, 1) priors on abilities and slopes, N(0, 3) on intercepts, SVD start, float32 likelihood."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from scipy.optimize import minimize
    from scipy.sparse.linalg import svds

    rows, items = problem["scores"].shape
    dims = int(problem["dims"])
    scores = jnp.asarray(problem["scores"], jnp.float32)
    cuts = (rows * dims, (rows + items) * dims)

    def unpack(flat):
        abilities, slopes, intercepts = (
            flat[: cuts[0]],
            flat[cuts[0] : cuts[1]],
            flat[cuts[1] :],
        )
        return abilities.reshape(rows, dims), slopes.reshape(items, dims), intercepts

    @jax.jit
    def loss(flat):
        def value(flat):
            abilities, slopes, intercepts = unpack(flat)
            logits = abilities @ slopes.T + intercepts
            fit = jnp.sum(jax.nn.softplus(logits) - scores * logits)
            return fit + 0.5 * (jnp.sum(flat[: cuts[1]] ** 2) + jnp.sum(intercepts**2) / 9)

        return jax.value_and_grad(value)(flat)

    def host(flat):
        value, gradient = loss(flat.astype(np.float32))
        return float(value), np.asarray(gradient, np.float64)

    def start():
        centred = problem["scores"] - problem["scores"].mean(0, dtype=np.float32)
        left, size, right = svds(centred, k=dims, random_state=0)
        share = problem["scores"].mean(0).clip(0.02, 0.98)
        abilities, slopes = left * np.sqrt(rows), right.T * size * 4 / np.sqrt(rows)
        return np.concatenate([abilities.ravel(), slopes.ravel(), np.log(share / (1 - share))])

    def fit():
        options = {"maxiter": 500, "maxcor": 10, "ftol": 1e-7, "gtol": 1e-2}
        result = minimize(host, start(), jac=True, method="L-BFGS-B", options=options)  # pyright: ignore[reportCallIssue]
        abilities, slopes, intercepts = unpack(result.x)
        sign = np.where(slopes.mean(0) < 0, -1.0, 1.0)
        return {
            "slopes": slopes * sign,
            "intercepts": intercepts,
            "abilities": abilities * sign,
            "converged": bool(result.success),
            "steps": int(result.nit),
            "settings": "priors N(0,1), N(0,1), N(0,3); scipy L-BFGS-B, ftol 1e-7",
        }

    return fit


if __name__ == "__main__":
    common.main({"best": prepare}, "jax", "scipy", "numpy")
