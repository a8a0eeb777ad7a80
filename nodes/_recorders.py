"""The attention maps of a run's batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..bgdefect_core.method.attention_maps import MapRecorder
from ..bgdefect_core.method.regions import RegionPrompts


def recorder_of(prompts: RegionPrompts) -> MapRecorder | None:
    """A recorder of the attention to every defect's words; None where a defect has none."""
    if not all(map(len, prompts.defect_words)):
        return None
    return MapRecorder(prompts.word_positions())


def joined(recorders: Sequence[MapRecorder]) -> MapRecorder:
    """The maps of all batches as one, on the CPU; without maps where nothing was recorded."""
    result = MapRecorder(recorders[0].words if recorders else [])
    grids = recorders[0].means if recorders else {}
    for grid in grids:
        result.means[grid] = torch.cat([recorder.means[grid].cpu() for recorder in recorders])
    return result
