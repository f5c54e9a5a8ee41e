"""Adaptive sessions inside the programs that run models: Inspect AI and lm-eval. Extra: `lleval-jax[harness]`."""
