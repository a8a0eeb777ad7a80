"""The detectors of an evaluation: their arms, training, test, baselines and loss landscapes."""

__all__ = [
    "arms",
    "detection",
    "landscape",
    "landscape_rows",
    "metrics",
    "network",
    "patchcore",
    "pictures",
    "plans",
    "reverse_distillation",
    "settings",
    "unsupervised",
]
