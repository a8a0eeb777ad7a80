"""Measurements of the tool itself: cost, results on real data sets, calibration of thresholds."""

__all__ = [
    "bench",
    "bench_boxes",
    "bench_campaign",
    "bench_generate",
    "bench_placement",
    "bench_precision",
    "bench_proposals",
    "calibrate",
    "gpu_check",
    "results",
]
