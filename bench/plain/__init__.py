"""Scores without a bank."""
