"""Weak labels refined before they teach: what that can reach."""
