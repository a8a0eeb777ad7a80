"""The host's MODEL as the core's predictor, inside the host's own sampling frame.

`CFGGuider.sample` loads the model (LoRAs, low VRAM, quantised weights, hooks), moves latents, and
cleans up; `FrameSampler` is a SAMPLER that runs a function of the core in that frame. Inside it a
network evaluation is `calc_cond_batch`.

The host works in sigma space: ``x = z / sqrt(alpha)``, ``sigma = sqrt((1 - alpha) / alpha)``, and a
    network gives the denoised ``x_0``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import comfy.model_base
import comfy.model_management
import comfy.model_sampling
import comfy.samplers
import latent_preview
import torch
from torch import Tensor

from ..bgdefect_core.errors import SettingError, WeightsError
from ..bgdefect_core.method.attention_maps import MapRecorder
from ..bgdefect_core.method.inversion import StepCallback
from ..bgdefect_core.method.regions import Context, RegionPrompts
from ..bgdefect_core.method.schedule import Levels, NoiseSchedule, PredictionType
from ._attention import with_region_attention
from ._sigma_space import sigmas_of

log = logging.getLogger(__name__)

_GUIDANCE = (
    "sampler_cfg_function",
    "sampler_pre_cfg_function",
    "sampler_post_cfg_function",
    "sampler_calc_cond_batch_function",
)
"""Under these names other nodes put their own guidance on a MODEL (PAG, SAG, RescaleCFG): it knows
one prompt for all pixels."""
HostCallback = Callable[[int, Tensor, Tensor, int], None]
"""The host's (step, x_0, x, steps in all): progress bar, preview, Cancel."""


def schedule_of(model: Any) -> NoiseSchedule:
    """The noise schedule of a MODEL, with what a ModelSampling node has changed. The predictor
    below always gives eps.

    Raises:
        WeightsError: the MODEL's noise levels are no discrete schedule.
    """
    sampling = model.get_model_object("model_sampling")
    if not isinstance(sampling, comfy.model_sampling.ModelSamplingDiscrete):
        raise WeightsError(
            "model has no discrete noise schedule",
            "Stable Diffusion 1.x, 2.x or XL",
            "connect such a checkpoint to model",
        )
    return NoiseSchedule(1 / (sampling.sigmas.cpu().double() ** 2 + 1))


def prediction_type_of(model: Any) -> PredictionType:
    """What the MODEL's network predicts."""
    sampling = model.get_model_object("model_sampling")
    return "v_prediction" if isinstance(sampling, comfy.model_sampling.V_PREDICTION) else "epsilon"


class RegionGuider(comfy.samplers.CFGGuider):
    """A GUIDER that evaluates a MODEL under region prompts."""

    def __init__(self, model: Any, prompts: RegionPrompts) -> None:
        """``prompts.added`` may hold ``pooled_output`` ``[1, D]``, which SDXL wants.

        Raises:
            WeightsError: not a Stable Diffusion U-Net. SettingError: prompts of another text
                encoder, or another node's cross-attention.
        """
        _check_prompts(model, prompts)
        patched, self._call = with_region_attention(model)
        dropped = [name for name in _GUIDANCE if patched.model_options.pop(name, None)]
        if dropped:
            log.warning(
                "model: the guidance of another node (%s) is not used, the method has its own",
                ", ".join(dropped),
            )
        super().__init__(patched)
        self.prompts = prompts
        contexts = [prompts.defect_context(), prompts.background_context()]
        if prompts.empty is not None:
            contexts.append(prompts.unguided_context())
        self._names = {context: f"bgdefect_{number}" for number, context in enumerate(contexts)}
        self.inner_set_conds(
            {name: [[context.tokens, dict(context.added)]] for context, name in self._names.items()}
        )

    def sample(self, *args: Any, **options: Any) -> Tensor:
        """As `CFGGuider.sample`; afterwards nothing of the run is held on the host's device."""
        try:
            result: Tensor = super().sample(*args, **options)
            return result
        finally:
            self._call.clear()

    def denoised(
        self,
        x: Tensor,
        sigma: Tensor,
        context: Context,
        regions: Tensor,
        options: Mapping[str, Any],
        recorder: MapRecorder | None = None,
    ) -> Tensor:
        """The network's ``x_0`` ``[B, C, h, w]`` for ``x`` at ``sigma`` ``[B]``; only while
        `sample` runs."""
        self._call.set(context, regions, recorder)
        cond = self.conds[self._names[context]]
        result: Tensor = comfy.samplers.calc_cond_batch(
            self.inner_model, [cond], x, sigma, options
        )[0]
        return result

    def run(
        self,
        latent: Tensor,
        function: Callable[[HostPredictor, Tensor], Tensor],
        levels: Levels,
        seed: int = 0,
    ) -> Tensor:
        """Call ``function(predict, z_0)`` in the host's sampling frame, on its device.

        Args:
            latent: LATENT samples ``[B, C, h, w]``; ``z_0`` is what the network sees of them
                (scaled).
            levels: of the run, for other patches on the MODEL that ask which sigmas come.
            seed: for what the host derives from it; the method has its own.

        Returns:
            What ``function`` returned, as LATENT samples on the device where the host keeps them.
        """
        sampler = _FrameSampler(function, schedule_of(self.model_patcher))
        result: Tensor = self.sample(
            torch.zeros_like(latent), latent, sampler, sigmas_of(levels), seed=seed
        )
        return result.to(comfy.model_management.intermediate_device())


class HostPredictor:
    """The host's MODEL in the form that the core asks for
    (:class:`bgdefect_core.method.predictor.Predictor`)."""

    def __init__(
        self, guider: RegionGuider, schedule: NoiseSchedule, options: Mapping[str, Any]
    ) -> None:
        self.guider, self.schedule, self.options = guider, schedule, options
        self.x_0: Tensor | None = None
        """The last evaluation's picture, for previews."""

    def __call__(
        self,
        z_t: Tensor,
        timestep: int | Tensor,
        context: Context,
        regions: Tensor,
        recorder: MapRecorder | None = None,
    ) -> Tensor:
        """The noise in ``z_t``, at one timestep for all or one a sample."""
        places = torch.as_tensor(timestep).flatten().cpu()
        alpha = self.schedule.alphas_cumprod[places].expand(len(z_t))
        sigma = (1 / alpha - 1).sqrt().to(z_t)
        of_each = (-1, *[1] * (z_t.ndim - 1))
        x = z_t / alpha.sqrt().to(z_t).view(of_each)
        self.x_0 = self.guider.denoised(x, sigma, context, regions, self.options, recorder)
        return (x - self.x_0) / sigma.view(of_each)


class _FrameSampler(comfy.samplers.Sampler):
    """A SAMPLER that is one function of a predictor and ``z_0``."""

    def __init__(
        self, function: Callable[[HostPredictor, Tensor], Tensor], schedule: NoiseSchedule
    ) -> None:
        self.function, self.schedule = function, schedule

    def sample(
        self,
        model_wrap: RegionGuider,
        sigmas: Tensor,
        extra_args: Mapping[str, Any],
        callback: HostCallback | None,
        noise: Tensor,
        latent_image: Tensor | None = None,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Tensor:
        if latent_image is None:
            raise RuntimeError(
                "the sampler was called without latents; RegionGuider.run gives them"
            )
        return self.function(
            HostPredictor(model_wrap, self.schedule, extra_args["model_options"]), latent_image
        )


class HostProgress:
    """The host's progress bar and previews over one node's run; the host checks Cancel in it."""

    def __init__(self, model: Any, total: int) -> None:
        self.total, self.done = total, 0
        self._callback: HostCallback = latent_preview.prepare_callback(model, total)

    def steps(self, predict: HostPredictor) -> StepCallback:
        """A callback for the core's functions, which shows ``predict``'s last picture."""

        def step(_done: int, _total: int, z: Tensor) -> None:
            self._callback(self.done, z if predict.x_0 is None else predict.x_0, z, self.total)
            self.done += 1

        return step


def _check_prompts(model: Any, prompts: RegionPrompts) -> None:
    """Refuse prompts of another text encoder: their width is not what the U-Net reads, or they lack
    what SDXL reads besides."""
    width = model.model.model_config.unet_config.get("context_dim")
    named = [("background", prompts.background), ("mask", prompts.placeholder)]
    for defect in prompts.defects:
        named.append(("defect", defect))
    if prompts.empty is not None:
        named.append(("empty", prompts.empty))
    for name, tokens in named:
        if width is not None and tokens.shape[-1] != width:
            what = f"the {name} prompt has {tokens.shape[-1]} numbers a token"
            raise SettingError(
                what,
                f"{width}, as model reads",
                "connect the CLIP of the same checkpoint to the prompts",
            )
    if (
        isinstance(model.model, comfy.model_base.SDXL | comfy.model_base.SDXLRefiner)
        and "pooled_output" not in prompts.added
    ):
        do = "encode background with the CLIP of the same checkpoint"
        raise SettingError("background holds no pooled_output", "one, as SDXL reads", do)
