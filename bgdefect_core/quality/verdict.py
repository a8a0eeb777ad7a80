"""The verdict on a sample: whether it can stand for a real defect of its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

from ..declarations import Doc, Range, check_settings
from .effects import Change
from .figures import IDENTICAL_DB, Quality
from .profile import ClassProfile
from .properties import PROPERTIES
from .shown import Shown

SLACK_BELOW, SLACK_ABOVE = 0.5, 2.0
"""What a sample may fall short of, or exceed, what nine of ten real defects show of a property."""
NOT_SHOWN = (
    "no visible defect",
    "defect lost in its surroundings",
    "too little of the defect",
    "far less of it than in life",
)
"""Reasons against samples that do not show their defect, in the order in which they are tried."""
EMPTY_LABEL = "label empty"


class LeastShown(NamedTuple):
    """How strongly a defect of a class must show."""

    strength: float
    contrast: float
    mean: float


@dataclass(frozen=True)
class QualityLimits:
    """What a sample needs to be accepted; see ``Quality`` for the figures.

    The limits of strength and contrast follow from the known real defects of the class
    (``ClassProfile``). Where fewer than three are known those apply that 99 % and 95 % of 500 drawn
    defects of the pretraining reach, each of which is visible by construction
    (``bgdefect calibrate``).

    Raises:
        SettingError: a limit out of its range, or NaN.
    """

    min_strength: Annotated[
        float,
        Range(0, 1),
        Doc(
            "Least change inside the mask, 0..1, where fewer than three real defects of the class "
            "are known."
        ),
    ] = 0.08
    min_contrast: Annotated[
        float,
        Range(0, 1000),
        Doc(
            "Least change relative to the variation of the surroundings, 0..1000, where fewer than "
            "three real defects of the class are known."
        ),
    ] = 0.95
    min_fill: Annotated[
        float,
        Range(0, 1),
        Doc("Least share of the requested mask that the label covers, 0..1."),
    ] = 0.02
    min_background_psnr: Annotated[
        float,
        Range(0, IDENTICAL_DB),
        Doc(
            "Least background PSNR of the result against the input picture, 0..100 dB; matters "
            "with stitching off."
        ),
    ] = 20.0
    max_background_max: Annotated[
        float,
        Range(0, 255),
        Doc("Largest change of one background pixel, 0..255; matters with stitching off."),
    ] = 255.0
    min_latent_background_psnr: Annotated[
        float,
        Range(0, IDENTICAL_DB),
        Doc("Least background PSNR before stitching, against the VAE's reconstruction, 0..100 dB."),
    ] = 20.0
    min_real_share: Annotated[
        float,
        Range(0, 1000),
        Doc(
            "Least share of the change that the real defect behind the mask would make at its "
            "place, 0..1000. Applies only where the picture of that defect is known."
        ),
    ] = 0.5
    class_share: Annotated[
        float,
        Range(0, 10),
        Doc(
            "Least strength and mean change, as a share of what 19 of 20 real defects "
            "of the class can be expected to reach, measured alike. Applies where three or more "
            "are known; 0: the fixed limits apply."
        ),
    ] = 0.7
    shared: Annotated[
        bool,
        Doc(
            "Reject samples that lack what nine of ten known real defects of the class share: the "
            "effect on the connected areas of a two-toned picture, one piece, no holes, "
            "sharpness. Applies where five or more are known. And reject samples in more pieces "
            "than the real defect that they started from."
        ),
    ] = True

    def __post_init__(self) -> None:
        check_settings(self)

    def of_class(self, profile: ClassProfile) -> LeastShown:
        """The limits of a class.

        A class that is known needs no limit of contrast: its direction and the smoothing leave out
        what the surroundings' variation would add, and contrast varies with the place.
        """
        if self.class_share == 0 or profile.strength is None or profile.mean is None:
            return LeastShown(self.min_strength, self.min_contrast, -1.0)
        share = self.class_share
        return LeastShown(share * profile.strength.low, 0.0, share * profile.mean.low)


@dataclass(frozen=True, eq=False)
class Standard:
    """What the samples of a class are held against."""

    limits: QualityLimits = field(default_factory=QualityLimits)
    profile: ClassProfile = field(default_factory=lambda: ClassProfile(0))
    """Of its known real defects."""


@dataclass(frozen=True)
class Verdict:
    """Whether a sample is good, and the first reason why it is not; the reason of a good sample is
    empty."""

    good: bool
    reason: str = ""


def judge(
    quality: Quality,
    limits: QualityLimits | None = None,
    real_share: float = 1.0,
    profile: ClassProfile | None = None,
) -> Verdict:
    """The verdict on one sample; the most important reason for a user is tried first.

    Args:
        real_share: share of the real defect's change that the sample shows
            (``Surroundings.share_made``); 1 where that is not known.
        profile: of the class, the one that the sample was measured with; None: the fixed limits
            apply.
    """
    limits = limits or QualityLimits()
    profile = profile or ClassProfile(0)
    least = limits.of_class(profile)
    shows = (
        quality.strength >= least.strength,
        quality.contrast >= least.contrast,
        quality.mean_change is None or quality.mean_change >= least.mean,
        real_share >= limits.min_real_share,
    )
    checks = list(zip(shows, NOT_SHOWN, strict=True))
    if limits.shared:
        checks += _shared_checks(quality, profile)
    checks += [
        (quality.fill > 0, EMPTY_LABEL),
        (quality.fill >= limits.min_fill, "label nearly empty"),
        (quality.background_psnr >= limits.min_background_psnr, "background moved"),
        (quality.background_max <= limits.max_background_max, "background moved in places"),
        (
            quality.latent_background_psnr >= limits.min_latent_background_psnr,
            "background not kept by the sampler",
        ),
    ]
    for passed, reason in checks:  # NaN passes no comparison
        if not passed:
            return Verdict(False, reason)
    return Verdict(True)


def is_shown(view: Shown, limits: QualityLimits, profile: ClassProfile) -> bool:
    """Whether a change shows the defect: strength, mean change and shared properties, without what
    needs a whole sample.

    Args:
        view: from ``profile.view``.
    """
    least = limits.of_class(profile)
    if view.strength < least.strength or view.contrast < least.contrast or view.mean < least.mean:
        return False
    if not limits.shared:
        return True
    figures = profile.properties_of(view)
    return all(passed for passed, _ in _property_checks(figures, profile))


def _shared_checks(quality: Quality, profile: ClassProfile) -> list[tuple[bool, str]]:
    """What nearly all known real defects of the class share."""
    checks: list[tuple[bool, str]] = []
    if quality.dark_areas is not None and quality.light_areas is not None:
        change: Change = (quality.dark_areas, quality.light_areas)
        reason = f"no such effect as the real defects have: {profile.effects.in_words()}"
        checks.append((profile.effects.agrees(change), reason))
    return checks + _property_checks(quality.figures, profile)


def _property_checks(figures: Mapping[str, float], profile: ClassProfile) -> list[tuple[bool, str]]:
    """Whether each property that real defects share holds, with the reason where it does not."""
    checks: list[tuple[bool, str]] = []
    for name, reached in profile.properties.items():
        if name in figures:
            entry, value = PROPERTIES[name], figures[name]
            passed = value >= SLACK_BELOW * reached.low
            if entry.at_most:
                passed = value <= SLACK_ABOVE * reached.high
            checks.append((passed, entry.reason))
    return checks
