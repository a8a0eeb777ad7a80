"""Judge, look at and save the samples."""

from __future__ import annotations

from typing import Any

import torch

from ..bgdefect_core.quality import QualityLimits
from ._captions import SHOW, captioned, chosen, nothing_to_show
from ._convert import cycled, mask_of
from ._declare import CROP, QUALITY, REAL, START, Node, Output, Schema, option, widget, wire
from ._folders import inside, refuse_links
from ._judging import judged
from ._saving import overlays, save_samples, zoomed

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
        report = "\n".join(f"{judgement.number}: {judgement.line}" for judgement in verdicts)
        passed = [judgement for judgement in verdicts if judgement.verdict.good or not only_good]
        if not passed:
            return (
                *[ExecutionBlocker(None)] * 6,
                report,
            )
        numbers = [judgement.number for judgement in passed]
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
            shown = (
                overlays(*zoomed(result, mask, refined, heat))
                if zoom and mask is not None
                else overlays(result, mask, refined, heat)
            )[numbers]
            if quality is not None:
                shown = captioned(shown, [quality[number] for number in numbers])
        else:
            shown = nothing_to_show(show)
        from comfy_api.latest import io, ui

        return io.NodeOutput(shown, ui=ui.PreviewImage(shown, cls=cls))


class SaveDataSet(Node):
    """Save Defect Data Set: samples and manifest in MVTec AD's layout."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectSaveDataSet",
            display_name="Save Defect Data Set",
            category=CATEGORY,
            description=(
                "Adds the samples to a data set in MVTec AD's layout below ComfyUI's output "
                "folder, with a manifest that names figures, "
                "seed and workflow of each. Goes on where an earlier run ended; overwrites nothing."
            ),
            search_aliases=["mvtec", "export data set"],
            is_output_node=True,
            hidden=["prompt"],
            inputs=[
                wire("IMAGE", "result", tooltip="The samples, whole pictures."),
                wire("MASK", "refined", tooltip="Their labels."),
                wire("MASK", "mask", tooltip="Their requested masks."),
                wire(
                    "IMAGE",
                    "image",
                    tooltip="Their good pictures; they go to train/good, each once.",
                ),
                widget(
                    "STRING",
                    "folder",
                    default="bgdefect",
                    tooltip="Folder below ComfyUI's output folder: screws or parts/screws.",
                ),
                widget(
                    "STRING",
                    "object",
                    default="part",
                    tooltip="Name of the part: a folder of the data set.",
                ),
                widget(
                    "STRING",
                    "defect",
                    default="defect",
                    tooltip="Name of the defect class: a folder of the data set. Not good.",
                ),
                wire(
                    QUALITY,
                    "quality",
                    optional=True,
                    tooltip="From Defect Quality: rejected samples are kept apart. Unplugged: all "
                    "samples with a label count as good.",
                ),
                wire(
                    "IMAGE", "heat", optional=True, tooltip="Heat maps, kept beside the manifest."
                ),
                widget(
                    "INT",
                    "seed",
                    optional=True,
                    force_input=True,
                    min=0,
                    tooltip="The sampler's seed, for the manifest: each sample's own seed follows "
                    "from it.",
                ),
            ],
            outputs=[Output("STRING", "report", tooltip="What was written, in words.")],
        )

    @classmethod
    def execute(
        cls,
        result: torch.Tensor,
        refined: torch.Tensor,
        mask: torch.Tensor,
        image: torch.Tensor,
        folder: str,
        object: str,
        defect: str,
        quality: Any = None,
        heat: torch.Tensor | None = None,
        seed: int | None = None,
    ) -> Any:
        from comfy_api.latest import io, ui

        from ._host_folders import output_directory, writes_metadata

        base = output_directory()
        root = inside(base, folder, "folder")
        refuse_links(
            root, inside(root, object, "object").name, inside(root, defect, "defect").name, base
        )
        prompt = cls.hidden.prompt if writes_metadata() else None
        records = save_samples(
            root, (object, defect), image, result, refined, mask, heat, quality, seed, prompt
        )
        saved = []
        for record in records:
            if record.accepted:
                path = (root / record.file).relative_to(base)
                place = ui.SavedResult(path.name, path.parent.as_posix(), io.FolderType.output)
                saved.append(place)
        report = (
            f"{len(saved)} good of {len(records)} samples added to "
            f"{folder}/{object}/test/{defect}, numbers from {records[0].index}"
        )
        return io.NodeOutput(report, ui=ui.SavedImages(saved))


NODES = [DefectQuality, DefectPreview, SaveDataSet]
