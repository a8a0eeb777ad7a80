"""One attempt at one sample on its way to the data set: its pictures, what is known of it, and its
pictures as the bytes of files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MaskError
from ..pictures.masks import Mask
from ..pictures.picture import Picture
from ..pictures.writing import ImageFormat, encode_mask, encode_picture


@dataclass(frozen=True)
class SampleFacts:
    """What is known of one attempt at one sample beside its pictures. It becomes a
    :class:`.manifest.ManifestLine`."""

    index: int
    """Number of the sample, 0 to 99,999."""
    attempt: int
    """0 upwards."""
    source: Path
    """The good picture's file."""
    mask_origin: dict[str, Any]
    """Where the requested mask came from, as plain JSON."""
    seed: int
    quality: dict[str, Any]
    verdict: str
    accepted: bool
    guidance: float | None = None
    feather: float | None = None
    """Width of the seam in pixels."""
    start: dict[str, Any] | None = None
    """Where the sample started, as plain JSON (:class:`.manifest.ManifestLine`)."""
    source_is_good: bool = True
    """False: no good picture is known, ``source`` is the defect's own; it is not copied into
    ``train/good``."""


@dataclass(frozen=True)
class Sample:
    """One attempt at one sample."""

    facts: SampleFacts
    picture: Picture
    """uint8 or uint16 ``[H, W, 3]``."""
    mask: Mask
    """The refined mask, which is the label: bool ``[H, W]``."""
    requested: Mask
    """bool ``[H, W]``."""
    heatmap: NDArray[np.floating[Any]] | None
    """float ``[H, W]`` in 0..1."""


@dataclass(frozen=True)
class EncodedSample:
    """A :class:`Sample` whose pictures are the bytes of files, as they will be written."""

    facts: SampleFacts
    picture: bytes
    mask: bytes
    requested: bytes
    heatmap: bytes | None


def encode_sample(sample: Sample, image_format: ImageFormat = "png") -> EncodedSample:
    """An attempt with its pictures as files.

    Args:
        image_format: of the picture itself; masks and heat maps are PNG files.

    Raises:
        MaskError, PictureError: sizes that differ, or an accepted sample without label.
    """
    _check_arrays(sample)
    heatmap = None
    if sample.heatmap is not None:
        levels = np.round(np.clip(sample.heatmap, 0, 1) * 255)
        heatmap = encode_picture(levels.astype(np.uint8))
    return EncodedSample(
        facts=sample.facts,
        picture=encode_picture(sample.picture, f"sample {sample.facts.index}", image_format),
        mask=encode_mask(sample.mask),
        requested=encode_mask(sample.requested),
        heatmap=heatmap,
    )


def _check_arrays(sample: Sample) -> None:
    name, size = f"sample {sample.facts.index}", sample.picture.size
    arrays = {
        "mask": sample.mask,
        "requested mask": sample.requested,
        "heat map": sample.heatmap,
    }
    for what, array in arrays.items():
        if array is not None and array.shape != size:
            came = f"{name}: {what} of shape {array.shape}"
            raise MaskError(came, f"{size}, as its picture")
    if sample.facts.accepted and not sample.mask.any():
        raise MaskError(f"{name} is accepted, but its label is empty", "", "reject it")
