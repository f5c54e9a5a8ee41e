"""Whole posteriors, with NumPyro: the same likelihoods as the fits, and intervals of anything that follows from them.

    from lleval_jax import bayes

    posterior = bayes.sample(bayes.irt("2pl", groups=True), responses, key=1)
    print(posterior.diagnostics)
    print(posterior.estimate("best"))

Needs the extra: pip install "lleval-jax[bayes]". `__init__.pyi` lists the public names. Each is loaded when first used.
"""

from lleval_jax.lazy import face

face(__name__, __file__, extra="bayes")
