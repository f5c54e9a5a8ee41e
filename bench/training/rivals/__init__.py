"""Scripts that run in an environment of their own: `pip install "lleval-jax[train,parity]"`."""
