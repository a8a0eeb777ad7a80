"""Load a base; put a trained defect class on it."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import comfy.diffusers_load
import comfy.model_sampling
import folder_paths
import torch
from comfy_api.latest import io

from ..bgdefect_core.errors import BGDefectError, WeightsError
from ..bgdefect_core.method.schedule import schedule_from_config
from ..bgdefect_core.weights.files import ClassWeightsInfo, read_info
from ._base import HostParts, load_small
from ._compat import field, schema
from ._folders import state
from ._host import prediction_type_of
from ._small_form import DAMAGED, not_built, read_config, weights_file
from ._weights import apply_weights

log = logging.getLogger(__name__)

MINI = "bgdefect-mini (embedded)"
ASSETS = Path(__file__).resolve().parents[1] / "bgdefect_core" / "assets"
FOLDER = "bgdefect"
"""The host's model folder for class weights: ``models/bgdefect``, what extra_model_paths.yaml adds,
and the shipped demo."""


def register_folder() -> None:
    """Tell the host where class weights lie."""
    for folder in (os.path.join(folder_paths.models_dir, FOLDER), str(ASSETS / "demo")):
        folder_paths.add_model_folder_path(FOLDER, folder)
    folder_paths.add_model_folder_path(
        FOLDER, str(ASSETS / "demo")
    )  # the shipped class of the quick start
    paths, endings = folder_paths.folder_names_and_paths[FOLDER]
    folder_paths.folder_names_and_paths[FOLDER] = (paths, {*endings, ".safetensors"})


def diffusers_folders() -> dict[str, Path]:
    """The host's diffusers models: name in the list -> folder. A name cannot point outside: it is
    looked up here."""
    folders: dict[str, Path] = {}
    for root in folder_paths.get_folder_paths("diffusers"):
        for folder, _, files in os.walk(root, followlinks=True):
            if "model_index.json" in files:
                name = os.path.relpath(folder, root).replace(os.sep, "/")
                folders.setdefault(name, Path(folder))
    return folders


_HOST_FILES = {
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
    "text_encoder": "model",
    "text_encoder_2": "model",
}
"""The names under which the host itself looks for the weights of each part."""


def load_base(name: str) -> HostParts:
    """The embedded base, or a diffusers folder by its name in the list.

    Raises:
        WeightsError: no such folder, a pickle, damaged or unknown parts.
    """
    if name == MINI:
        return load_small(ASSETS / "bgdefect-mini")
    folder = diffusers_folders().get(name)
    if folder is None:
        raise WeightsError(
            f"base is {name!r}",
            "a folder of models/diffusers with a model_index.json",
            "choose one from the list",
        )
    widths = read_config(folder, "unet").get("block_out_channels")
    known = ([320], [384])  # Stable Diffusion 1.x, 2.x, XL; its refiner: what the host itself knows
    if not isinstance(widths, list) or widths[:1] not in known:
        small = load_small(folder)
        return HostParts(_as_scheduled(small.model, folder), small.clip, small.vae)
    for part, stem in _HOST_FILES.items():
        if part != "text_encoder_2" or (folder / part).is_dir():
            weights_file(
                folder / part, stem
            )  # the host would take a pickle where there is nothing else
    try:
        model, clip, vae = comfy.diffusers_load.load_diffusers(
            str(folder), embedding_directory=folder_paths.get_folder_paths("embeddings")
        )
    except DAMAGED as reason:
        raise not_built(folder, reason) from reason
    return HostParts(_as_scheduled(model, folder), clip, vae)


def _as_scheduled(model: Any, folder: Path) -> Any:
    """The MODEL with the noise levels and the prediction type that its scheduler names: the host
    guesses both from the weights."""
    schedule = schedule_from_config(read_config(folder, "scheduler"))
    sigmas = (1 / schedule.alphas_cumprod - 1).sqrt().float()
    known = model.get_model_object("model_sampling").sigmas
    same = known.shape == sigmas.shape and torch.allclose(known.cpu(), sigmas, rtol=1e-4)
    if same and schedule.prediction_type == prediction_type_of(model):
        return model
    kinds = {"epsilon": comfy.model_sampling.EPS, "v_prediction": comfy.model_sampling.V_PREDICTION}
    kind = type(
        "BGDefectSampling",
        (comfy.model_sampling.ModelSamplingDiscrete, kinds[schedule.prediction_type]),
        {},
    )
    clone, sampling = model.clone(), kind(model.model.model_config)
    sampling.set_sigmas(sigmas)
    clone.add_object_patch("model_sampling", sampling)
    return clone


def weights_path(name: str) -> Path:
    """A class weights file by its name in the list.

    Raises:
        WeightsError: no such file, or one outside the host's model folders.
    """
    path = (
        folder_paths.get_full_path(FOLDER, name)
        if name in folder_paths.get_filename_list(FOLDER)
        else None
    )
    if path is None:
        raise WeightsError(
            f"weights is {name!r}",
            "a .safetensors file in models/bgdefect",
            "copy it there and press R",
        )
    return Path(path)


def describe(info: ClassWeightsInfo) -> str:
    """What a class weights file is, in a few lines."""
    kind = f"LoRA of rank {info.lora_rank}" if info.kind == "lora" else "full U-Net"
    return "\n".join(
        [
            f"{info.object} / {info.defect}: {kind}, {info.steps} steps, loss {info.loss}",
            f"base: {info.base_name} ({info.base_licence})",
            f"resolution: {info.resolution} pixels, zoom: {info.zoom}",
        ]
    )


class LoadBase(io.ComfyNode):
    """Load Defect Base: the embedded base or a diffusers folder."""

    @classmethod
    def define_schema(cls) -> Any:
        return schema(
            node_id="BGDefectLoadBase",
            display_name="Load Defect Base",
            category="BGDefect/model",
            description="The base that defect classes are trained on: the small one that comes "
            "with this pack (nothing is downloaded),"
            " or any Stable Diffusion 1.x, 2.x or XL in diffusers form from models/diffusers. For "
            "a checkpoint file use Load Checkpoint.",
            search_aliases=["bgdefect", "defect model", "diffusers loader"],
            inputs=[
                field(
                    io.Combo,
                    "base",
                    options=[MINI, *sorted(diffusers_folders())],
                    default=MINI,
                    tooltip="The embedded base (for small pictures of 128 pixels, runs on a CPU), "
                    "or a folder in models/diffusers.",
                )
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="The U-Net."),
                io.Clip.Output(display_name="clip", tooltip="The text encoder."),
                io.Vae.Output(display_name="vae", tooltip="Between pictures and latents."),
            ],
        )

    @classmethod
    def execute(cls, base: str) -> Any:
        parts = load_base(base)
        return io.NodeOutput(parts.model, parts.clip, parts.vae)


class ApplyWeights(io.ComfyNode):
    """Apply Defect Weights: a class weights file on its base."""

    @classmethod
    def define_schema(cls) -> Any:
        return schema(
            node_id="BGDefectApplyWeights",
            display_name="Apply Defect Weights",
            category="BGDefect/model",
            description="Puts a trained defect class (a file that `bgdefect train` wrote, in "
            "models/bgdefect) on its base, and gives"
            " out the prompts it was trained with. Put further LoRAs after this node.",
            search_aliases=["bgdefect", "defect lora", "class weights"],
            inputs=[
                field(
                    io.Model,
                    "model",
                    tooltip="The base that the class was trained on. It stays as it is.",
                ),
                field(
                    io.Combo,
                    "weights",
                    options=folder_paths.get_filename_list(FOLDER),
                    tooltip="A class weights file (.safetensors) in models/bgdefect.",
                ),
                field(
                    io.Float,
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="How strongly the class acts: 1 as trained, 0 not at all. A full U-Net "
                    "is blended with its base.",
                ),
                field(
                    io.Boolean,
                    "allow_other_base",
                    default=False,
                    advanced=True,
                    tooltip="On: a full U-Net that was trained on other weights of the same form "
                    "is a warning, not an error. Normally off.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="The base with the class on it."),
                io.String.Output(
                    display_name="background prompt",
                    tooltip="What the part is, as trained: for Encode Region Prompts.",
                ),
                io.String.Output(
                    display_name="defect prompt", tooltip="What the defect is, as trained."
                ),
                io.String.Output(
                    display_name="mask prompt",
                    tooltip="The word that stood for the empty mask, as trained.",
                ),
                io.Int.Output(
                    display_name="resolution",
                    tooltip="Side of the training pictures in pixels: for Crop to Mask.",
                ),
                io.String.Output(display_name="about", tooltip="What the file says about itself."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, weights: str | None, **_others: Any) -> Any:
        """A file that was trained anew under its old name is loaded anew; a linked name is not
        known yet: any file may be meant."""
        names = folder_paths.get_filename_list(FOLDER) if weights is None else [weights]
        paths = [folder_paths.get_full_path(FOLDER, name) for name in names]
        return state([Path(path) for path in paths if path])

    @classmethod
    def validate_inputs(cls, weights: str | None) -> bool | str:
        """Tell of a broken file before anything runs; a linked name is only known later."""
        if weights is None:
            return True
        try:
            read_info(weights_path(weights))
        except BGDefectError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, model: Any, weights: str, strength: float, allow_other_base: bool) -> Any:
        changed, info = apply_weights(model, weights_path(weights), strength, allow_other_base)
        about = describe(info)
        log.info("%s", about)
        return io.NodeOutput(
            changed,
            info.background_prompt,
            info.defect_prompt,
            info.mask_prompt,
            info.resolution,
            about,
        )


register_folder()
NODES = [LoadBase, ApplyWeights]
