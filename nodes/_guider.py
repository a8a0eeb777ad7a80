"""Eq. 9 as a GUIDER: the host's own samplers and schedulers paint, through SamplerCustomAdvanced.

In sigma space, ``x = z / sqrt(alpha)``, DDIM is Euler: with `euler`, the inversion's SIGMAS and a
seed a sample this equals the sampler node. A stock sampler never tells the next sigma: the
background is put back at the sigma of each network evaluation instead, between the inversion's
levels by linear interpolation (along which Euler moves anyway).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..bgdefect_core.method.backgrounds import BACKGROUNDS, BackgroundName
from ..bgdefect_core.method.start import levels_from
from ._convert import cycled
from ._host import HostCallback, RegionGuider, schedule_of
from ._sigma_space import (
    SigmaBackground,
    check_mode,
    check_run,
    sigma_of,
    sigmas_of,
    with_background,
)
from ._starting import check_pasted
from ._wires import Inversion


class DefectGuider(RegionGuider):
    """The GUIDER of one inversion."""

    def __init__(
        self,
        inversion: Inversion,
        mode: BackgroundName,
        guidance: float,
        pasted: Tensor | None = None,
    ) -> None:
        """
        Args:
            pasted: LATENT samples of the inversion's pictures with a real defect pasted in; a run
                then starts from them at its first sigma, from noise where that is the highest.
                None: every run starts from noise.

        Raises:
            SettingError: the inversion lacks what the mode or the guidance needs, or ``pasted`` has
                another size.
        """
        background = BACKGROUNDS.named(mode)
        check_mode(inversion, background, guidance)
        if pasted is not None:
            check_pasted(inversion, pasted)
        super().__init__(inversion.model, inversion.prompts)
        self.inversion, self.mode, self.guidance = inversion, background, guidance
        self.pasted = pasted
        self._background: SigmaBackground | None = None
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
        """As `CFGGuider.sample`, with a start of our own: ``(z~_T^m + m eps) / sqrt(alpha_T)``, or
        from the paste, ``(z~_s^m + m z_s) / sqrt(alpha_s)`` with ``z_s`` of Eq. 6.

        The latent's values and its noise mask are not read, only its size; sample i belongs to
        picture ``i % B``.

        Raises:
            SettingError: another size or number, sigmas that do not go from noise to picture, or a
                sampler that adds noise in a mode that cannot bear it.
        """
        if sigmas.shape[-1] == 0:
            return latent_image
        with_paste = self.pasted is not None
        check_run(self.inversion, self.mode, latent_image, sampler, sigmas, with_paste)
        count, first, last = len(latent_image), float(sigmas[0]), float(sigmas[-1])
        latent = cycled(self.inversion.latent, count)
        process_in, process_out = (
            self.model_patcher.model.process_latent_in,
            self.model_patcher.model.process_latent_out,
        )
        self._regions = cycled(self.inversion.regions, count)
        self._background = SigmaBackground(self.inversion, self.mode, process_in(latent), seed or 0)
        m = (self._regions > 0)[:, None]
        inside = self._inside(noise.float().cpu(), first)
        if len(sigmas) == 1 and self.pasted is not None:  # no step at all: the paste itself
            return with_background(cycled(self.pasted, count), latent, self._regions)
        start = torch.where(m, inside, self._background.at(first))
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

    def sigmas(self, start_level: float) -> Tensor:
        """SIGMAS of the inversion from a start level down; the whole ones without a paste."""
        levels = self.inversion.levels
        if self.pasted is None:
            return sigmas_of(levels)
        return sigmas_of(levels_from(schedule_of(self.inversion.model), levels, start_level))

    def _inside(self, noise: Tensor, sigma: float) -> Tensor:
        """What the mask holds at the first sigma: noise of that strength, or the noised paste."""
        top = sigma_of(self.inversion.levels.alphas[-1])
        if self.pasted is None or sigma >= top * (1 - 1e-4):  # float32
            return noise * (1 + sigma**2) ** 0.5
        pasted = cycled(self.pasted.float().cpu(), len(noise))
        z_0: Tensor = self.model_patcher.model.process_latent_in(pasted)
        return z_0 + sigma * noise

    def predict_noise(
        self,
        x: Tensor,
        timestep: Tensor,
        model_options: Mapping[str, Any] | None = None,
        seed: int | None = None,
    ) -> Tensor:
        """The denoised picture (the host's word for it): the defect's inside the mask, the
        background's outside."""
        background, options = self._background, model_options or {}
        if background is None:
            raise RuntimeError("predict_noise was called outside of sample")
        regions, defect = background.placed(self._regions, x)
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
                defect,
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
