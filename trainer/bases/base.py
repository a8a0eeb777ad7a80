"""A loaded base: a latent diffusion model in Stable Diffusion's form."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTokenizer

from bgdefect_core.errors import SettingError, check_range
from bgdefect_core.method.regions import RegionPrompts, word_places
from bgdefect_core.method.schedule import NoiseSchedule
from bgdefect_core.weights.files import network_input

from .devices import DTYPES
from .families.family import RESOLUTION, Family
from .parts import TextEncoder

log = logging.getLogger(__name__)


_MOST_PIXELS = 8 * 512 * 512
"""Pixels that the VAE codes at once; the decoder's largest tensors take 2 GB then, in fp32."""


def _coded_at_once(pixels: int) -> int:
    """Pictures of so many pixels that the VAE codes at once, at least one."""
    return max(1, _MOST_PIXELS // pixels)


@dataclass
class Base:
    """VAE and text encoders are frozen; training and class weights change the U-Net."""

    name: str
    licence: str
    family: Family
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoders: tuple[TextEncoder, ...]
    """In the order of the family's ``text_parts``."""
    tokenizers: tuple[CLIPTokenizer, ...]
    schedule: NoiseSchedule
    fingerprint: str
    """Of the unpatched U-Net; see :func:`bgdefect_core.weights.files.fingerprint`."""
    architecture: dict[str, Any]
    applied: str = ""
    """The class weights file that was put on the U-Net; "" for none."""
    precision: str = "fp32"
    """Of painting; see :meth:`to_precision`."""

    @property
    def text_encoder(self) -> TextEncoder:
        """The first one."""
        return self.text_encoders[0]

    @property
    def tokenizer(self) -> CLIPTokenizer:
        """The first one."""
        return self.tokenizers[0]

    @property
    def networks(self) -> dict[str, nn.Module]:
        """All networks, by their names in words."""
        networks = {"unet": self.unet, "vae": self.vae}
        for part, network in zip(self.family.text_parts, self.text_encoders, strict=True):
            networks[part.encoder.replace("_", " ")] = network
        return networks

    @property
    def factor(self) -> int:
        """Pixels a side of one latent cell: 4 for the embedded base, 8 for Stable Diffusion."""
        return int(2 ** (len(self.vae.config["block_out_channels"]) - 1))

    @property
    def resolution(self) -> int:
        """Native side in pixels."""
        return int(self.unet.config["sample_size"]) * self.factor

    def working_resolution(self, wanted: int | None = None) -> int:
        """Side in pixels of the squares that the base works on; None: its native side.

        Raises:
            SettingError: out of range, or no multiple of the base's factor.
        """
        resolution = self.resolution if wanted is None else wanted
        check_range("resolution", resolution, RESOLUTION.low, RESOLUTION.high)
        if resolution % self.factor:
            came = f"resolution is {resolution}"
            raise SettingError(came, f"a multiple of {self.factor}", "choose one")
        return resolution

    @property
    def inputs(self) -> dict[str, dict[str, Any]]:
        """VAE and text encoders as inputs of a run, the same in any precision; the U-Net is
        identified by its fingerprint."""
        inputs = {}
        for name, network in self.networks.items():
            if network is not self.unet:
                what = f"the {name} of the base {self.name}"
                inputs[name] = network_input(what, network.state_dict())
        return inputs

    def to(self, device: str | torch.device, dtype: torch.dtype | None = None) -> Base:
        """Move all networks; returns itself."""
        for network in self.networks.values():
            # diffusers' own method warns of types that are fine here
            nn.Module.to(network, device=device, dtype=dtype)
        return self

    def to_precision(self, precision: str) -> Base:
        """Set the arithmetic of painting; returns itself.

        The U-Net computes in ``precision``. So does the VAE in bf16; fp16 is too narrow for the
        VAEs of Stable Diffusion, and theirs stays in fp32. The text encoders, which run once,
        stay in fp32, as do the latents between two calls. The VAE's pictures lie in memory
        channels last, which is faster in all precisions.

        Args:
            precision: "fp32", "bf16" or "fp16".
        """
        self.precision = precision
        nn.Module.to(self.unet, dtype=DTYPES[precision])
        vae_precision = "bf16" if precision == "bf16" else "fp32"
        nn.Module.to(self.vae, dtype=DTYPES[vae_precision])
        nn.Module.to(self.vae, memory_format=torch.channels_last)
        return self

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """The posterior's mean, scaled.

        Args:
            pixels: ``[B, 3, H, W]`` in -1..1.

        Returns:
            Latents ``[B, C, h, w]`` float32.
        """
        means: list[Tensor] = []
        for part in pixels.split(_coded_at_once(pixels.shape[-2] * pixels.shape[-1])):
            part = part.to(self.vae.device, self.vae.dtype)
            means.append(self.vae.encode(part).latent_dist.mean.float().contiguous())
        return torch.cat(means) * self.vae.config["scaling_factor"]

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents ``[B, C, h, w]`` -> pictures ``[B, 3, H, W]`` float32, about -1..1."""
        unscaled = latents.to(self.vae.device, torch.float32) / self.vae.config["scaling_factor"]
        cells = latents.shape[-2] * latents.shape[-1]
        pictures: list[Tensor] = []
        for part in unscaled.split(_coded_at_once(cells * self.factor**2)):
            pictures.append(self.vae.decode(part.to(self.vae.dtype)).sample.float().contiguous())
        return torch.cat(pictures)

    @torch.no_grad()
    def prompts(
        self,
        background: str,
        defects: Sequence[str],
        placeholder: str,
        attention_words: str | None = None,
    ) -> RegionPrompts:
        """Encode the prompts of a class, each padded to the model's 77 tokens.

        Longer prompts are cut, with a warning.

        Args:
            background: ``C_bg``.
            defects: one ``C_def`` a defect.
            placeholder: ``C_m``.
            attention_words: the words of each ``C_def`` that Eq. 13 reads. None: all of them.

        Raises:
            SettingError: a ``C_def`` that does not hold these words.
        """
        texts = [background, placeholder, "", *defects]
        encoded = self.family.encode(self, texts)
        token_ids = self._token_ids(texts)
        words: list[Sequence[int]] = []
        chosen = None
        if attention_words is not None:
            chosen = self.tokenizer(attention_words)["input_ids"][1:-1]
        for ids in token_ids[3:]:
            if chosen is None:
                words.append(tuple(range(1, len(ids) - 1)))
            else:
                words.append(word_places(ids[:-1], chosen, attention_words or ""))
        return RegionPrompts(
            background=encoded.tokens[:1],
            placeholder=encoded.tokens[1:2],
            empty=encoded.tokens[2:3],
            defects=list(encoded.tokens[3:].split(1)),
            defect_words=words,
            added=encoded.added,
        )

    def _token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens that the text encoder reads, without padding: start, words, end."""
        length = int(self.tokenizer.model_max_length)
        token_ids: list[list[int]] = self.tokenizer(list(texts))["input_ids"]
        for number, (text, ids) in enumerate(zip(texts, token_ids, strict=True)):
            if len(ids) > length:
                log.warning("the prompt %.60r... has %d tokens: cut to %d", text, len(ids), length)
                token_ids[number] = [*ids[: length - 1], ids[-1]]
        return token_ids
