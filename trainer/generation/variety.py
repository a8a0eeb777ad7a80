"""How much the samples of a run differ from each other, and from the real defects that they started
from (docs/method.md, choice 15)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from bgdefect_core.copies import mean_diversity
from bgdefect_core.pictures.mask_reading import read_label
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.reading import read_of_folder
from bgdefect_core.records.manifest import ManifestLine

from ..review.rows import is_real

NEAR = 0.25
"""A sample that differs from its exemplar by less than this share of what the good picture does is
counted as near."""


def variety_lines(root: Path, lines: Sequence[ManifestLine]) -> list[str]:
    """What the page says of the accepted samples; nothing where none started from a real defect and
    no mask was painted twice.

    Args:
        root: of the data set. lines: of its manifest.
    """
    accepted: list[ManifestLine] = []
    differences: list[float] = []
    for line in lines:
        if not line.accepted:
            continue
        accepted.append(line)
        if is_real(line) and "exemplar_difference" in line.quality:
            differences.append(line.quality["exemplar_difference"])
    said: list[str] = []
    if differences:
        near = int(np.sum(np.array(differences) < NEAR))
        said = [
            f"{len(differences)} samples started from real defects. For these the share of the "
            "real defect's change is no evidence: they are compared with what they started from",
            f"difference from the real defect, median: {np.median(differences):.2f} "
            f"(0: a copy, 1: as far as the good picture); below {NEAR}: {near}",
        ]
    between = in_mask_diversity(root, accepted)
    if between is not None:
        said.append(f"in-mask difference between samples of one mask, mean: {between:.3f} (of 1)")
    elif differences:
        said.append(
            "in-mask difference between samples of one mask: not known, each mask was painted "
            "once; make 2 variants or more to measure it"
        )
    return said


def in_mask_diversity(root: Path, accepted: Sequence[ManifestLine]) -> float | None:
    """:func:`bgdefect_core.copies.mean_diversity` over all pairs of picture and mask; None: there
    are no two accepted samples of one."""
    groups: dict[int, list[ManifestLine]] = {}
    for line in accepted:
        pair = line.mask_origin.get("pair")
        if isinstance(pair, int):
            groups.setdefault(pair, []).append(line)
    return mean_diversity(_groups_of_several(root, groups.values()))


def _groups_of_several(
    root: Path, groups: Iterable[Sequence[ManifestLine]]
) -> Iterator[tuple[list[Pixels], Mask]]:
    """Samples and mask of each group of two and more, read one group after the other."""
    for members in groups:
        if len(members) > 1:
            yield _read_group(root, members)


def _read_group(root: Path, members: Sequence[ManifestLine]) -> tuple[list[Pixels], Mask]:
    """The samples of one pair, and its mask."""
    mask = read_label(root / members[0].requested)
    return [read_of_folder(root / line.file) for line in members], mask
