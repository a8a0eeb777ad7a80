"""Figures and verdict of a sample, and what they take from the known real defects of the class."""

from .figures import (
    IDENTICAL_DB,
    Quality,
    StitchedSample,
    background_change,
    defect_contrast,
    defect_strength,
    latent_background_psnr,
    mask_fill,
    measure,
    psnr,
)
from .profile import ClassProfile
from .verdict import QualityLimits, Standard, Verdict, judge

__all__ = [
    "IDENTICAL_DB",
    "ClassProfile",
    "Quality",
    "QualityLimits",
    "Standard",
    "StitchedSample",
    "Verdict",
    "background_change",
    "defect_contrast",
    "defect_strength",
    "judge",
    "latent_background_psnr",
    "mask_fill",
    "measure",
    "psnr",
]
