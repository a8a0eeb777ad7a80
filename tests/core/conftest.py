"""Tiny random diffusers U-Nets in Stable Diffusion's form, and prompts for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from bgdefect_core.method.attention_maps import MapRecorder
from bgdefect_core.method.regions import Context, RegionPrompts
from bgdefect_core.method.schedule import NoiseSchedule, PredictionType, schedule_from_config

SD_SCHEDULE = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "num_train_timesteps": 1000,
}
WIDTH = 32
"""Width of a text embedding."""


def sd_schedule(prediction_type: PredictionType = "epsilon") -> NoiseSchedule:
    """Stable Diffusion's schedule."""
    return schedule_from_config({**SD_SCHEDULE, "prediction_type": prediction_type})


def tiny_unet(seed: int = 0, levels: int = 2) -> UNet2DConditionModel:
    """SD's block types at widths 32/64(/64): cross-attention at the latent size and one halving
    below; 2 heads."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=16,
        down_block_types=("CrossAttnDownBlock2D",) * (levels - 1) + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (levels - 1),
        block_out_channels=(32, 64, 64)[:levels],
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
    )
    return unet.eval().requires_grad_(False)


def tiny_sdxl_unet(
    seed: int = 0, width: int = WIDTH, size_width: int = 8, pooled: int = 32
) -> UNet2DConditionModel:
    """SDXL's form: text_time conditions, linear projections, several transformer layers a block,
    more heads below.

    Args:
        width: of a text embedding. size_width: of the embedding of each of the six picture sizes.
            pooled: of the pooled text.
    """
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(32, 64),
        layers_per_block=1,
        transformer_layers_per_block=(1, 2),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        cross_attention_dim=width,
        addition_embed_type="text_time",
        addition_time_embed_dim=size_width,
        projection_class_embeddings_input_dim=6 * size_width + pooled,
    )
    return unet.eval().requires_grad_(False)


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    """Normal noise from a seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def make_prompts(
    defects: int = 1, length: int = 6, seed: int = 100, xl: bool = False
) -> RegionPrompts:
    """Random prompts of ``length`` tokens, the words of each defect at positions 1 and 2."""
    sizes = torch.tensor([[64.0, 64, 0, 0, 64, 64]])
    added = {"text_embeds": random_tensor(1, 32, seed=7), "time_ids": sizes} if xl else {}
    return RegionPrompts(
        background=random_tensor(1, length, WIDTH, seed=seed),
        defects=[random_tensor(1, length, WIDTH, seed=seed + 1 + i) for i in range(defects)],
        placeholder=random_tensor(1, length, WIDTH, seed=seed + 50),
        defect_words=[[1, 2]] * defects,
        empty=random_tensor(1, length, WIDTH, seed=seed + 60),
        added=added,
    )


def boxes(batch: int, height: int, width: int, *spots: tuple[int, int, int, int]) -> Tensor:
    """Region map ``[batch, height, width]``: defect i in the i-th box (top, bottom, left,
    right)."""
    regions = torch.zeros(batch, height, width, dtype=torch.long)
    for number, (top, bottom, left, right) in enumerate(spots, start=1):
        regions[:, top:bottom, left:right] = number
    return regions


class StandIn:
    """A predictor worked out by a plain function of (z_t, t, context, regions); counts the samples
    it evaluates."""

    def __init__(
        self,
        function: Callable[[Tensor, int, Context, Tensor], Tensor],
        schedule: NoiseSchedule | None = None,
    ) -> None:
        self.function, self.schedule = function, schedule or sd_schedule()
        self.evaluated = 0
        self.timesteps: list[int] = []

    def __call__(
        self,
        z_t: Tensor,
        timestep: int | Tensor,
        context: Context,
        regions: Tensor,
        recorder: MapRecorder | None = None,
    ) -> Tensor:
        """See ``Predictor``."""
        self.evaluated += len(z_t)
        if isinstance(timestep, int):
            self.timesteps.append(timestep)
        return self.function(
            z_t, int(timestep) if isinstance(timestep, int) else -1, context, regions
        )


def as_bits(latents: Sequence[Tensor]) -> list[bytes]:
    """The latents' bytes, to compare bit for bit (-0 and 0 differ)."""
    return [latent.contiguous().numpy().tobytes() for latent in latents]


@pytest.fixture(scope="session")
def unet() -> UNet2DConditionModel:
    """One frozen tiny U-Net; whoever changes its weights builds another."""
    return tiny_unet()


@pytest.fixture
def prompts() -> RegionPrompts:
    """One background and one defect."""
    return make_prompts()
