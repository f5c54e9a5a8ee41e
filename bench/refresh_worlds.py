"""Simulated; see `refresh.py`."""
def study(): return {}
