"""Where sampling starts: noise, or a real defect that was pasted into the picture and noised to a
level of its own (docs/method.md, choice 15; the idea of Meng et al. 2022, "SDEdit").

A start level is a share of the way from picture (0) to noise (1). At 0 nothing is sampled: the
result is the paste. At 1 nothing of the paste is left: the result is that of a start from noise,
bit for bit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..declarations import Doc, NotEmpty, Range, check_settings
from ..errors import SettingError, check_range
from .schedule import Levels, NoiseSchedule

StartName = Literal["auto", "noise", "real", "mixed"]
NOISE = 1.0
"""The start level of pure noise."""
_NEAR = 4
"""A level of the schedule within a quarter of its step below the start is left out: a second-order
solver would divide by that distance."""


@dataclass(frozen=True)
class StartSettings:
    """Where samples start.

    Raises:
        SettingError: a value out of its range, an unknown name, none at all, or the highest start
            level below the lowest.
    """

    start: Annotated[
        tuple[StartName, ...],
        NotEmpty(),
        Doc(
            "Where the first attempt at a sample starts, the second, and so on; the last value "
            "counts for all further attempts. noise: the paper's start. real: the pixels of the "
            "real defect that the mask was made from, pasted in and noised to the start level; "
            "from noise where its picture is not known; refused where none is. auto: real where a "
            "picture is known, else noise. mixed: real or noise, by the start share."
        ),
    ] = ("auto",)
    start_level: Annotated[
        tuple[float, float],
        Range(0, 1),
        Doc(
            "Lowest and highest start level; each attempt draws its own between them. 0: the paste "
            "itself, without the network. 1: noise. Low levels stay close to the real defect."
        ),
    ] = (0.3, 0.7)
    start_nearer: Annotated[
        float,
        Range(0, 1),
        Doc(
            "Factor of the start levels from one attempt at a sample to the next: a rejected "
            "sample is tried again nearer to the real defect. A copy of the real defect is tried "
            "again farther from it, by the same factor of what is left to the highest start "
            "level. 1: at the same levels. 0: as its paste, or at the highest level."
        ),
    ] = 0.7
    start_share: Annotated[
        float, Range(0, 1), Doc("Share of the attempts that start from a real defect if mixed.")
    ] = 0.5
    start_core: Annotated[
        float,
        Range(0, 1),
        Doc(
            "Share of the mask, its innermost part, that stays the pasted defect's own while the "
            "rest is painted around it. 0: all of the mask is painted."
        ),
    ] = 0.0

    def __post_init__(self) -> None:
        check_settings(self)
        check_range("the highest start level", self.start_level[1], self.start_level[0], 1)

    @property
    def uses_real(self) -> bool:
        """Whether any attempt can start from a real defect."""
        return self.demands_real or "auto" in self.start

    @property
    def demands_real(self) -> bool:
        """Whether real defects must be known."""
        share = self.start_share
        return any(name == "real" or (name == "mixed" and share > 0) for name in self.start)

    def settled(self, known: bool) -> tuple[StartName, ...]:
        """``start`` with what auto comes to.

        Args:
            known: whether the picture of any real defect is.
        """
        automatic: StartName = "real" if known else "noise"
        return tuple(automatic if name == "auto" else name for name in self.start)

    @property
    def only_pastes(self) -> bool:
        """Whether all attempts are pastes, which need no network, where the real defects are
        known."""
        always = all(
            name in ("auto", "real") or (name == "mixed" and self.start_share == 1)
            for name in self.start
        )
        return always and self.start_level[1] == 0

    @property
    def mean_level(self) -> float:
        """Mean start level of first attempts where the real defects are known: about the share of
        the steps that they take."""
        real = sum(self.start_level) / 2
        share = {"auto": 1.0, "noise": 0.0, "real": 1.0, "mixed": self.start_share}[self.start[0]]
        return share * real + (1 - share) * NOISE

    def level_of(self, seed: int, attempt: int, copies: int = 0) -> float:
        """The start level of one attempt, :data:`NOISE` where it starts from noise: a function of
        its arguments alone.

        Args:
            seed: of the attempt. attempt: its number, counted from 0. copies: how many of the
                attempts before were copies of the real defect.
        """
        name = self.start[min(attempt, len(self.start) - 1)]
        kind, place = np.random.default_rng((seed, _STREAM)).random(2).tolist()
        if name == "noise" or (name == "mixed" and kind >= self.start_share):
            return NOISE
        low, high = self.start_level
        level = float(low + (high - low) * place)
        nearer = (attempt - copies) - copies
        if nearer < 0:
            return high - (high - level) * self.start_nearer**-nearer
        return level * self.start_nearer**nearer


_STREAM = 15
"""Keeps the draw of a start level apart from all others that follow from the same seed."""


@dataclass(frozen=True, eq=False)
class Start:
    """Where each of B samples starts."""

    levels: Sequence[float]
    """B start levels, 0..1."""
    pasted: Tensor
    """``[B, C, h, w]``: the encoded pictures with their real defects pasted in. Not read where the
    level is 1."""
    core: Tensor | None = None
    """bool ``[B, h, w]``: cells that stay those of ``pasted`` at every level; None: none."""

    def check(self, samples: int) -> None:
        """Refuse another number of levels or pictures, and levels out of their range.

        Raises:
            SettingError: naming them.
        """
        if not len(self.levels) == len(self.pasted) == samples:
            raise SettingError(
                f"{len(self.levels)} start levels and {len(self.pasted)} pasted pictures for "
                f"{samples} samples",
                "as many of each",
                "give one a sample",
            )
        for level in self.levels:
            check_range("the start level", level, 0, 1)


def start_record(level: float, exemplar: str | None, file: str | None = None) -> dict[str, Any]:
    """Where a sample started, as plain JSON for the manifest.

    Args:
        level: its start level, 0..1. exemplar: name of the real defect that it started from; not
            read at level 1. file: that defect's file; None: not known.

    Returns:
        ``kind`` (noise, real, paste); unless noise, ``level`` and ``exemplar`` too, and ``file``
        where it is known.
    """
    if level == NOISE:
        return {"kind": "noise"}
    record = {"kind": "real" if level else "paste", "level": level, "exemplar": exemplar}
    return record if file is None else {**record, "file": file}


def levels_from(schedule: NoiseSchedule, levels: Levels, start_level: float) -> Levels:
    """The levels of a run that begins at ``start_level``: the start itself, then the schedule's
    lower ones.

    The start has the timestep ``round(start_level (t + 1)) - 1``, where t is the run's highest. A
    level of the schedule within a quarter of its own step below the start is left out.

    Args:
        schedule: of the network.
        levels: of a whole run.
        start_level: 0 (no step at all: level 0 alone) to 1 (``levels`` themselves).

    Raises:
        SettingError: a start level out of its range.
    """
    check_range("the start level", start_level, 0, 1)
    if start_level >= NOISE:
        return levels
    timesteps, alphas = levels.timesteps, levels.alphas
    timestep = round(start_level * (timesteps[-1] + 1)) - 1
    if timestep <= timesteps[0]:
        return Levels(timesteps[:1], alphas[:1])
    place = bisect_left(timesteps, timestep, lo=1)
    if place > 1:
        step = timesteps[place - 1] - timesteps[place - 2]
        if _NEAR * (timestep - timesteps[place - 1]) < step:
            place -= 1
    alpha = float(schedule.alphas_cumprod[timestep])
    return Levels((*timesteps[:place], timestep), (*alphas[:place], alpha))


def evaluations(schedule: NoiseSchedule, levels: Levels, start_level: float) -> int:
    """Steps that a sample takes from its start level down."""
    return levels_from(schedule, levels, start_level).steps


def core_cells(core: Tensor, regions: Tensor) -> Tensor:
    """The cells of a core: those that lie in it by more than half.

    Args:
        core: bool ``[B, H, W]`` in pixels. regions: long ``[B, h, w]``; a cell outside every defect
            is never held.

    Returns:
        bool ``[B, h, w]`` on the device of ``regions``.
    """
    size = (regions.shape[-2], regions.shape[-1])
    share = torch.nn.functional.interpolate(core[:, None].float(), size, mode="area")[:, 0]
    return (share.to(regions.device) > 0.5) & (regions > 0)
