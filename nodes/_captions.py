"""Verdicts in words below the samples that Preview Defects shows, without the host."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..bgdefect_core.errors import PictureError, SettingError
from ._convert import image_of, pictures_of
from ._judging import Judged

SHOW = ("all", "good", "rejected")
"""Which samples are shown."""
_STRIP, _TEXT = 24, 14
_GOOD, _REJECTED, _NOTE = (120, 220, 120), (255, 140, 120), (200, 200, 200)


def chosen(show: str, quality: Sequence[Judged] | None, count: int) -> list[int]:
    """The numbers of the samples to show.

    Args:
        quality: verdicts, one a sample; None: not known, all samples are shown.

    Raises:
        SettingError: an unknown choice, or one that needs verdicts. PictureError: another number
            of verdicts than of samples.
    """
    if show not in SHOW:  # older hosts let any value of a combo through
        raise SettingError(f"show is {show!r}", " or ".join(SHOW), "choose one of them")
    if quality is None:
        if show != "all":
            raise SettingError(
                f"show is {show!r} and quality is not connected",
                "the verdicts of Defect Quality",
                "connect quality, or choose all",
            )
        return list(range(count))
    if len(quality) != count:
        raise PictureError(
            f"result has {count} samples and quality {len(quality)} verdicts",
            "as many",
            "connect both from the same Defect Quality",
        )
    numbers = []
    for number, judged in enumerate(quality):
        if show == "all" or judged.judgement.verdict.good == (show == "good"):
            numbers.append(number)
    return numbers


def captioned(image: Tensor, quality: Sequence[Judged]) -> Tensor:
    """Each picture with its verdict in a strip below it.

    Args:
        image: IMAGE of S pictures. quality: S verdicts.

    Returns:
        IMAGE ``[S, H + 24, W, 3]``.
    """
    pictures = []
    for picture, judged in zip(pictures_of(image), quality, strict=True):
        words = (
            "good"
            if judged.judgement.verdict.good
            else f"rejected: {judged.judgement.verdict.reason}"
        )
        colour = _GOOD if judged.judgement.verdict.good else _REJECTED
        strip = _strip(picture.shape[1], f"{judged.number}  {words}", colour)
        pictures.append(np.concatenate([picture, strip]))
    return image_of(pictures)


def nothing_to_show(show: str) -> Tensor:
    """A strip that says so: IMAGE ``[1, 24, 384, 3]``."""
    return torch.cat([image_of([_strip(384, f"no sample of this run is {show}", _NOTE)])])


def _strip(width: int, text: str, colour: tuple[int, int, int]) -> np.ndarray:
    strip = Image.new("RGB", (width, _STRIP))
    font = ImageFont.load_default(size=_TEXT)
    ImageDraw.Draw(strip).text((6, 3), text, fill=colour, font=font)
    return np.asarray(strip)
