"""Small bases with narrow text, such as the embedded one."""

from .family import Family

MINI = Family(
    name="mini",
    summary="small bases whose text is narrower than 768, such as the embedded bgdefect-mini",
    text_widths=(1, 767),
    lr=1e-4,
    mask_weight=4.0,  # more of a defect is learned with it (docs/evidence-choices.md)
)
