"""`python -m lleval_jax` is `lleval`."""

from lleval_jax.cli.main import main

if __name__ == "__main__":
    main()
