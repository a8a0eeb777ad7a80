"""What an evaluation consists of: classes, folds, shots, and the sides of each fold."""

__all__ = ["fold", "held_out", "plan", "settings"]
