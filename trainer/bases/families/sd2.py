"""Stable Diffusion 2.x: text of width 1024 from OpenCLIP ViT-H."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from bgdefect_core.method.schedule import PredictionType

from .family import Family, TextPart

_LAST_NORM = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"
_V_SPREAD = 0.09
"""Standard deviation of that bias above which the U-Net predicts v; ComfyUI has the same rule."""


class StableDiffusion2(Family):
    """Published files do not say whether they predict noise (512 px) or v (768 px)."""

    def prediction_type(self, tensors: Mapping[str, Tensor]) -> PredictionType:
        """Read from the spread of one bias."""
        if _LAST_NORM not in tensors:
            return "epsilon"
        spread = float(tensors[_LAST_NORM].float().std(correction=0))
        return "v_prediction" if spread > _V_SPREAD else "epsilon"


SD2 = StableDiffusion2(
    name="sd2",
    summary="Stable Diffusion 2.x (text of width 1024)",
    text_widths=(1024, 1024),
    lr=5e-6,
    mask_weight=1.0,  # the paper's; nothing else has been measured
    configs="sd2",
    licence="CreativeML Open RAIL++-M (SD 2.x)",
    text_parts=(TextPart(pad_token="!"),),  # token 0
    v_sample_size=96,
)
