"""The settings of ``bgdefect data propose``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from bgdefect_core.declarations import Doc, Range

from ...data.layouts import data_help


@dataclass(frozen=True)
class RegionSettings:
    """How regions are found in a picture."""

    side: Annotated[
        int,
        Range(64, 4096),
        Doc("Longest side in pixels at which pictures are looked at; smaller ones stay."),
    ] = 512
    regions: Annotated[int, Range(1, 20), Doc("Regions of a picture, at most.")] = 3
    level: Annotated[
        float,
        Range(0.05, 1),
        Doc(
            "A pixel is proposed from this share of the way between a picture's median score and "
            "its highest one on; below what good pictures reach, only the highest place is."
        ),
    ] = 0.5
    most_good: Annotated[
        int, Range(3, 1000), Doc("Good pictures that are learned, evenly out of all.")
    ] = 40
    memory: Annotated[
        float, Range(0.001, 1), Doc("Share of their patches that PatchCore remembers.")
    ] = 0.02
    seed: Annotated[int, Range(0, 2**31), Doc("Of the memory's random projection.")] = 0


@dataclass(frozen=True)
class ProposeConfig:
    """Propose where the defect lies in bad pictures without masks or boxes, for a person to
    confirm, mend or reject with bgdefect review. Nothing counts before that."""

    bad: Annotated[
        Path, tyro.conf.Positional, Doc("Folder of bad pictures; only those in it are read.")
    ]
    good: Annotated[Path, Doc(data_help("Good pictures"))]
    output: Annotated[Path, Doc("Data set to write; the same command resumes.")]
    object: Annotated[
        str | None,
        Doc("Name of the object. Default: of the folder above the bad pictures (or above test)."),
    ] = None
    defect: Annotated[
        str | None, Doc("Name of the defect. Default: of the folder of the bad pictures.")
    ] = None
    boxes: Annotated[
        bool,
        Doc(
            "Write the regions' boxes as labels: once confirmed, train --masks-from boxes tightens "
            "them."
        ),
    ] = False
    region_settings: Annotated[RegionSettings, tyro.conf.arg(name="")] = field(
        default_factory=RegionSettings
    )
