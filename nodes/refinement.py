"""Refine Defect Mask (Eq. 13): where inside the requested mask the defect came out."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ..bgdefect_core.method.refinement import LabelSettings
from ..bgdefect_core.method.signals import DEFAULT_SIGNAL, SIGNALS, Signal
from ._compat import field, option, schema
from ._picture_steps import RefineSettings, refined
from ._types import CropWire, MapsWire


def _signals() -> list[str]:
    """The signals that need no further evaluation of the network, the default first."""
    names = [name for name, signal in SIGNALS.items() if not signal.evaluations]
    return sorted(names, key=lambda name: name != DEFAULT_SIGNAL)


def _needs(signal: Signal) -> str:
    needs = ["painted and normal"] * signal.needs_before + ["maps"] * signal.needs_attention
    return " and ".join(needs)


_SIGNALS = " ".join(
    ["What the mask is made from."]
    + [f"{name}: {SIGNALS[name].summary} (needs {_needs(SIGNALS[name])})." for name in _signals()]
)
_THRESHOLD = (
    "Share of the signal's peak inside the mask that counts as defect. Suited: "
    + ", ".join(f"{SIGNALS[name].threshold:g} for {name}" for name in _signals())
    + ". 0 returns the requested mask."
)


class RefineMask(io.ComfyNode):
    """Refine Defect Mask (Eq. 13): the label that a detector learns from."""

    @classmethod
    def define_schema(cls) -> Any:
        return schema(
            node_id="BGDefectRefineMask",
            display_name="Refine Defect Mask",
            category="BGDefect/masks",
            description=(
                "Finds where inside the requested mask the defect really came out, from what "
                "changed in the picture, from the attention "
                "to the defect's words, or from both. The result is the label to train a detector "
                "on."
            ),
            search_aliases=["label", "segmentation mask", "heat map"],
            inputs=[
                option(LabelSettings, "signal", options=_signals(), tooltip=_SIGNALS),
                option(
                    LabelSettings,
                    "threshold",
                    default=SIGNALS[DEFAULT_SIGNAL].threshold,
                    step=0.01,
                    tooltip=_THRESHOLD,
                ),
                field(
                    io.Image,
                    "painted",
                    optional=True,
                    tooltip="The decoded samples, before stitching.",
                ),
                field(
                    io.Image,
                    "normal",
                    optional=True,
                    tooltip="The good pictures encoded and decoded by the same VAE.",
                ),
                field(MapsWire, "maps", optional=True, tooltip="Attention maps from the sampler."),
                field(
                    io.Mask,
                    "mask",
                    optional=True,
                    tooltip="The requested mask at the size of painted; with crop connected at the "
                    "whole picture's size, needed only for "
                    "one of several defects.",
                ),
                field(
                    CropWire,
                    "crop",
                    optional=True,
                    tooltip="From Crop to Mask, where the samples are its squares: the refined "
                    "mask then has the whole picture's size.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="refined",
                    tooltip="The refined masks, one a sample, within the requested ones.",
                ),
                io.Image.Output(
                    display_name="heat",
                    tooltip="The signal from black to white, 0 outside the requested mask.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        signal: Any,
        threshold: float,
        painted: torch.Tensor | None = None,
        normal: torch.Tensor | None = None,
        maps: Any = None,
        mask: torch.Tensor | None = None,
        crop: Any = None,
    ) -> Any:
        recorder = None if maps is None else maps.recorder
        label, heat = refined(
            RefineSettings(signal, threshold), recorder, painted, normal, mask, crop
        )
        return io.NodeOutput(label, heat[..., None].repeat(1, 1, 1, 3))


NODES = [RefineMask]
