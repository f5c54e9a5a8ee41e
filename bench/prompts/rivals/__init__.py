"""Programs of the authors, run in an environment of their own."""
