"""The mask and the good picture of a pair, and what was found on the way to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PairChoice:
    """The mask and the good picture of a pair."""

    pair: int
    mask: int | None
    """Number in the library; None where no mask that was tried fits."""
    picture: int
    """Number of the good picture; where no mask fits, one that was looked at."""
    difference: float | None = None
    """Least difference of the coarse look; None: not compared."""
    looked: int = 0
    """Pictures that were looked at."""
    missed: tuple[tuple[int, int], ...] = ()
    """(picture, mask) where the mask fits nowhere."""
    left_out: Mapping[int, str] = field(default_factory=dict)
    """Pictures that are used no more from here on, with the reasons."""

    def as_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "pair": self.pair,
            "mask": self.mask,
            "picture": self.picture,
            "difference": self.difference,
            "looked": self.looked,
            "missed": list(map(list, self.missed)),
            "left_out": {str(number): reason for number, reason in self.left_out.items()},
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> PairChoice:
        """From :meth:`as_json`.

        Raises:
            KeyError, TypeError, ValueError: it is not.
        """
        missed = [(int(picture), int(mask)) for picture, mask in entry["missed"]]
        left_out = {int(number): str(reason) for number, reason in entry["left_out"].items()}
        return cls(
            int(entry["pair"]),
            None if entry["mask"] is None else int(entry["mask"]),
            int(entry["picture"]),
            None if entry["difference"] is None else float(entry["difference"]),
            int(entry["looked"]),
            tuple(missed),
            left_out,
        )
