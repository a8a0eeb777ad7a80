"""The command ``bgdefect``."""

from .app import main

__all__ = ["main"]
