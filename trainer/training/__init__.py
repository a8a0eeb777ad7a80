"""Training of one class: settings, the run's folder, the loop, and its checkpoints."""

__all__ = [
    "batches",
    "boxes",
    "cache",
    "checkpoint",
    "config",
    "processes",
    "run",
    "run_folder",
    "setup",
    "train",
    "tuning",
]
