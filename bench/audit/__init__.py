"""Boards audited, and gates."""
