"""How much of the good picture a sample changes, outside its mask and within."""

from __future__ import annotations

from typing import Any

from bgdefect_core.pictures.crop import crop_box, default_feather
from bgdefect_core.pictures.masks import Mask, feather
from bgdefect_core.pictures.tones import change
from bgdefect_core.quality import background_change

from ..samples.sample_set import GeneratedSample


def fidelity(
    sample: GeneratedSample, resolution: int, zoom: Any, width: float | None = None
) -> tuple[float, float] | None:
    """Off-mask fidelity, from the files themselves: PSNR in dB and largest change (of 255) outside
    the requested mask and its seam.

    Args:
        resolution, zoom: of the generation, from which the width of the seam follows. width: of the
            seam, where it was set.

    Returns:
        None where the good picture is not known.
    """
    if sample.source is None or sample.source.shape != sample.picture.shape:
        return None
    seam = seam_of(sample, resolution, zoom, width)
    return background_change(sample.source, sample.picture, seam)


def seam_of(sample: GeneratedSample, resolution: int, zoom: Any, width: float | None) -> Mask:
    """The requested mask and its seam, bool ``[H, W]``; arguments as :func:`fidelity`."""
    if width is None:
        width = default_feather(crop_box(sample.requested, resolution, zoom), sample.requested)
    return feather(sample.requested, width) > 0


def changed(sample: GeneratedSample, threshold: int = 16) -> Mask | None:
    """Where the sample differs from its good picture by more than ``threshold`` of 255: bool ``[H,
    W]``; None: not known."""
    if sample.source is None or sample.source.shape != sample.picture.shape:
        return None
    where: Mask = change(sample.source, sample.picture) > threshold / 255
    return where
