"""Measurements of the tool itself: cost, results on real data sets, calibration of thresholds."""

__all__ = ["bench", "calibrate", "results"]
