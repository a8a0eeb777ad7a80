"""Ranges of turns and mirrors from the class itself (docs/method.md, choice 20).

A broken weft thread lies along the weft. Where the ground has a direction (a weave, brushed or
rolled metal, traces) and the real defects all lie one way, new masks stay that way; where the real
ones vary, or the ground has no direction, they may be turned to any angle and mirrored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..pictures.masks import Mask
from ..pictures.picture import Pixels
from .settings import PlacementSettings

_DIRECTED = 0.25
"""Least coherence of a ground with a direction."""
_STEADY = 0.9
"""Least agreement between the directions of the good pictures."""
_LONG = 1.5
"""Length over width of a mask that lies some way."""
_SHARE = 0.5
"""Share of the masks that must be long."""
_ONE_WAY = 30.0
"""Largest deviation, in degrees, of defects that lie one way: five that may lie any way all lie so
in 5 of 100 classes."""
_FEWEST = {2: 1, 4: 3}
"""Long masks that are enough to say that the class lies one way, on a ground that does (2) and on
one that lies two ways (4), where as many may agree by chance."""
_LEAST = 2.0
"""Smallest range of turns in degrees."""


@dataclass(frozen=True)
class Ground:
    """The direction of good pictures."""

    coherence: float
    """0 (none) to 1 (all edges lie one way, or two ways at right angles)."""
    angle: float
    """Of its edges in degrees, counter-clockwise from the rows: 0 up to 180, or up to 90 where they
    lie two ways."""
    fold: int
    """2: edges lie one way; 4: two ways at right angles."""


def ground_of(pictures: Sequence[Pixels]) -> Ground:
    """The direction that good pictures share, from their structure tensors.

    Each pixel votes with the square of its gradient. One way: the structure tensor's coherence,
    ``|sum g^2 exp(2 i angle)| / sum g^2``. Two ways at right angles (a weave, traces), of which the
    tensor knows nothing: the same with ``4 i``. The larger counts.

    Args:
        pictures: uint8 ``[H, W, 3]``, at least one; a few are enough.
    """
    votes = np.array([_votes(picture) for picture in pictures])
    best = Ground(0.0, 0.0, 2)
    for column, fold in enumerate((2, 4)):
        vectors = votes[:, column]
        strengths = np.abs(vectors)
        if strengths.sum() <= 0:
            continue
        agreement = abs(vectors.sum()) / strengths.sum()
        coherence = float(np.median(strengths)) if agreement >= _STEADY else 0.0
        if coherence > best.coherence:
            angle = math.degrees(np.angle(vectors.sum())) / fold + 90  # along the edge
            best = Ground(coherence, angle % (360 / fold), fold)
    return best


def _votes(picture: Pixels) -> NDArray[np.complex128]:
    """The mean directions of a picture's gradients, doubled and fourfold: complex ``[2]``."""
    gray = picture.mean(axis=2, dtype=np.float32)
    down = ndimage.gaussian_filter(gray, 1.0, order=(1, 0))
    across = ndimage.gaussian_filter(gray, 1.0, order=(0, 1))
    gradient = across - 1j * down  # rows grow downwards
    energy = np.square(np.abs(gradient))
    unit = gradient / np.maximum(np.abs(gradient), 1e-6)
    total = max(float(energy.sum()), 1e-6)
    doubled = (energy * unit**2).sum() / total
    fourfold = (energy * unit**4).sum() / total
    return np.array([doubled, fourfold])


def mask_direction(mask: Mask) -> tuple[float, float]:
    """The way a mask lies, by its second moments.

    Args:
        mask: bool ``[H, W]``, not empty.

    Returns:
        Angle of its long axis in degrees, counter-clockwise from the rows, 0 up to 180; and length
        over width.
    """
    rows, columns = np.nonzero(mask)
    x, y = columns - columns.mean(), -(rows - rows.mean())
    spread = np.array([[x @ x, x @ y], [x @ y, y @ y]]) / len(rows) + np.eye(2) / 12
    lengths, axes = np.linalg.eigh(spread)
    angle = math.degrees(math.atan2(axes[1, 1], axes[0, 1])) % 180
    return angle, math.sqrt(lengths[1] / lengths[0])


def settled(
    settings: PlacementSettings, masks: Sequence[Mask], pictures: Sequence[Pixels]
) -> tuple[PlacementSettings, str]:
    """Settings whose ranges of turns and mirrors are settled, and why, in words.

    Args:
        settings: ranges that the user gave stay.
        masks: the class's real ones. pictures: good ones, uint8 ``[H, W, 3]``.
    """
    rotate, flip, reason = _ranges(masks, pictures)
    if settings.rotate is not None and settings.flip is not None:
        return settings, "as set"
    if settings.rotate is not None:
        rotate = settings.rotate
    if settings.flip is not None:
        flip = settings.flip
    return replace(settings, rotate=rotate, flip=flip), reason


def _ranges(masks: Sequence[Mask], pictures: Sequence[Pixels]) -> tuple[float, bool, str]:
    """Largest turn in degrees, whether masks may be mirrored, and why."""
    if not pictures:
        return 180.0, True, "no good picture is known"
    ground = ground_of(pictures)
    if ground.coherence < _DIRECTED:
        return 180.0, True, f"the ground has no direction (coherence {ground.coherence:.2f})"
    angles: list[float] = []
    for mask in masks:
        angle, elongation = mask_direction(mask)
        if elongation >= _LONG:
            angles.append(angle)
    if len(angles) < max(_SHARE * len(masks), 1):
        return 180.0, True, f"{len(masks) - len(angles)} of {len(masks)} real masks lie no way"
    if len(angles) < _FEWEST[ground.fold]:
        return 180.0, True, f"{len(angles)} real masks are too few on a ground that lies two ways"
    doubled = np.exp(2j * np.radians(angles))
    mean = math.degrees(np.angle(doubled.sum())) / 2
    deviations = np.abs(_turn(np.array(angles) - mean))
    widest = float(np.percentile(deviations, 90))
    if widest > _ONE_WAY:
        return 180.0, True, f"the real masks lie several ways, up to {widest:.0f} degrees apart"
    mirrored = abs(float(_turn(np.array([2 * mean]))[0]))
    flip = mirrored <= max(widest, _LEAST) + _LEAST
    reason = (
        f"{len(angles)} of {len(masks)} real masks lie along {mean % 180:.0f} degrees on a ground "
        f"with a direction (coherence {ground.coherence:.2f})"
    )
    return max(widest, _LEAST), flip, reason


def _turn(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same ways, as -90 up to 90 degrees."""
    turned: NDArray[np.float64] = (angles + 90) % 180 - 90
    return turned
