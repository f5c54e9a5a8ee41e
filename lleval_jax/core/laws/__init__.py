"""Scaling laws, repeated tries, and panels of models by benchmark versions."""
