"""Rivals of the engine: scripts that run in environments of their own."""
