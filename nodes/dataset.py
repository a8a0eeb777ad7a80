"""Judge, look at and save the samples."""

from __future__ import annotations

from typing import Any

import torch

from ._declare import QUALITY, Node, Output, Schema, widget, wire
from ._folders import inside, refuse_links
from ._saving import FinishedSamples, save_samples

CATEGORY = "BGDefect/data set"


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
        samples = FinishedSamples(image, result, refined, mask, heat)
        records = save_samples(root, (object, defect), samples, quality, seed, prompt)
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


NODES = [SaveDataSet]
