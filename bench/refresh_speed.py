"""Speed of `refresh`; see `refresh.py`."""
def study(*_): return {}
