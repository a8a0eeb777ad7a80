"""Stable Diffusion 1.x: text of width 768 from CLIP ViT-L."""

from .family import Family

SD1 = Family(
    name="sd1",
    summary="Stable Diffusion 1.x (text of width 768)",
    text_widths=(768, 768),
    lr=5e-6,
    mask_weight=1.0,  # the paper's; nothing else has been measured
    configs="sd1",
    licence="CreativeML OpenRAIL-M (SD 1.x)",
    text_prefixes=("cond_stage_model.transformer.", "cond_stage_model.transformer.text_model."),
)
