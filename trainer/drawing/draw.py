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
from .circuits import CIRCUIT_NOUN, draw_circuit
from .defect_tools import SMALLEST_SHARE, Painter, changed_pixels
from .defects import SURFACE_DEFECTS
from .defects_circuit import CIRCUIT_DEFECTS
from .grounds import draw_ground
from .objects import draw_object, random_noun

GROUND_SHARE, CIRCUIT_SHARE = 0.45, 0.25
"""Shares of the scenes; the rest are objects."""
OTHER_WORDING = 0.15
"""Share of the captions that do not follow the template."""
SURFACE_DEFECT_ON_CIRCUIT = 0.15
LEAST_CHANGE = 0.04
"""Least mean change inside the mask in the photograph, of 1, on an even ground."""
LEAST_CHANGE_PER_TEXTURE = 0.3
"""Added per standard deviation of the good picture there: a busy ground hides more."""
_PAINTERS_TRIED = 6


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
    scene = _draw_scene(rng, size)
    noun = scene.noun
    camera = draw_camera(rng)
    good = _bytes(photograph(scene.picture, camera))
    if rng.random() < defect_share:
        damage = _damage(rng, scene, camera, good)
        if damage is not None:
            tone = _tone_word(rng, good, damage.picture, damage.mask)
            caption = _defect_caption(rng, noun, damage.defect, tone)
            return Drawn(damage.picture, good, damage.mask, caption, noun, damage.defect)
    return Drawn(good, good, np.zeros((size, size), dtype=bool), _good_caption(rng, noun), noun, "")


@dataclass(frozen=True)
class _Scene:
    """A good part before the camera."""

    picture: np.ndarray
    """float32 ``[S, S, 3]`` in 0..1."""
    area: np.ndarray
    """bool ``[S, S]``: what its defects work with."""
    noun: str
    painters: dict[str, Painter]
    """The defects that it may have, by their nouns."""


def _draw_scene(rng: Generator, size: int) -> _Scene:
    kind = rng.random()
    if kind < GROUND_SHARE:
        picture, noun = draw_ground(rng, size)
        return _Scene(picture, np.ones((size, size), dtype=bool), noun, SURFACE_DEFECTS)
    if kind < GROUND_SHARE + CIRCUIT_SHARE:
        picture, copper = draw_circuit(rng, size)
        if rng.random() < SURFACE_DEFECT_ON_CIRCUIT:
            return _Scene(picture, np.ones_like(copper), CIRCUIT_NOUN, SURFACE_DEFECTS)
        return _Scene(picture, copper, CIRCUIT_NOUN, CIRCUIT_DEFECTS)
    noun = random_noun(rng)
    picture, part = draw_object(rng, size, noun)
    return _Scene(picture, part, noun, SURFACE_DEFECTS)


@dataclass(frozen=True)
class _Damage:
    """The photograph of a scene with a defect."""

    picture: np.ndarray
    """uint8 ``[S, S, 3]``."""
    mask: np.ndarray
    """bool ``[S, S]``."""
    defect: str


def _damage(
    rng: Generator, scene: _Scene, camera: CameraSettings, good: np.ndarray
) -> _Damage | None:
    """The first of a few random defects that fits and shows in the photograph; None where none
    does.

    Args:
        good: the photograph without a defect, uint8 ``[S, S, 3]``.
    """
    nouns = list(scene.painters)
    for index in rng.permutation(len(nouns))[:_PAINTERS_TRIED]:
        painted = scene.painters[nouns[index]](rng, scene.picture, scene.area)
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
        texture = good[mask].mean(axis=1).std() / 255.0
        if change >= LEAST_CHANGE + LEAST_CHANGE_PER_TEXTURE * texture:
            return _Damage(np.where(mask[..., None], picture, good), mask, nouns[index])
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
