"""Aligners and squads where it can be checked exactly what they did."""
