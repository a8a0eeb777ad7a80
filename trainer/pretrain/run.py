"""``bgdefect pretrain``: draw, train and assemble the embedded base ``bgdefect-mini``, from a seed
alone."""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTokenizer

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.errors import OutputError
from bgdefect_core.pictures.pixels import to_pixels
from bgdefect_core.records.run_record import RunRecord, locked, read_inputs

from ..bases.families import FAMILIES
from ..bases.load import load_tokenizer
from ..drawing.draw import draw
from .linear import LinearConfig, train_linear
from .regions import RegionsConfig, train_regions
from .unet import UNetConfig, scheduler, train_unet
from .vae import VAEConfig, train_vae

log = logging.getLogger(__name__)

RECORD = "pretrain.json"
"""What decides the model, beside it: another run is refused."""


@dataclass(frozen=True)
class PretrainConfig:
    """Draw pictures, train the VAE, the text encoder and the U-Net, and write a diffusers
    folder."""

    output: Path
    """Folder for the finished model (``unet``, ``vae``, ``text_encoder``, ``tokenizer``,
    ``scheduler``) and ``checkpoints/``."""
    tokenizer: Path
    """Folder of the CLIP tokenizer."""
    seed: Annotated[int, Range(0, 2**31), Doc("Seed of every picture and every random number.")] = 0
    linear: LinearConfig = field(default_factory=LinearConfig)
    vae: VAEConfig = field(default_factory=VAEConfig)
    unet: UNetConfig = field(default_factory=UNetConfig)
    regions: RegionsConfig = field(default_factory=RegionsConfig)

    def check(self) -> None:
        """Raise SettingError where a number is out of its range."""
        check_settings(self)


def _record(config: PretrainConfig) -> RunRecord:
    """What decides the model: not where it goes, nor how often it is saved."""
    settings: dict[str, Any] = {"seed": config.seed}
    for name in ("linear", "vae", "unet", "regions"):
        part: dict[str, Any] = asdict(getattr(config, name))
        settings |= {f"{name}.{key}": value for key, value in part.items() if key != "save_every"}
    files = sorted(path for path in config.tokenizer.iterdir() if path.suffix in (".json", ".txt"))
    inputs = read_inputs({f"tokenizer {path.name}": path for path in files})
    return RunRecord(config.output / RECORD, settings, inputs)


def _check_place(output: Path, record: RunRecord) -> None:
    """Refuse another run, and a folder that holds something else."""
    if record.exists:
        record.check()
    elif any((output / part).exists() for part in (*FAMILIES["mini"].parts, "checkpoints")):
        came = f"{output} holds a model or checkpoints without {RECORD}"
        raise OutputError(came, "a free place", "choose another output")


@torch.no_grad()
def latent_scale(vae: AutoencoderKL, seed: int, count: int = 64) -> float:
    """1 / standard deviation of the latents of ``count`` drawn pictures (Stable Diffusion's
    ``scaling_factor``)."""
    latents = []
    for index in range(count):
        pixels = to_pixels([draw(seed + 20_000_000 + index, 128, 0.5).picture])
        latents.append(vae.encode(pixels).latent_dist.mean)
    return round(1 / float(torch.cat(latents).std()), 5)


def pretrain(config: PretrainConfig) -> Path:
    """Run all parts, each resuming from its last checkpoint; at the end write the model in fp16.

    Returns:
        The model's folder.

    Raises:
        SettingError: a number out of its range. WeightsError: no tokenizer. OutputError: the folder
            is in use, or holds something else.
        OtherRunError: it holds a run with another seed, other settings or another tokenizer.
    """
    config.check()
    tokenizer = load_tokenizer(config.tokenizer)
    record = _record(config)
    _check_place(config.output, record)
    with locked(config.output):
        _check_place(config.output, record)
        record.write()
        _train_all(config, tokenizer)
    return config.output


def _train_all(config: PretrainConfig, tokenizer: CLIPTokenizer) -> None:
    checkpoints = config.output / "checkpoints"
    coder = train_linear(checkpoints / "linear", config.linear, config.seed)
    vae = train_vae(checkpoints / "vae", coder, config.vae, config.seed)
    vae.eval().requires_grad_(False)
    vae.register_to_config(scaling_factor=latent_scale(vae, config.seed))
    log.info("scaling factor %s", vae.config.scaling_factor)
    unet, text_encoder = train_unet(checkpoints / "unet", vae, tokenizer, config.unet, config.seed)
    unet, text_encoder = train_regions(
        checkpoints / "regions", unet, text_encoder, vae, tokenizer, config.regions, config.seed
    )
    for name, part in (("vae", vae), ("unet", unet), ("text_encoder", text_encoder)):
        part.half().save_pretrained(config.output / name, safe_serialization=True)
    scheduler().save_pretrained(config.output / "scheduler")
    shutil.copytree(config.tokenizer, config.output / "tokenizer", dirs_exist_ok=True)
