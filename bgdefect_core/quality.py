"""How good one generated sample is: whether the defect shows, its label is usable, and the
background stayed.

The defect is compared with the VAE's reconstruction of the normal crop, never with the raw picture:
what the VAE cannot reproduce is no defect (docs/method.md, choices 3 and 5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .declarations import Doc, Range, check_settings
from .errors import MaskError, PictureError
from .pictures.crop import Crop, take
from .pictures.masks import Mask, feather
from .pictures.picture import Pixels

IDENTICAL_DB = 100.0
"""The PSNR of identical pictures, and the largest that is reported: JSON has no infinity."""


@dataclass(frozen=True)
class Quality:
    """The figures of one sample.

    Attributes:
        strength: how strongly the defect shows, 0..1: see ``defect_strength``.
        contrast: strength over the normal surroundings' own variation, 0 and up: see
            ``defect_contrast``.
        fill: share of the requested mask that the refined one covers, 0..1.
        background_psnr: result against input picture outside the feather band, dB, at most
            ``IDENTICAL_DB``.
        background_max: the largest change there, 0..255.
        latent_background_psnr: before stitching: painted crop against the VAE's reconstruction of
            the normal crop, outside the mask's band, dB, at most ``IDENTICAL_DB``.
    """

    strength: float
    contrast: float
    fill: float
    background_psnr: float
    background_max: float
    latent_background_psnr: float


@dataclass(frozen=True)
class QualityLimits:
    """What a sample needs to be accepted; see ``Quality`` for the figures.

    The limits of strength and contrast are those that 99 % and 95 % of 500 drawn defects of the
    pretraining reach, each of which is visible by construction (``bgdefect calibrate``). Lower them
    for a class of faint defects.

    Raises:
        SettingError: a limit out of its range, or NaN.
    """

    min_strength: Annotated[float, Range(0, 1), Doc("Least change inside the mask, 0..1.")] = 0.08
    min_contrast: Annotated[
        float,
        Range(0, 1000),
        Doc("Least change relative to the variation of the surroundings, 0..1000."),
    ] = 0.95
    min_fill: Annotated[
        float,
        Range(0, 1),
        Doc("Least share of the requested mask that the label covers, 0..1."),
    ] = 0.02
    min_background_psnr: Annotated[
        float,
        Range(0, IDENTICAL_DB),
        Doc(
            "Least background PSNR of the result against the input picture, 0..100 dB; matters "
            "with stitching off."
        ),
    ] = 20.0
    max_background_max: Annotated[
        float,
        Range(0, 255),
        Doc("Largest change of one background pixel, 0..255; matters with stitching off."),
    ] = 255.0
    min_latent_background_psnr: Annotated[
        float,
        Range(0, IDENTICAL_DB),
        Doc("Least background PSNR before stitching, against the VAE's reconstruction, 0..100 dB."),
    ] = 20.0
    min_real_share: Annotated[
        float,
        Range(0, 1000),
        Doc(
            "Least share of the change that the real defect behind the mask would make at its "
            "place, 0..1000. Applies only where the picture of that defect is known."
        ),
    ] = 0.5

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class Verdict:
    """Whether a sample is good, and the first reason why it is not; the reason of a good sample is
    empty."""

    good: bool
    reason: str = ""


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
    distance = ndimage.distance_transform_edt(~mask)
    ring = (distance > 0) & (distance <= ring_width)
    if not ring.any():
        ring = np.ones_like(mask)
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


def measure(
    picture: Pixels,
    result: Pixels,
    requested: Mask,
    refined: Mask,
    painted: NDArray[np.float32],
    normal: NDArray[np.float32],
    crop: Crop,
    feather_width: float,
) -> Quality:
    """All figures of one sample.

    Args:
        picture, result: uint8 [H, W, 3], the good picture and the sample.
        requested, refined: bool [H, W].
        painted, normal: float [r, r, 3] in 0..1, as for ``defect_strength``; r need not be the
            crop's side.
        crop: where the square lies in the picture.
        feather_width: width of the blended seam in the picture's pixels.

    Raises:
        MaskError: the requested mask is empty, or sizes differ. PictureError: sizes differ.
    """
    side = painted.shape[0]
    inside = take(requested, crop, side)
    strength = defect_strength(painted, normal, inside)
    band = feather(requested, feather_width) > 0
    band_inside = feather(inside, feather_width * side / crop.side) > 0
    background_psnr, background_max = background_change(picture, result, band)
    return Quality(
        strength=strength,
        contrast=defect_contrast(strength, normal, inside),
        fill=mask_fill(requested, refined),
        background_psnr=background_psnr,
        background_max=background_max,
        latent_background_psnr=latent_background_psnr(painted, normal, band_inside),
    )


def judge(
    quality: Quality, limits: QualityLimits | None = None, real_share: float = 1.0
) -> Verdict:
    """The verdict on one sample; the most important reason for a user is tried first.

    Args:
        real_share: share of the real defect's change that the sample shows
            (``Surroundings.share_made``); 1 where that is not known.
    """
    limits = limits or QualityLimits()
    checks = (
        (quality.strength >= limits.min_strength, "no visible defect"),
        (quality.contrast >= limits.min_contrast, "defect lost in its surroundings"),
        (real_share >= limits.min_real_share, "far less of it than in life"),
        (quality.fill > 0, "label empty"),
        (quality.fill >= limits.min_fill, "label nearly empty"),
        (quality.background_psnr >= limits.min_background_psnr, "background moved"),
        (quality.background_max <= limits.max_background_max, "background moved in places"),
        (
            quality.latent_background_psnr >= limits.min_latent_background_psnr,
            "background not kept by the sampler",
        ),
    )
    for passed, reason in checks:  # NaN passes no comparison
        if not passed:
            return Verdict(False, reason)
    return Verdict(True)
