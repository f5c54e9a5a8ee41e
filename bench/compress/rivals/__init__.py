"""Scripts that run in an environment of their own, with PyTorch."""
