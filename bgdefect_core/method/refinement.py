"""The refined mask (Eq. 13): where inside the requested mask the defect really came out. It is the
label that a detector is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from ..declarations import Choice, Doc, Range, check_settings
from ..errors import check_range
from ..pictures.mask_shape import MaskShape
from ..pictures.masks import Mask, check_mask
from .signals import DEFAULT_SIGNAL, SIGNALS, SignalName
from .signals.difference import PEAK


def _thresholds() -> str:
    return ", ".join(f"{signal.threshold:g} for {name}" for name, signal in SIGNALS.items())


@dataclass(frozen=True)
class LabelSettings:
    """How labels are made.

    Raises:
        SettingError: a value out of its range, or an unknown signal.
    """

    signal: Annotated[
        SignalName, Choice(SIGNALS), Doc(SIGNALS.help("What the label is made from."))
    ] = DEFAULT_SIGNAL
    threshold: Annotated[
        float | None,
        Range(0, 1),
        Doc(
            "Share of the signal's peak in the mask above which a pixel is labelled. Default: "
            f"{_thresholds()}."
        ),
    ] = None
    peak: Annotated[
        float,
        Range(0, 100),
        Doc(
            "Percentile of the signal in the mask that counts as its peak. 100: the maximum, as in "
            "the paper."
        ),
    ] = PEAK
    tidy: Annotated[
        bool,
        Doc(
            "Fill holes of a label and drop crumbs beside it, where the real masks of the class "
            "have neither."
        ),
    ] = True

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def threshold_in_use(self) -> float:
        """``threshold``, or the signal's default where it is None."""
        return SIGNALS[self.signal].threshold_in_use(self.threshold)


def refine(
    heat: NDArray[np.float32], requested: Mask, threshold: float, peak: float = PEAK
) -> tuple[Mask, NDArray[np.float32]]:
    """Divide the map by its peak inside the requested mask and threshold it there (choice 3).

    Args:
        heat: float32 ``[H, W]``, at least 0.
        requested: bool ``[H, W]``, not empty.
        threshold: 0..1 of the peak; 0 returns the requested mask.
        peak: the percentile, inside the mask, that is the peak; 100 is the maximum.

    Returns:
        The refined mask (within ``requested``, never empty unless the map is 0 there and the
        threshold above 0) and the map in 0..1, 0 outside the mask.

    Raises:
        SettingError: threshold or peak out of range. MaskError: a bad mask.
    """
    check_range("threshold", threshold, 0, 1)
    check_range("peak", peak, 0, 100)
    check_mask(requested, heat.shape)
    inside = np.where(requested, heat, 0).astype(np.float32)
    largest = np.float32(np.percentile(inside[requested], peak))
    if largest == 0:  # a speck in a large mask has a percentile of 0
        largest = inside.max()
    if largest <= 0:
        return requested & (threshold == 0), inside
    inside = np.minimum(inside / largest, 1)
    return requested & (inside >= threshold), inside


def label_of(
    heat: NDArray[np.float32],
    requested: Mask,
    settings: LabelSettings,
    shape: MaskShape | None = None,
) -> tuple[Mask, NDArray[np.float32]]:
    """The label that the settings make of a signal: :func:`refine`, then :meth:`MaskShape.tidied`.

    Arguments, results and errors as in :func:`refine`. Painting, the nodes and the evaluation all
    make labels here.

    Args:
        shape: of the class's real masks; None: not known, nothing is filled or dropped.
    """
    label, shown = refine(heat, requested, settings.threshold_in_use, settings.peak)
    if settings.tidy and shape is not None:
        label = shape.tidied(label, requested)
    return label, shown
