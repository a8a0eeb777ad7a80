"""What is painted where, and how: the settings of painting, and one good picture with its masks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from .declarations import Doc, Range, check_settings
from .method.refinement import LabelSettings
from .method.sampling import SamplingSettings
from .method.start import NOISE, StartSettings
from .pictures.crop import Zoom
from .pictures.masks import Mask
from .pictures.picture import Picture
from .placement.exemplar import Exemplar
from .placement.surroundings import Surroundings


@dataclass(frozen=True)
class StitchSettings:
    """How a sample comes back into its picture.

    Raises:
        SettingError: a value out of its range.
    """

    feather: Annotated[
        float | None,
        Range(0, 4096),
        Doc(
            "Width of the blended seam in picture pixels. Default: a quarter of the mask's mean "
            "width, at least 2 and at most 1/32 of the square's side."
        ),
    ] = None
    stitch: Annotated[
        bool,
        Doc("Blend the result into the picture. Off: the decoded square replaces the picture."),
    ] = True
    detail: Annotated[
        bool,
        Doc(
            "Restore the detail that the VAE lost, where the picture changed little. Off: all of "
            "the mask shows the softer picture of the decoder."
        ),
    ] = True
    paste_detail: Annotated[
        bool,
        Doc(
            "Where a sample starts from a real defect: restore also what the VAE lost of that "
            "defect, where the sample stayed near it. Read with detail alone."
        ),
    ] = True

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def restores_pastes(self) -> bool:
        """Whether pastes are decoded, so that their detail can be restored."""
        return self.detail and self.paste_detail


@dataclass(frozen=True)
class PaintSettings:
    """How samples are made."""

    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    starting: StartSettings = field(default_factory=StartSettings)
    label: LabelSettings = field(default_factory=LabelSettings)
    stitching: StitchSettings = field(default_factory=StitchSettings)

    def attempt(
        self, position: int, seed: int, number: int = 0, known: bool = True, copies: int = 0
    ) -> Attempt:
        """An attempt at a sample, with the guidance and the start level of attempts of its number.
        A retry from noise takes more guidance, one from a real defect starts nearer to that, or
        farther where the attempt before was a copy.

        Args:
            position: of the job. seed: of the attempt. number: of the attempt, counted from 0.
            known: whether the job's real defects are. copies: how many of the attempts before were
                copies of the real defect.
        """
        level = self.starting.level_of(seed, number, copies) if known else NOISE
        guidance = self.sampling.guidance_at(number if level == NOISE else 0)
        return Attempt(position, seed, guidance, level)


@dataclass(frozen=True)
class Attempt:
    """One sample that is to be painted."""

    position: int
    """Of its job among the prepared ones."""
    seed: int
    guidance: float = 1.0
    """Inside the mask; 1: none."""
    start_level: float = NOISE
    """From which it starts; where its job's real defects are not known it starts from noise."""


@dataclass(frozen=True)
class Framing:
    """What the network sees of a picture; the class weights say it.

    Raises:
        SettingError: a resolution out of its range.
    """

    resolution: Annotated[int, Range(32, 4096), Doc("Side of the network's picture in pixels.")]
    zoom: Annotated[Zoom, Doc("What the square around the mask shows.")] = "defect"

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class Job:
    """A good picture and where its defects are to be painted."""

    picture: Picture
    """``[H, W, 3]`` at the depth of its file."""
    masks: tuple[Mask, ...]
    """One bool ``[H, W]`` a defect, in the order of the prompts; disjoint ones are best, shared
    latent cells go to one."""
    real: Surroundings | None = None
    """The real defect whose mask this is made from, for the verdict; None: not known."""
    exemplars: tuple[Exemplar, ...] = ()
    """The real defects' own pixels at this place, one a mask, for a start from them; empty: not
    known."""

    @property
    def requested(self) -> Mask:
        """All masks together."""
        masks: Mask = np.logical_or.reduce(self.masks)
        return masks
