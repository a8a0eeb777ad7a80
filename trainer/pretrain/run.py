"""``bgdefect pretrain``: draw, train and assemble the embedded base ``bgdefect-mini``, from a seed
alone."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTokenizer

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.errors import OtherRunError, OutputError, WeightsError
from bgdefect_core.pictures.files import atomic_write
from bgdefect_core.records.inputs import file_digest
from bgdefect_core.records.lock import FolderLock

from ..bases.load import PARTS, load_tokenizer
from ..drawing.draw import draw
from ..training.cache import to_pixels
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


def _settings(config: PretrainConfig) -> dict[str, Any]:
    """What decides the model, as JSON: not where it goes, nor how often it is saved."""
    settings: dict[str, Any] = {"seed": config.seed}
    for name in ("linear", "vae", "unet", "regions"):
        part: dict[str, Any] = asdict(getattr(config, name))
        settings |= {f"{name}.{key}": value for key, value in part.items() if key != "save_every"}
    files = sorted(path for path in config.tokenizer.iterdir() if path.suffix in (".json", ".txt"))
    digests = {path.name: file_digest(path, WeightsError, "a tokenizer's file") for path in files}
    return json.loads(json.dumps(settings | {"tokenizer": digests}))


def _check_place(output: Path, settings: dict[str, Any]) -> None:
    """Refuse another run, and a folder that holds something else."""
    record = output / RECORD
    if record.exists():
        try:
            before = dict(json.loads(record.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as reason:
            raise OutputError(
                f"{record} cannot be read ({reason})", "a run's settings", "choose another output"
            ) from reason
        differing = sorted(
            key for key in {*before, *settings} if before.get(key) != settings.get(key)
        )
        if differing:
            was, now = (str(some.get(differing[0]))[:200] for some in (before, settings))
            came = f"{output} holds another run: {differing[0]} was {was}, now {now}"
            raise OtherRunError(came, "the same settings, to go on", "choose another output")
    elif any((output / part).exists() for part in (*PARTS, "checkpoints")):
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


def pretrain(config: PretrainConfig) -> None:
    """Run all parts, each resuming from its last checkpoint; at the end write the model in fp16.

    Raises:
        SettingError: a number out of its range. WeightsError: no tokenizer. OutputError: the folder
            is in use, or holds something else.
        OtherRunError: it holds a run with another seed, other settings or another tokenizer.
    """
    config.check()
    tokenizer = load_tokenizer(config.tokenizer)
    settings = _settings(config)
    _check_place(config.output, settings)
    with FolderLock(config.output):
        _check_place(config.output, settings)
        with atomic_write(config.output / RECORD, "w") as file:
            json.dump(settings, file, indent=1)
        _train_all(config, tokenizer)


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
