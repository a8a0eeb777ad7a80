"""What PatchCore on efficientnet-lite0 knows of the good pictures, and its scores of others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.reading import read_of_folder

from ...data.splits import spread_evenly
from ..detectors.patchcore import coreset, patches, score_maps
from ..detectors.truth import Map
from .config import RegionSettings

GOOD_QUANTILE = 0.99
"""Share of the pixels of good pictures that score below what "good pictures reach"."""
_CELL = 32
"""Sides that the network reads are multiples of it."""
_THUMBNAIL = 32
"""Side in pixels at which pictures are compared as a whole."""


class LearnedGoods:
    """Good pictures, learned: two thirds are the memory, the others say what good ones score.

    Args:
        paths: their files; evenly out of all where there are more than ``most_good``.

    Raises:
        DataError: fewer than 3. PictureError: one that cannot be read. SettingError: the network is
            not installed.
    """

    def __init__(self, paths: Sequence[Path], settings: RegionSettings) -> None:
        if len(paths) < 3:
            came = f"there are {len(paths)} good pictures"
            raise DataError(came, "3 or more; 20 are better", "add good pictures")
        self.paths = spread_evenly(paths, settings.most_good)
        first = read_of_folder(self.paths[0])
        self._size = working_size((first.shape[0], first.shape[1]), settings.side)
        learned: list[Tensor] = []
        calibrating: list[Pixels] = []
        thumbnails: list[Pixels] = []
        for number, path in enumerate(tqdm(self.paths, desc="good pictures", unit="picture")):
            picture = self._resized(read_of_folder(path))
            thumbnails.append(_thumbnail(picture))
            if number % 3 == 2:
                calibrating.append(picture)
            else:
                learned.append(patches([picture])[0].flatten(0, 1))
        self._memory = coreset(torch.cat(learned), settings.memory, settings.seed)
        maps = [score_maps(self._memory, [picture])[0] for picture in calibrating]
        self._thumbnails = np.stack(thumbnails).astype(np.float32)
        self.score = float(np.quantile(np.stack(maps), GOOD_QUANTILE))
        """What good pictures reach."""

    def scores(self, picture: Pixels) -> Map:
        """The anomaly map of a picture, float32 at its own size, at least 0."""
        scores = score_maps(self._memory, [self._resized(picture)])[0]
        whole = F.interpolate(
            torch.from_numpy(scores)[None, None], picture.shape[:2], mode="bilinear"
        )
        full: Map = whole[0, 0].numpy()
        return full

    def nearest(self, picture: Pixels) -> Path:
        """The good picture that is most like a picture as a whole."""
        small = _thumbnail(self._resized(picture)).astype(np.float32)
        apart = np.abs(self._thumbnails - small).mean(axis=(1, 2, 3))
        return self.paths[int(apart.argmin())]

    def _resized(self, picture: Pixels) -> Pixels:
        height, width = self._size
        if picture.shape[:2] == self._size:
            return picture
        image = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS)
        return np.asarray(image)


def working_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Height and width at which pictures of a size are looked at: multiples of 32, the longer one
    near ``side``, or near its own where that is less."""
    scale = min(side / max(size), 1.0)
    height, width = (max(_CELL, round(length * scale / _CELL) * _CELL) for length in size)
    return height, width


def _thumbnail(picture: Pixels) -> Pixels:
    image = Image.fromarray(picture).resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(image)
