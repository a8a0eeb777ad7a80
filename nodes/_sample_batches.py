"""Samples in batches: which picture each belongs to, and the attention maps of all together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..bgdefect_core.method.attention_maps import MapRecorder
from ..bgdefect_core.method.regions import RegionPrompts


@dataclass(frozen=True, eq=False)
class SampleBatch:
    """Samples that run together."""

    owners: list[int]
    """The number of the picture of each sample."""
    seeds: list[int]
    """One a sample."""
    recorder: MapRecorder | None
    """Takes in the attention to the defects' words; None: these are not known."""


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
