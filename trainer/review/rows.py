"""What the page knows of each attempt, as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bgdefect_core.paths import without_surrogates
from bgdefect_core.records.manifest import ManifestLine

Row = dict[str, Any]

LABELS = {
    "strength": "strength",
    "contrast": "contrast",
    "fill": "fill",
    "real_share": "share of the real",
    "mean_change": "mean change",
    "dark_areas": "dark areas more",
    "light_areas": "light areas more",
    "one_piece": "in one piece",
    "solid": "without holes",
    "sharpness": "sharpness",
    "roughness": "roughness",
    "exemplar_difference": "difference from its real defect",
    "continuity": "in one piece as its real defect",
    "background_psnr": "background dB",
    "background_max": "largest change",
    "latent_background_psnr": "before stitching dB",
    "box_share": "share of its boxes",
    "score": "score over good pictures",
}
"""Figures of the manifest that are shown, in this order."""
_NO_EVIDENCE = "share of the real (no evidence: it started there)"


def is_real(line: ManifestLine) -> bool:
    """Whether the sample started from a real defect."""
    return line.start is not None and line.start.get("kind") != "noise"


def attempt_name(line: ManifestLine) -> str:
    """Number of the sample and of the attempt; the same wherever its files lie."""
    return f"{line.index:05d}_{line.attempt}"


def row_of(line: ManifestLine, run: int = 0) -> Row:
    """What the page shows of an attempt, without its pictures.

    Args:
        line: as it stands (``standing_line``). run: number of its run on the page.
    """
    figures: dict[str, str] = {}
    for key, label in LABELS.items():
        if isinstance(line.quality.get(key), (int, float)):
            if key == "real_share" and is_real(line):
                label = _NO_EVIDENCE
            figures[label] = f"{line.quality[key]:.3g}"
    if line.start is not None:
        figures["start"] = _start(line.start)
    review = line.review or {}
    return {
        "run": run,
        "name": attempt_name(line),
        "verdict": without_surrogates(line.verdict),
        "byVerdict": line.accepted_by_verdict,
        "accepted": line.accepted,
        "proposed": line.settings.get("proposed") is True,
        "decision": review.get("decision", "undecided"),
        "reason": without_surrogates(str(review.get("reason", ""))),
        "mended": Path(line.label).parent.name == "mended" or "mended_sha256" in review,
        "seed": str(line.seed),  # 63 bits: more than a number of JavaScript holds
        "source": without_surrogates(Path(line.source).name),
        "strength": _number(line, "strength"),
        "closeness": closeness(line),
        "figures": figures,
    }


def closeness(line: ManifestLine) -> float | None:
    """How far a sample is from a real defect: the difference from the one that it started from, or
    how far its share of the real defect's change is from 1. None where neither is known."""
    difference = _number(line, "exemplar_difference")
    share = _number(line, "real_share")
    if difference is not None:
        return difference
    return None if share is None else abs(1 - share)


def _number(line: ManifestLine, key: str) -> float | None:
    value = line.quality.get(key)
    return float(value) if isinstance(value, (int, float)) else None


def _start(start: Mapping[str, Any]) -> str:
    if start.get("kind") == "noise":
        return "noise"
    level = start.get("level")
    shown = f"{level:.2f}" if isinstance(level, (int, float)) else "?"
    return without_surrogates(f"{start.get('kind')} at {shown}, {start.get('exemplar')}")
