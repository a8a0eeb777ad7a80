"""What the samples of a run do to two-toned pictures, beside what the real defects do."""

from __future__ import annotations

from collections.abc import Sequence

from bgdefect_core.quality.effects import goes_the_ways
from bgdefect_core.records.manifest import ManifestLine


def effect_line(lines: Sequence[ManifestLine]) -> str:
    """The share of accepted samples with the real defects' effect, in words; "" where nearly all
    real ones share none, or too few are known.

    Args:
        lines: of the manifest.
    """
    real = (lines[0].made_with or {}).get("real_defects") or {}
    ways = real.get("effect_ways")
    if ways is None:
        return ""
    judged = agreeing = 0
    for line in lines:
        if line.accepted and "dark_areas" in line.quality:
            change = (int(line.quality["dark_areas"]), int(line.quality["light_areas"]))
            judged += 1
            agreeing += goes_the_ways(change, ways)
    return (
        f"{agreeing} of {judged} accepted samples have the effect of the real defects "
        f"({real['effect']}), of which {real['effect_share']:.0%} have it."
    )
