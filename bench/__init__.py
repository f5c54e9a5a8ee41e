"""What `lleval_jax` reaches, and what it does not, compared with rivals: `python -m bench list`."""
