"""One drawn picture with or without a defect, its mask, its good twin and its caption.

Not from the paper: the project's own pictures for pretraining, all drawn by this code. The captions
follow the prompts of the tool: "a photo of a {object}" and "a {defect} defect on a {object}".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from .camera import CameraSettings, draw_camera, photograph
from .circuits import draw_circuit
from .defect_tools import SMALLEST_SHARE, Painter, changed_pixels
from .defects import SURFACE_DEFECTS
from .defects_circuit import CIRCUIT_DEFECTS
from .grounds import draw_ground
from .objects import draw_object

GROUND_SHARE, CIRCUIT_SHARE = 0.45, 0.25  # the rest are objects
OTHER_WORDING = 0.15  # share of the captions that do not follow the template
SURFACE_DEFECT_ON_CIRCUIT = 0.15
LEAST_CHANGE = (
    0.04  # of 1.0: least mean change inside the mask in the photograph, on an even ground
)
LEAST_CHANGE_PER_TEXTURE = (
    0.3  # added per standard deviation of the good picture there: a busy ground hides more
)


@dataclass(frozen=True)
class Drawn:
    """A drawn picture; S is its side in pixels.

    `picture` and `good` are uint8 [S, S, 3], the same view with and without the defect; `mask` is
    bool [S, S], all False without a defect; `defect` is "" then.
    """

    picture: np.ndarray
    good: np.ndarray
    mask: np.ndarray
    caption: str
    object: str
    defect: str


def draw(seed: int, size: int, defect_share: float = 0.5) -> Drawn:
    """Draw the picture that belongs to `seed`, `size` pixels wide; the same call gives the same
    bytes.

    `defect_share` in 0..1 is the chance of a defect.
    """
    rng = np.random.default_rng(seed)
    scene, part, noun, painters = _scene(rng, size)
    camera = draw_camera(rng)
    good = _bytes(photograph(scene, camera))
    if rng.random() < defect_share:
        damaged = _damage(rng, scene, part, painters, camera, good)
        if damaged is not None:
            picture, mask, defect = damaged
            tone = _tone_word(rng, good, picture, mask)
            return Drawn(
                picture, good, mask, _defect_caption(rng, noun, defect, tone), noun, defect
            )
    return Drawn(good, good, np.zeros((size, size), dtype=bool), _good_caption(rng, noun), noun, "")


def _scene(rng: Generator, size: int) -> tuple[np.ndarray, np.ndarray, str, dict[str, Painter]]:
    """A good scene, the area bool [S, S] that its defects work with, its noun, and its defects."""
    kind = rng.random()
    if kind < GROUND_SHARE:
        picture, noun = draw_ground(rng, size)
        return picture, np.ones((size, size), dtype=bool), noun, SURFACE_DEFECTS
    if kind < GROUND_SHARE + CIRCUIT_SHARE:
        picture, copper, noun = draw_circuit(rng, size)
        if rng.random() < SURFACE_DEFECT_ON_CIRCUIT:
            return picture, np.ones_like(copper), noun, SURFACE_DEFECTS
        return picture, copper, noun, CIRCUIT_DEFECTS
    picture, part, noun = draw_object(rng, size)
    return picture, part, noun, SURFACE_DEFECTS


def _damage(
    rng: Generator,
    scene: np.ndarray,
    part: np.ndarray,
    painters: dict[str, Painter],
    camera: CameraSettings,
    good: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, str] | None:
    """(picture uint8 [S, S, 3], mask bool [S, S], defect); None when no defect fits and shows in
    the photograph."""
    nouns = list(painters)
    for index in rng.permutation(len(nouns))[:6]:
        painted = painters[nouns[index]](rng, scene, part)
        if painted is None:
            continue
        damaged, painted_mask = painted
        picture = _bytes(photograph(damaged, camera))
        # The camera's blur moves the edge a little; what JPEG changes farther off is no defect.
        mask = changed_pixels(good / np.float32(255), picture / np.float32(255))
        mask &= ndimage.maximum_filter(painted_mask, 5)
        if mask.mean() < SMALLEST_SHARE:
            continue
        change = np.abs(picture[mask].astype(np.float32) - good[mask]).max(axis=1).mean() / 255.0
        if (
            change
            >= LEAST_CHANGE + LEAST_CHANGE_PER_TEXTURE * good[mask].mean(axis=1).std() / 255.0
        ):
            return np.where(mask[..., None], picture, good), mask, nouns[index]
    return None


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8)


def _tone_word(rng: Generator, good: np.ndarray, picture: np.ndarray, mask: np.ndarray) -> str:
    """ "dark", "light", "small" or "large" where that is true of the defect, or ""."""
    words = []
    difference = (picture[mask].mean() - good[mask].mean()) / 255.0
    if abs(difference) > 0.12:
        words.append("light" if difference > 0 else "dark")
    share = mask.mean()
    if share < 0.004:
        words.append("small")
    elif share > 0.05:
        words.append("large")
    return str(rng.choice(words)) if words else ""


def _good_caption(rng: Generator, noun: str) -> str:
    return f"a {noun}" if rng.random() < OTHER_WORDING else f"a photo of a {noun}"


def _defect_caption(rng: Generator, noun: str, defect: str, word: str) -> str:
    named = f"{word} {defect}" if word and rng.random() < OTHER_WORDING else defect
    if rng.random() < OTHER_WORDING:
        return f"a {noun} with a {named}"
    return f"a {named} defect on a {noun}"
