"""Plain weaves of a chosen pitch with dark specks or broken threads, for the verdict's calibration.

A weave that is painted anew with another phase changes every pixel and shows no defect
(docs/method.md, choice 21): ``phase`` moves it by a share of its pitch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels

__all__ = ["PITCHES", "WeaveDefect", "WovenDefect", "weave", "woven_defect"]

PITCHES = (4.0, 7.0, 12.0)
"""Threads' pitches in pixels that are measured."""
WeaveDefect = Literal["speck", "thread"]
_THREAD = 0.1
"""How much darker the gap of a broken thread is: faint, where the weave itself varies by 0.1."""
_SPECK = 0.35


@dataclass(frozen=True, eq=False)
class WovenDefect:
    """A weave with a defect and its good twin, each uint8 ``[S, S, 3]``."""

    picture: Pixels
    good: Pixels
    mask: Mask


def weave(
    size: int, pitch: float, rng: np.random.Generator, phase: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float32]:
    """A gray plain weave of round threads with uneven yarn: float32 ``[size, size]`` in 0..1.

    Args:
        pitch: of both threads, pixels. phase: shift down and to the right, in pitches.
    """
    rows, columns = np.mgrid[:size, :size]
    v, u = rows / pitch + phase[0] + 100, columns / pitch + phase[1] + 100
    row, column = np.floor(v).astype(int), np.floor(u).astype(int)
    warp_on_top = (row + column) % 2 == 0
    across = np.where(warp_on_top, u - column, v - row) - 0.5
    along = np.where(warp_on_top, v - row, u - column) - 0.5
    light = 0.62 - 0.9 * across**2 - 0.3 * along**2
    yarn = rng.normal(0, 0.03, (2, 1000))
    light += np.where(warp_on_top, yarn[0][column % 1000], yarn[1][row % 1000])
    light += rng.normal(0, 0.01, light.shape)
    return np.clip(light, 0, 1).astype(np.float32)


def woven_defect(
    size: int, pitch: float, kind: WeaveDefect, rng: np.random.Generator
) -> WovenDefect:
    """A drawn weave with one defect: a dark speck of two to three pitches, at least 10 pixels, or a
    faint gap of one weft thread along five pitches, at least 24 pixels."""
    good = weave(size, pitch, rng, (rng.random(), rng.random()))
    rows, columns = np.mgrid[:size, :size]
    centre = rng.uniform(0.35 * size, 0.65 * size, 2)
    if kind == "speck":
        radius = max(pitch * rng.uniform(1.0, 1.5), 5)
        wobble = 1 + 0.2 * np.cos(3 * np.arctan2(rows - centre[0], columns - centre[1]))
        mask = np.hypot(rows - centre[0], columns - centre[1]) <= radius * wobble
        depth = _SPECK
    else:
        length = max(5 * pitch, 24)
        mask = (np.abs(rows - centre[0]) <= max(pitch / 2, 2)) & (
            np.abs(columns - centre[1]) <= length / 2
        )
        depth = _THREAD
    soft = ndimage.gaussian_filter(mask.astype(np.float32), 0.7)
    picture = np.clip(good - rng.uniform(0.8, 1.2) * depth * soft, 0, 1)
    return WovenDefect(_gray(picture), _gray(good), mask)


def _gray(values: NDArray[np.float32]) -> Pixels:
    gray = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)
