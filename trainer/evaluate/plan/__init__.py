"""What an evaluation consists of: classes, folds, shots, and the sides of each fold."""

__all__ = ["folds", "held_out", "plan", "settings"]
