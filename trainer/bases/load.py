"""The base that classes are trained on: a latent diffusion model in Stable Diffusion's form, from
three places.

Nothing is ever fetched from a network, and nothing but safetensors is read.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler
from diffusers.models import AutoencoderKL, UNet2DConditionModel
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from bgdefect_core.errors import WeightsError
from bgdefect_core.method.regions import RegionPrompts, word_places
from bgdefect_core.method.schedule import NoiseSchedule, schedule_from_config
from bgdefect_core.paths import system_errors
from bgdefect_core.weights.files import UNKNOWN, architecture_of, fingerprint, network_input

from .licences import licence_of
from .single_file import ASSETS, Parts, load_single_file

log = logging.getLogger(__name__)

MINI = "bgdefect-mini"
"""Name of the embedded base."""
_TEXT_NAMES = {r"^(embeddings|encoder|final_layer_norm)\.": r"text_model.\1."}
"""Of a text encoder that transformers 5 saved, for transformers 4; transformers 5 reads both."""
_DAMAGE = (OSError, ValueError, KeyError, TypeError, RuntimeError, OverflowError, SafetensorError)
"""What the libraries raise at damaged files."""
_TOKENIZER = ("vocab.json", "merges.txt", "tokenizer_config.json")
_SCHEDULE = ("beta_schedule", "beta_start", "beta_end", "num_train_timesteps")
PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")


@dataclass
class Base:
    """A loaded base. VAE and text encoder are frozen; the U-Net is what training and class weights
    change."""

    name: str
    licence: str
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    schedule: NoiseSchedule
    fingerprint: str
    """Of the unpatched U-Net; see :func:`bgdefect_core.weights.files.fingerprint`."""
    architecture: dict[str, Any]
    applied: str = ""
    """The class weights file that was put on the U-Net; "" for none."""

    @property
    def factor(self) -> int:
        """Pixels a side of one latent cell: 4 for the embedded base, 8 for Stable Diffusion."""
        return int(2 ** (len(self.vae.config["block_out_channels"]) - 1))

    @property
    def resolution(self) -> int:
        """Native side in pixels."""
        return int(self.unet.config["sample_size"]) * self.factor

    @property
    def inputs(self) -> dict[str, dict[str, Any]]:
        """VAE and text encoder as inputs of a run, in any precision; the U-Net is known by its
        fingerprint."""
        networks: dict[str, torch.nn.Module] = {"vae": self.vae, "text encoder": self.text_encoder}
        return {
            name: network_input(f"the {name} of the base {self.name}", part.state_dict())
            for name, part in networks.items()
        }

    def to(self, device: str | torch.device, dtype: torch.dtype | None = None) -> Base:
        """Move all networks; returns itself."""
        for network in (self.unet, self.vae, self.text_encoder):
            torch.nn.Module.to(
                network, device=device, dtype=dtype
            )  # diffusers' own warns of dtypes it need not warn of
        return self

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Pictures ``[B, 3, H, W]`` in -1..1 -> latents ``[B, C, h, w]`` float32, scaled: the
        posterior's mean."""
        mean: Tensor = self.vae.encode(pixels.to(self.vae.device, self.vae.dtype)).latent_dist.mean
        return mean.float() * self.vae.config["scaling_factor"]

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents ``[B, C, h, w]`` -> pictures ``[B, 3, H, W]`` float32, about -1..1."""
        unscaled = latents.to(self.vae.device, torch.float32) / self.vae.config["scaling_factor"]
        pixels: Tensor = self.vae.decode(unscaled.to(self.vae.dtype)).sample
        return pixels.float()

    @torch.no_grad()
    def prompts(
        self,
        background: str,
        defects: Sequence[str],
        placeholder: str,
        attention_words: str | None = None,
    ) -> RegionPrompts:
        """Encode ``C_bg``, one ``C_def`` a defect, ``C_m`` and the empty prompt, all padded to the
        model's 77 tokens.

        The text encoder's last hidden state, as Stable Diffusion uses it; longer prompts are cut,
        with a warning.

        Args:
            attention_words: the words of each ``C_def`` that Eq. 13 reads. None: all of them.

        Raises:
            SettingError: a ``C_def`` that does not hold them.
        """
        texts = [background, placeholder, "", *defects]
        length = int(self.tokenizer.model_max_length)
        encoded = self.tokenizer(
            texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        for text, whole in zip(texts, self.tokenizer(texts)["input_ids"], strict=True):
            if len(whole) > length:
                log.warning(
                    "the prompt %.60r... has %d tokens: cut to %d", text, len(whole), length
                )
        hidden = self.text_encoder(
            encoded.input_ids.to(self.text_encoder.device)
        ).last_hidden_state.float()
        counts: list[int] = encoded.attention_mask.sum(
            1
        ).tolist()  # start and end tokens included, padding not
        places: list[Sequence[int]] = [tuple(range(1, count - 1)) for count in counts[3:]]
        if attention_words is not None:
            chosen = self.tokenizer(attention_words)["input_ids"][1:-1]
            places = [
                word_places(ids[: count - 1], chosen, attention_words)
                for ids, count in zip(encoded.input_ids[3:].tolist(), counts[3:], strict=True)
            ]
        return RegionPrompts(
            background=hidden[:1],
            placeholder=hidden[1:2],
            empty=hidden[2:3],
            defects=list(hidden[3:].split(1)),
            defect_words=places,
        )


@system_errors(WeightsError, "a base that can be read")
def load_base(spec: str | Path | None = None) -> Base:
    """Load a base in fp32 on the CPU.

    Args:
        spec: None or "bgdefect-mini" (the embedded one), a diffusers folder, or a Stable Diffusion
            1.x or 2.x ``.safetensors`` file.

    Raises:
        WeightsError: nothing there, a pickle, a missing or damaged part, an unknown layout.
    """
    if spec is None or str(spec) == MINI:
        folder = ASSETS / MINI
        if not (folder / "unet").is_dir():
            raise WeightsError(
                f"{folder} holds no weights",
                "the embedded base",
                "install the package again, or give --base",
            )
        return _from_folder(folder, MINI, "Apache-2.0")
    path = Path(spec)
    if path.is_dir():
        return _from_folder(path, path.resolve().name, licence_of(path))
    if not path.is_file():
        do = "give a local path: nothing is downloaded"
        raise WeightsError(
            f"{path} does not exist", "a diffusers folder or a .safetensors file", do
        )
    single = load_single_file(path)
    return _assemble(single.parts, path.stem, single.licence, single.half_lost)


def _from_folder(folder: Path, name: str, licence: str) -> Base:
    missing = [part for part in PARTS if not (folder / part).is_dir()]
    if missing:
        expected = "a diffusers folder with " + ", ".join(PARTS)
        raise WeightsError(
            f"{folder} lacks {', '.join(missing)}",
            expected,
            "choose a whole Stable Diffusion 1.x or 2.x model",
        )
    if (folder / "text_encoder_2").is_dir():
        raise WeightsError(
            f"{folder} has two text encoders",
            "Stable Diffusion 1.x or 2.x, not XL",
            "choose another base",
        )
    try:
        parts = Parts(
            unet=_network(UNet2DConditionModel, folder / "unet"),
            vae=_network(AutoencoderKL, folder / "vae"),
            text_encoder=_network(CLIPTextModel, folder / "text_encoder", key_mapping=_TEXT_NAMES),
            tokenizer=load_tokenizer(folder / "tokenizer"),
            scheduler=DDIMScheduler.load_config(folder / "scheduler", local_files_only=True),
        )
        lacking = [key for key in _SCHEDULE if key not in parts.scheduler]
        if lacking:  # diffusers' defaults are no schedule of Stable Diffusion's
            raise ValueError(f"scheduler_config.json lacks {', '.join(lacking)}")
    except _DAMAGE as reason:
        what = f"{folder} cannot be loaded ({str(reason).strip()[:300]})"
        raise WeightsError(
            what, "an intact diffusers folder with safetensors weights", "copy it again"
        ) from reason
    return _assemble(parts, name, licence, _stored_in_bf16(folder / "unet"))


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """CLIP's tokenizer.

    Raises:
        WeightsError: no folder, nothing in it, or a damaged file.
    """
    expected, do = (
        "a folder with CLIP's vocab.json, merges.txt and tokenizer_config.json",
        "copy it again",
    )
    missing = [name for name in _TOKENIZER if not (folder / name).is_file()]
    if missing and not (
        (folder / "tokenizer.json").is_file() and "tokenizer_config.json" not in missing
    ):
        raise WeightsError(f"{folder} lacks {', '.join(missing)}", expected, do)
    try:
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        words = len(tokenizer("a scratch")["input_ids"])
    except Exception as reason:
        if type(reason) is not Exception and not isinstance(
            reason, _DAMAGE
        ):  # the tokenizers library raises plain Exceptions
            raise
        raise WeightsError(
            f"{folder} cannot be loaded ({str(reason).strip()[:300]})", expected, do
        ) from reason
    if words != 4 or not 4 <= tokenizer.model_max_length <= 1000:
        came = f"the tokenizer in {folder} makes {words} tokens of two words, of at most {tokenizer.model_max_length}"
        raise WeightsError(came, "CLIP's: a start, two words, an end, of at most 77", do)
    return tokenizer


def _network(kind: Any, part: Path, **options: Any) -> Any:
    """Load one network: only safetensors, only local, nothing missing; the fp16 variant where there
    is no other."""
    files = list(part.glob("*.safetensors"))
    if not files:
        pickles = [
            path.name for path in part.iterdir() if path.suffix in (".bin", ".ckpt", ".pt", ".pth")
        ]
        what = (
            f"{part} holds only {pickles[0]}, a pickle" if pickles else f"{part} holds no weights"
        )
        do = "save the model again with safe_serialization=True"
        raise WeightsError(what, "safetensors, which cannot run code", do)
    variant = "fp16" if all(".fp16." in path.name for path in files) else None
    options |= {"use_safetensors": True, "local_files_only": True, "variant": variant}
    network, found = kind.from_pretrained(part, output_loading_info=True, **options)
    missing = sorted(key for key in found["missing_keys"] if "position_ids" not in key)
    if missing:
        raise WeightsError(
            f"{part} lacks {len(missing)} tensors, first {missing[0]}",
            "whole weights",
            "copy it again",
        )
    return network


def _stored_in_bf16(part: Path) -> bool:
    """Whether the U-Net's file lost the bits that a fingerprint reads."""
    for path in part.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            if "conv_in.weight" in file.keys():  # noqa: SIM118 (not a dict)
                return bool(file.get_slice("conv_in.weight").get_dtype() not in ("F32", "F16"))
    return False


def _assemble(parts: Parts, name: str, licence: str, half_lost: bool) -> Base:
    config: Mapping[str, Any] = parts.unet.config
    if (
        config["in_channels"] != config["out_channels"]
        or config["in_channels"] != parts.vae.config["latent_channels"]
    ):
        what = f"the U-Net of {name} reads {config['in_channels']} channels"
        raise WeightsError(
            what,
            f"{parts.vae.config['latent_channels']}, as the VAE makes",
            "not an inpainting or depth model",
        )
    width = parts.text_encoder.config.hidden_size
    if config["cross_attention_dim"] != width:
        what = f"the U-Net of {name} reads text of width {config['cross_attention_dim']}"
        raise WeightsError(what, f"{width}, as its text encoder makes", "use parts of one model")
    for network in (parts.unet, parts.vae, parts.text_encoder):
        module: torch.nn.Module = network
        module.float().eval().requires_grad_(False)
        for key, tensor in module.state_dict().items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                what = f"{key} in the {type(module).__name__} of {name} holds NaN or infinity"
                raise WeightsError(what, "finite weights", "get the model again")
    return Base(
        name=name,
        licence=licence,
        unet=parts.unet,
        vae=parts.vae,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        schedule=schedule_from_config(parts.scheduler),
        fingerprint=UNKNOWN if half_lost else fingerprint(parts.unet.state_dict()),
        architecture=architecture_of(config),
    )
