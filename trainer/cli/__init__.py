"""The command ``bgdefect``: the table of its commands, and the output of every one."""

from .app import main as main

__all__ = ["app"]
