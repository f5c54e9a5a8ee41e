"""Adapters in shared bases: how good, how fast, and against other programs."""
