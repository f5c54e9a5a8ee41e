"""The engine compared with rivals, and on a GPU."""
