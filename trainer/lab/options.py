"""Options and prompts that several benches share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from bgdefect_core.declarations import Doc, Range
from bgdefect_core.weights.info import PromptTexts

from ..data.layouts import data_help

PROMPTS = PromptTexts("a photo of a part", "a scratch defect on a part", "mask")

BaseOption = Annotated[str | None, Doc("Base model. Default: the embedded one.")]
ResolutionOption = Annotated[
    int | None, Doc("Side of the pictures in pixels. Default: the base's native size.")
]
RepeatsOption = Annotated[int, Range(1, 1000), Doc("Turns; the median counts.")]
DeviceOption = Annotated[Literal["auto", "cpu", "cuda", "mps"], Doc("Device to run on.")]
HumanMasksOption = Annotated[Path, Doc(data_help("Data set with human masks"))]
ObjectOption = Annotated[str | None, Doc("Object. Default: all.")]
DefectOption = Annotated[str | None, Doc("Defect. Default: all.")]
