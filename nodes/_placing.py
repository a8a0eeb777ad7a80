"""New masks on good pictures, without the host: where the part is, what is allowed there, and the
real defect that belongs to each mask."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from ..bgdefect_core.errors import MaskError, SettingError
from ..bgdefect_core.pictures.masks import Mask
from ..bgdefect_core.pictures.picture import Picture, Pixels
from ..bgdefect_core.placement.directions import settled
from ..bgdefect_core.placement.library import MaskLibrary, RealMask
from ..bgdefect_core.placement.likeness import Likeness
from ..bgdefect_core.placement.part import PartKind, part_mask
from ..bgdefect_core.placement.paste import paste
from ..bgdefect_core.placement.placing import Placed, place_one
from ..bgdefect_core.placement.search import search_of
from ..bgdefect_core.placement.settings import PlacementSettings
from ..bgdefect_core.quality.effects import Effects, effects_of
from ..bgdefect_core.quality.place_effect import place_with_effect
from ._boxes import Box, area_of
from ._convert import mask_batch, masks_of, matched, pictures_of
from ._squares import colour_image
from ._wires import RealDefect

log = logging.getLogger(__name__)

DIRECTIONS = ("auto", "as_set")
"""Where turns and mirrors of new masks come from."""
_PICTURES_COMPARED = 8
"""Good pictures that decide on the ground's direction."""
_MASKS_TRIED = 6
"""Real masks that are tried for each new one. The command line tries fewer, each on several
pictures; a graph has this picture alone."""


@dataclass(frozen=True, eq=False)
class NewMask:
    """A mask that was placed on one of the pictures."""

    owner: int
    """Number of its picture."""
    mask: Mask
    """bool ``[H, W]``."""
    real: RealDefect


@dataclass(frozen=True, eq=False)
class PlacingArea:
    """Where on each of B pictures masks may lie."""

    kind: PartKind
    allowed: Tensor | None = None
    """MASK of 1 or B; None: everywhere on the part."""
    avoid: Tensor | None = None
    """MASK of 1 or B; None: nothing."""
    boxes: list[list[Box]] | None = None
    """Of all pictures alike, or of each; None: everywhere."""

    def parts(self, pictures: Sequence[Pixels]) -> list[Mask]:
        """One bool ``[H, W]`` a picture, which may be empty.

        Raises:
            SettingError: an unknown kind of part. MaskError: another number or size of masks.
        """
        if self.kind not in get_args(PartKind):  # older hosts let any value of a combo through
            raise SettingError(
                f"part is {self.kind!r}",
                f"one of {', '.join(get_args(PartKind))}",
                "choose one of them",
            )
        parts = [part_mask(picture, self.kind) for picture in pictures]
        if self.boxes is not None:
            if len(self.boxes) not in (1, len(parts)):
                came = f"box has the boxes of {len(self.boxes)} pictures for {len(parts)}"
                raise MaskError(came, f"of 1 or {len(parts)}", "connect that many to box")
            for number, part in enumerate(parts):
                boxes = self.boxes[number % len(self.boxes)]
                parts[number] = part & area_of(boxes, part.shape)
        for name, mask in (("allowed", self.allowed), ("avoid", self.avoid)):
            if mask is None:
                continue
            areas = masks_of(matched(mask_batch(mask, name), len(parts), name), name)
            for number, area in enumerate(areas):
                part = parts[number]
                if area.shape != part.shape:
                    raise MaskError(
                        f"{name} is {area.shape[1]} x {area.shape[0]} pixels",
                        f"{part.shape[1]} x {part.shape[0]} like image",
                        f"connect a mask of the picture's size to {name}",
                    )
                parts[number] = part & (area if name == "allowed" else ~area)
        return parts


def in_directions(
    settings: PlacementSettings, directions: str, image: Tensor, library: MaskLibrary
) -> PlacementSettings:
    """The settings with turns and mirrors as the class has them (docs/method.md, choice 20).

    Args:
        settings: with the largest turn and the mirror that the user allows.
        directions: one of ``DIRECTIONS``; as_set leaves the settings as they are.
        image: IMAGE of the good pictures.

    Raises:
        SettingError: another word.
    """
    if directions not in DIRECTIONS:  # older hosts let any value of a combo through
        raise SettingError(
            f"directions is {directions!r}", " or ".join(DIRECTIONS), "choose one of them"
        )
    if directions == "as_set":
        return settings
    pictures = pictures_of(colour_image(image, "image"))[:_PICTURES_COMPARED]
    free = replace(settings, rotate=None, flip=None)
    of_class, reason = settled(free, library.patches, pictures)
    log.info("turns and mirrors of new masks: %s", reason)
    limits = (of_class.rotate, settings.rotate)
    rotate = min(limit for limit in limits if limit is not None)
    return replace(settings, rotate=rotate, flip=bool(of_class.flip and settings.flip))


def new_masks(
    image: Tensor,
    library: MaskLibrary,
    ground: PlacingArea,
    settings: PlacementSettings,
    number: int,
    seed: int,
    callback: Callable[[], object] = lambda: None,
) -> list[NewMask]:
    """``number`` new masks for each of B pictures, wholly on the part, where it looks like the
    library's real surroundings and, of two tones, the defect changes connected areas as the real
    ones do (docs/method.md, choice 16).

    A mask follows from the seed, the picture's content, its place in the batch and the mask's
    number.

    Args:
        image: IMAGE.
        callback: called after each of the ``B * number`` masks, found or not; raise to stop.

    Returns:
        The masks, picture by picture. Pictures that no mask fits are left out.

    Raises:
        MaskError: none fits anywhere.
    """
    pictures = pictures_of(colour_image(image, "image"))
    parts = ground.parts(pictures)
    class_masks = _ClassMasks(library, effects_of(library), settings)
    masks: list[NewMask] = []
    for owner, (picture, part) in enumerate(zip(pictures, parts, strict=True)):
        content = zlib.crc32(np.ascontiguousarray(picture).tobytes())
        likeness = Likeness(picture)
        for turn in range(number):
            rng = np.random.default_rng((seed, owner, turn, content))
            drawn = class_masks.draw(likeness, part, rng) if part.any() else None
            if drawn is not None:
                masks.append(NewMask(owner, *drawn))
            callback()
    if not masks:
        raise MaskError(
            f"no mask of the library fits on the part in any of {len(pictures)} pictures",
            "masks smaller than the part",
            "widen the scale range, choose another part, allow more, or give smaller masks",
        )
    return masks


@dataclass(frozen=True, eq=False)
class _ClassMasks:
    """The real masks of a class, and how new ones are made from them."""

    library: MaskLibrary
    effects: Effects
    settings: PlacementSettings

    def draw(
        self, likeness: Likeness, part: Mask, rng: np.random.Generator
    ) -> tuple[Mask, RealDefect] | None:
        """A new mask and the real defect that it is made from: the first mask with a place where
        the defect has the class's effect, else the first that fits; None: none fits."""
        masks = self.library.masks
        first: tuple[Mask, RealDefect] | None = None
        for number in rng.permutation(len(masks))[:_MASKS_TRIED].tolist():
            real = masks[number]
            place, suits = self._place(real, likeness, part, rng)
            if place is None:
                continue
            drawn = (place.mask, RealDefect(real.name, real.surroundings, place.exemplar))
            if suits:
                return drawn
            first = first or drawn
        return first

    def _place(
        self, real: RealMask, likeness: Likeness, part: Mask, rng: np.random.Generator
    ) -> tuple[Placed | None, bool]:
        """A place of one mask, and whether its defect has the class's effect there."""
        search = search_of(real, rng, self.settings)
        coarse = None if search is None else search.shrunk(likeness.picture, part)

        def draw(attempt: int) -> Placed | None:
            return place_one(real.patch, search, part, rng, self.settings, likeness, coarse)

        return place_with_effect(draw, Picture(likeness.picture), self.effects)


def pasted_image(image: Tensor, masks: Sequence[NewMask]) -> Tensor:
    """The picture of each mask with its real defect pasted in: IMAGE ``[M, H, W, 3]``; the good
    picture where the real defect's is not known. What the paste leaves keeps its value."""
    colours = colour_image(image, "image")
    pictures = pictures_of(colours)
    results: list[Tensor] = []
    for mask in masks:
        good, pixels = colours[mask.owner], pictures[mask.owner]
        if mask.real.exemplar is None:
            results.append(good)
            continue
        new = paste(Picture(pixels), [mask.real.exemplar]).pixels
        changed = torch.from_numpy((new != pixels).any(axis=2))[..., None]
        results.append(torch.where(changed, torch.from_numpy(new).float() / 255, good))
    return torch.stack(results)
