"""Squares around the masks of a batch, without the host: cut out, put back, checked.

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
from ..bgdefect_core.method.start import NOISE
from ..bgdefect_core.pictures.crop import (
    Crop,
    Zoom,
    crop_box,
    default_feather,
    take,
)
from ..bgdefect_core.pictures.masks import Mask, check_mask, feather
from ..bgdefect_core.pictures.picture import Picture
from ..bgdefect_core.pictures.reading import MIN_SIDE
from ..bgdefect_core.pictures.stitching import stitch
from ._convert import image_of, mask_batch, mask_of, masks_of, matched, pictures_of
from ._starting import sample_levels


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
    masks = sized_masks(mask, len(colours), size_of(colours), "mask")
    boxes = [crop_box(member, resolution, zoom) for member in masks]
    return CropBatch(colours, masks, boxes, resolution, zoom, feather_width)


def cropped_image(crop: CropBatch, image: Tensor | None = None) -> Tensor:
    """The squares of the pictures, or of further pictures of their size: IMAGE ``[B, R, R, 3]``.

    Raises:
        PictureError: another number or size.
    """
    wholes = crop.image if image is None else _further_pictures(crop, image, "image")
    squares = []
    for picture, box in zip(pictures_of(wholes), crop.boxes, strict=True):
        squares.append(take(picture, box, crop.resolution))
    return image_of(squares)


def _further_pictures(crop: CropBatch, image: Tensor, name: str) -> Tensor:
    """IMAGE ``[B, H, W, 3]`` as large and as many as the crop's pictures.

    Raises:
        PictureError: another number or size.
    """
    wholes = colour_image(image, name)
    if wholes.shape != crop.image.shape:
        came = f"{name} is {len(wholes)} of {wholes.shape[2]} x {wholes.shape[1]} pixels"
        expected = f"{len(crop.image)} of {crop.image.shape[2]} x {crop.image.shape[1]}"
        raise PictureError(came, expected, "connect pictures of the same Place Defect Mask")
    return wholes


def masks_at(crop: CropBatch, mask: Tensor | None) -> Sequence[Mask]:
    """The requested masks, or further masks of the same pictures.

    Raises:
        MaskError: another number or size.
    """
    if mask is None:
        return crop.masks
    return sized_masks(mask, len(crop.masks), size_of(crop.image), "mask")


def cropped_mask(crop: CropBatch, mask: Tensor | None = None) -> Tensor:
    """The squares of the requested masks, or of further masks of the same pictures: MASK ``[B, R,
    R]``, any coverage counts.

    Raises:
        MaskError: another number or size, or one has no pixel in its square.
    """
    masks = masks_at(crop, mask)
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


@dataclass(frozen=True, eq=False)
class PastedSquares:
    """What samples start from that start from a real defect."""

    image: Tensor
    """The whole pictures with their real defects pasted in: IMAGE ``[B, H, W, 3]``."""
    decoded: Tensor
    """Their squares, encoded and decoded: IMAGE ``[B, r, r, 3]``."""
    start: Sequence[float]
    """Start levels of the samples, one each or one for all."""


def pasted_squares(
    image: Tensor | None, decoded: Tensor | None, start: Sequence[float] | None
) -> PastedSquares | None:
    """The pastes of a graph; None: samples start from noise.

    Raises:
        SettingError: some of the three are connected, but not all.
    """
    if image is None and decoded is None:
        return None
    if image is None or decoded is None or start is None:
        came = "not all of pasted, pasted_normal and start are connected"
        raise SettingError(came, "the three together", "connect them, or none of them")
    return PastedSquares(image, decoded, start)


def stitched(
    crop: CropBatch,
    painted: Tensor,
    blend: bool = True,
    normal: Tensor | None = None,
    pasted: PastedSquares | None = None,
) -> Tensor:
    """The painted squares put back: IMAGE ``[S, H, W, 3]``; outside the feather band every value is
    the input's own.

    Args:
        painted: IMAGE ``[S, r, r, 3]`` of any square size.
        blend: False: the whole square replaces the picture's.
        normal: IMAGE ``[B, r, r, 3]``, the good squares' encodings, decoded: what the VAE lost
            comes back where little changed. None, or without blending: it does not.
        pasted: what the VAE lost of the real defects comes back, too, where the samples stayed near
            them; read with ``normal`` alone.

    Raises:
        PictureError: S is no multiple of B, the pictures are not square, ``normal`` or the decoded
            pastes do not fit ``painted``, or the pasted pictures do not fit the crop's.
        SettingError: another number of start levels than of samples.
    """
    squares = squares_of(crop, painted, "painted")
    plains = None if normal is None else decoded_squares(crop, normal, squares[0])
    pastes = [] if pasted is None else _pastes_of(crop, pasted, squares)
    wholes = pictures_of(crop.image)
    results = []
    for number, square in enumerate(squares):
        owner = number % len(wholes)
        whole = Picture(wholes[owner])
        box, mask = crop.boxes[owner], crop.masks[owner]
        if blend:
            band = feather(mask, crop.width(owner)) > 0
            plain = plains[number % len(plains)] if plains else None
            paste = pastes[number] if pastes else None
            new = stitch(whole, square, mask, box, crop.width(owner), plain, paste)
        else:
            band = box.within(mask.shape)
            new = stitch(whole, square, band, box, 0)
        changed = torch.from_numpy(band)[..., None]
        results.append(
            torch.where(changed, torch.from_numpy(new.pixels).float() / 255, crop.image[owner])
        )
    return torch.stack(results)


def size_of(image: Tensor) -> tuple[int, int]:
    """(height, width) of an IMAGE in pixels."""
    return int(image.shape[1]), int(image.shape[2])


def squares_of(crop: CropBatch, image: Tensor, name: str) -> list[NDArray[np.float32]]:
    """float32 ``[r, r, 3]`` each, as decoded (not rounded to bytes)."""
    colours = colour_image(image, name)
    height, width = size_of(colours)
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


def _pastes_of(
    crop: CropBatch, pasted: PastedSquares, squares: Sequence[NDArray[np.float32]]
) -> list[tuple[NDArray[np.float32], Picture] | None]:
    """The paste of each sample, its decoded square and the whole picture; None where the sample
    starts from noise.

    Raises:
        PictureError: they do not fit the crop or the samples. SettingError: another number of start
            levels.
    """
    wholes = pictures_of(_further_pictures(crop, pasted.image, "pasted"))
    decoded = decoded_squares(crop, pasted.decoded, squares[0], "pasted_normal")
    pastes: list[tuple[NDArray[np.float32], Picture] | None] = []
    for number, level in enumerate(sample_levels(pasted.start, len(squares))):
        owner = number % len(wholes)
        pastes.append((decoded[owner], Picture(wholes[owner])) if level < NOISE else None)
    return pastes


def decoded_squares(
    crop: CropBatch, normal: Tensor, painted: NDArray[np.float32], name: str = "normal"
) -> list[NDArray[np.float32]]:
    """Squares, one a picture of the crop, that were encoded and decoded: as :func:`squares_of`, of
    the size of ``painted``, one of the samples.

    Raises:
        PictureError: another size, besides what :func:`squares_of` refuses.
    """
    plains = squares_of(crop, normal, name)
    if plains[0].shape != painted.shape:
        came = f"{name} is {plains[0].shape[1]} pixels wide and painted {painted.shape[1]}"
        raise PictureError(came, "equal sizes", "decode with one VAE")
    return plains
