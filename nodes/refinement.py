"""Refine Defect Mask (Eq. 13): where inside the requested mask the defect came out."""

from __future__ import annotations

from typing import Any

import torch

from ..bgdefect_core.method.refinement import LabelSettings
from ..bgdefect_core.method.signals import DEFAULT_SIGNAL, SIGNALS, Signal
from ..bgdefect_core.pictures.mask_shape import MaskShape
from ._declare import CROP, MAPS, REAL, Node, Output, Schema, option, wire
from ._refining import refined


def _signals() -> list[str]:
    """The signals that need no further evaluation of the network, the default first."""
    names = [name for name, signal in SIGNALS.items() if not signal.evaluations]
    return sorted(names, key=lambda name: name != DEFAULT_SIGNAL)


def _needs(signal: Signal) -> str:
    needs = ["painted and normal"] * signal.needs_before + ["maps"] * signal.needs_attention
    return " and ".join(needs)


def _tooltips() -> tuple[str, str]:
    """The tooltips of ``signal`` and ``threshold``, from the signals' declarations."""
    sentences = ["What the mask is made from."]
    thresholds = []
    for name in _signals():
        signal = SIGNALS[name]
        sentences.append(f"{name}: {signal.summary} (needs {_needs(signal)}).")
        thresholds.append(f"{signal.threshold:g} for {name}")
    suited = (
        "Share of the signal's peak inside the mask that counts as defect. Suited: "
        f"{', '.join(thresholds)}. 0 returns the requested mask."
    )
    return " ".join(sentences), suited


_SIGNALS, _THRESHOLD = _tooltips()


class RefineMask(Node):
    """Refine Defect Mask (Eq. 13): the label that a detector learns from."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
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
                wire(
                    "IMAGE",
                    "painted",
                    optional=True,
                    tooltip="The decoded samples, before stitching.",
                ),
                wire(
                    "IMAGE",
                    "normal",
                    optional=True,
                    tooltip="The good pictures encoded and decoded by the same VAE.",
                ),
                wire(MAPS, "maps", optional=True, tooltip="Attention maps from the sampler."),
                wire(
                    "MASK",
                    "mask",
                    optional=True,
                    tooltip="The requested mask at the size of painted; with crop connected at the "
                    "whole picture's size, needed only for "
                    "one of several defects.",
                ),
                wire(
                    CROP,
                    "crop",
                    optional=True,
                    tooltip="From Crop to Mask, where the samples are its squares: the refined "
                    "mask then has the whole picture's size.",
                ),
                wire(
                    REAL,
                    "real",
                    optional=True,
                    tooltip="From Place Defect Mask: where the real masks of the class have no "
                    "holes, or one piece, holes of the label are filled and crumbs dropped. "
                    "Unplugged: the label stays as it is.",
                ),
            ],
            outputs=[
                Output(
                    "MASK",
                    "refined",
                    tooltip="The refined masks, one a sample, within the requested ones.",
                ),
                Output(
                    "IMAGE",
                    "heat",
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
        real: Any = None,
    ) -> Any:
        recorder = None if maps is None else maps.recorder
        shape = None if real is None else MaskShape.of(real.library.patches)
        settings = LabelSettings(signal, threshold)
        label, heat = refined(settings, recorder, painted, normal, mask, crop, shape)
        return (
            label,
            heat[..., None].repeat(1, 1, 1, 3),
        )


NODES = [RefineMask]
