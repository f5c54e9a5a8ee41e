"""A new version of a benchmark from a few models."""
