"""Training of one class: settings, the run's folder, the loop, and its checkpoints."""

__all__ = ["batches", "cache", "checkpoint", "config", "run_folder", "train", "tuning"]
