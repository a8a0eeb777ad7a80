"""Nodes that bring pictures and masks to the graph: load, place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.utils
import folder_paths
import torch
from comfy_api.latest import io

from ..bgdefect_core.errors import DataError
from ..bgdefect_core.pictures.files import read_picture
from ..bgdefect_core.pictures.mask_files import pictures_beside, read_library
from ..bgdefect_core.placement.placing import MaskLibrary, PlacementSettings
from ._compat import field, schema
from ._convert import image_of, mask_of, masks_of
from ._folders import ASSETS, DEMO, inside, picture_files, refuse_outside, state
from ._picture_steps import colour_image, placed

CATEGORY = "BGDefect/pictures"
NO_LIBRARY = "(masks input)"
MAX_SEED = 0xFFFFFFFFFFFFFFFF


def _input_folder(name: str, what: str) -> Path:
    return inside(folder_paths.get_input_directory(), name, what)


def _good_files(folder: str) -> list[Path]:
    """The pictures of a choice of Load Good Pictures, sorted by name."""
    if folder == DEMO:
        return picture_files(ASSETS / "demo" / "good", ASSETS)
    return picture_files(_input_folder(folder, "folder"), Path(folder_paths.get_input_directory()))


def _mask_files(library: str) -> list[Path]:
    """The files of a choice of Place Defect Mask."""
    if library == DEMO:
        return picture_files(ASSETS / "demo" / "masks", ASSETS)
    return refuse_outside(
        _input_folder(library, "library"), Path(folder_paths.get_input_directory()), "library"
    )


def _library(library: str, masks: torch.Tensor | None) -> MaskLibrary:
    """The masks of a folder, or of the masks input."""
    if library == NO_LIBRARY:
        if masks is None:
            do = "connect masks, or choose a folder of masks in library"
            raise DataError("neither masks is connected nor a library chosen", "one of them", do)
        return MaskLibrary(masks_of(masks, "masks"))
    if masks is not None:
        raise DataError(
            "masks is connected and a library chosen too",
            "one of them",
            f"set library to {NO_LIBRARY!r} or unplug masks",
        )
    files = _mask_files(library)
    if library == DEMO:
        return read_library(files[0].parent)
    folder = _input_folder(library, "library")
    return read_library(folder, pictures=_defect_pictures(folder))


def _defect_pictures(folder: Path) -> Path | None:
    """The real pictures beside a folder of masks, where they too lie below ComfyUI's input folder.

    Raises:
        SettingError: a link among them leads out of it.
    """
    base = Path(folder_paths.get_input_directory())
    pictures = pictures_beside(folder)
    if pictures is None or not pictures.is_relative_to(base):
        return None
    refuse_outside(pictures, base, "library")
    return pictures


class LoadPictures(io.ComfyNode):
    """Load Good Pictures: a folder, page by page."""

    @classmethod
    def define_schema(cls) -> Any:
        return schema(
            node_id="BGDefectLoadPictures",
            display_name="Load Good Pictures",
            category=CATEGORY,
            description=(
                "Loads the pictures of a folder below ComfyUI's input folder, some at a time. With "
                "page set to increment, every queued "
                "run takes the next ones, and after the last it starts again: queue as many runs "
                "as you like over night."
            ),
            search_aliases=["load folder", "load images from folder", "good parts"],
            inputs=[
                field(
                    io.Combo,
                    "folder",
                    options=[DEMO, *folder_paths.get_input_subfolders()],
                    tooltip="Folder of good pictures below ComfyUI's input folder. (shipped demo): "
                    "the pictures that come with the pack.",
                ),
                field(
                    io.Int,
                    "page",
                    default=0,
                    min=0,
                    max=1_000_000,
                    control_after_generate=True,
                    tooltip="Which pictures: page p with count n takes the n pictures from number "
                    "p x n on, sorted by name. 0: the first.",
                ),
                field(
                    io.Int,
                    "count",
                    default=1,
                    min=1,
                    max=1024,
                    tooltip="How many pictures a run takes. 1 is neutral; more share one batch "
                    "where they have one size.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image",
                    is_output_list=True,
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
        files = _good_files(folder)
        return state(files if page is None or count is None else _page(files, page, count))

    @classmethod
    def execute(cls, folder: str, page: int, count: int) -> Any:
        batches: dict[tuple[int, ...], list[Any]] = {}
        for path in _page(_good_files(folder), page, count):
            picture = read_picture(path)
            batches.setdefault(picture.shape, []).append(picture)
        return io.NodeOutput([image_of(batch) for batch in batches.values()])


def _page(files: list[Path], page: int, count: int) -> list[Path]:
    """``count`` files from number ``page * count`` on, going round; none twice."""
    return [files[(page * count + turn) % len(files)] for turn in range(min(count, len(files)))]


class PlaceMask(io.ComfyNode):
    """Place Defect Mask: new masks of a class, laid on the part."""

    @classmethod
    def define_schema(cls) -> Any:
        return schema(
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
                field(io.Image, "image", tooltip="The good pictures, one or a batch."),
                field(
                    io.Combo,
                    "library",
                    options=[NO_LIBRARY, DEMO, *folder_paths.get_input_subfolders()],
                    tooltip="Folder of real masks (white on black) below ComfyUI's input folder; "
                    "(masks input): the masks connected below. "
                    "Beside ground_truth/DEFECT the pictures in test/DEFECT are found: masks then "
                    "go where the part looks as it did there.",
                ),
                field(
                    io.Int,
                    "number",
                    default=1,
                    min=1,
                    max=64,
                    tooltip="Masks for each picture. 1 is neutral.",
                ),
                field(
                    io.Combo,
                    "part",
                    options=["auto", "object", "texture"],
                    tooltip="Where defects may lie. object: on the part in front of its tray. "
                    "texture: everywhere. auto: it is found out.",
                ),
                field(
                    io.Float,
                    "rotate",
                    default=180.0,
                    min=0.0,
                    max=180.0,
                    step=1.0,
                    tooltip="Largest turn either way, in degrees. 0: not turned.",
                ),
                field(
                    io.Float,
                    "scale_min",
                    default=0.8,
                    min=0.1,
                    max=10.0,
                    step=0.05,
                    tooltip="Smallest factor of size. 1: not smaller.",
                ),
                field(
                    io.Float,
                    "scale_max",
                    default=1.25,
                    min=0.1,
                    max=10.0,
                    step=0.05,
                    tooltip="Largest factor of size. 1: not larger.",
                ),
                field(
                    io.Boolean, "flip", default=True, tooltip="Mirror half of the masks. Off: none."
                ),
                field(
                    io.Float,
                    "elastic",
                    default=0.04,
                    min=0.0,
                    max=0.5,
                    step=0.01,
                    tooltip="How far masks are bent, as a share of their longest side. "
                    "0: not bent.",
                ),
                field(
                    io.Int,
                    "seed",
                    default=0,
                    min=0,
                    max=MAX_SEED,
                    control_after_generate=True,
                    tooltip="The same seed and picture give the same masks. No value is special.",
                ),
                field(
                    io.Mask,
                    "masks",
                    optional=True,
                    tooltip="A drawn mask or a batch of real ones to make new ones from, in place "
                    "of a library. Any size.",
                ),
                field(
                    io.Mask,
                    "avoid",
                    optional=True,
                    tooltip="Where no defect may lie, at the picture's size: a hole, a label, "
                    "another defect. Unplugged: nowhere.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The picture of each mask."),
                io.Mask.Output(display_name="mask", tooltip="The masks, picture by picture."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, library: str | None, **others: Any) -> Any:
        if library is None:
            return float("nan")
        if library == NO_LIBRARY:
            return ()
        pictures = None if library == DEMO else _defect_pictures(_input_folder(library, "library"))
        return state(
            [*_mask_files(library), *(picture_files(pictures, pictures) if pictures else ())]
        )

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
    ) -> Any:
        settings = PlacementSettings(rotate, (scale_min, scale_max), flip, elastic)
        bar = comfy.utils.ProgressBar(len(image) * number)  # the host checks Cancel in it
        owners, new_masks = placed(
            image,
            _library(library, masks),
            part,
            settings,
            number,
            seed,
            avoid,
            lambda: bar.update(1),
        )
        return io.NodeOutput(colour_image(image, "image")[owners], mask_of(new_masks))


NODES = [LoadPictures, PlaceMask]
