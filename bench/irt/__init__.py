"""The engine beside rivals, and on a GPU."""
