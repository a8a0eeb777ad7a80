"""A picture of a detector's maps on held-out defects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bgdefect_core.pictures.overlay import GREEN, outlined, warmed
from bgdefect_core.pictures.picture import Pixels

from .pictures import Pair
from .truth import Map, defect_of

_SHOWN, _GAP = 4, 4


def map_strip(pairs: Sequence[Pair], maps: Sequence[Map]) -> Pixels:
    """The first test pictures side by side, each with its truth (green outline) and followed by
    the detector's map; all maps share one scale."""
    shown = maps[:_SHOWN]
    low = float(np.min(list(map(np.min, shown))))
    high = float(np.max(list(map(np.max, shown))))
    columns = []
    for (picture, truth), heat in zip(pairs, shown, strict=False):
        scaled = (heat - low) / max(high - low, 1e-6)
        levels = np.round(scaled * 255).astype(np.uint8)
        for square in (outlined(picture, defect_of(truth), GREEN), warmed(picture, levels)):
            columns.append(np.pad(square, ((0, 0), (0, _GAP), (0, 0)), constant_values=255))
    return np.concatenate(columns, axis=1)
