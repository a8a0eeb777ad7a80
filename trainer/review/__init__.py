"""A local page on which a person decides about the samples of a data set: `bgdefect review`."""

__all__ = ["config", "crops", "document", "rows", "server", "session", "shown"]
