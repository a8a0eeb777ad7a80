"""What paints a class: its VAE, its U-Net and its prompts."""

from __future__ import annotations

from dataclasses import dataclass

from .codec import Codec
from .method.predictor import Predictor
from .method.regions import RegionPrompts


@dataclass(frozen=True, eq=False)
class ClassNetworks:
    """The networks of a base with a class on it, and the encoded prompts of that class."""

    codec: Codec
    predict: Predictor
    prompts: RegionPrompts
