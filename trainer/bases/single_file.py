"""A base in one ``.safetensors`` file, as CompVis and Stability AI publish Stable Diffusion.

Diffusers does the renaming; the configurations that it would download are shipped with us
(``bgdefect_core/assets/configs``). The file is read once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler
from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
from diffusers.models import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTokenizer

from bgdefect_core.errors import WeightsError
from bgdefect_core.method.schedule import PredictionType
from bgdefect_core.paths import ASSETS
from bgdefect_core.weights.model_folders import check_types
from bgdefect_core.weights.safetensors_file import open_safetensors

from .families import FAMILIES, Family
from .families.family import FIRST, FileHeader, TextPart
from .parts import Parts, text_network
from .prediction import decide, inference_config, sign_of_config, signs_of, zero_terminal_snr
from .weight_files import HALF_KEPT, library_errors

log = logging.getLogger(__name__)

_UNET = "model.diffusion_model."
_EMA = "model_ema."
_TEXT = ("cond_stage_model.", "conditioner.")
_PARTS = (((_UNET,), "U-Net"), (("first_stage_model.",), "VAE"), (_TEXT, "text encoder"))
"""Starts of names, and the part that they belong to."""
_EXPECTED = "a Stable Diffusion 1.x, 2.x or XL checkpoint with U-Net, VAE and text encoder"
_OTHER_BASE = "choose another base"
_OTHERS = (
    ("edm_mean", "Playground 2.5, with a schedule of its own"),
    ("edm_vpred.", "CosXL, with a schedule of its own"),
    ("conditioner.embedders.0.model.", "the refiner of Stable Diffusion XL"),
    ("joint_blocks.", "Stable Diffusion 3"),
    ("double_stream_modulation", "FLUX.2"),
    ("double_blocks.", "FLUX"),
    ("control_model.", "a ControlNet"),
    (".lora_down.", "a LoRA"),
    (".lora_A.", "a LoRA"),
    ("emb_params", "a textual inversion"),
    ("down_blocks.0.resnets.0.norm1.weight", "a network alone, in diffusers' names"),
)
"""Part of a tensor's name, and what a file with it is."""
_CHANNELS = {5: "a depth model", 7: "an upscaler", 8: "InstructPix2Pix", 9: "an inpainting model"}
_SCHEDULE = {
    "linear_start": "beta_start",
    "linear_end": "beta_end",
    "timesteps": "num_train_timesteps",
}
"""Keys of an inference configuration, and diffusers' names for them."""


def load_single_file(path: Path, prediction: PredictionType | None = None) -> Parts:
    """Load all parts in fp32 on the CPU.

    Args:
        path: the file; its ending may be in capitals.
        prediction: what the U-Net predicts, where the file does not say so or contradicts itself.

    Raises:
        WeightsError: a pickle, a damaged file, missing parts, another layout, signs that
            contradict each other.
    """
    header, tensors, family = _read(path)
    check_types(str(path), tensors, (_UNET, "first_stage_model.", *_TEXT))
    scheduler = _scheduler(path, family, header, tensors, prediction)
    with library_errors(path, _EXPECTED, "choose a whole checkpoint, or update diffusers"):
        unet = _convert(UNet2DConditionModel, tensors, family, "unet")
        vae = _convert(AutoencoderKL, tensors, family, "vae")
        text_encoders = _text_encoders(tensors, family)
        tokenizers = tuple(_tokenizer(part) for part in family.text_parts)
    networks: dict[str, nn.Module] = {"U-Net": unet, "VAE": vae}
    for part, text_encoder in zip(family.text_parts, text_encoders, strict=True):
        networks[part.encoder.replace("_", " ")] = text_encoder
    _check_whole(path, networks)
    if scheduler["prediction_type"] == "v_prediction" and family.v_sample_size is not None:
        unet.register_to_config(sample_size=family.v_sample_size)
    return Parts(
        family=family,
        licence=family.licence,
        unet=unet,
        vae=vae,
        text_encoders=text_encoders,
        tokenizers=tokenizers,
        scheduler=scheduler,
        half_kept=tensors[FIRST].dtype in HALF_KEPT,
    )


def _read(path: Path) -> tuple[FileHeader, dict[str, Tensor], Family]:
    """The file's header and tensors, and the family that it belongs to; tensors are read of no
    other file.

    Raises:
        WeightsError: a pickle, a damaged file, or another model.
    """
    if path.suffix.lower() != ".safetensors":
        came = f"{path} is a {path.suffix or 'nameless'} file"
        expected = "a .safetensors file, which cannot run code"
        raise WeightsError(came, expected, "convert the checkpoint to safetensors")
    with open_safetensors(path, _EXPECTED) as file:
        shapes: dict[str, tuple[int, ...]] = {}
        for name in file.keys():  # noqa: SIM118, no dictionary
            shapes[name] = tuple(file.get_slice(name).get_shape())
        header = FileHeader(shapes, file.metadata() or {})
        family = _family(path, header)
        tensors = {name: file.get_tensor(name) for name in shapes}
    return header, tensors, family


def _family(path: Path, header: FileHeader) -> Family:
    """The family that the file belongs to.

    Raises:
        WeightsError: it belongs to none; the message says what it is, where that is known.
    """
    _refuse_other_models(path, header)
    _check_parts(path, header)
    _check_channels(path, header)
    for family in FAMILIES.values():
        if family.fits_file(header):
            return family
    if header.text_width is None:
        raise WeightsError(f"{path} has an unknown layout", _EXPECTED, _OTHER_BASE)
    came = f"the U-Net of {path} reads text of width {header.text_width}"
    known = [family.summary for family in FAMILIES.values() if family.configs]
    raise WeightsError(came, " or ".join(known), _OTHER_BASE)


def _refuse_other_models(path: Path, header: FileHeader) -> None:
    if "bgdefect" in header.metadata:
        do = "give it as the class weights, and its base as the base"
        raise WeightsError(f"{path} is a class weights file of BGDefect", _EXPECTED, do)
    for sign, model in _OTHERS:
        if any(sign in name for name in header.shapes):
            raise WeightsError(f"{path} is {model}", _EXPECTED, _OTHER_BASE)


def _check_parts(path: Path, header: FileHeader) -> None:
    """Refuse a file without U-Net, VAE or text encoder; an average beside the weights is not
    read."""
    starts = set()
    for name in header.shapes:
        starts.add(name.split(".")[0] + ".")
        if name.startswith(_UNET):
            starts.add(_UNET)
    averaged = _EMA in starts
    for prefixes, part in _PARTS:
        if not starts.intersection(prefixes):
            only = ", only its average (model_ema)" if _UNET in prefixes and averaged else ""
            do = "choose a whole checkpoint, not a part or a LoRA"
            raise WeightsError(f"{path} holds no {part}{only}", _EXPECTED, do)
    if averaged:
        log.info("%s: reads the weights themselves, not their average (model_ema)", path)


def _check_channels(path: Path, header: FileHeader) -> None:
    """Refuse a U-Net that reads more than latents."""
    if FIRST not in header.shapes:
        raise WeightsError(f"{path} has an unknown layout", _EXPECTED, _OTHER_BASE)
    channels = header.shapes[FIRST][1]
    if channels != 4:
        model = f" ({_CHANNELS[channels]})" if channels in _CHANNELS else ""
        came = f"the U-Net of {path} reads {channels} channels{model}"
        raise WeightsError(came, "4: no inpainting or depth model", "choose the plain model")


def _scheduler(
    path: Path,
    family: Family,
    header: FileHeader,
    tensors: Mapping[str, Tensor],
    prediction: PredictionType | None,
) -> dict[str, Any]:
    """The scheduler's configuration, by the family and by what the file and its .yaml say."""
    with library_errors(family.config_folder, "the shipped configurations", "install again"):
        folder = family.config_folder / "scheduler"
        scheduler = dict(DDIMScheduler.load_config(folder, local_files_only=True))
    signs = signs_of(header.shapes, header.metadata, path)
    config = inference_config(path)
    if config is not None:
        yaml_path, params = config
        signs += sign_of_config(yaml_path, params)
        for theirs, ours in _SCHEDULE.items():
            scheduler[ours] = params.get(theirs, scheduler[ours])
    predicts = decide(signs, prediction, family.prediction_type(tensors), path)
    zero_snr = zero_terminal_snr(header.shapes, header.metadata)
    if zero_snr and predicts == "epsilon":
        came = f"{path} says that its schedule ends in pure noise (ztsnr), and predicts noise"
        raise WeightsError(came, "v, on such a schedule", "give --prediction v_prediction")
    scheduler |= {"prediction_type": predicts, "rescale_betas_zero_snr": zero_snr}
    log.info("%s: %s, predicts %s", path, family.summary, predicts)
    return scheduler


def _text_names(tensors: Mapping[str, Tensor], family: Family) -> dict[str, Tensor]:
    """The tensors with the text encoder's under the names that diffusers reads."""
    if family.text_prefixes is None:
        return dict(tensors)
    old, new = family.text_prefixes
    if any(name.startswith(new) for name in tensors):
        return dict(tensors)
    renamed = {}
    for name, tensor in tensors.items():
        key = new + name.removeprefix(old) if name.startswith(old) else name
        renamed[key] = tensor
    return renamed


def _text_encoders(tensors: Mapping[str, Tensor], family: Family) -> tuple[Any, ...]:
    """The family's text encoders, each out of the tensors whose names begin as its do."""
    renamed = _text_names(tensors, family)
    encoders: list[Any] = []
    for part in family.text_parts:
        weights: dict[str, Tensor] = {}
        for name, tensor in renamed.items():
            if name.startswith(part.file_prefix):
                weights[name] = tensor
        encoder = create_diffusers_clip_model_from_ldm(
            text_network(part.projects),
            weights,
            subfolder=part.encoder,
            config=str(family.config_folder),
            torch_dtype=torch.float32,
            local_files_only=True,
        )
        encoders.append(encoder)
    return tuple(encoders)


def _tokenizer(part: TextPart) -> CLIPTokenizer:
    """CLIP's own, with the padding of a text encoder."""
    padding = {} if part.pad_token is None else {"pad_token": part.pad_token}
    folder = ASSETS / "bgdefect-mini" / "tokenizer"
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True, **padding)


def _convert(kind: Any, tensors: Mapping[str, Tensor], family: Family, part: str) -> Any:
    return kind.from_single_file(
        dict(tensors),
        config=str(family.config_folder),
        subfolder=part,
        local_files_only=True,
        torch_dtype=torch.float32,
    )


def _check_whole(path: Path, networks: Mapping[str, nn.Module]) -> None:
    for name, network in networks.items():
        empty: list[str] = []
        for key, tensor in network.state_dict().items():
            if tensor.is_meta:
                empty.append(key)
        if empty:
            came = f"{path} lacks {len(empty)} tensors of the {name}, first {empty[0]}"
            raise WeightsError(came, _EXPECTED, "copy it again")
