"""Measurements of the tool itself: cost, results on real data sets, calibration of thresholds."""

__all__ = [
    "bench_boxes",
    "bench_campaign",
    "bench_generate",
    "bench_placement",
    "bench_precision",
    "bench_proposals",
    "bench_sampling",
    "bench_train",
    "calibrate",
    "gpu_check",
    "results",
]
