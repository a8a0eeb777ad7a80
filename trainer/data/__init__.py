"""Training data: layouts on the disk, examples, and splits."""

__all__ = ["examples", "layouts", "splits"]
