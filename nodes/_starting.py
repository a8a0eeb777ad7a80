"""Where the samples of a graph start (docs/method.md, choice 15), without the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..bgdefect_core.errors import SettingError
from ..bgdefect_core.method.start import NOISE, StartSettings
from ._convert import cycled
from ._wires import Inversion

_SAME = 1e-2
"""Latents that differ by less are those of the good picture: nothing was pasted."""


@dataclass(frozen=True, eq=False)
class GraphStart:
    """A start from pasted pictures, where there are some.

    Raises:
        SettingError: a start level out of its range, or the lowest above the highest.
    """

    pasted: Tensor | None = None
    """LATENT samples ``[B, C, h, w]``, as the inversion's; None: all samples start from noise."""
    low: float = StartSettings.start_level[0]
    high: float = StartSettings.start_level[1]

    def __post_init__(self) -> None:
        StartSettings(("real",), (self.low, self.high))

    def levels(self, inversion: Inversion, seeds: Sequence[int]) -> list[float]:
        """The start level of each sample, as the command line's first attempts have it: from noise
        where nothing was pasted into its picture.

        Raises:
            SettingError: pasted pictures of another size or number than the inversion's.
        """
        if self.pasted is None:
            return [NOISE] * len(seeds)
        check_pasted(inversion, self.pasted)
        settings = StartSettings(("real",), (self.low, self.high))
        apart = (self.pasted.cpu().float() - inversion.latent).abs().amax((1, 2, 3))
        is_pasted = cycled(apart > _SAME, len(seeds)).tolist()
        levels: list[float] = []
        for seed, known in zip(seeds, is_pasted, strict=True):
            levels.append(settings.level_of(seed, 0) if known else NOISE)
        return levels


def check_pasted(inversion: Inversion, pasted: Tensor) -> None:
    """Refuse LATENT samples of pasted pictures that do not fit the inverted ones.

    Raises:
        SettingError: another size or number.
    """
    if pasted.shape != inversion.latent.shape:
        raise SettingError(
            f"pasted has the shape {list(pasted.shape)}",
            f"{list(inversion.latent.shape)} as the inversion's latent",
            "encode the pasted squares of the same Crop to Mask",
        )


def sample_levels(start: Sequence[float] | None, count: int) -> list[float]:
    """The start level of each sample.

    Args:
        start: of the samples, one each or one for all; None: all from noise. count: of the samples.

    Raises:
        SettingError: another number of them.
    """
    if start is None:
        return [NOISE] * count
    if len(start) not in (1, count):
        raise SettingError(
            f"start has {len(start)} start levels for {count} samples",
            "one for each, or one",
            "connect start of the sampler that painted them",
        )
    return list(start) * (count if len(start) == 1 else 1)
