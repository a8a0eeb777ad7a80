"""The pictures behind the nodes' quick start: brushed metal with and without drawn scratches.

``write_training_set`` draws what the shipped weights are trained on, ``write_shipped`` what lies in
``assets/demo``: good pictures, defects and masks that the training has not seen. The weights come
from ``bgdefect train`` on the former, with ``--shots 20 --lora-rank 8 --lr 1e-3 --mask-weight 4
--steps 400 --precision bf16``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.masks import Mask, bounding_box
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.writing import write_mask, write_picture

from ..drawing.defects import SURFACE_DEFECTS
from ..drawing.grounds import GROUNDS

OBJECT, DEFECT = "brushed_metal", "scratch"
_SIDE = 256
_WIDTH, _HEIGHT = 384, 256
_LEAST, _MOST = 24, 110
"""Longest side of a mask's box in pixels: a scratch, neither a speck nor a line across the
picture."""


def write_training_set(root: Path, seed: int = 0, defective: int = 24, good: int = 12) -> None:
    """Draw a data set in MVTec AD's layout, 256 pixels a side: everything follows from the seed."""
    for index in range(good):
        write_picture(
            root / OBJECT / "train" / "good" / f"{index:03d}.png",
            _bytes(_ground(np.random.default_rng((seed, 0, index)), _SIDE)),
        )
    for index in range(defective):
        picture, mask = _scratched(seed, 1, index)
        write_picture(root / OBJECT / "test" / DEFECT / f"{index:03d}.png", picture)
        write_mask(root / OBJECT / "ground_truth" / DEFECT / f"{index:03d}_mask.png", mask)


def write_shipped(root: Path, seed: int = 0, good: int = 4, masks: int = 6) -> None:
    """Draw ``good/*.png`` (384 x 256 pixels), ``defects/*.png`` and their ``masks/*.png`` (256 x
    256)."""
    for index in range(good):
        rng = np.random.default_rng((seed, 2, index))
        write_picture(
            root / "good" / f"brushed_metal_{index}.png", _bytes(_ground(rng, _WIDTH)[:_HEIGHT])
        )
    for index in range(masks):
        picture, mask = _scratched(seed, 3, index)
        write_picture(root / "defects" / f"scratch_{index}.png", picture)
        write_mask(root / "masks" / f"scratch_{index}.png", mask)


def _ground(rng: np.random.Generator, side: int) -> np.ndarray:
    """Gray brushed metal of medium brightness, float32 ``[side, side, 3]`` in 0..1: one product,
    not all metals."""
    while True:
        ground = GROUNDS["brushed metal"](rng, side)
        colour = ground.mean(axis=(0, 1))
        if np.ptp(colour) < 0.06 and 0.25 < colour.mean() < 0.7:
            return ground


def _scratched(seed: int, kind: int, index: int) -> tuple[Pixels, Mask]:
    """A ground with one light scratch of fair size that shows.

    Raises:
        DataError: a hundred tries gave none.
    """
    rng = np.random.default_rng((seed, kind, index))
    ground = _ground(rng, _SIDE)
    good = _bytes(ground).astype(np.int16)
    for _ in range(100):
        painted = SURFACE_DEFECTS[DEFECT](rng, ground, np.ones(ground.shape[:2], np.bool_))
        if painted is None or not painted[1].any():
            continue
        picture, mask = _bytes(painted[0]), painted[1].astype(np.bool_)
        longest = bounding_box(mask).longest
        if (
            _LEAST <= longest <= _MOST
            and mask.sum() < 8 * longest
            and (picture.astype(np.int16) - good)[mask].mean() >= 30
        ):
            return picture, mask
    raise DataError(
        f"picture {index} took no scratch in a hundred tries", "", "draw with another seed"
    )


def _bytes(picture: np.ndarray) -> Pixels:
    drawn: Pixels = np.rint(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8)
    return drawn
