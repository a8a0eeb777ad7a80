"""Refine Defect Mask without the host: heat of a signal, then the refined masks (Eq. 13), batch by
batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..bgdefect_core.errors import PictureError, SettingError
from ..bgdefect_core.method.attention_maps import MapRecorder
from ..bgdefect_core.method.refinement import LabelSettings, label_of
from ..bgdefect_core.method.signals import SIGNALS, Evidence, Signal
from ..bgdefect_core.pictures.crop import put_back
from ..bgdefect_core.pictures.mask_shape import MaskShape
from ..bgdefect_core.pictures.masks import Mask
from ..bgdefect_core.pictures.picture import Pixels
from ..bgdefect_core.pictures.tones import two_tones
from ._convert import mask_batch, mask_of, pictures_of
from ._squares import (
    CropBatch,
    colour_image,
    decoded_squares,
    masks_at,
    size_of,
    sized_masks,
    squares_of,
    stitched,
)


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
    pictures = _before_and_after(signal, painted, normal, crop)
    if signal.needs_attention:
        if recorder is None:
            raise SettingError(
                "maps is not connected",
                f"attention maps for the signal {signal.name!r}",
                "connect the sampler's maps",
            )
        _check_maps(recorder, painted, crop)
    size = _heat_size(pictures, mask, crop)
    evidence = Evidence(size, recorder, *(pictures or ()))
    squares = list(signal.heat(evidence).cpu().numpy().astype(np.float32))
    if crop is None:
        mask = _connected(mask)
        masks = sized_masks(mask, len(squares) if len(mask) > 1 else 1, size, "mask")
        heats = _heat_of_pictures(signal, squares, masks, painted, normal)
    else:
        masks = list(masks_at(crop, mask))
        heats = _heat_of_wholes(signal, squares, masks, crop, painted, normal)
    labels, maps = [], []
    for number, heat in enumerate(heats):
        label, inside = label_of(heat, masks[number % len(masks)], settings, shape)
        labels.append(label)
        maps.append(inside)
    return mask_of(labels), torch.from_numpy(np.stack(maps))


def _before_and_after(
    signal: Signal, painted: Tensor | None, normal: Tensor | None, crop: CropBatch | None
) -> tuple[Tensor, Tensor] | None:
    """The S samples and their good pictures (:func:`_decoded`); None where the signal needs none.

    Raises:
        SettingError: one is not connected. PictureError: they do not fit together.
    """
    if not signal.needs_before:
        return None
    if painted is None or normal is None:
        missing = "painted" if painted is None else "normal"
        raise SettingError(
            f"{missing} is not connected",
            f"both pictures for the signal {signal.name!r}",
            f"connect {missing}",
        )
    if crop is not None:
        decoded_squares(crop, normal, squares_of(crop, painted, "painted")[0])
    return _decoded(painted, normal)


def _heat_of_pictures(
    signal: Signal,
    heats: list[NDArray[np.float32]],
    masks: Sequence[Mask],
    painted: Tensor | None,
    normal: Tensor | None,
) -> list[NDArray[np.float32]]:
    """The heat of samples that are whole pictures, after what stitching would change."""
    if painted is None or normal is None or not signal.needs_before:
        return heats
    return _after_stitching(signal, heats, pictures_of(normal), pictures_of(painted), masks)


def _heat_of_wholes(
    signal: Signal,
    squares: list[NDArray[np.float32]],
    masks: Sequence[Mask],
    crop: CropBatch,
    painted: Tensor | None,
    normal: Tensor | None,
) -> list[NDArray[np.float32]]:
    """The heat of squares at their whole pictures' size, after what stitching changed."""
    heats = []
    for number, square in enumerate(squares):
        heats.append(put_back(square, crop.boxes[number % len(masks)], size_of(crop.image)))
    wholes = pictures_of(crop.image)
    two_toned = any(two_tones(picture) is not None for picture in wholes)
    if painted is None or not (two_toned or signal.needs_before):
        return heats
    results = pictures_of(stitched(crop, painted, normal=normal))
    return _after_stitching(signal, heats, wholes, results, masks)


def _after_stitching(
    signal: Signal,
    heats: Sequence[NDArray[np.float32]],
    goods: Sequence[Pixels],
    samples: Sequence[Pixels],
    masks: Sequence[Mask],
) -> list[NDArray[np.float32]]:
    """The heat of each sample, as its signal takes it after stitching; good pictures and masks go
    round."""
    stitched_heats = []
    for number, heat in enumerate(heats):
        good, requested = goods[number % len(goods)], masks[number % len(masks)]
        stitched_heats.append(signal.stitched(heat, good, samples[number], requested))
    return stitched_heats


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
    if size_of(new) != size_of(old) or len(new) % len(old):
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
