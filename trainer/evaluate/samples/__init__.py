"""Generated samples: methods of generation, their training and painting, and candidates."""

__all__ = ["cell_samples", "generation", "methods", "sample_set", "settings"]
