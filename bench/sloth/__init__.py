"""Scaling laws through skills."""
