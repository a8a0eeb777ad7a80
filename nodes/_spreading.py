"""Batches of a workflow, of which each has as many items as another or a number that divides it."""

from __future__ import annotations

from torch import Tensor

from ..bgdefect_core.errors import PictureError
from ..bgdefect_core.pictures.masks import Mask
from ..bgdefect_core.pictures.picture import Pixels
from ._convert import cycled, mask_batch, masks_of, pictures_of
from ._squares import colour_image


def spread(batch: Tensor, count: int, name: str) -> Tensor:
    """A batch of ``count``, or of a number that divides it, as one of ``count``.

    Raises:
        PictureError: another number.
    """
    if len(batch) == 0 or count % len(batch):
        raise PictureError(
            f"{name} has {len(batch)} items for {count} pictures",
            f"a number that divides {count}",
            f"connect others to {name}",
        )
    return cycled(batch, count)


def spread_masks(mask: Tensor, count: int, name: str) -> list[Mask]:
    """The items of a MASK, one for each of ``count``: bool ``[H, W]``.

    Raises:
        MaskError, PictureError: another shape or number.
    """
    return masks_of(spread(mask_batch(mask, name), count, name), name)


def spread_pictures(image: Tensor, count: int, name: str) -> list[Pixels]:
    """The items of an IMAGE, one for each of ``count``: uint8 ``[H, W, 3]``.

    Raises:
        PictureError: another shape or number.
    """
    return pictures_of(spread(colour_image(image, name), count, name), name)
