"""Judge, look at and save the samples."""

from __future__ import annotations

from typing import Any

import torch

from ..bgdefect_core.quality import QualityLimits
from ._convert import cycled, mask_of
from ._declare import CROP, QUALITY, REAL, START, Node, Output, Schema, option, widget, wire
from ._judging import judged

CATEGORY = "BGDefect/data set"


class DefectQuality(Node):
    """Defect Quality: figures and verdict of each sample."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectQuality",
            display_name="Defect Quality",
            category=CATEGORY,
            description=(
                "Measures each sample: does the defect show, does the label cover anything, did "
                "the background stay. Passes all on, or "
                "only the good ones; where none is good, what follows does not run."
            ),
            search_aliases=["filter", "quality gate"],
            inputs=[
                wire(CROP, "crop", tooltip="From Crop to Mask."),
                wire("IMAGE", "painted", tooltip="The decoded samples, before stitching."),
                wire(
                    "IMAGE",
                    "normal",
                    tooltip="The good squares encoded and decoded by the same VAE, not the raw "
                    "ones.",
                ),
                wire("IMAGE", "result", tooltip="The stitched pictures."),
                wire(
                    "MASK",
                    "refined",
                    tooltip="The refined masks at the whole picture's size (connect crop to Refine "
                    "Defect Mask).",
                ),
                widget(
                    "BOOLEAN",
                    "only_good",
                    default=False,
                    tooltip="On: only samples with the verdict good are passed on. Off: all, with "
                    "their verdicts.",
                ),
                option(
                    QualityLimits,
                    "min_strength",
                    neutral="0: any.",
                    step=0.01,
                ),
                option(
                    QualityLimits,
                    "min_contrast",
                    neutral="0: any.",
                    max=100.0,
                    step=0.05,
                ),
                option(
                    QualityLimits,
                    "min_fill",
                    neutral="0: any that is not empty.",
                    step=0.01,
                ),
                option(
                    QualityLimits,
                    "min_background_psnr",
                    neutral="0: any.",
                    step=1.0,
                ),
                option(
                    QualityLimits,
                    "max_background_max",
                    neutral="255: any.",
                    step=1.0,
                ),
                option(
                    QualityLimits,
                    "min_latent_background_psnr",
                    neutral="0: any.",
                    step=1.0,
                ),
                wire(
                    "IMAGE",
                    "heat",
                    optional=True,
                    tooltip="Heat maps to pass on with their samples.",
                ),
                wire(
                    REAL,
                    "real",
                    optional=True,
                    tooltip="From Place Defect Mask: samples are compared with the real defects of "
                    "the class, as on the command line. Unplugged: with the fixed limits alone.",
                ),
                wire(
                    START,
                    "start",
                    optional=True,
                    tooltip="From the sampler or the guider: a sample that is a copy of the real "
                    "defect it started from is rejected (needs real). Unplugged: all started from "
                    "noise.",
                ),
                option(
                    QualityLimits,
                    "class_share",
                    max=10.0,
                    step=0.05,
                    optional=True,
                ),
                option(
                    QualityLimits,
                    "min_real_share",
                    neutral="0: any.",
                    max=10.0,
                    step=0.05,
                    optional=True,
                ),
                option(QualityLimits, "shared", optional=True),
            ],
            outputs=[
                Output("IMAGE", "result", tooltip="The samples passed on."),
                Output("MASK", "refined", tooltip="Their labels."),
                Output(
                    "MASK",
                    "mask",
                    tooltip="Their requested masks, at the whole picture's size.",
                ),
                Output("IMAGE", "image", tooltip="Their good pictures."),
                Output(
                    "IMAGE",
                    "heat",
                    tooltip="Their heat maps; nothing follows it unless heat is connected.",
                ),
                Output(
                    QUALITY,
                    "quality",
                    tooltip="Their figures and verdicts, for Save Defect Data Set.",
                ),
                Output(
                    "STRING",
                    "report",
                    tooltip="Figures and verdicts of all samples in words, one line each.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        crop: Any,
        painted: torch.Tensor,
        normal: torch.Tensor,
        result: torch.Tensor,
        refined: torch.Tensor,
        only_good: bool,
        heat: torch.Tensor | None = None,
        real: Any = None,
        start: Any = None,
        class_share: float = QualityLimits.class_share,
        min_real_share: float = QualityLimits.min_real_share,
        shared: bool = QualityLimits.shared,
        **limits: float,
    ) -> Any:
        from comfy_execution.graph_utils import ExecutionBlocker

        of_class = {"class_share": class_share, "min_real_share": min_real_share}
        least = QualityLimits(**limits, **of_class, shared=shared)
        verdicts = judged(crop, painted, normal, result, refined, least, real, start)
        count = len(verdicts)
        report = "\n".join(f"{sample.number}: {sample.line}" for sample in verdicts)
        passed = list(verdicts)
        if only_good:
            passed = [sample for sample in verdicts if sample.judgement.verdict.good]
        if not passed:
            return (
                *[ExecutionBlocker(None)] * 6,
                report,
            )
        numbers = [sample.number for sample in passed]
        masks = cycled(mask_of(crop.masks), count)[numbers]
        images = cycled(crop.image, count)[numbers]
        heats = ExecutionBlocker(None) if heat is None else cycled(heat, count)[numbers]
        return (
            result[numbers],
            refined[numbers],
            masks,
            images,
            heats,
            passed,
            report,
        )


NODES = [DefectQuality]
