"""Judge, look at and save the samples."""

from __future__ import annotations

from typing import Any

import torch

from ._captions import SHOW, captioned, chosen, nothing_to_show
from ._declare import QUALITY, Node, Output, Schema, widget, wire
from ._showing import ShownSamples, overlays, zoomed

CATEGORY = "BGDefect/data set"


class DefectPreview(Node):
    """Preview Defects: samples with the outlines of their masks."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectPreview",
            display_name="Preview Defects",
            category=CATEGORY,
            description=(
                "Shows each sample, beside it the outlines of the requested mask (cyan) and of the "
                "refined one (green), and the heat map."
            ),
            search_aliases=["overlay", "show mask"],
            is_output_node=True,
            inputs=[
                wire("IMAGE", "result", tooltip="The samples."),
                widget(
                    "BOOLEAN",
                    "zoom",
                    default=True,
                    tooltip="On: only the surroundings of the mask, enlarged (needs mask). Off: "
                    "the whole picture.",
                ),
                wire(
                    "MASK",
                    "mask",
                    optional=True,
                    tooltip="The requested masks: a cyan line around them.",
                ),
                wire(
                    "MASK",
                    "refined",
                    optional=True,
                    tooltip="The refined masks: a green line around them.",
                ),
                wire("IMAGE", "heat", optional=True, tooltip="Heat maps, shown at the right."),
                wire(
                    QUALITY,
                    "quality",
                    optional=True,
                    tooltip="From Defect Quality: each sample's verdict is written below it. "
                    "Unplugged: none.",
                ),
                widget(
                    "COMBO",
                    "show",
                    options=list(SHOW),
                    default=SHOW[0],
                    optional=True,
                    tooltip="Which samples are shown. all: neutral. good, rejected: those with "
                    "this verdict (needs quality, and Defect Quality with only_good off).",
                ),
            ],
            outputs=[Output("IMAGE", "overlay", tooltip="The pictures as shown.")],
        )

    @classmethod
    def execute(
        cls,
        result: torch.Tensor,
        zoom: bool,
        mask: torch.Tensor | None = None,
        refined: torch.Tensor | None = None,
        heat: torch.Tensor | None = None,
        quality: Any = None,
        show: str = SHOW[0],
    ) -> Any:
        numbers = chosen(show, quality, len(result))
        if numbers:
            samples = ShownSamples(result, mask, refined, heat)
            overlay = overlays(zoomed(samples) if zoom else samples)[numbers]
            if quality is not None:
                overlay = captioned(overlay, [quality[number] for number in numbers])
        else:
            overlay = nothing_to_show(show)
        from comfy_api.latest import io, ui

        return io.NodeOutput(overlay, ui=ui.PreviewImage(overlay, cls=cls))


NODES = [DefectPreview]
