"""Samples that are painted in one batch: where their defects lie, where they start, their seeds and
their guidance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..errors import SettingError
from .start import Start


@dataclass(frozen=True, eq=False)
class SampleBatch:
    """B samples that are painted together.

    Raises:
        SettingError: regions, seeds, guidance and starts are not equally many, or a start level is
            out of its range.
    """

    regions: Tensor
    """long ``[B, h, w]``, 0 = background, i = defect i."""
    seeds: Sequence[int]
    """B of them: a sample's noise depends on its own alone."""
    guidance: float | Sequence[float] = 1.0
    """``w`` of choice 7, inside the mask only, for all samples or one a sample; 1 = none."""
    start: Start | None = None
    """Of each sample (choice 15); None: all from noise."""

    def __post_init__(self) -> None:
        if len(self.seeds) != len(self.regions):
            raise SettingError(
                f"{len(self.seeds)} seeds for {len(self.regions)} region maps",
                "as many of each",
                "give one seed a sample",
            )
        if len(self.weights) != len(self.seeds):
            raise SettingError(
                f"{len(self.weights)} values of guidance for {len(self.seeds)} samples",
                "one, or one a sample",
                "give as many",
            )
        if self.start is not None:
            self.start.check(len(self.seeds))

    @property
    def weights(self) -> list[float]:
        """The guidance of each sample."""
        if isinstance(self.guidance, int | float):
            return [self.guidance] * len(self.seeds)
        return list(self.guidance)
