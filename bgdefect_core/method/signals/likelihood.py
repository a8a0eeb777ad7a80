"""Where a defect explains a picture better than its background does: a likelihood gain for each
pixel, from the network that was trained on the class.

Our addition, not the paper's. In the spirit of Li et al. 2023, "Your Diffusion Model is Secretly a
Zero-Shot Classifier", the picture is noised (Eq. 6) and its noise predicted under two explanations,
the defect inside its regions (``C_1``, Eq. 10) and background alone (``C_2``, Eq. 11, with no
region). Up to weights, the difference of the squared errors is a log-likelihood ratio. It needs no
picture from before the defect.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import SettingError
from ..predictor import Predictor
from ..randomness import seeded_noise
from ..regions import RegionPrompts
from .signal import Evidence, Signal, missing

LEVELS = 9
"""Noise levels, evenly over the schedule; each costs two network evaluations a sample. Timestep 1
is left out: its spread is the largest of all and its gain nil (docs/method.md, choice 18)."""
FIRST_STREAM = 2
"""Streams 0 and 1 of a seed are the noise that a sample was painted from: a test of the sample must
not use it again."""


class LikelihoodSignal(Signal):
    """The likelihood gain of the defect. Its threshold was chosen on the training folds of two real
    classes (``docs/evidence.md``)."""

    name = "likelihood"
    summary = (
        f"where the class explains the picture better than its background does; {2 * LEVELS} more "
        "network evaluations for each sample"
    )
    threshold = 0.1
    evaluations = 2 * LEVELS

    def heat(self, evidence: Evidence) -> Tensor:
        """:func:`likelihood_heat`."""
        if evidence.latents is None:
            raise missing(self, "the network")
        known = evidence.latents
        return likelihood_heat(
            known.predict, known.z_0, known.regions, known.prompts, known.seeds, evidence.size
        )


@torch.no_grad()
def likelihood_heat(
    predict: Predictor,
    z_0: Tensor,
    regions: Tensor,
    prompts: RegionPrompts,
    seeds: Sequence[int],
    size: tuple[int, int],
) -> Tensor:
    """How much better the defect explains each pixel than the background does.

    The mean over ``LEVELS`` noise levels and all channels of ``(eps_theta(z_t, t, C_2) - eps)^2 -
    (eps_theta(z_t, t, C_1) - eps)^2``, resized bilinearly; where the background explains more, 0.

    Args:
        predict: the network, with the class on it.
        z_0: ``[B, C, h, w]`` latents of the pictures that show the defect.
        regions: long ``[B, h, w]``, 0 = background, i = defect i; on ``z_0``'s device.
        prompts: of all defects.
        seeds: B of them. A sample's noise follows from its seed alone, one draw a level (choice
            13).
        size: ``(H, W)`` of the result in pixels.

    Returns:
        float32 ``[B, H, W]``, at least 0, on ``z_0``'s device.

    Raises:
        SettingError: latents, regions and seeds are not equally many; a schedule of no more steps
            than ``LEVELS`` + 1.
    """
    if not len(seeds) == len(regions) == len(z_0):
        came = f"{len(seeds)} seeds for {len(z_0)} latents and {len(regions)} region maps"
        raise SettingError(came, "as many of each", "give one seed and one region map a sample")
    levels = predict.schedule.levels(LEVELS + 1, "leading")
    background = (prompts.background_context(), torch.zeros_like(regions))
    defect = (prompts.defect_context(), regions)
    gain = torch.zeros_like(z_0[:, :1], dtype=torch.float32)
    for level in range(2, levels.steps + 1):
        eps = seeded_noise(seeds, z_0.shape[1:], stream=FIRST_STREAM + level - 2).to(z_0)
        z_t = predict.schedule.noised(z_0, eps, levels.alphas[level])
        t = levels.timesteps[level]
        error_background = (predict(z_t, t, *background) - eps).float().square()
        error_defect = (predict(z_t, t, *defect) - eps).float().square()
        gain += (error_background - error_defect).mean(1, keepdim=True) / LEVELS
    return F.interpolate(gain, size, mode="bilinear", align_corners=False)[:, 0].clamp_min(0)
