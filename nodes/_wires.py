"""What travels on the pack's own wires, without the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ..bgdefect_core.method.attention_maps import MapRecorder
from ..bgdefect_core.method.regions import RegionPrompts
from ..bgdefect_core.method.schedule import Levels
from ..bgdefect_core.placement.exemplar import Exemplar
from ..bgdefect_core.placement.library import MaskLibrary
from ..bgdefect_core.placement.surroundings import Surroundings


@dataclass(frozen=True, eq=False)
class GraphPrompts:
    """Region prompts, and the masks of the defects that brought their own."""

    prompts: RegionPrompts
    masks: Sequence[Tensor | None]
    """One a defect: MASK ``[1 or B, H, W]``, or None for the first, whose mask comes to the
    inversion."""


@dataclass(frozen=True, eq=False)
class Inversion:
    """What the sampling of B pictures needs, computed once for any number of samples."""

    model: Any
    """The user's MODEL, as it came."""
    prompts: RegionPrompts
    levels: Levels
    latent: Tensor
    """``[B, C, h, w]`` the good pictures' LATENT samples, as they came, on the CPU."""
    trajectory: Sequence[Tensor]
    """``z~_t^m`` (Eq. 8) of each level, level 0 first, on the CPU; empty where it was skipped
    (``noised`` needs none)."""
    regions: Tensor
    """long ``[B, h, w]`` on the CPU: 0 = background, i = defect i."""
    mask: Tensor
    """MASK ``[B, H, W]`` of 0 and 1: all defects together, as requested."""
    descent: list[Tensor] = field(default_factory=list)
    """The background branch of ``masked``, once a sampler has computed it; as ``trajectory``."""


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """What Eq. 13 needs of S samples; sample i belongs to picture ``i % B``, the order of the
    host's Repeat Image Batch."""

    recorder: MapRecorder
    """Its ``means`` hold one map ``[S, h', w']`` a grid: what
    `bgdefect_core.method.signals.attention.attention_heat` takes."""
    mask: Tensor
    """MASK ``[S, H, W]`` of 0 and 1: all defects together, as requested."""


@dataclass(frozen=True, eq=False)
class RealDefect:
    """The real defect that a placed mask was made from."""

    name: str
    """Of its mask, as the library has it."""
    surroundings: Surroundings | None = None
    """None where its picture is not known; so is the next."""
    exemplar: Exemplar | None = None
    """Its pixels at the place of the new mask."""


@dataclass(frozen=True, eq=False)
class RealDefects:
    """What is known of the real defects behind M placed masks, for labels and verdicts."""

    behind: Sequence[RealDefect]
    """One a mask, in their order."""
    library: MaskLibrary
    """All real defects of the class."""
