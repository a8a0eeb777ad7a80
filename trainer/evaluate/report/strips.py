"""Pictures of generated samples for the report."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from bgdefect_core.pictures.crop import crop_box, take
from bgdefect_core.pictures.overlay import CYAN, GREEN, outlined
from bgdefect_core.pictures.picture import Pixels

from ..plan.plan import Cell
from ..rows import place
from ..samples.generation import MethodSamples
from ..samples.sample_set import GeneratedSample

_TILE, _GAP, _SAMPLES = 112, 4, 8
_ZOOM_RESOLUTION = 96
_PAINTED = "the good picture with the requested mask, the result, the result with its label"
_FROM_NOISE = "from noise, no picture before: the sample with its mask, alone, and again"


def sample_strips(cell: Cell, generated: Sequence[MethodSamples]) -> list[tuple[str, bytes]]:
    """Title and PNG of the first samples of every method."""
    where = f"{place(cell.data.object, cell.data.defect, cell.k)}, fold {cell.data.number}"
    strips = []
    for method in generated:
        if method.samples.samples:
            content = _FROM_NOISE if method.from_noise else _PAINTED
            strip = _strip(method.samples.samples[:_SAMPLES])
            strips.append((f"{where}, {method.samples.name}: {content}", strip))
    return strips


def _strip(samples: Sequence[GeneratedSample]) -> bytes:
    columns = []
    for sample in samples:
        columns.append(np.pad(_column(sample), ((0, 0), (0, _GAP), (0, 0)), constant_values=255))
    file = BytesIO()
    Image.fromarray(np.concatenate(columns, axis=1)).save(file, format="PNG")
    return file.getvalue()


def _column(sample: GeneratedSample) -> Pixels:
    """Three squares above each other, zoomed to the mask."""
    crop = crop_box(sample.requested, _ZOOM_RESOLUTION, "defect")
    source = sample.picture if sample.source is None else sample.source
    before = outlined(take(source, crop, _TILE), take(sample.requested, crop, _TILE), CYAN)
    result = take(sample.picture, crop, _TILE)
    labelled = outlined(result, take(sample.label, crop, _TILE), GREEN)
    gap = np.full((_GAP, _TILE, 3), 255, np.uint8)
    return np.concatenate([before, gap, result, gap, labelled])
