"""One pair of good picture and mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgdefect_core.jobs import Job


@dataclass(frozen=True)
class Pair:
    """A good picture and its mask."""

    index: int
    source: Path
    job: Job | None
    """None where no mask could be placed."""
    origin: dict[str, Any]
    """Where the mask came from, as plain JSON; ``missed`` names the real masks that could not be
    placed, by picture."""
