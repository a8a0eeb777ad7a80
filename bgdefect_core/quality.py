"""How good one generated sample is: does the defect show, is its label usable, did the background
stay.

The defect is compared with the VAE's own reconstruction of the normal crop, never with the raw
picture: what the VAE cannot reproduce is no defect (docs/method.md, choices 3 and 5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .errors import MaskError, PictureError, check_range
from .pictures.crop import Crop, take
from .pictures.files import Picture
from .pictures.masks import Mask, feather

IDENTICAL_DB = 100.0
"""The PSNR given for identical pictures (and the most that is ever given): infinity does not go
into JSON."""


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
    """The least (or most) that a good sample has; see ``Quality`` for the units.

    Strength and contrast: what 99 and 95 of 100 drawn defects of the pretraining have or exceed
        (``bgdefect calibrate``, 500 defects as
    drawn), each of which is visible by construction. Lower them for a class of faint defects.

    Raises:
        SettingError: a limit out of its range, or NaN.
    """

    min_strength: float = 0.08
    """Least change inside the mask, 0..1."""
    min_contrast: float = 0.95
    """Least change relative to the surroundings' own variation, 0..1000."""
    min_fill: float = 0.02
    """Least share of the requested mask that the label covers, 0..1."""
    min_background_psnr: float = 20.0
    """Least background PSNR of the result against the input picture, 0..100 dB; matters with
    stitching off."""
    max_background_max: float = 255.0
    """Largest change of one background pixel, 0..255; matters with stitching off."""
    min_latent_background_psnr: float = 20.0
    """Least background PSNR before stitching, against the VAE's reconstruction, 0..100 dB."""
    min_real_share: float = 0.5
    """Least share of the change that the real defect whose mask it has would make at its place,
    where its picture is known; 0..1000."""

    def __post_init__(self) -> None:
        """Hold every limit to its range."""
        check_range("min_strength", self.min_strength, 0, 1)
        check_range("min_contrast", self.min_contrast, 0, 1000)
        check_range("min_fill", self.min_fill, 0, 1)
        check_range("min_background_psnr", self.min_background_psnr, 0, IDENTICAL_DB)
        check_range("max_background_max", self.max_background_max, 0, 255)
        check_range("min_latent_background_psnr", self.min_latent_background_psnr, 0, IDENTICAL_DB)
        check_range("min_real_share", self.min_real_share, 0, 1000)


@dataclass(frozen=True)
class Verdict:
    """Whether a sample is good; if not, the first reason why. ``reason`` is empty for a good
    one."""

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

    The percentile: a crack that fills a twentieth of its mask is a visible crack, a single bright
        pixel is not.

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
    """The strength over the normal picture's own standard deviation around the mask.

    The same change is plain to see on ground metal and lost on crumble. The deviation is that of
    the ring's most varied channel, at least 1/255.

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
            "measure only asked-for defects",
        )
    return float((requested & refined).sum() / requested.sum())


def background_change(
    picture: NDArray[np.uint8], result: NDArray[np.uint8], band: Mask
) -> tuple[float, float]:
    """How far the background moved: (PSNR in dB, largest change in 0..255) outside the band.

    Args:
        picture, result: uint8 [H, W, 3].
        band: bool [H, W], True where change is allowed (``feather(...) > 0``); nothing outside it:
            no change.

    Raises:
        PictureError: sizes differ.
    """
    if picture.shape != result.shape or picture.shape[:2] != band.shape:
        came = f"pictures of {list(picture.shape)} and {list(result.shape)} with a band of {list(band.shape)}"
        raise PictureError(came, "equal sizes")
    difference = (np.maximum(picture, result) - np.minimum(picture, result))[~band]
    counts = np.bincount(
        difference.ravel(), minlength=256
    )  # exact, and light for pictures of many megapixels
    levels = np.arange(256)
    mean = float((counts * levels**2).sum()) / max(int(counts.sum()), 1)
    largest = float(levels[counts > 0].max()) if counts.any() else 0.0
    return psnr(mean / 255**2), largest


def latent_background_psnr(
    painted: NDArray[np.float32], normal: NDArray[np.float32], band: Mask
) -> float:
    """The PSNR in dB outside the band, before stitching: what the sampler itself did to the
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
    return (
        min(-10 * math.log10(mean_square), IDENTICAL_DB)
        if mean_square > 0
        else mean_square + IDENTICAL_DB
    )


def measure(
    picture: Picture,
    result: Picture,
    requested: Mask,
    refined: Mask,
    painted: NDArray[np.float32],
    normal: NDArray[np.float32],
    crop: Crop,
    feather_width: float,
) -> Quality:
    """All figures of one sample.

    Args:
        picture, result: uint8 [H, W, 3], the good picture and what came of it.
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
    psnr, largest = background_change(picture, result, feather(requested, feather_width) > 0)
    return Quality(
        strength=strength,
        contrast=defect_contrast(strength, normal, inside),
        fill=mask_fill(requested, refined),
        background_psnr=psnr,
        background_max=largest,
        latent_background_psnr=latent_background_psnr(
            painted, normal, feather(inside, feather_width * side / crop.side) > 0
        ),
    )


def judge(
    quality: Quality, limits: QualityLimits | None = None, real_share: float = 1.0
) -> Verdict:
    """The verdict on one sample; reasons are tried in the order of what a user would want to know
    first.

    ``real_share``: how much of it shows that would show in life (``Surroundings.share_made``); 1
        too where that is not known.
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
    for passed, reason in checks:  # written so that NaN passes none
        if not passed:
            return Verdict(False, reason)
    return Verdict(True)
