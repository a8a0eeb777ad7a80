"""CutPaste (Li et al. 2021): a jittered patch of a good picture, pasted at a random place."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageEnhance

from bgdefect_core.pictures.picture import Pixels

from ..pictures import Pair
from .arm import Arm

_AREA = 0.02, 0.15
"""Share of the crop that the patch covers."""
_ASPECT = 0.3, 1 / 0.3
"""Width over height of the patch."""
_JITTER = 0.1
"""Largest change of brightness, contrast and saturation; of hue, as a share of the circle."""


def cut_paste(good: Pixels, donor: Pixels, rng: np.random.Generator) -> Pair:
    """A good crop with a patch of another, and the mask of the patch.

    Args:
        good: uint8 ``[H, W, 3]``. donor: uint8 of the same size, from which the patch is taken.
    """
    height, width = good.shape[:2]
    area = rng.uniform(*_AREA) * height * width
    aspect = float(np.exp(rng.uniform(*np.log(_ASPECT))))
    rows = int(np.clip(round((area / aspect) ** 0.5), 2, height - 1))
    columns = int(np.clip(round((area * aspect) ** 0.5), 2, width - 1))

    spans = (height - rows, width - columns) * 2
    top, left, to_top, to_left = (int(rng.integers(span + 1)) for span in spans)
    patch = donor[top : top + rows, left : left + columns]
    target = slice(to_top, to_top + rows), slice(to_left, to_left + columns)
    picture, mask = good.copy(), np.zeros((height, width), np.bool_)
    picture[target] = jittered(patch, rng)
    mask[target] = True
    return picture, mask


def jittered(patch: Pixels, rng: np.random.Generator) -> Pixels:
    """CutPaste's colour jitter of a patch: brightness, contrast, saturation and hue."""
    image = Image.fromarray(np.ascontiguousarray(patch))
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(rng.uniform(1 - _JITTER, 1 + _JITTER))
    hue, saturation, value = image.convert("HSV").split()
    turn = round(255 * rng.uniform(-_JITTER, _JITTER))
    turned = (np.asarray(hue).astype(np.int16) + turn) % 256
    hue = Image.fromarray(turned.astype(np.uint8))
    jittered_patch: Pixels = np.asarray(Image.merge("HSV", (hue, saturation, value)).convert("RGB"))
    return jittered_patch


CUT_PASTE = Arm(
    "real+cutpaste",
    "the known real defects and CutPaste defects in good pictures",
    maker=cut_paste,
    rival="CutPaste",
)
