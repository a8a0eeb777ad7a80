"""How good one generated sample is: whether the defect shows, its label is usable, and the
background stayed.

The defect is compared with the VAE's reconstruction of the normal crop, never with the raw picture:
what the VAE cannot reproduce is no defect (docs/method.md, choices 3 and 5).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import MaskError, PictureError
from ..pictures.crop import Crop, take
from ..pictures.masks import Mask, feather
from ..pictures.picture import Pixels
from .effects import effect
from .profile import ClassProfile
from .shown import ring_around

IDENTICAL_DB = 100.0
"""The PSNR of identical pictures, and the largest that is reported: JSON has no infinity."""


@dataclass(frozen=True, eq=False)
class StitchedSample:
    """A sample in its whole picture, and the square from which it was stitched."""

    good: Pixels
    """uint8 ``[H, W, 3]``, the good picture; so is the next, the sample."""
    result: Pixels
    requested: Mask
    """bool ``[H, W]``; so is the next, the label."""
    refined: Mask
    painted: NDArray[np.float32]
    """float ``[r, r, 3]`` in 0..1, as for ``defect_strength``; r need not be the crop's side. So is
    the next."""
    normal: NDArray[np.float32]
    crop: Crop
    """Where the square lies in the picture."""
    feather: float
    """Width of the blended seam in the picture's pixels."""


@dataclass(frozen=True)
class Quality:
    """The figures of one sample.

    Attributes:
        strength: how strongly the defect shows, 0..1: counted towards the real defects of the class
            (``shown.shown``), or any change where none is known (``defect_strength``).
        contrast: strength over the normal surroundings' own variation, 0 and up; of the same two.
        fill: share of the requested mask that the refined one covers, 0..1.
        background_psnr: result against input picture outside the feather band, dB, at most
            ``IDENTICAL_DB``.
        background_max: the largest change there, 0..255.
        latent_background_psnr: before stitching: painted crop against the VAE's reconstruction of
            the normal crop, outside the mask's band, dB, at most ``IDENTICAL_DB``.
        mean_change: mean change over the requested mask, counted towards the real defects, -1..1;
            None where none is known.
        dark_areas, light_areas: how many connected areas of either tone more, or fewer, than in
            the good picture; None: not two-toned (``effects.effect``).
        one_piece, solid, sharpness, roughness: of the visible defect (``properties``); None where
            the class has no such property.
    """

    strength: float
    contrast: float
    fill: float
    background_psnr: float
    background_max: float
    latent_background_psnr: float
    mean_change: float | None = None
    dark_areas: int | None = None
    light_areas: int | None = None
    one_piece: float | None = None
    solid: float | None = None
    sharpness: float | None = None
    roughness: float | None = None

    @property
    def figures(self) -> dict[str, float]:
        """The figures that are known, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def _change(painted: NDArray[np.float32], normal: NDArray[np.float32]) -> NDArray[np.float32]:
    if painted.shape != normal.shape:
        raise PictureError(
            f"pictures of {list(painted.shape)} and {list(normal.shape)}", "equal sizes"
        )
    return np.asarray(np.abs(painted - normal), np.float32)


def defect_strength(painted: NDArray[np.float32], normal: NDArray[np.float32], mask: Mask) -> float:
    """The 95th percentile, over the mask's pixels, of the change in the channel that changed most.

    The percentile: a crack that fills a twentieth of its mask is visible, a single bright pixel is
    no defect.

    Args:
        painted: float [r, r, 3] in 0..1, the decoded crop with its defect.
        normal: float [r, r, 3] in 0..1, the VAE's reconstruction of the normal crop.
        mask: bool [r, r], the requested mask in the crop.

    Returns:
        0..1; about 1/255 is nothing.

    Raises:
        MaskError: empty mask. PictureError: sizes differ.
    """
    if not mask.any():
        raise MaskError(
            "the mask is empty", "at least one defect pixel", "measure only pictures with a mask"
        )
    return float(np.percentile(_change(painted, normal)[mask].max(axis=1), 95))


def defect_contrast(
    strength: float, normal: NDArray[np.float32], mask: Mask, ring_width: float = 8
) -> float:
    """The strength over the normal picture's standard deviation around the mask.

    A change that is plain to see on ground metal may be lost on a coarse texture. The deviation is
    that of the ring's most varied channel, at least 1/255.

    Args:
        strength: from ``defect_strength``.
        normal: float [r, r, 3] in 0..1.
        mask: bool [r, r], not empty.
        ring_width: pixels around the mask that count.
    """
    ring = ring_around(mask, ring_width)
    return strength / max(float(normal[ring].std(axis=0).max()), 1 / 255)


def mask_fill(requested: Mask, refined: Mask) -> float:
    """The share of the requested mask that the refined one covers, 0..1.

    Raises:
        MaskError: the requested mask is empty, or sizes differ.
    """
    if requested.shape != refined.shape:
        raise MaskError(
            f"masks of {list(requested.shape)} and {list(refined.shape)}", "equal sizes"
        )
    if not requested.any():
        raise MaskError(
            "the requested mask is empty",
            "at least one defect pixel",
            "measure only requested defects",
        )
    return float((requested & refined).sum() / requested.sum())


def background_change(
    picture: NDArray[np.uint8], result: NDArray[np.uint8], band: Mask
) -> tuple[float, float]:
    """The change of the background outside the band: (PSNR in dB, largest change in 0..255).

    Args:
        picture, result: uint8 [H, W, 3].
        band: bool [H, W], True where change is allowed (``feather(...) > 0``); nothing outside it:
            no change.

    Raises:
        PictureError: sizes differ.
    """
    if picture.shape != result.shape or picture.shape[:2] != band.shape:
        sizes = f"pictures of {list(picture.shape)} and {list(result.shape)}"
        raise PictureError(f"{sizes} with a band of {list(band.shape)}", "equal sizes")
    difference = (np.maximum(picture, result) - np.minimum(picture, result))[~band]
    # counts are exact, and light for pictures of many megapixels
    counts = np.bincount(difference.ravel(), minlength=256)
    levels = np.arange(256)
    mean = float((counts * levels**2).sum()) / max(int(counts.sum()), 1)
    largest = float(levels[counts > 0].max()) if counts.any() else 0.0
    return psnr(mean / 255**2), largest


def latent_background_psnr(
    painted: NDArray[np.float32], normal: NDArray[np.float32], band: Mask
) -> float:
    """The PSNR in dB outside the band, before stitching: the change that the sampler made to the
    background.

    Args:
        painted, normal: float [r, r, 3] in 0..1, as for ``defect_strength``.
        band: bool [r, r], the mask with its feather at the crop's size; nothing outside it: no
            change.

    Raises:
        PictureError: sizes differ.
    """
    change = _change(painted, normal)[~band]
    return psnr(float(np.square(change, dtype=np.float64).mean()) if change.size else 0.0)


def psnr(mean_square: float) -> float:
    """dB of a mean squared error of values in 0..1, at most ``IDENTICAL_DB``; NaN stays NaN."""
    if mean_square > 0:
        return min(-10 * math.log10(mean_square), IDENTICAL_DB)
    return mean_square + IDENTICAL_DB


def measure(sample: StitchedSample, profile: ClassProfile | None = None) -> Quality:
    """All figures of one sample.

    Args:
        profile: of the class; None: any change counts as defect.

    Raises:
        MaskError: the requested mask is empty, or sizes differ. PictureError: sizes differ.
    """
    painted, normal, requested = sample.painted, sample.normal, sample.requested
    side = painted.shape[0]
    inside = take(requested, sample.crop, side)
    profile = profile or ClassProfile(0)
    view = profile.view(painted, normal, inside)
    if view is None:
        strength = defect_strength(painted, normal, inside)
        contrast = defect_contrast(strength, normal, inside)
    else:
        strength, contrast = view.strength, view.contrast
    properties = {} if view is None else profile.properties_of(view)
    change = effect(sample.good, sample.result, requested)
    band = feather(requested, sample.feather) > 0
    band_inside = feather(inside, sample.feather * side / sample.crop.side) > 0
    background_psnr, background_max = background_change(sample.good, sample.result, band)
    return Quality(
        strength=strength,
        contrast=contrast,
        fill=mask_fill(requested, sample.refined),
        background_psnr=background_psnr,
        background_max=background_max,
        latent_background_psnr=latent_background_psnr(painted, normal, band_inside),
        mean_change=None if view is None else view.mean,
        dark_areas=None if change is None else change[0],
        light_areas=None if change is None else change[1],
        **properties,
    )
