"""Whole posteriors: speed, calibration, and agreement of engines."""
