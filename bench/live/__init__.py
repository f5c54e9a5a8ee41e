"""A living benchmark: what its filters find, and what a run survives."""
