"""Masks from files: black and white pictures, and what is refused because it is something else."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import MaskError
from .decoding import Decoded, bits_in_use, decode, orientation_of
from .mask_colours import coloured_mask
from .mask_values import WHITE, MaskValues, counted_values
from .masks import Mask, check_mask
from .reading import read_picture

__all__ = ["is_inverted", "read_label", "read_mask", "read_masks"]

logger = logging.getLogger(__name__)

_THRESHOLD = 127
_SOFT = (32, 223)
"""Lowest and highest gray value that is neither black nor white."""
_SOFT_SHARE = 0.2
"""Largest share of soft pixels among the non-zero ones that needs no further look."""
_NEAR_WHITE = 247
"""Level above which white is meant."""
_MOST_CLASSES = 32
_MOST_LISTED = 12
_FEW = 4
"""Values of a file up to which every area is drawn, none is left by compression."""
_STRAY = 8
"""Pixels of one gray value beside black and white that mean nothing."""
_PEAK, _PEAK_SHARE = 8, 0.6
"""Of a gray class in a compressed file: the levels to either side of its own, and the least share
of the soft pixels that lie there. Those of a smooth edge are spread over all levels."""
_FRAME = 3
"""Pixels that programs leave black along the border of a mask, at most."""


def read_mask(
    path: str | Path,
    size: tuple[int, int] | None = None,
    *,
    values: MaskValues = WHITE,
    picture: Path | None = None,
) -> Mask:
    """Read a mask file: white = defect, black = background.

    Values above 127 are defect, with a logged warning where soft ones (32 to 223) occur.
    Transparency counts as black. One colour on a constant background is the defect, with a logged
    warning where that background is not black; several colours are refused. 16-bit files may hold
    8, 10, 12, 14 or 16 bits.

    Args:
        path: the mask file.
        size: (height, width) of its picture; None: any.
        values: what counts as defect instead of white.
        picture: file of its picture; a turn by EXIF that the mask lacks is named or warned of.

    Returns:
        bool [H, W], with at least one pixel of either kind.

    Raises:
        MaskError: missing, damaged, of another size, empty, full, the other way round, with values
            that mean classes, or a photograph; the message names the file.
    """
    path = Path(path)
    decoded = decode(path, MaskError)
    shape = decoded.pixels.shape[:2]
    if picture is not None:
        _compare_orientation(path, decoded, size, picture)
    if size is not None and shape != tuple(size):
        check_mask(np.ones(shape, np.bool_), size, str(path))
    mask = _read_white(path, decoded) if values.is_white else values.select(path, decoded)
    check_mask(mask, size, str(path))
    is_named = bool(values.numbers or values.colours)
    if not is_named and is_inverted(mask):
        if decoded.white_is_zero and _has_white_border(mask):
            logger.info("%s: 0 is the background, though its tag says that 0 is white", path)
            return ~mask
        came = f"{path} is white on {mask.mean():.0%} of the picture and along its border"
        do = "swap black and white, or give the mask_values 0"
        raise MaskError(came, "white only where the defect is", do)
    if mask.mean() > 0.5:
        text = "%s marks %.0f%% of the picture as defect: check that white is the defect"
        logger.warning(text, path, 100 * mask.mean())
    return mask


def read_masks(
    paths: Sequence[str | Path],
    name: str,
    size: tuple[int, int] | None = None,
    *,
    values: MaskValues = WHITE,
    picture: Path | None = None,
) -> Mask:
    """The union of a defect's mask files, one or more.

    Args:
        paths, size, values, picture: as for :func:`read_mask`; without ``size`` the first file's
            is expected of the others.
        name: of the union, for its error.

    Raises:
        MaskError: as :func:`read_mask`, and where the union is full.
    """
    union = read_mask(paths[0], size, values=values, picture=picture)
    for path in paths[1:]:
        expected = (union.shape[0], union.shape[1])
        union |= read_mask(path, expected, values=values, picture=picture)
    check_mask(union, size, name)
    return union


def read_label(path: Path) -> Mask:
    """A mask that a run of ours wrote: bool ``[H, W]``, possibly empty.

    Raises:
        PictureError: it cannot be read.
    """
    mask: Mask = read_picture(path)[..., 0] > 127
    return mask


def is_inverted(mask: Mask) -> bool:
    """Whether a mask is white on most of the picture and nearly all along its border, or within a
    thin black frame."""
    if mask.mean() <= 0.5:
        return False
    height, width = mask.shape
    insets = range(min(_FRAME, (min(height, width) + 1) // 2))
    return any(
        _has_white_border(mask[inset : height - inset, inset : width - inset]) for inset in insets
    )


def _has_white_border(mask: Mask) -> bool:
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return bool(border.mean() >= 0.9)


def _compare_orientation(
    path: Path, decoded: Decoded, size: tuple[int, int] | None, picture: Path
) -> None:
    """Refuse or warn where the picture was turned by EXIF and its mask was not."""
    orientation = orientation_of(picture)
    if orientation in (1, decoded.orientation):
        return
    height, width = decoded.pixels.shape[:2]
    turned = f"{picture} is turned by its EXIF orientation {orientation}"
    swaps_sides = orientation >= 5
    if size is not None and (height, width) == (size[1], size[0]) and height != width:
        came = (
            f"{path} is {width} x {height} pixels, but {turned} and is {size[1]} x {size[0]} then"
        )
        do = "turn the mask as well, or remove the orientation from the picture's EXIF data"
        raise MaskError(came, "a mask of the turned picture", do)
    if not swaps_sides or height == width:
        logger.warning("%s, its mask %s is not: check that they fit", turned, path)


def _read_white(path: Path, decoded: Decoded) -> Mask:
    """What counts as defect, after all that is no black and white mask is refused."""
    pixels = decoded.pixels
    if decoded.indices is not None and not pixels.any() and decoded.indices.any():
        came = f"{path} is black, and its palette indices are {counted_values(decoded.indices)}"
        do = f"name the defect's by mask_values, such as {decoded.indices.max()}"
        raise MaskError(came, "white where the defect is", do)
    if decoded.alpha_varies and not pixels.any():
        came = f"{path} is black: only its alpha channel holds a shape"
        raise MaskError(came, "white where the defect is", "save its alpha channel as a picture")
    if decoded.colours is not None and decoded.indices is not None:
        _refuse_palette_classes(path, decoded.colours, decoded.indices)
    if pixels.ndim == 3:
        coloured = coloured_mask(path, pixels)
        if coloured is not None:
            return coloured
        pixels = pixels.max(axis=2)
    return _thresholded(path, pixels, decoded.alpha_varies)


def _thresholded(path: Path, values: NDArray[np.integer], has_alpha: bool) -> Mask:
    bits = bits_in_use(int(values.max())) if values.dtype == np.uint16 else 8
    white = 2**bits - 1
    levels = (values >> (bits - 8)).astype(np.uint8)
    _refuse_classes(path, values, levels)
    _check_soft(path, levels, has_alpha)
    mask = levels > _THRESHOLD
    if mask.all() and levels.min() < levels.max():
        came = f"{path} has no value in the lower half (its lowest is {values.min()} of {white})"
        do = f"name the defect's by mask_values, such as {values.min()}, or make the rest black"
        raise MaskError(came, "0 where no defect is", do)
    if values.any() and not mask.any():
        came = f"{path} has no value in the upper half (its highest is {values.max()} of {white})"
        do = f"scale its values to 0 and {white}, or name the defect's by mask_values"
        raise MaskError(came, f"{white} where the defect is", do)
    return mask


def _refuse_palette_classes(
    path: Path, colours: NDArray[np.uint8], indices: NDArray[np.uint8]
) -> None:
    """Refuse a palette file of few colours that mean classes, by their indices: they are what
    labelling programs count by. Grays, and the many shades of smooth edges, are none."""
    used = np.unique(indices)
    shown = colours[used]
    if not 2 < len(used) <= _MOST_CLASSES or (shown == shown[:, :1]).all():
        return
    try:
        coloured_mask(path, colours[indices])
    except MaskError as reason:
        came = f"{path} is a palette file with the indices {_listed(used)}"
        came += f", which look like classes ({counted_values(indices)})"
        do = f"name the defect's by mask_values, such as {used[1]}, or save a mask of that class"
        raise MaskError(came, "black, and one colour where the defect is", do) from reason


def _refuse_classes(path: Path, values: NDArray[np.integer], levels: NDArray[np.uint8]) -> None:
    """Refuse a file whose values name classes, such as 1 for the defect and 255 for an edge to be
    ignored. The ringing of JPEG and WebP beside an edge is none: it leaves values both above black
    and below white."""
    used = np.unique(values)
    if len(used) == 2 and used[0] == 0 and _SOFT[0] <= levels.max() <= _SOFT[1]:
        came = f"{path} has the values {_listed(used)}"
        do = (
            f"scale its values to 0 and 255, or name the defect's by mask_values, such as {used[1]}"
        )
        raise MaskError(came, "0, and 255 where the defect is", do)
    if len(used) > _MOST_CLASSES:
        _refuse_compressed_classes(path, values, levels)
    if not 2 < len(used) <= _MOST_CLASSES:
        return
    middle = values == used[1]
    is_soft = _SOFT[0] <= levels[middle][0] <= _SOFT[1]
    if len(used) == 3 and used[0] == 0 and is_soft and np.count_nonzero(middle) > _STRAY:
        if _is_straight_edge(middle, values == used[2]):
            return
        raise _class_error(path, values, used)  # a curved edge has more than one gray
    if levels.max() == 255 and not ((levels > 0) & (levels <= _NEAR_WHITE)).any():
        return  # lossy WebP leaves white a little darker, and black as it is
    counts = np.bincount(levels.ravel(), minlength=256)
    rings_at_white = counts[_SOFT[1] + 1 : 255].any()
    rings_at_black = counts[1 : _SOFT[0]].any()
    nonzero = int(np.count_nonzero(values))
    for value in used[1:-1]:
        where = values == value
        level = int(levels[where][0])
        is_dark, is_light = level < _SOFT[0], level > _SOFT[1]
        may_ring = is_dark or (is_light and rings_at_black)
        if is_dark and not rings_at_white and where.sum() > nonzero / 10:
            raise _class_error(path, values, used)
        if (len(used) <= _FEW or not may_ring) and _holds_area(where):
            raise _class_error(path, values, used)


def _refuse_compressed_classes(
    path: Path, values: NDArray[np.integer], levels: NDArray[np.uint8]
) -> None:
    """Refuse a file that was stored with loss and holds an area of one gray beside white."""
    soft = (levels >= _SOFT[0]) & (levels <= _SOFT[1])
    if not soft.any() or levels.max() <= _SOFT[1]:
        return
    peak = int(np.bincount(levels[soft]).argmax())
    close = soft & (np.abs(levels.astype(np.int16) - peak) <= _PEAK)
    if close.sum() >= _PEAK_SHARE * soft.sum() and _holds_area(close):
        raise _class_error(path, values, np.unique(values))


def _class_error(path: Path, values: NDArray[np.integer], used: NDArray[np.integer]) -> MaskError:
    came = f"{path} holds the values {_listed(used)}, which look like classes"
    came += f" ({counted_values(values)})"
    marked = values[values > 0]
    example = int(np.bincount(marked).argmax())
    if used[-1] == 255 and 1 in used and len(used) <= _FEW:
        came += " (often 1 is the defect, and 255 an edge to be ignored)"
        example = 1
    do = f"name the defect's by mask_values, such as {example}, or save a mask of that class"
    if len(used) > _MOST_LISTED:
        do = "save it without loss, such as PNG, with 255 where the defect is"
    return MaskError(came, "0, and 255 where the defect is", do)


def _is_straight_edge(gray: Mask, white: Mask) -> bool:
    """Whether pixels of one gray are edges that lie between pixels, as where a rectangle was scaled
    down: each touches black and white, and each gray and white area has white that touches black
    over an edge, on its other sides. What is to be ignored lies all around its defect."""
    around = np.ones((3, 3))
    black = ~(gray | white)
    beside_white = ndimage.binary_dilation(white, around)
    beside_black = ndimage.binary_dilation(black, around)
    if (gray & ~(beside_white & beside_black)).any():
        return False
    touching = white & ndimage.binary_dilation(black)
    areas, _ = ndimage.label(gray | white, around)
    return bool(np.isin(areas[gray], areas[touching]).all())


def _holds_area(where: Mask) -> bool:
    """Whether any square of 3 x 3 pixels is in a mask: an edge's pixels lie in thin lines."""
    return bool(ndimage.binary_erosion(where, np.ones((3, 3))).any())


def _listed(values: NDArray[np.integer]) -> str:
    shown = ", ".join(str(value) for value in values[:_MOST_LISTED].tolist())
    others = len(values) - _MOST_LISTED
    return shown if others <= 0 else f"{shown} and {others} more"


def _check_soft(path: Path, levels: NDArray[np.uint8], has_alpha: bool) -> None:
    """Refuse a photograph given for a mask; warn of soft edges.

    Args:
        has_alpha: an alpha channel of the file holds a shape too.
    """
    soft = (levels >= _SOFT[0]) & (levels <= _SOFT[1])
    count = int(np.count_nonzero(soft))
    share = count / max(int(np.count_nonzero(levels)), 1)
    if share > _SOFT_SHARE and not _has_two_peaks(levels, soft):
        low, high = _SOFT
        came = f"{path} is no mask: {share:.0%} of its non-zero pixels lie between {low} and {high}"
        do = "check that this is not the picture itself, threshold it, or name its mask_values"
        if has_alpha:
            do = "where its alpha channel is the mask, save that as a black and white picture"
        raise MaskError(came, "black and white", do)
    if count:
        logger.warning("%s has %d grayish pixels: thresholded at %d", path, count, _THRESHOLD)


def _has_two_peaks(levels: NDArray[np.uint8], soft: Mask) -> bool:
    """Whether the soft pixels are the edges of a mask that was smoothed or scaled: most of the
    picture is black, and they lie in thin lines or are at most three times the white ones."""
    if np.count_nonzero(levels < _SOFT[0]) < levels.size / 2:
        return False
    count = int(np.count_nonzero(soft))
    thick = int(np.count_nonzero(ndimage.binary_erosion(soft, np.ones((3, 3)))))
    white = int(np.count_nonzero(levels > _SOFT[1]))
    return thick <= count / 50 or count <= 3 * white
