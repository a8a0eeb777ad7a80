"""What every mask signal says and does: a map of how strongly the defect shows at each pixel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...errors import SettingError
from ...pictures.masks import Mask
from ...pictures.picture import Pixels
from ...pictures.tones import change, two_tones
from ..attention_maps import SMALLEST_GRID, MapRecorder
from ..predictor import Predictor
from ..regions import RegionPrompts


@dataclass(frozen=True, eq=False)
class LatentEvidence:
    """B samples as the network knows them, for signals that evaluate it again."""

    predict: Predictor
    z_0: Tensor
    """``[B, C, h, w]`` latents of the samples."""
    regions: Tensor
    """long ``[B, h, w]``, 0 = background, i = defect i."""
    prompts: RegionPrompts
    seeds: Sequence[int]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of B samples; each signal reads its part."""

    size: tuple[int, int]
    """``(H, W)`` of the maps in pixels."""
    recorder: MapRecorder | None = None
    """The attention of the samples to the defect's words."""
    painted: Tensor | None = None
    """``[B, 3, H, W]`` decoded samples, -1..1."""
    normal: Tensor | None = None
    """``[B, 3, H, W]`` the decoded encodings of the good pictures, never the raw pictures."""
    latents: LatentEvidence | None = None


class Signal(ABC):
    """One signal."""

    name: str
    summary: str
    threshold: float
    """Share of the signal's peak inside the mask above which a pixel is labelled, by default."""
    needs_attention: bool = False
    """Whether attention to the defect's words must be recorded while sampling."""
    needs_before: bool = False
    """Whether the picture from before the defect is needed."""
    evaluations: int = 0
    """Network evaluations for each sample, besides those of sampling."""

    @abstractmethod
    def heat(self, evidence: Evidence) -> Tensor:
        """The signal of B samples: float32 ``[B, H, W]``, at least 0.

        Raises:
            SettingError: ``evidence`` lacks what the signal needs.
        """

    def stitched(
        self, heat: NDArray[np.float32], picture: Pixels, result: Pixels, requested: Mask
    ) -> NDArray[np.float32]:
        """What the signal is worth once the sample is stitched into its picture.

        In a picture of two tones (``tones``) many a faint change comes to nothing, and no loss of
        the decoder remains. The signal then counts on changed pixels alone.

        Args:
            heat: the signal, float32 ``[H, W]``.
            picture, result: uint8 ``[H, W, 3]``, before and after stitching.
            requested: bool ``[H, W]``, where the defect was painted.

        Returns:
            float32 ``[H, W]``.
        """
        if two_tones(picture) is None:
            return self.on_shades(heat, picture, result, requested)
        return self.on_two_tones(heat, change(picture, result))

    def on_shades(
        self, heat: NDArray[np.float32], picture: Pixels, result: Pixels, requested: Mask
    ) -> NDArray[np.float32]:
        """The signal in any other picture; arguments as of :meth:`stitched`."""
        return heat

    def on_two_tones(
        self, heat: NDArray[np.float32], changed: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The signal in a picture of two tones; ``changed``: the change of each pixel, 0..1."""
        return np.where(changed > 0, heat, 0)

    def threshold_in_use(self, threshold: float | None) -> float:
        """``threshold``, or the signal's default where it is None."""
        return self.threshold if threshold is None else threshold

    def check_resolution(self, resolution: int, factor: int) -> None:
        """Refuse a resolution whose attention grids are too coarse for the signal.

        Args:
            resolution: side of the network's picture in pixels.
            factor: side of a latent cell in pixels.

        Raises:
            SettingError: no attention grid has ``SMALLEST_GRID`` cells at half the latents' size.
        """
        least = 2 * SMALLEST_GRID * factor
        if self.needs_attention and resolution < least:
            raise SettingError(
                f"the signal {self.name!r} at {resolution} pixels",
                f"a resolution of {least} or more",
                "use a signal that needs no attention, or train at a higher resolution",
            )


def missing(signal: Signal, what: str) -> SettingError:
    """The error of a signal that lacks ``what``."""
    return SettingError(
        f"the signal is {signal.name!r}, without {what}", what, "supply it or choose another signal"
    )
