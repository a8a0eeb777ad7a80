"""Nodes for the square around a mask: cut it out at the model's size, put it back."""

from __future__ import annotations

from typing import Any

import torch

from ._declare import CROP, START, Node, Output, Schema, widget, wire
from ._squares import crop_pictures, cropped_image, cropped_mask, pasted_squares, stitched
from .pictures import CATEGORY


class CropToMask(Node):
    """Crop to Mask: the square around each mask."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectCropToMask",
            display_name="Crop to Mask",
            category=CATEGORY,
            description=(
                "Cuts the square around the mask and brings it to the size of the base model, by "
                "the rule that the trainer uses. For "
                "pictures of any size and shape; Stitch puts the painted square back."
            ),
            search_aliases=["zoom", "inpaint crop"],
            inputs=[
                wire("IMAGE", "image", tooltip="The good pictures, one or a batch."),
                wire(
                    "MASK",
                    "mask",
                    tooltip="Where the defects are painted, at the picture's size: 1 mask, or one "
                    "a picture.",
                ),
                widget(
                    "INT",
                    "resolution",
                    default=128,
                    min=32,
                    max=4096,
                    step=8,
                    tooltip="Side of the square in pixels after resizing: as in training. 128 for "
                    "bgdefect-mini, 512 for SD 1.5.",
                ),
                widget(
                    "COMBO",
                    "zoom",
                    options=["defect", "whole"],
                    tooltip="defect: 2.5 times the mask's longest side is seen. whole: the whole "
                    "picture. Choose what training used.",
                ),
                widget(
                    "FLOAT",
                    "feather",
                    default=-1.0,
                    min=-1.0,
                    max=256.0,
                    step=1.0,
                    tooltip="Width of the blended seam in the picture's pixels, used by Stitch. "
                    "-1: a quarter of the mask's mean width, at "
                    "least 2. 0: a hard edge.",
                ),
            ],
            outputs=[
                Output("IMAGE", "image", tooltip="The squares."),
                Output("MASK", "mask", tooltip="The masks in the squares."),
                Output(CROP, "crop", tooltip="The way back into the pictures."),
            ],
        )

    @classmethod
    def execute(
        cls, image: torch.Tensor, mask: torch.Tensor, resolution: int, zoom: Any, feather: float
    ) -> Any:
        crop = crop_pictures(image, mask, resolution, zoom, None if feather < 0 else feather)
        return (
            cropped_image(crop),
            cropped_mask(crop),
            crop,
        )


class CropMask(Node):
    """Crop Another Mask: further masks in the same squares."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectCropMask",
            display_name="Crop Another Mask",
            category=CATEGORY,
            description="Cuts a further mask with the squares of Crop to Mask: each of several "
            "defects in one picture has its own.",
            inputs=[
                wire(CROP, "crop", tooltip="From Crop to Mask, which had all masks together."),
                wire(
                    "MASK",
                    "mask",
                    tooltip="The mask of one defect, at the whole picture's size: 1 mask, or one a "
                    "picture.",
                ),
            ],
            outputs=[Output("MASK", "mask", tooltip="The masks in the squares.")],
        )

    @classmethod
    def execute(cls, crop: Any, mask: torch.Tensor) -> Any:
        return (cropped_mask(crop, mask),)


class CropPicture(Node):
    """Crop Another Picture: further pictures in the same squares."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectCropPicture",
            display_name="Crop Another Picture",
            category=CATEGORY,
            description="Cuts further pictures with the squares of Crop to Mask, such as the "
            "pasted ones of Place Defect Mask.",
            inputs=[
                wire(CROP, "crop", tooltip="From Crop to Mask."),
                wire(
                    "IMAGE",
                    "image",
                    tooltip="One picture for each square, at the size of the whole pictures.",
                ),
            ],
            outputs=[Output("IMAGE", "image", tooltip="The squares.")],
        )

    @classmethod
    def execute(cls, crop: Any, image: torch.Tensor) -> Any:
        return (cropped_image(crop, image),)


class Stitch(Node):
    """Stitch Defect: the painted squares back in their pictures."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectStitch",
            display_name="Stitch Defect",
            category=CATEGORY,
            description=(
                "Puts the painted squares back into the whole pictures, blended along the mask. "
                "Outside the feather band every pixel is "
                "the input's own."
            ),
            search_aliases=["inpaint stitch", "uncrop"],
            inputs=[
                wire(CROP, "crop", tooltip="From Crop to Mask."),
                wire("IMAGE", "painted", tooltip="The decoded samples of these squares."),
                widget(
                    "BOOLEAN",
                    "blend",
                    default=True,
                    tooltip="On: only the masked area and its seam change. Off: the whole square, "
                    "and with it the VAE's losses.",
                ),
                wire(
                    "IMAGE",
                    "normal",
                    optional=True,
                    tooltip="The good squares, encoded and decoded by the same VAE: what the VAE "
                    "loses of the picture then comes back "
                    "where little changed, such as grain and sharp edges. Unplugged: all of the "
                    "mask shows the decoder's softer picture.",
                ),
                wire(
                    "IMAGE",
                    "pasted",
                    optional=True,
                    tooltip="Where samples start from real defects: the pasted pictures of Place "
                    "Defect Mask. What the VAE loses of the real defects then comes back where the "
                    "samples stayed near them. Needs normal, pasted_normal and start.",
                ),
                wire(
                    "IMAGE",
                    "pasted_normal",
                    optional=True,
                    tooltip="The squares of the pasted pictures, encoded and decoded by the same "
                    "VAE.",
                ),
                wire(
                    START,
                    "start",
                    optional=True,
                    tooltip="From the sampler or the guider: samples that start from noise have "
                    "nothing of a real defect to come back.",
                ),
            ],
            outputs=[
                Output(
                    "IMAGE",
                    "image",
                    tooltip="The whole pictures with their defects, one a sample.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        crop: Any,
        painted: torch.Tensor,
        blend: bool,
        normal: torch.Tensor | None = None,
        pasted: torch.Tensor | None = None,
        pasted_normal: torch.Tensor | None = None,
        start: Any = None,
    ) -> Any:
        pastes = pasted_squares(pasted, pasted_normal, start)
        return (stitched(crop, painted, blend, normal, pastes),)


NODES = [CropToMask, CropMask, CropPicture, Stitch]
