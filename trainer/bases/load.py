"""Loading a base from three places: embedded, a diffusers folder, a single file.

Nothing is ever fetched from a network, and nothing but safetensors is read.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from bgdefect_core.errors import WeightsError
from bgdefect_core.method.schedule import PredictionType, schedule_from_config
from bgdefect_core.paths import ASSETS, system_errors
from bgdefect_core.weights.files import UNKNOWN, architecture_of, fingerprint

from .base import Base
from .folder import load_folder, load_tokenizer
from .licences import licence_of
from .parts import Parts
from .single_file import load_single_file

__all__ = ["MINI", "Base", "load_base", "load_tokenizer"]

MINI = "bgdefect-mini"
"""Name of the embedded base."""
_SIZES = 6
"""Numbers of a picture's size that SDXL reads: `bgdefect_core.method.predictor.picture_sizes`."""


@system_errors(WeightsError, "a base that can be read")
def load_base(spec: str | Path | None = None, prediction: PredictionType | None = None) -> Base:
    """Load a base in fp32 on the CPU.

    Args:
        spec: None or "bgdefect-mini" (the embedded one), a diffusers folder, or a Stable Diffusion
            1.x, 2.x or XL ``.safetensors`` file.
        prediction: what the U-Net predicts. None: as the base's files say; else it settles what
            they do not say, or say in two ways.

    Raises:
        WeightsError: nothing there, a pickle, a missing or damaged part, an unknown layout.
    """
    if spec is None or str(spec) == MINI:
        folder = ASSETS / MINI
        if not (folder / "unet").is_dir():
            do = "install the package again, or give --base"
            raise WeightsError(f"{folder} holds no weights", "the embedded base", do)
        return _assemble(load_folder(folder, "Apache-2.0", prediction), MINI)
    path = Path(spec)
    if path.is_dir():
        name = path.resolve().name
        return _assemble(load_folder(path, licence_of(path), prediction), name)
    if not path.is_file():
        expected = "a diffusers folder or a .safetensors file"
        do = "give a local path: nothing is downloaded"
        raise WeightsError(f"{path} does not exist", expected, do)
    return _assemble(load_single_file(path, prediction), path.stem)


def _assemble(parts: Parts, name: str) -> Base:
    """A base of parts that fit each other, with finite weights, frozen."""
    config = parts.unet.config
    latent_channels = parts.vae.config["latent_channels"]
    if not config["in_channels"] == config["out_channels"] == latent_channels:
        came = f"the U-Net of {name} reads {config['in_channels']} channels"
        expected = f"{latent_channels}, as the VAE makes"
        raise WeightsError(came, expected, "not an inpainting or depth model")
    width = sum(int(encoder.config.hidden_size) for encoder in parts.text_encoders)
    if config["cross_attention_dim"] != width:
        came = f"the U-Net of {name} reads text of width {config['cross_attention_dim']}"
        raise WeightsError(came, f"{width}, as its text encoder makes", "use parts of one model")
    _check_conditions(parts, name)
    schedule = schedule_from_config(parts.scheduler)
    for network in (parts.unet, parts.vae, *parts.text_encoders):
        _freeze(network, name)
    return Base(
        name=name,
        licence=parts.licence,
        family=parts.family,
        unet=parts.unet,
        vae=parts.vae,
        text_encoders=parts.text_encoders,
        tokenizers=parts.tokenizers,
        schedule=schedule,
        fingerprint=fingerprint(parts.unet.state_dict()) if parts.half_kept else UNKNOWN,
        architecture=architecture_of(config),
    )


def _check_conditions(parts: Parts, name: str) -> None:
    """Refuse a U-Net with further conditions that are not SDXL's: pooled text and six sizes."""
    config = parts.unet.config
    reads = config.get("projection_class_embeddings_input_dim")
    if config.get("addition_embed_type") is None:
        return
    pooled = int(parts.text_encoders[-1].config.projection_dim)
    width = pooled + _SIZES * int(config["addition_time_embed_dim"])
    if reads != width:
        came = f"the U-Net of {name} reads further conditions of width {reads}"
        expected = f"{width}: {pooled} of the pooled text and {_SIZES} sizes"
        raise WeightsError(came, expected, "use parts of one model, not the refiner")


def _freeze(network: nn.Module, name: str) -> None:
    """Set a network to evaluation in fp32, without gradients, and check its numbers.

    Raises:
        WeightsError: NaN or infinity.
    """
    network.float().eval().requires_grad_(False)
    for key, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            came = f"{key} in the {type(network).__name__} of {name} holds NaN or infinity"
            raise WeightsError(came, "finite weights", "get the model again")
