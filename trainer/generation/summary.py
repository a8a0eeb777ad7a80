"""What a run of ``bgdefect generate`` came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgdefect_core.records.manifest import ManifestLine

from ..bases.timing import duration

_SHOWN = 20
"""Samples or masks of a kind that :func:`report` lists."""


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
    left_out: tuple[str, ...]
    """Good pictures and masks that were not used, with the reasons: "file: reason"."""
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
    root: Path,
    wanted: int,
    lines: Sequence[ManifestLine],
    without_mask: Sequence[Mapping[str, Any]],
    left_out: tuple[str, ...],
) -> Summary:
    """The summary of a finished run.

    Args:
        root: of the data set. wanted: samples. lines: of the manifest.
        without_mask: origins of the pairs for which no mask could be placed.
        left_out: good pictures and masks that were not used, with the reasons.
    """
    attempts: dict[int, list[ManifestLine]] = {}
    for line in lines:
        if line.index < wanted:
            attempts.setdefault(line.index, []).append(line)
    rejected: list[Rejected] = []
    missed = Misses()
    for origin in without_mask:
        missed.add(origin)
    for index, tries in sorted(attempts.items()):
        if not any(line.accepted for line in tries):
            rejected.append(Rejected(index, tuple(line.verdict for line in tries)))
        for line in tries:
            missed.add(line.mask_origin)
    return Summary(
        root=root,
        wanted=wanted,
        accepted=len(attempts) - len(rejected),
        rejected=tuple(rejected),
        unplaced=missed.lines(),
        left_out=left_out,
        unmade=wanted - len(attempts),
    )


class Misses:
    """The masks that could not be placed, by picture."""

    def __init__(self) -> None:
        self._masks: dict[str, set[str]] = {}

    def add(self, origin: Mapping[str, Any]) -> None:
        """Count what a pair's ``origin`` says was missed."""
        for picture, masks in (origin.get("missed") or {}).items():
            self._masks.setdefault(picture, set()).update(masks)

    def lines(self) -> tuple[str, ...]:
        """As "picture: masks", in order."""
        lines: list[str] = []
        for picture, masks in sorted(self._masks.items()):
            lines.append(f"{picture}: {', '.join(sorted(masks))}")
        return tuple(lines)


def exit_code(summary: Summary) -> int:
    """1 where a run made no good sample at all."""
    return 0 if summary.dry_run or summary.accepted else 1


def report(summary: Summary) -> str:
    """What the terminal shows at the end."""
    time = duration(summary.seconds)
    counts = f"{summary.accepted} of {summary.wanted} samples"
    if summary.dry_run:
        done = f"; {summary.done} are there already" if summary.done else ""
        lines = [
            f"{counts} can be made{done}",
            f"their first attempts take about {time}; retries of rejected ones come on top",
        ]
    else:
        lines = [f"{counts} are good, in {time}: {summary.root}"]
    if summary.rejected:
        failed: list[str] = []
        for sample in summary.rejected:
            failed.append(f"{sample.index:05d}: {', then '.join(sample.reasons)}")
        lines.append(f"{len(failed)} samples were rejected in every attempt:")
        lines += _listed(failed, ", in the manifest")
    if summary.unmade:
        lines.append(
            f"{summary.unmade} samples have no mask: none could be placed on the pictures tried"
        )
    if summary.left_out:
        lines.append("not used:")
        lines += _listed(summary.left_out)
    if summary.unplaced:
        lines.append("masks that could not be placed:")
        lines += _listed(summary.unplaced)
    if summary.sheet and summary.page:
        lines += [f"contact sheet: {summary.sheet}", f"page:          {summary.page}"]
    if summary.dry_run:
        lines.append("nothing was written")
    return "\n".join(lines)


def _listed(items: Sequence[str], place: str = "") -> list[str]:
    """The first items, indented, and how many more there are at another place."""
    lines = [f"  {item}" for item in items[:_SHOWN]]
    if len(items) > _SHOWN:
        lines.append(f"  and {len(items) - _SHOWN} more{place}")
    return lines
