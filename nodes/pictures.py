"""Nodes that bring pictures and masks to the graph: load, place."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import torch

from ..bgdefect_core.pictures.mask_values import MaskValues
from ..bgdefect_core.pictures.masks import Mask
from ..bgdefect_core.placement.part import PartKind
from ..bgdefect_core.placement.settings import PlacementSettings
from ._boxes import boxes_of
from ._convert import image_of, mask_of
from ._declare import BOX, REAL, Node, Output, Schema, end_of, option, widget, wire
from ._folders import DEMO, data_set_choices, place_of, state
from ._libraries import (
    NO_LIBRARY,
    folder_state,
    good_batches,
    good_files,
    library_files,
    mask_library,
)
from ._placing import DIRECTIONS, PlacingArea, in_directions, new_masks, pasted_image
from ._squares import colour_image
from ._wires import RealDefect, RealDefects

CATEGORY = "BGDefect/pictures"
MAX_SEED = 0xFFFFFFFFFFFFFFFF


def _subfolders() -> list[str]:
    from ._host_folders import dataset_roots, input_subfolders

    return [*input_subfolders(), *data_set_choices(dataset_roots())]


def _place(choice: str) -> tuple[str, Path]:
    """A choice of a folder: its name, and the host's folder below which it lies."""
    from ._host_folders import dataset_roots, input_directory

    return place_of(choice, input_directory(), dataset_roots())


class LoadPictures(Node):
    """Load Good Pictures: a folder, page by page."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectLoadPictures",
            display_name="Load Good Pictures",
            category=CATEGORY,
            description=(
                "Loads the pictures of a folder below ComfyUI's input folder, some at a time. With "
                "page set to increment, every queued "
                "run takes the next ones, and after the last it starts again: queue as many runs "
                "as you like overnight."
            ),
            search_aliases=["load folder", "load images from folder", "good parts"],
            inputs=[
                widget(
                    "COMBO",
                    "folder",
                    options=lambda: [DEMO, *_subfolders()],
                    tooltip="Folder of good pictures below ComfyUI's input folder or, with "
                    "[datasets], its folder datasets. (shipped demo): the pictures that come with "
                    "the pack.",
                ),
                widget(
                    "INT",
                    "page",
                    default=0,
                    min=0,
                    max=1_000_000,
                    control_after_generate=True,
                    tooltip="Which pictures: page p with count n takes the n pictures from number "
                    "p x n on, sorted by name. 0: the first.",
                ),
                widget(
                    "INT",
                    "count",
                    default=1,
                    min=1,
                    max=1024,
                    tooltip="How many pictures a run takes. 1 is neutral; more share one batch "
                    "where they have one size.",
                ),
            ],
            outputs=[
                Output(
                    "IMAGE",
                    "image",
                    is_list=True,
                    tooltip="One batch for each size of picture; what follows runs once a batch.",
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, folder: str | None, page: int | None, count: int | None) -> Any:
        """What changes when a file does; an input that is a wire is not known yet and comes as
        None."""
        if folder is None:
            return float("nan")
        return folder_state(good_files(*_place(folder)), page, count)

    @classmethod
    def execute(cls, folder: str, page: int, count: int) -> Any:
        batches = good_batches(good_files(*_place(folder)), page, count)
        return ([image_of(batch) for batch in batches],)


class PlaceMask(Node):
    """Place Defect Mask: new masks of a class, laid on the part."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectPlaceMask",
            display_name="Place Defect Mask",
            category=CATEGORY,
            description=(
                "Makes new defect masks from real or drawn ones (flipped, turned, scaled, bent) "
                "and places them where they lie wholly on "
                "the part. Gives every mask with its picture; a picture that no mask fits is left "
                "out."
            ),
            search_aliases=["random mask", "mask library"],
            inputs=[
                wire("IMAGE", "image", tooltip="The good pictures, one or a batch."),
                widget(
                    "COMBO",
                    "library",
                    options=lambda: [NO_LIBRARY, DEMO, *_subfolders()],
                    tooltip="Folder of real masks (white on black) below ComfyUI's input folder "
                    "or, with [datasets], its folder datasets; (masks input): the masks connected "
                    "below. Beside ground_truth/DEFECT the pictures in test/DEFECT are found: "
                    "masks then go where the part looks as it did there.",
                ),
                widget(
                    "INT",
                    "number",
                    default=1,
                    min=1,
                    max=64,
                    tooltip="Masks for each picture. 1 is neutral.",
                ),
                widget(
                    "COMBO",
                    "part",
                    options=list(get_args(PartKind)),
                    tooltip="Where defects may lie. object: on the part in front of its tray. "
                    "texture: everywhere. auto: decided from the pictures.",
                ),
                option(PlacementSettings, "rotate", "0: not turned.", default=180.0, step=1.0),
                end_of(
                    PlacementSettings,
                    "scale",
                    0,
                    "scale_min",
                    step=0.05,
                    tooltip="Smallest scale of a new mask. 1: not smaller.",
                ),
                end_of(
                    PlacementSettings,
                    "scale",
                    1,
                    "scale_max",
                    step=0.05,
                    tooltip="Largest scale of a new mask. 1: not larger.",
                ),
                option(PlacementSettings, "flip", "Off: none.", default=True),
                option(PlacementSettings, "elastic", "0: not bent.", step=0.01),
                widget(
                    "INT",
                    "seed",
                    default=0,
                    min=0,
                    max=MAX_SEED,
                    control_after_generate=True,
                    tooltip="The same seed and picture give the same masks. No value is special.",
                ),
                wire(
                    "MASK",
                    "masks",
                    optional=True,
                    tooltip="A drawn mask or a batch of real ones to make new ones from, in place "
                    "of a library. Any size.",
                ),
                wire(
                    "MASK",
                    "avoid",
                    optional=True,
                    tooltip="Where no defect may lie, at the picture's size: a hole, a label, "
                    "another defect. Unplugged: nowhere.",
                ),
                wire(
                    "MASK",
                    "allowed",
                    optional=True,
                    tooltip="Where defects may lie, at the picture's size: 1 mask, or one a "
                    "picture. Unplugged: everywhere on the part.",
                ),
                widget(
                    "COMBO",
                    "directions",
                    options=list(DIRECTIONS),
                    default=DIRECTIONS[0],
                    optional=True,
                    tooltip="auto: where the ground has a direction and the real masks all lie one "
                    "way, new ones stay that way; rotate and flip are limits. as_set: as rotate "
                    "and flip say.",
                ),
                widget(
                    "STRING",
                    "mask_values",
                    default="",
                    optional=True,
                    tooltip="Values or colours that mean the defect in a library whose masks hold "
                    "several classes, separated by commas: 1, #ff0000 or nonzero. Empty: white on "
                    "black.",
                ),
                widget(
                    BOX,
                    "box",
                    optional=True,
                    force_input=True,
                    socketless=False,
                    tooltip="Where defects may lie, as boxes in pixels of the picture: from a "
                    "detector or Create Bounding Boxes. Several boxes: in any of them. Unplugged: "
                    "everywhere on the part.",
                ),
            ],
            outputs=[
                Output("IMAGE", "image", tooltip="The picture of each mask."),
                Output("MASK", "mask", tooltip="The masks, picture by picture."),
                Output(
                    "IMAGE",
                    "pasted",
                    tooltip="The same pictures with the real defect pasted in, for Crop Another "
                    "Picture; the picture as it is where the real defect's is not known.",
                ),
                Output(
                    REAL,
                    "real",
                    tooltip="The real defects that the masks come from, for Refine Defect Mask and "
                    "Defect Quality.",
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, library: str | None, **others: Any) -> Any:
        if library is None:
            return float("nan")
        if library == NO_LIBRARY:
            return ()
        return state(library_files(*_place(library)))

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        library: str,
        number: int,
        part: Any,
        rotate: float,
        scale_min: float,
        scale_max: float,
        flip: bool,
        elastic: float,
        seed: int,
        masks: torch.Tensor | None = None,
        avoid: torch.Tensor | None = None,
        allowed: torch.Tensor | None = None,
        directions: str = DIRECTIONS[0],
        mask_values: str = "",
        box: Any = None,
    ) -> Any:
        settings = PlacementSettings(rotate, (scale_min, scale_max), flip, elastic)
        from ._host_folders import progress_bar

        bar = progress_bar(len(image) * number)  # the host checks Cancel in it
        name, root = _place(library)
        real_masks = mask_library(name, masks, root, MaskValues.parse(mask_values))
        ground = PlacingArea(part, allowed, avoid, boxes_of(box))
        settings = in_directions(settings, directions, image, real_masks)
        placed = new_masks(image, real_masks, ground, settings, number, seed, lambda: bar.update(1))
        owners: list[int] = []
        areas: list[Mask] = []
        real: list[RealDefect] = []
        for mask in placed:
            owners.append(mask.owner)
            areas.append(mask.mask)
            real.append(mask.real)
        return (
            colour_image(image, "image")[owners],
            mask_of(areas),
            pasted_image(image, placed),
            RealDefects(real, real_masks),
        )


NODES = [LoadPictures, PlaceMask]
