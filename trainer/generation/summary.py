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
    seconds: float
    """Taken, or expected by a dry run for the first attempts."""
    sheet: Path | None = None
    page: Path | None = None
    dry_run: bool = False
    done: int = 0
    """Of a dry run: samples that an earlier run finished; ``accepted`` are those that can still be
    made."""


def summarise(
    root: Path,
    wanted: int,
    records: Sequence[ManifestLine],
    hopeless: Sequence[Pair],
    seconds: float,
    sheet: Path | None,
    page: Path | None,
) -> Summary:
    """The summary of a finished run.

    Args:
        root: of the data set. wanted: samples. records: the manifest's lines. hopeless: pairs
            without a mask.
        seconds: taken. sheet, page: files; None where no sample was made.
    """
    by_index: dict[int, list[ManifestLine]] = {}
    for record in records:
        if record.index < wanted:
            by_index.setdefault(record.index, []).append(record)
    good = {index for index, made in by_index.items() if any(record.accepted for record in made)}
    rejected = tuple(
        Rejected(index, tuple(record.verdict for record in made))
        for index, made in sorted(by_index.items())
        if index not in good
    )
    missed = {
        missed_masks(record.source, record.mask_origin)
        for made in by_index.values()
        for record in made
    }
    missed |= {missed_masks(pair.source, pair.origin) for pair in hopeless}
    unplaced = tuple(sorted(missed - {""}))
    return Summary(
        root, wanted, len(good), rejected, unplaced, wanted - len(by_index), seconds, sheet, page
    )


def missed_masks(source: str | Path, origin: dict[str, Any]) -> str:
    """The masks that could not be placed on a picture, as "picture: masks"; "" for none."""
    return f"{source}: {', '.join(origin['missed'])}" if origin.get("missed") else ""
