"""What the picture nodes do, without the host: batches in, the core's functions called item by
item, batches out.

IMAGE is float ``[B, H, W, C]`` in 0..1, MASK float ``[B, H, W]``, as everywhere in the host. Sample
i of S belongs to picture ``i % B``, the order of the host's Repeat Image Batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..bgdefect_core.errors import MaskError, PictureError, SettingError
from ..bgdefect_core.method.attention import MapRecorder
from ..bgdefect_core.method.refinement import LabelSettings, label_of
from ..bgdefect_core.method.signals import SIGNALS, Evidence
from ..bgdefect_core.pictures.crop import (
    Crop,
    Zoom,
    crop_box,
    default_feather,
    put_back,
    take,
)
from ..bgdefect_core.pictures.mask_shape import MaskShape
from ..bgdefect_core.pictures.masks import Mask, check_mask, feather
from ..bgdefect_core.pictures.picture import Picture
from ..bgdefect_core.pictures.reading import MIN_SIDE
from ..bgdefect_core.pictures.stitching import stitch
from ..bgdefect_core.pictures.tones import two_tones
from ._convert import image_of, mask_batch, mask_of, masks_of, matched, pictures_of


@dataclass(frozen=True, eq=False)
class CropBatch:
    """Squares of B pictures, and the way back."""

    image: Tensor
    """The whole pictures: IMAGE ``[B, H, W, 3]``."""
    masks: Sequence[Mask]
    """The requested masks of the whole pictures, bool ``[H, W]`` each."""
    boxes: Sequence[Crop]
    resolution: int
    """Side of the squares after resizing, in pixels."""
    zoom: Zoom
    """What the squares show."""
    feather: float | None
    """Width of the blended seam in the pictures' pixels; None: it follows from the mask."""

    def width(self, number: int) -> float:
        """The feather width of picture ``number``, in its pixels."""
        return (
            default_feather(self.boxes[number], self.masks[number])
            if self.feather is None
            else self.feather
        )


def colour_image(image: Tensor, name: str) -> Tensor:
    """IMAGE ``[B, H, W, C]`` as finite ``[B, H, W, 3]``; gray is repeated, an alpha channel
    dropped.

    Raises:
        PictureError: another shape, a side under 16 pixels, NaN or infinity.
    """
    pictures_of(image[:1], name)  # refuses what is no picture
    if min(image.shape[1:3]) < MIN_SIDE:
        came = f"{name} is {image.shape[2]} x {image.shape[1]} pixels"
        raise PictureError(
            came, f"at least {MIN_SIDE} on each side", f"connect larger pictures to {name}"
        )
    if not bool(torch.isfinite(image).all()):
        raise PictureError(
            f"{name} holds NaN or infinity",
            "finite numbers",
            "decode in 32-bit floats (--fp32-vae)",
        )
    colours = image[..., :3] if image.shape[-1] > 1 else image.expand(*image.shape[:-1], 3)
    return colours.float().cpu()


def sized_masks(mask: Tensor, count: int, size: tuple[int, int], name: str) -> list[Mask]:
    """``count`` usable masks of (H, W) from a MASK of 1 or ``count``.

    Raises:
        MaskError: another number or size, or one is empty or full.
    """
    masks = masks_of(mask, name)
    for number, member in enumerate(masks):
        check_mask(member, size, name if len(masks) == 1 else f"{name} {number}")
    return masks_of(matched(mask_batch(mask, name), count, name), name)


def crop_pictures(
    image: Tensor, mask: Tensor, resolution: int, zoom: Zoom, feather_width: float | None
) -> CropBatch:
    """The square around each mask (:func:`bgdefect_core.pictures.crop.crop_box`).

    Args:
        image: IMAGE of B pictures. mask: MASK of 1 or B, all defects together.
    """
    colours = colour_image(image, "image")
    masks = sized_masks(mask, len(colours), _size(colours), "mask")
    boxes = [crop_box(member, resolution, zoom) for member in masks]
    return CropBatch(colours, masks, boxes, resolution, zoom, feather_width)


def cropped_image(crop: CropBatch, image: Tensor | None = None) -> Tensor:
    """The squares of the pictures, or of further pictures of their size: IMAGE ``[B, R, R, 3]``.

    Raises:
        PictureError: another number or size.
    """
    wholes = crop.image if image is None else colour_image(image, "image")
    if wholes.shape != crop.image.shape:
        came = f"image is {len(wholes)} of {wholes.shape[2]} x {wholes.shape[1]} pixels"
        expected = f"{len(crop.image)} of {crop.image.shape[2]} x {crop.image.shape[1]}"
        raise PictureError(came, expected, "connect pictures of the same Place Defect Mask")
    squares = []
    for picture, box in zip(pictures_of(wholes), crop.boxes, strict=True):
        squares.append(take(picture, box, crop.resolution))
    return image_of(squares)


def _masks_at(crop: CropBatch, mask: Tensor | None) -> Sequence[Mask]:
    """The requested masks, or further masks of the same pictures."""
    if mask is None:
        return crop.masks
    return sized_masks(mask, len(crop.masks), _size(crop.image), "mask")


def cropped_mask(crop: CropBatch, mask: Tensor | None = None) -> Tensor:
    """The squares of the requested masks, or of further masks of the same pictures: MASK ``[B, R,
    R]``, any coverage counts.

    Raises:
        MaskError: another number or size, or one has no pixel in its square.
    """
    masks = _masks_at(crop, mask)
    squares = []
    for member, box in zip(masks, crop.boxes, strict=True):
        squares.append(take(member, box, crop.resolution))
    for number, square in enumerate(squares):
        if not square.any():
            raise MaskError(
                f"mask {number} lies outside its square",
                "a mask within it",
                "crop to all masks together first",
            )
    return mask_of(squares)


def stitched(
    crop: CropBatch, painted: Tensor, blend: bool = True, normal: Tensor | None = None
) -> Tensor:
    """The painted squares put back: IMAGE ``[S, H, W, 3]``; outside the feather band every value is
    the input's own.

    Args:
        painted: IMAGE ``[S, r, r, 3]`` of any square size.
        blend: False: the whole square replaces the picture's.
        normal: IMAGE ``[B, r, r, 3]``, the good squares' encodings, decoded: what the VAE lost
            comes back where little changed. None, or without blending: it does not.

    Raises:
        PictureError: S is no multiple of B, the pictures are not square, or ``normal`` does not fit
            ``painted``.
    """
    squares = squares_of(crop, painted, "painted")
    plains = None if normal is None else good_squares(crop, normal, squares[0])
    wholes = pictures_of(crop.image)
    results = []
    for number, square in enumerate(squares):
        owner = number % len(wholes)
        whole = Picture(wholes[owner])
        box, mask = crop.boxes[owner], crop.masks[owner]
        if blend:
            band = feather(mask, crop.width(owner)) > 0
            plain = plains[number % len(plains)] if plains else None
            new = stitch(whole, square, mask, box, crop.width(owner), plain)
        else:
            band = np.zeros_like(mask)
            band[max(box.top, 0) : box.top + box.side, max(box.left, 0) : box.left + box.side] = (
                True
            )
            new = stitch(whole, square, band, box, 0)
        changed = torch.from_numpy(band)[..., None]
        results.append(
            torch.where(changed, torch.from_numpy(new.pixels).float() / 255, crop.image[owner])
        )
    return torch.stack(results)


def refined(
    settings: LabelSettings,
    recorder: MapRecorder | None,
    painted: Tensor | None,
    normal: Tensor | None,
    mask: Tensor | None,
    crop: CropBatch | None,
    shape: MaskShape | None = None,
) -> tuple[Tensor, Tensor]:
    """Eq. 13 for S samples: the refined MASK and the heat as MASK, ``[S, H, W]`` both.

    Args:
        recorder: attention maps of S samples, where the signal needs attention.
        painted: IMAGE of the S decoded samples, where the signal needs the picture before.
        normal: IMAGE of the B decoded encodings of the good pictures; needed likewise.
        mask: the requested MASK; with ``crop`` at the whole picture's size, and None means the
            crop's own.
        crop: the samples are squares of it: the result then has the whole picture's size.
        shape: of the class's real masks, for holes and separate pieces; None: not known.

    Raises:
        SettingError: the signal lacks its maps or pictures. MaskError, PictureError: what does not
            fit together.
    """
    signal = SIGNALS.named(settings.signal)
    pictures = None
    if signal.needs_before:
        if painted is None or normal is None:
            missing = "painted" if painted is None else "normal"
            raise SettingError(
                f"{missing} is not connected",
                f"both pictures for the signal {settings.signal!r}",
                f"connect {missing}",
            )
        if crop is not None:
            good_squares(crop, normal, squares_of(crop, painted, "painted")[0])
        pictures = _decoded(painted, normal)
    if signal.needs_attention and recorder is None:
        raise SettingError(
            "maps is not connected",
            f"attention maps for the signal {settings.signal!r}",
            "connect the sampler's maps",
        )
    size = _heat_size(pictures, mask, crop)
    if recorder is not None and signal.needs_attention:
        _check_maps(recorder, painted, crop)
    evidence = Evidence(size, recorder, *(pictures or ()))
    heat = signal.heat(evidence).cpu().numpy().astype(np.float32)
    if crop is None:
        mask = _connected(mask)
        masks = sized_masks(mask, len(heat) if len(mask) > 1 else 1, size, "mask")
        heats = list(heat)
        if painted is not None and normal is not None and signal.needs_before:
            goods, samples = pictures_of(normal), pictures_of(painted)
            for number, square in enumerate(heats):
                good, requested = goods[number % len(goods)], masks[number % len(masks)]
                heats[number] = signal.stitched(square, good, samples[number], requested)
    else:
        masks = list(_masks_at(crop, mask))
        heats = []
        for number, square in enumerate(heat):
            heats.append(put_back(square, crop.boxes[number % len(masks)], _size(crop.image)))
        wholes = pictures_of(crop.image)
        two_toned = any(two_tones(picture) is not None for picture in wholes)
        if painted is not None and (two_toned or signal.needs_before):
            results = pictures_of(stitched(crop, painted, normal=normal))
            for number, square in enumerate(heats):
                whole, requested = wholes[number % len(masks)], masks[number % len(masks)]
                heats[number] = signal.stitched(square, whole, results[number], requested)
    labels, maps = [], []
    for number, member in enumerate(heats):
        label, inside = label_of(member, masks[number % len(masks)], settings, shape)
        labels.append(label)
        maps.append(inside)
    return mask_of(labels), torch.from_numpy(np.stack(maps))


def _size(image: Tensor) -> tuple[int, int]:
    return int(image.shape[1]), int(image.shape[2])


def squares_of(crop: CropBatch, image: Tensor, name: str) -> list[NDArray[np.float32]]:
    """float32 ``[r, r, 3]`` each, as decoded (not rounded to bytes)."""
    colours = colour_image(image, name)
    height, width = _size(colours)
    if height != width:
        do = f"connect the decoded squares of this crop to {name}"
        raise PictureError(
            f"{name} is {width} x {height} pixels",
            f"squares, as {crop.resolution} x {crop.resolution}",
            do,
        )
    if len(colours) % len(crop.boxes):
        came = f"{name} has {len(colours)} pictures for {len(crop.boxes)} squares"
        raise PictureError(
            came, f"a multiple of {len(crop.boxes)}", f"connect the samples of this crop to {name}"
        )
    return list(colours.clamp(0, 1).numpy())


def good_squares(
    crop: CropBatch, normal: Tensor, painted: NDArray[np.float32]
) -> list[NDArray[np.float32]]:
    """The good squares' encodings, decoded: as :func:`squares_of`, of the size of ``painted``, one
    of the samples.

    Raises:
        PictureError: another size, besides what :func:`squares_of` refuses.
    """
    plains = squares_of(crop, normal, "normal")
    if plains[0].shape != painted.shape:
        came = f"normal is {plains[0].shape[1]} pixels wide and painted {painted.shape[1]}"
        raise PictureError(came, "equal sizes", "decode with one VAE")
    return plains


def _check_maps(recorder: MapRecorder, painted: Tensor | None, crop: CropBatch | None) -> None:
    """Raise SettingError where the maps are not those of the samples."""
    if not recorder.words:  # the sampler records none where a defect has no words
        do = "count the words of each defect's prompt in words, or choose the signal 'difference'"
        raise SettingError(
            "maps hold no attention: words is 0, or the defect's prompt empty",
            "the positions of the defect's words",
            do,
        )
    if not recorder.means:
        return  # the signal says why
    count = recorder.samples
    if painted is not None and count != len(painted):
        came = f"maps are of {count} samples and painted has {len(painted)}"
        raise SettingError(came, "as many", "connect maps and decoded samples of one sampler")
    are_squares = all(height == width for height, width in recorder.means)
    if crop is not None and (count % len(crop.boxes) or not are_squares):
        grids = [f"{width} x {height}" for height, width in recorder.means]
        came = f"maps are of {count} samples, {' and '.join(grids)} cells"
        raise SettingError(
            came,
            f"squares, a multiple of {len(crop.boxes)} of them",
            "connect maps and crop of the same samples",
        )


def _decoded(painted: Tensor, normal: Tensor) -> tuple[Tensor, Tensor]:
    """The S samples and their good pictures as the core takes them: ``[S, 3, H, W]`` in -1..1."""
    new, old = colour_image(painted, "painted"), colour_image(normal, "normal")
    if _size(new) != _size(old) or len(new) % len(old):
        came = (
            f"normal is {len(old)} of {old.shape[2]} x {old.shape[1]} "
            f"and painted {len(new)} of {new.shape[2]} x {new.shape[1]}"
        )
        raise PictureError(
            came,
            "equal sizes, and a number that divides painted's",
            "decode the encoded good pictures with the same VAE",
        )
    plain = old[torch.arange(len(new)) % len(old)]
    return new.movedim(-1, 1) * 2 - 1, plain.movedim(-1, 1) * 2 - 1


def _heat_size(
    pictures: tuple[Tensor, Tensor] | None, mask: Tensor | None, crop: CropBatch | None
) -> tuple[int, int]:
    """At which size the signals meet: the pictures', else the square's, else the mask's."""
    if crop is None:
        mask = _connected(mask)
    if pictures is not None:
        return int(pictures[0].shape[2]), int(pictures[0].shape[3])
    if crop is not None:
        return crop.resolution, crop.resolution
    height, width = mask_batch(_connected(mask)).shape[1:]
    return int(height), int(width)


def _connected(mask: Tensor | None) -> Tensor:
    """The mask, which must be there without a crop."""
    if mask is None:
        raise SettingError(
            "neither mask nor crop is connected", "one of them", "connect the requested mask"
        )
    return mask
