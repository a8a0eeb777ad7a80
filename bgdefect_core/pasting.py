"""What a start from real defects adds to a batch of pictures: the pastes, encoded, and samples that
are the paste itself (docs/method.md, choice 15). ``painting`` puts both into the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .codec import Codec
from .copies import exemplar_difference, is_copy
from .jobs import Job
from .method.start import NOISE, Start, StartSettings, core_cells
from .pictures.crop import Crop, take, take_picture
from .pictures.masks import Mask
from .pictures.picture import Picture, Pixels
from .pictures.pixels import as_pictures, to_pixels
from .pictures.tones import change, two_tones
from .placement.paste import core_of, paste, with_core
from .quality.continuity import continuity


@dataclass(frozen=True, eq=False)
class Pasted:
    """One good picture with its real defects laid over it."""

    picture: Picture
    """``[H, W, 3]`` at the good picture's depth."""
    core: Mask
    """bool ``[H, W]``: what stays the paste's own; empty by default."""

    def finished(self, result: Picture) -> Picture:
        """A sample with the core put back."""
        return with_core(result, self.picture, self.core)

    def is_copied_by(self, result: Pixels, good: Pixels, mask: Mask) -> bool:
        """Whether a sample, ``result``, is this paste within the camera's noise, outside its
        core."""
        return is_copy(result, self.picture.eight_bit(), good, mask & ~self.core)

    def difference(self, result: Pixels, good: Pixels, mask: Mask) -> float:
        """How far a sample is from this paste (:func:`.copies.exemplar_difference`)."""
        return exemplar_difference(result, self.picture.eight_bit(), good, mask)

    def continuity(self, result: Pixels, good: Pixels, mask: Mask, label: Mask) -> float:
        """Whether a sample holds together as this paste does (:func:`.continuity.continuity`)."""
        return continuity(result, self.picture.eight_bit(), good, mask, label)


@dataclass(frozen=True, eq=False)
class Pastes:
    """What P jobs need for a start from their real defects. The pasted pictures themselves are made
    anew for each sample: of a chunk of large pictures they would fill the memory."""

    known: Sequence[bool]
    """Whether the real defects of each job are known; else its samples start from noise."""
    latents: Tensor
    """``[P, C, h, w]``; of the good picture where there is no paste."""
    core: Tensor | None = None
    """bool ``[P, h, w]`` at latent size; None: nothing is held."""
    decoded: Tensor | None = None
    """``[P, 3, R, R]`` in -1..1, the crops encoded and decoded; None: their detail is not given
    back."""

    def start(self, which: Sequence[int], levels: Sequence[float]) -> Start | None:
        """Where the samples of these jobs start; None: all from noise."""
        if all(level == NOISE for level in levels):
            return None
        index = list(which)
        core = None if self.core is None else self.core[index]
        return Start(levels, self.latents[index], core)

    def square(self, position: int) -> NDArray[np.float32] | None:
        """The decoded crop of one job: float32 ``[R, R, 3]`` in 0..1; None: not decoded."""
        if self.decoded is None:
            return None
        square: NDArray[np.float32] = as_pictures(self.decoded[position : position + 1])[0]
        return square


def paste_jobs(
    codec: Codec,
    jobs: Sequence[Job],
    crops: Sequence[Crop],
    resolution: int,
    regions: Tensor,
    starting: StartSettings,
) -> Pastes:
    """Lay the real defects of P jobs over their pictures and encode the crops, in one batch.

    Args:
        codec: the VAE. crops: of each job.
        resolution: side of the network's picture. regions: long ``[P, h, w]``.
        starting: how much of the masks is held as the core.
    """
    squares: list[Picture] = []
    cores: list[Mask] = []
    for job, crop in zip(jobs, crops, strict=True):
        pasted = pasted_of(job, starting)
        squares.append(take_picture(pasted.picture, crop, resolution))
        cores.append(take(pasted.core, crop, resolution))
    latents = codec.encode(to_pixels(squares))
    held = None
    if starting.start_core > 0:
        held = core_cells(torch.from_numpy(np.stack(cores)), regions)
    known = [bool(job.exemplars) for job in jobs]
    return Pastes(known, latents, held)


def pasted_of(job: Job, starting: StartSettings) -> Pasted:
    """The paste of one job: the good picture itself where no real defect is known."""
    if not job.exemplars:
        return Pasted(job.picture, np.zeros_like(job.requested))
    core = core_of(job.requested, starting.start_core)
    return Pasted(paste(job.picture, job.exemplars), core)


def joined(parts: Sequence[Pastes | None]) -> Pastes | None:
    """The pastes of several batches as one; None where they have none."""
    present = [part for part in parts if part is not None]
    if len(present) < len(parts) or not present:
        return None
    known: list[bool] = []
    cores: list[Tensor] = []
    decoded: list[Tensor] = []
    for part in present:
        known += part.known
        if part.core is not None:
            cores.append(part.core)
        if part.decoded is not None:
            decoded.append(part.decoded)
    return Pastes(
        known,
        torch.cat([part.latents for part in present]),
        torch.cat(cores) if cores else None,
        torch.cat(decoded) if decoded else None,
    )


def paste_heat(good: Pixels, pasted: Pixels, mask: Mask) -> NDArray[np.float32]:
    """What the label of a paste is made from: on two tones the changed pixels, else the mask that
    was varied with it. float32 ``[H, W]`` in 0..1."""
    if two_tones(good) is None:
        return mask.astype(np.float32)
    return change(good, pasted)
