"""Drawn single objects on a tray, one function a noun; `draw_object` draws one.

Each function lays shapes on the ObjectStage within the Pose. Food and mouldings are in
object_goods.py, metal and electric parts in object_hardware.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import object_goods as goods
from . import object_hardware as hardware
from .object_stage import ObjectStage, Pose

__all__ = ["OBJECTS", "draw_object", "random_noun"]

Drawing = Callable[[np.random.Generator, ObjectStage, Pose], None]

OBJECTS: dict[str, Drawing] = {
    "disc": hardware.disc,
    "ring": hardware.ring,
    "screw": hardware.screw,
    "screw head": hardware.screw_head,
    "nut": hardware.nut,
    "gear": hardware.gear,
    "cable end": hardware.cable_end,
    "connector": hardware.connector,
    "electronic component": hardware.component,
    "cast part": hardware.cast_part,
    "capsule": goods.capsule,
    "pill": goods.pill,
    "cookie": goods.cookie,
    "nutshell": goods.nutshell,
    "bottle top": goods.bottle_top,
    "bottle mouth": goods.bottle_mouth,
    "tile": goods.tile,
    "button": goods.button,
}
_NOUNS = tuple(OBJECTS)
_WEIGHTS = np.array([3.0 if noun == "cookie" else 1.0 for noun in _NOUNS])


def random_noun(rng: np.random.Generator) -> str:
    """A key of OBJECTS."""
    return _NOUNS[int(rng.choice(len(_NOUNS), p=_WEIGHTS / _WEIGHTS.sum()))]


def draw_object(rng: np.random.Generator, size: int, noun: str) -> tuple[np.ndarray, np.ndarray]:
    """Draw one object on a tray.

    `noun` is a key of OBJECTS. Returns the picture, float32 [size, size, 3] in 0..1, and `part`,
    bool [size, size], true on the object. Raises KeyError for an unknown noun. Same generator
    state, same picture.
    """
    stage = ObjectStage(rng, size)
    OBJECTS[noun](rng, stage, Pose.random(rng, size))
    picture = stage.light()
    return picture, stage.part > 0.5
