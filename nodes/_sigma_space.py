"""The method in the host's sigma space, without the host: levels, noise, background, checks.

The host works with ``x = z / sqrt(alpha)`` and ``sigma = sqrt((1 - alpha) / alpha)``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from ..bgdefect_core.errors import SettingError
from ..bgdefect_core.method.backgrounds import BACKGROUNDS, Background
from ..bgdefect_core.method.randomness import attempt_seed, seeded_noise
from ..bgdefect_core.method.regions import union
from ..bgdefect_core.method.schedule import Levels
from ._convert import cycled
from ._wires import Inversion

SEEDS = 2**64
"""The host's seeds are below this."""
_QUIET = ("sample_res_multistep", "sample_res_multistep_cfg_pp")
"""Samplers that take a noise source and do not use it."""


def sigma_of(alpha: float) -> float:
    """``sqrt((1 - alpha) / alpha)``."""
    return float((1 / alpha - 1) ** 0.5)


def sigmas_of(levels: Levels) -> Tensor:
    """SIGMAS of a run, from noise to picture: float32 ``[steps + 1]``; the last is that of level 0,
    not 0. A level that repeats the one below it is left out: samplers divide by their distance."""
    alphas = sorted(set(levels.alphas))
    return torch.tensor([sigma_of(alpha) for alpha in alphas])


def seeds_of(seed: int, count: int) -> list[int]:
    """One seed a sample, as the command line's first attempts have: a run with the next ``seed``
    shares none of them."""
    return [attempt_seed(seed, number, 0) for number in range(count)]


def check_mode(inversion: Inversion, background: Background, guidance: float) -> None:
    """Raise SettingError where the inversion lacks what the background or the guidance needs."""
    if background.inverts and not inversion.trajectory:
        free = [name for name, mode in BACKGROUNDS.items() if not mode.inverts]
        raise SettingError(
            f"background is {background.name!r} and the inversion was skipped",
            repr(" or ".join(free)),
            "turn skip off in Masked DDIM Inversion",
        )
    if guidance != 1 and inversion.prompts.empty is None:
        raise SettingError(
            f"guidance is {guidance:g} without an empty prompt",
            "1, or an empty prompt",
            "connect the empty text's encoding",
        )


def check_run(
    inversion: Inversion,
    background: Background,
    latent: Tensor,
    sampler: Any,
    sigmas: Tensor,
    from_paste: bool = False,
) -> None:
    """Refuse what a guider of this inversion cannot sample.

    Args:
        latent: the LATENT samples ``[S, C, h, w]`` that the host's sampler node was given.
        sampler: its SAMPLER.
        sigmas: its SIGMAS, not empty.
        from_paste: whether the run starts from a pasted defect, at any of the levels.

    Raises:
        SettingError: another size or number of latents, sigmas that do not go from noise (or from
            where the paste is noised to) to picture, or a sampler that adds noise with a background
            that does not allow it.
    """
    pictures = inversion.latent
    if latent.shape[1:] != pictures.shape[1:] or len(latent) % len(pictures):
        what = f"latent_image has the shape {list(latent.shape)}"
        expected = f"{list(pictures.shape)} as the inversion's, or a multiple of its pictures"
        raise SettingError(what, expected, "connect the latent that was inverted")
    if not bool(torch.isfinite(sigmas).all()):
        raise SettingError(
            "sigmas hold NaN or infinity", "finite numbers", "choose another scheduler"
        )
    bottom, top = sigma_of(inversion.levels.alphas[0]), sigma_of(inversion.levels.alphas[-1])
    first, last = float(sigmas[0]), float(sigmas[-1])
    # A part of a run is refused: the noise inside the mask would not fit, or remain.
    if last > 2 * bottom or (first < top / 2 and not from_paste):
        do = "connect whole sigmas: not split, denoise 1"
        if last <= 2 * bottom:
            do += "; ddim_uniform reaches the noise with more steps"
            do += "; or connect pasted to the guider, to start below the noise"
        raise SettingError(
            f"sigmas go from {first:.3g} to {last:.3g}",
            f"about {top:.3g} to {bottom:.2g} or 0",
            do,
        )
    if not background.allows_added_noise and adds_noise(sampler):
        modes = [name for name, mode in BACKGROUNDS.items() if mode.allows_added_noise]
        raise SettingError(
            f"sampler adds noise and background is {background.name!r}",
            "a deterministic sampler such as euler",
            f"choose one, or the background {' or '.join(modes)}",
        )


def adds_noise(sampler: Any) -> bool:
    """Whether a SAMPLER of the host draws noise on its way (ancestral, SDE, LCM)."""
    function = getattr(sampler, "sampler_function", None)
    options = getattr(sampler, "extra_options", {})
    if function is None:
        return False
    if options.get("s_churn", 0) > 0:
        return True
    parameters = signature(function).parameters
    if function.__name__ in _QUIET or "noise_sampler" not in parameters:
        return False
    eta = options.get("eta", parameters["eta"].default if "eta" in parameters else 1)
    return bool(eta != 0)


def with_background(painted: Tensor, latent: Tensor, regions: Tensor) -> Tensor:
    """``painted`` inside the mask, the good picture's own LATENT samples outside, bit for bit."""
    m = (regions > 0)[:, None].to(painted.device)
    return torch.where(m, painted, latent.to(painted))


class SigmaBackground:
    """The background at any sigma, for the S samples of one run."""

    def __init__(self, inversion: Inversion, mode: Background, z_0: Tensor, seed: int) -> None:
        """``z_0``: ``[S, C, h, w]`` on the CPU, as the network sees it."""
        self.z_0 = z_0
        self._eps: Tensor | None = None
        self._sigmas = [0.0]
        self._levels = [z_0]
        if mode.inverts:
            for level, alpha in zip(inversion.trajectory, inversion.levels.alphas, strict=True):
                self._sigmas.append(sigma_of(alpha))
                self._levels.append(cycled(level, len(z_0)) / alpha**0.5)
        else:  # the forward process with the fixed noise of the sampler node
            self._eps = seeded_noise(seeds_of(seed, len(z_0)), z_0.shape[1:], stream=1)
        self._placed: tuple[Tensor, Tensor] | None = None

    def at(self, sigma: float) -> Tensor:
        """``[S, C, h, w]``: ``z_0 + sigma eps``, or the trajectory between its levels, continued
        in a straight line above the last."""
        if self._eps is not None:
            return self.z_0 + sigma * self._eps
        upper = min(max(bisect_right(self._sigmas, sigma), 1), len(self._sigmas) - 1)
        below, above = self._sigmas[upper - 1], self._sigmas[upper]
        share = (sigma - below) / (above - below)
        return torch.lerp(self._levels[upper - 1], self._levels[upper], share)

    def placed(self, regions: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """The region map and the union of its defects on ``like``'s device: the same objects for
        the whole run, so that attention masks are computed once."""
        if self._placed is None:
            moved = regions.to(like.device)
            self._placed = (moved, union(moved))
        return self._placed


class SampleNoise:
    """The host's NOISE with a seed a sample, as in the sampler node."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def generate_noise(self, latent: Mapping[str, Any]) -> Tensor:
        """For LATENT samples ``[S, C, h, w]``: float32 of the same shape."""
        samples: Tensor = latent["samples"]
        return seeded_noise(seeds_of(self.seed, len(samples)), samples.shape[1:])
