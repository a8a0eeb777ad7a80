"""The detectors of an evaluation: their arms, training, test, baselines and loss landscapes."""

__all__ = [
    "alarms",
    "arms",
    "detection",
    "landscape",
    "landscape_rows",
    "losses",
    "metrics",
    "networks",
    "patchcore",
    "pictures",
    "plans",
    "reverse_distillation",
    "reverse_lite0",
    "schedules",
    "settings",
    "simplenet",
    "unsupervised",
]
