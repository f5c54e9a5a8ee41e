"""Intervals from items drawn with known chances."""
