"""Bases and class weights in the host's model folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import comfy.diffusers_load
import comfy.model_sampling
import folder_paths
import torch

from ..bgdefect_core.errors import WeightsError
from ..bgdefect_core.method.schedule import schedule_from_config
from ._base import HostParts, load_small
from ._host import prediction_type_of
from ._small_form import DAMAGED, not_built, read_config, refuse_other_capitals, weights_file
from .loaders import FOLDER, MINI

ASSETS = Path(__file__).resolve().parents[1] / "bgdefect_core" / "assets"


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
        refuse_other_capitals(folder, part)
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


def weights_names() -> list[str]:
    """The class weights files that the host lists."""
    names: list[str] = folder_paths.get_filename_list(FOLDER)
    return names


def weights_paths(names: list[str]) -> list[Path]:
    """The files of these names that are there."""
    paths = [folder_paths.get_full_path(FOLDER, name) for name in names]
    return [Path(path) for path in paths if path]


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


register_folder()
