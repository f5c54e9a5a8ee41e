"""Prompt regression."""
