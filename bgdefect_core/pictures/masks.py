"""Masks of a picture: numpy ``bool [H, W]``, True = defect; an empty mask is refused."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import csgraph

from ..errors import MaskError, SettingError

Mask = NDArray[np.bool_]

_MOST_PIECES = 1000


def check_mask(mask: Mask, size: tuple[int, int] | None = None, name: str = "the mask") -> None:
    """Refuse a mask that cannot be worked with.

    Args:
        mask: bool [H, W].
        size: (height, width) of the picture it belongs to; None: any.
        name: how a message calls it, such as its file name.

    Raises:
        MaskError: not bool [H, W], of another size, empty, or full.
    """
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise MaskError(
            f"{name} is {mask.dtype} {list(mask.shape)}",
            "bool [H, W]",
            "threshold it to one channel",
        )
    if size is not None and mask.shape != tuple(size):
        came = f"{name} is {mask.shape[1]} x {mask.shape[0]} pixels"
        raise MaskError(
            came, f"{size[1]} x {size[0]} like its picture", "save picture and mask at one size"
        )
    if not mask.any():
        raise MaskError(
            f"{name} is empty",
            "at least one defect pixel",
            "paint the defect in white, or leave it out",
        )
    if mask.all():
        raise MaskError(
            f"{name} is full", "some background around the defect", "paint only the defect in white"
        )


class MaskBox(NamedTuple):
    """A box in a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """Row below its last one."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """Column beside its last one."""
        return self.left + self.width

    @property
    def longest(self) -> int:
        """Its longer side."""
        return max(self.height, self.width)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an array ``[H, W, ...]``."""
        return self.with_margin(0)

    def with_margin(self, margin: int) -> tuple[slice, slice]:
        """The same with ``margin`` more pixels on each side, as far as there are any."""
        rows = slice(max(self.top - margin, 0), self.bottom + margin)
        return rows, slice(max(self.left - margin, 0), self.right + margin)


def bounding_box(mask: Mask) -> MaskBox:
    """The smallest box that holds every defect pixel.

    Raises:
        MaskError: the mask is empty.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        raise MaskError(
            "the mask is empty", "at least one defect pixel", "paint the defect in white"
        )
    columns = np.flatnonzero(mask.any(axis=0))
    height, width = int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)
    return MaskBox(int(rows[0]), int(columns[0]), height, width)


def trimmed(mask: Mask) -> Mask:
    """A copy of the mask, cut to its box: bool ``[h, w]``.

    Raises:
        MaskError: the mask is empty.
    """
    return mask[bounding_box(mask).slices].copy()


def separate_defects(mask: Mask) -> list[Mask]:
    """The defects of a mask that holds several, the largest first.

    Pieces belong to one defect where the gap between their boxes is no longer than the longer of
    them, or than a sixteenth of the picture's longer side: a broken scratch is one, two bites at
    two ends of a board are two. Those of less than a tenth of the largest one's area are left out:
    specks of the labelling.

    Args:
        mask: bool [H, W], not empty.

    Returns:
        Masks of the same size, disjoint. A mask of more than 1000 pieces (noise) is taken whole.
    """
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if not 1 < count <= _MOST_PIECES:
        return [mask]
    bounds = []
    for rows, columns in ndimage.find_objects(labels):
        bounds.append([[rows.start, rows.stop], [columns.start, columns.stop]])
    boxes = np.array(bounds)
    longest = (boxes[..., 1] - boxes[..., 0]).max(axis=1)
    gaps = (
        np.maximum(boxes[:, None, :, 0], boxes[None, :, :, 0])
        - np.minimum(boxes[:, None, :, 1], boxes[None, :, :, 1])
    ).max(axis=2)
    together = gaps <= np.maximum(np.maximum(longest[:, None], longest[None]), max(mask.shape) / 16)
    defects, group = csgraph.connected_components(together)
    areas = np.bincount(
        group, weights=np.bincount(labels.ravel(), minlength=count + 1)[1:], minlength=defects
    )
    of_pixel = np.append(group, -1)[labels - 1]  # the background's label 0 reads the last
    masks = []
    for defect in np.argsort(-areas, kind="stable").tolist():
        if areas[defect] >= areas.max() / 10:
            masks.append(of_pixel == defect)
    return masks


def mean_width(mask: Mask) -> float:
    """Twice the area over the number of pixels at the mask's edge: about w for a stroke of width w,
    2 for a line of one pixel.

    Args:
        mask: bool [H, W], not empty.
    """
    window = np.pad(mask[bounding_box(mask).slices], 1)
    inner = window[:-2, 1:-1] & window[2:, 1:-1] & window[1:-1, :-2] & window[1:-1, 2:]
    area = int(window.sum())
    return 2 * area / max(area - int((inner & window[1:-1, 1:-1]).sum()), 1)


def feather(mask: Mask, width: float) -> NDArray[np.float32]:
    """How much of the painted picture shows at each pixel: 1 inside the mask, falling smoothly to 0
    (choice 5).

    The fall is the smoothstep of the Euclidean distance to the mask; a pixel ``width`` or more away
    is exactly 0, and all pixels with a value above 0 form the feather band.

    Args:
        mask: bool [H, W], not empty.
        width: in pixels, 0 or more; 0 (or 1, the distance of the nearest outside pixel) is a hard
            edge.

    Returns:
        float32 [H, W] in 0..1.

    Raises:
        MaskError: the mask is empty. SettingError: the width is negative or not finite.
    """
    if not (math.isfinite(width) and width >= 0):
        raise SettingError(
            f"the feather width is {width:g}", "0 or more pixels", "choose a width from 0"
        )
    window = bounding_box(mask).with_margin(math.ceil(width))
    blend = np.zeros(mask.shape, np.float32)
    if width == 0:
        blend[mask] = 1.0
        return blend
    distance = ndimage.distance_transform_edt(~mask[window])
    s = np.clip(1.0 - distance / width, 0.0, 1.0)
    blend[window] = s * s * (3.0 - 2.0 * s)
    return blend
