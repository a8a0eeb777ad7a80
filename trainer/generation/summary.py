"""What a run of ``bgdefect generate`` came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgdefect_core.records.manifest import ManifestLine

from .pairs import Pair


@dataclass(frozen=True)
class Rejected:
    """A sample of which no attempt was good."""

    index: int
    reasons: tuple[str, ...]
    """One an attempt."""


@dataclass(frozen=True)
class Summary:
    """What a run made, or would make."""

    root: Path
    wanted: int
    accepted: int
    rejected: tuple[Rejected, ...]
    unplaced: tuple[str, ...]
    """Good pictures and the masks that could not be placed on them: "picture: masks"."""
    unmade: int
    """Samples that were not made, because no mask at all could be placed on their picture."""
    seconds: float = 0.0
    """Time that the run took; of a dry run, the expected time of the first attempts."""
    sheet: Path | None = None
    page: Path | None = None
    dry_run: bool = False
    done: int = 0
    """Of a dry run: samples that an earlier run finished; ``accepted`` are those that can still be
    made."""


def summarise(
    root: Path, wanted: int, lines: Sequence[ManifestLine], without_mask: Sequence[Pair]
) -> Summary:
    """The summary of a finished run.

    Args:
        root: of the data set. wanted: samples. lines: of the manifest.
        without_mask: pairs for which no mask could be placed.
    """
    attempts: dict[int, list[ManifestLine]] = {}
    for line in lines:
        if line.index < wanted:
            attempts.setdefault(line.index, []).append(line)
    rejected: list[Rejected] = []
    missed = {missed_masks(pair.source, pair.origin) for pair in without_mask}
    for index, tries in sorted(attempts.items()):
        if not any(line.accepted for line in tries):
            rejected.append(Rejected(index, tuple(line.verdict for line in tries)))
        missed |= {missed_masks(line.source, line.mask_origin) for line in tries}
    return Summary(
        root=root,
        wanted=wanted,
        accepted=len(attempts) - len(rejected),
        rejected=tuple(rejected),
        unplaced=tuple(sorted(missed - {""})),
        unmade=wanted - len(attempts),
    )


def missed_masks(source: str | Path, origin: dict[str, Any]) -> str:
    """The masks that could not be placed on a picture, as "picture: masks"; "" for none."""
    return f"{source}: {', '.join(origin['missed'])}" if origin.get("missed") else ""
