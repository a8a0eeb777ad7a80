"""Eq. 9 as a GUIDER: the host's own samplers and schedulers paint, through SamplerCustomAdvanced.

In sigma space, ``x = z / sqrt(alpha)``, DDIM is Euler: with `euler`, the inversion's SIGMAS and a
seed a sample this equals the sampler node. A stock sampler never tells the next sigma: the
background is put back at the sigma of each network evaluation instead, between the inversion's
levels by linear interpolation (along which Euler moves anyway).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..bgdefect_core.errors import SettingError
from ..bgdefect_core.method.backgrounds import BACKGROUNDS, Background, BackgroundName
from ..bgdefect_core.method.randomness import seeded_noise
from ..bgdefect_core.method.regions import union
from ._compat import field, schema
from ._convert import cycled
from ._host import HostCallback, RegionGuider, sigma_of
from ._types import InversionWire
from ._wires import Inversion
from .sampling import SEEDS, check_mode, guidance_input, mode_input, seed_input, with_background

_QUIET = ("sample_res_multistep", "sample_res_multistep_cfg_pp")
"""Samplers that take a noise source and do not use it."""


class DefectGuider(RegionGuider):
    """The GUIDER of one inversion."""

    def __init__(self, inversion: Inversion, mode: BackgroundName, guidance: float) -> None:
        """Raises SettingError where the inversion lacks what the mode or the guidance needs."""
        background = BACKGROUNDS.named(mode)
        check_mode(inversion, background, guidance)
        super().__init__(inversion.model, inversion.prompts)
        self.inversion, self.mode, self.guidance = inversion, background, guidance
        self._background: _Background | None = None
        self._regions = inversion.regions

    def sample(
        self,
        noise: Tensor,
        latent_image: Tensor,
        sampler: Any,
        sigmas: Tensor,
        denoise_mask: Tensor | None = None,
        callback: HostCallback | None = None,
        disable_pbar: bool = False,
        seed: int | None = None,
    ) -> Tensor:
        """As `CFGGuider.sample`, with a start of our own: ``(z~_T^m + m eps) / sqrt(alpha_T)``.

        The latent's values and its noise mask are not read, only its size; sample i belongs to
        picture ``i % B``.

        Raises:
            SettingError: another size or number, sigmas that do not go from noise to picture, or a
                sampler that adds noise in a mode that cannot bear it.
        """
        if sigmas.shape[-1] == 0:
            return latent_image
        self._check(latent_image, sampler, sigmas)
        count, first, last = len(latent_image), float(sigmas[0]), float(sigmas[-1])
        latent = cycled(self.inversion.latent, count)
        process_in, process_out = (
            self.model_patcher.model.process_latent_in,
            self.model_patcher.model.process_latent_out,
        )
        self._regions = cycled(self.inversion.regions, count)
        self._background = _Background(self.inversion, self.mode, process_in(latent), seed or 0)
        m = (self._regions > 0)[:, None]
        start = torch.where(
            m, noise.float().cpu() * (1 + first**2) ** 0.5, self._background.at(first)
        )
        try:
            painted = super().sample(
                torch.zeros_like(start),
                process_out(start),
                sampler,
                sigmas,
                None,
                callback,
                disable_pbar,
                seed,
            )  # zero noise: the samplers then start from the latent as it is
        finally:
            self._background = None
        painted = painted / (1 + last**2) ** 0.5
        return with_background(painted, latent, self._regions) if self.mode.exact else painted

    def predict_noise(
        self,
        x: Tensor,
        timestep: Tensor,
        model_options: Mapping[str, Any] | None = None,
        seed: int | None = None,
    ) -> Tensor:
        """The denoised picture (the host's word for it): the defect's inside the mask, the
        background's outside."""
        assert self._background is not None  # sample() runs
        background, options = self._background, model_options or {}
        regions = background.placed(self._regions, x)
        m = (regions > 0)[:, None]
        if self.mode.exact:
            x = torch.where(m, x, background.at(float(timestep.flatten()[0])).to(x))
        guided = plain = self.denoised(x, timestep, self.prompts.defect_context(), regions, options)
        if self.guidance != 1:
            plain = self.denoised(x, timestep, self.prompts.unguided_context(), regions, options)
            guided = plain + self.guidance * (guided - plain)
        if self.mode.exact:
            outside = background.z_0.to(x)
        else:
            outside = self.denoised(
                self.mode.seen(x, m),
                timestep,
                self.prompts.background_context(),
                background.union(regions),
                options,
            )
        return self._after(
            torch.where(m, guided, outside), torch.where(m, plain, outside), x, timestep, options
        )

    def _after(
        self, guided: Tensor, plain: Tensor, x: Tensor, sigma: Tensor, options: Mapping[str, Any]
    ) -> Tensor:
        """The host's ``..._cfg_pp`` samplers learn the unguided prediction through a patch of their
        own (there is no other one left)."""
        for patch in options.get("sampler_post_cfg_function", []):
            told = {
                "denoised": guided,
                "cond_denoised": guided,
                "uncond_denoised": plain,
                "cond_scale": self.guidance,
            }
            guided = patch(
                {
                    **told,
                    "model": self.inner_model,
                    "sigma": sigma,
                    "input": x,
                    "model_options": options,
                }
            )
        return guided

    def _check(self, latent: Tensor, sampler: Any, sigmas: Tensor) -> None:
        pictures = self.inversion.latent
        if latent.shape[1:] != pictures.shape[1:] or len(latent) % len(pictures):
            what = f"latent_image has the shape {list(latent.shape)}"
            expected = f"{list(pictures.shape)} as the inversion's, or a multiple of its pictures"
            raise SettingError(what, expected, "connect the latent that was inverted")
        if not bool(torch.isfinite(sigmas).all()):
            raise SettingError(
                "sigmas hold NaN or infinity", "finite numbers", "choose another scheduler"
            )
        bottom, *_, top = map(sigma_of, self.inversion.levels.alphas)
        first, last = float(sigmas[0]), float(sigmas[-1])
        if (
            first < top / 2 or last > 2 * bottom
        ):  # a part of a run: the noise inside the mask would not fit, or stay
            what = f"sigmas go from {first:.3g} to {last:.3g}"
            raise SettingError(
                what,
                f"about {top:.3g} to {bottom:.2g} or 0",
                "connect whole sigmas: not split, denoise 1",
            )
        if not self.mode.allows_added_noise and adds_noise(sampler):
            others = [name for name, mode in BACKGROUNDS.items() if mode.allows_added_noise]
            raise SettingError(
                f"sampler adds noise and background is {self.mode.name!r}",
                "a deterministic sampler such as euler",
                f"choose one, or the background {' or '.join(others)}",
            )


def adds_noise(sampler: Any) -> bool:
    """Whether a SAMPLER of the host draws noise on its way (ancestral, SDE, LCM): then no two
    branches stay together."""
    function, options = (
        getattr(sampler, "sampler_function", None),
        getattr(sampler, "extra_options", {}),
    )
    if function is None:
        return False
    if options.get("s_churn", 0) > 0:
        return True
    parameters = signature(function).parameters
    if function.__name__ in _QUIET or "noise_sampler" not in parameters:
        return False
    eta = options.get("eta", parameters["eta"].default if "eta" in parameters else 1)
    return bool(eta != 0)


class _Background:
    """The background in sigma space at any sigma, for the S samples of one run."""

    def __init__(self, inversion: Inversion, mode: Background, z_0: Tensor, seed: int) -> None:
        """``z_0``: ``[S, C, h, w]`` on the CPU, as the network sees it."""
        self.z_0 = z_0
        self._eps = None if mode.inverts else _forward_noise(seed, z_0)
        self._sigmas = [0.0, *map(sigma_of, inversion.levels.alphas)]
        self._levels: list[Tensor] = []
        if mode.inverts:
            pairs = zip(inversion.trajectory, inversion.levels.alphas, strict=True)
            self._levels = [z_0, *(cycled(level, len(z_0)) / alpha**0.5 for level, alpha in pairs)]
        self._placed: tuple[Tensor, Tensor] | None = None

    def at(self, sigma: float) -> Tensor:
        """``[S, C, h, w]``: ``z_0 + sigma eps``, or the trajectory between its levels, carried on
        in a straight line above the last."""
        if self._eps is not None:
            return self.z_0 + sigma * self._eps
        upper = min(max(bisect_right(self._sigmas, sigma), 1), len(self._sigmas) - 1)
        below, above = self._sigmas[upper - 1], self._sigmas[upper]
        return torch.lerp(
            self._levels[upper - 1], self._levels[upper], (sigma - below) / (above - below)
        )

    def placed(self, regions: Tensor, like: Tensor) -> Tensor:
        """The region map on ``like``'s device: one object a run, so that attention masks are made
        once."""
        if self._placed is None:
            moved = regions.to(like.device)
            self._placed = (moved, union(moved))
        return self._placed[0]

    def union(self, regions: Tensor) -> Tensor:
        """All defects of the placed ``regions`` as one, again one object a run."""
        assert self._placed is not None and regions is self._placed[0]
        return self._placed[1]


def _forward_noise(seed: int, z_0: Tensor) -> Tensor:
    """The fixed noise of the ``noised`` background, as in the sampler node: one stream a sample's
    own seed."""
    return seeded_noise(
        [(seed + number) % SEEDS for number in range(len(z_0))], z_0.shape[1:], stream=1
    )


class SampleNoise:
    """The host's NOISE with a seed a sample, as in the sampler node: sample i has ``seed + i``."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def generate_noise(self, latent: Mapping[str, Any]) -> Tensor:
        """For LATENT samples ``[S, C, h, w]``: float32 of the same shape."""
        samples: Tensor = latent["samples"]
        return seeded_noise(
            [(self.seed + number) % SEEDS for number in range(len(samples))], samples.shape[1:]
        )


class NoiseNode(io.ComfyNode):
    """Defect Noise: the start of sampling, one seed a sample."""

    @classmethod
    def define_schema(cls) -> Any:
        return schema(
            node_id="BGDefectNoise",
            display_name="Defect Noise",
            category="BGDefect/sampling",
            description="The noise that Background/Defect Sampler starts from, for "
            "SamplerCustomAdvanced: each sample of a batch has a seed"
            " of its own. RandomNoise draws a whole batch from one seed.",
            search_aliases=["bgdefect", "random noise"],
            inputs=[seed_input()],
            outputs=[io.Noise.Output(display_name="noise", tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, seed: int) -> Any:
        return io.NodeOutput(SampleNoise(seed))


class GuiderNode(io.ComfyNode):
    """Background/Defect Guider (Eq. 9) for the host's own samplers."""

    @classmethod
    def define_schema(cls) -> Any:
        return schema(
            node_id="BGDefectGuider",
            display_name="Background/Defect Guider",
            category="BGDefect/sampling",
            description="The method as a guider for SamplerCustomAdvanced, with any sampler and "
            "scheduler of the host. With euler, the"
            " inversion's sigmas and Defect Noise it does what Background/Defect Sampler does. "
            "Samplers that add noise want the background"
            " replay or noised. It gives no attention maps: refine the mask by the difference "
            "signal.",
            search_aliases=["bgdefect", "defect guider"],
            inputs=[
                field(InversionWire, "inversion", tooltip="From Masked DDIM Inversion."),
                mode_input(),
                guidance_input(),
            ],
            outputs=[
                io.Guider.Output(
                    display_name="guider",
                    tooltip="For SamplerCustomAdvanced, with the latent that was inverted and "
                    "sigmas from noise down to the picture.",
                )
            ],
        )

    @classmethod
    def execute(cls, inversion: Inversion, background: BackgroundName, guidance: float) -> Any:
        return io.NodeOutput(DefectGuider(inversion, background, guidance))


NODES = [NoiseNode, GuiderNode]
