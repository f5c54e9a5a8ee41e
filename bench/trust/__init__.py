"""The guard before a fit, and wrong keys."""
