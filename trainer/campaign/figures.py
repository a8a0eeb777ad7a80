"""What is told of a class, or of an evaluation, on its way through a campaign."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Figures", "Stage"]

Stage = Literal["waiting", "learning", "painting", "evaluating", "done", "failed"]


@dataclass
class Figures:
    """Counts and times."""

    wanted: int = 0
    written: int = 0
    """Samples that need no further attempt."""
    accepted: int = 0
    rejected: int = 0
    unmade: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """Kind of task -> time that its tasks took; and "write" and "page", what the head did."""
    attempts: int = 0
    """Attempts that were written."""
    bytes: int = 0
    """Size of the results that brought them to the head."""
    page: str = ""

    def took(self, kind: str, seconds: float) -> None:
        """Add to the time of a kind."""
        self.seconds[kind] = self.seconds.get(kind, 0.0) + seconds
