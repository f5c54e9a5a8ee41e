"""Scores over prompts, and the best prompt."""
