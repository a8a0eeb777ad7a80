"""The painted square back into the picture (docs/method.md, choice 5).

Outside the feather band the picture keeps every bit. All values are relative to the picture's white
level.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..errors import MaskError, PictureError
from .crop import Crop, Window, default_feather, resized_window
from .detail import with_detail, with_either_detail
from .masks import Mask, bounding_box, feather
from .picture import Picture
from .tones import nearest_tone, two_tones

__all__ = ["stitch"]


def stitch(
    picture: Picture,
    painted: NDArray[np.float32],
    mask: Mask,
    crop: Crop,
    feather_width: float | None = None,
    normal: NDArray[np.float32] | None = None,
    pasted: tuple[NDArray[np.float32], Picture] | None = None,
) -> Picture:
    """Blend the painted square into the picture through the feathered mask.

    A gray picture stays gray. A picture of two tones keeps to them (``tones``); it gets no seam,
    which would mix them.

    Args:
        picture: the normal picture, ``[H, W, 3]``; left as it is.
        painted: float32 [resolution, resolution, 3] in 0..1, the crop after painting.
        mask: bool [H, W], the requested mask; inside it only the painted picture shows.
        crop: where ``painted`` was taken from.
        feather_width: in picture pixels; None: ``default_feather``; 0: a hard edge.
        normal: float32 [resolution, resolution, 3] in 0..1, the crop's encoding, decoded: what the
            VAE lost of the picture comes back where little changed (``detail.with_detail``). None:
            it does not.
        pasted: where the sample started from a real defect, that picture and its crop's encoding,
            decoded, as ``normal``: its detail comes back where the sample stayed near it
            (``detail.with_either_detail``); read with ``normal`` alone.

    Returns:
        A picture of the same depth and white level; outside the feather band equal in all bits.

    Raises:
        MaskError: empty, of another size, or reaching out of the crop. PictureError: ``painted`` or
            ``normal`` is not finite.
    """
    pixels, white = picture.pixels, picture.white
    _check(picture, painted, mask, crop, normal)
    tones = two_tones(pixels, white)
    if tones is not None:
        feather_width = 0
    width = default_feather(crop, mask) if feather_width is None else feather_width
    window = _window(mask, crop, math.ceil(max(width, 0)))

    blend = feather(mask[window.slices], width)[..., None]
    new = _resized_colours(painted, crop, window)
    old = pixels[window.slices]
    if normal is not None:
        good = _both(normal, picture, crop, window)
        if pasted is None:
            new = with_detail(new, *good)
        else:
            new = with_either_detail(new, good, _both(*pasted, crop, window))
    is_gray = (pixels == pixels[..., :1]).all()
    if is_gray:  # what colour the decoder adds would give the defect away
        new = np.repeat(new.mean(axis=2, keepdims=True), 3, axis=2)

    if tones is not None:
        mixed = nearest_tone(new, tones, white)
    else:
        scaled = np.clip(new, 0.0, 1.0) * float(white)
        mixed = np.rint(blend * scaled + (1.0 - blend) * old).astype(pixels.dtype)
    result = pixels.copy()
    result[window.slices] = np.where(blend > 0, mixed, old)
    return Picture(result, white)


def _check(
    picture: Picture,
    painted: NDArray[np.float32],
    mask: Mask,
    crop: Crop,
    normal: NDArray[np.float32] | None,
) -> None:
    if mask.shape != picture.size:
        came = f"the mask is {mask.shape[1]} x {mask.shape[0]} pixels"
        expected = f"{picture.size[1]} x {picture.size[0]}"
        raise MaskError(came, expected, "use the picture's own mask")
    box = bounding_box(mask)
    starts_inside = box.top >= crop.top and box.left >= crop.left
    ends_inside = box.bottom <= crop.top + crop.side and box.right <= crop.left + crop.side
    if not (starts_inside and ends_inside):
        came = "the mask reaches out of the crop"
        raise MaskError(came, "a crop that holds it", "use crop_box with this mask")
    for name, square in (("painted", painted), ("normal", normal)):
        if square is not None and not np.isfinite(square).all():
            came = f"the {name} picture holds NaN or infinity"
            raise PictureError(came, "finite numbers", "decode in 32-bit floats")


def _window(mask: Mask, crop: Crop, reach: int) -> Window:
    """The mask's box with a margin of ``reach`` pixels, within the crop and the picture."""
    box = bounding_box(mask)
    return Window(
        max(box.top - reach, crop.top, 0),
        min(box.bottom + reach, crop.top + crop.side, mask.shape[0]),
        max(box.left - reach, crop.left, 0),
        min(box.right + reach, crop.left + crop.side, mask.shape[1]),
    )


def _both(
    decoded: NDArray[np.float32], picture: Picture, crop: Crop, window: Window
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A window as the VAE gives it back, and as the picture has it: float32 ``[h, w, 3]`` in
    0..1."""
    pixels = picture.pixels[window.slices]
    return _resized_colours(decoded, crop, window), np.divide(
        pixels, picture.white, dtype=np.float32
    )


def _resized_colours(
    square: NDArray[np.float32], crop: Crop, window: Window
) -> NDArray[np.float32]:
    planes = [resized_window(square[..., channel], crop, window) for channel in range(3)]
    return np.stack(planes, axis=2)
