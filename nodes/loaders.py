"""Load a base; put a trained defect class on it."""

from __future__ import annotations

import logging
from typing import Any

from ..bgdefect_core.errors import BGDefectError
from ..bgdefect_core.weights.files import ClassWeightsInfo, read_info
from ._declare import Node, Output, Schema, widget, wire
from ._folders import state

log = logging.getLogger(__name__)

MINI = "bgdefect-mini (embedded)"
FOLDER = "bgdefect"
"""The host's model folder for class weights: ``models/bgdefect``, what extra_model_paths.yaml adds,
and the shipped demo."""


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


def _bases() -> list[str]:
    from ._loading import diffusers_folders

    return [MINI, *sorted(diffusers_folders())]


def _weights_names() -> list[str]:
    from ._loading import weights_names

    return weights_names()


class LoadBase(Node):
    """Load Defect Base: the embedded base or a diffusers folder."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectLoadBase",
            display_name="Load Defect Base",
            category="BGDefect/model",
            description="The base that defect classes are trained on: the small one that comes "
            "with this pack (nothing is downloaded),"
            " or any Stable Diffusion 1.x, 2.x or XL in diffusers form from models/diffusers. For "
            "a checkpoint file use Load Checkpoint.",
            search_aliases=["bgdefect", "defect model", "diffusers loader"],
            inputs=[
                widget(
                    "COMBO",
                    "base",
                    options=_bases,
                    default=MINI,
                    tooltip="The embedded base (for small pictures of 128 pixels, runs on a CPU), "
                    "or a folder in models/diffusers.",
                )
            ],
            outputs=[
                Output("MODEL", "model", tooltip="The U-Net."),
                Output("CLIP", "clip", tooltip="The text encoder."),
                Output("VAE", "vae", tooltip="Between pictures and latents."),
            ],
        )

    @classmethod
    def execute(cls, base: str) -> Any:
        from ._loading import load_base

        parts = load_base(base)
        return (
            parts.model,
            parts.clip,
            parts.vae,
        )


class ApplyWeights(Node):
    """Apply Defect Weights: a class weights file on its base."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectApplyWeights",
            display_name="Apply Defect Weights",
            category="BGDefect/model",
            description="Puts a trained defect class (a file that `bgdefect train` wrote, in "
            "models/bgdefect) on its base, and gives"
            " out the prompts it was trained with. Put further LoRAs after this node.",
            search_aliases=["bgdefect", "defect lora", "class weights"],
            inputs=[
                wire(
                    "MODEL",
                    "model",
                    tooltip="The base that the class was trained on. It stays as it is.",
                ),
                widget(
                    "COMBO",
                    "weights",
                    options=_weights_names,
                    tooltip="A class weights file (.safetensors) in models/bgdefect.",
                ),
                widget(
                    "FLOAT",
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="How strongly the class acts: 1 as trained, 0 not at all. A full U-Net "
                    "is blended with its base.",
                ),
                widget(
                    "BOOLEAN",
                    "allow_other_base",
                    default=False,
                    advanced=True,
                    tooltip="On: a full U-Net that was trained on other weights of the same form "
                    "is a warning, not an error. Normally off.",
                ),
            ],
            outputs=[
                Output("MODEL", "model", tooltip="The base with the class on it."),
                Output(
                    "STRING",
                    "background prompt",
                    tooltip="What the part is, as trained: for Encode Region Prompts.",
                ),
                Output("STRING", "defect prompt", tooltip="What the defect is, as trained."),
                Output(
                    "STRING",
                    "mask prompt",
                    tooltip="The word that stood for the empty mask, as trained.",
                ),
                Output(
                    "INT",
                    "resolution",
                    tooltip="Side of the training pictures in pixels: for Crop to Mask.",
                ),
                Output("STRING", "about", tooltip="What the file says about itself."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, weights: str | None, **_others: Any) -> Any:
        """A file that was trained anew under its old name is loaded anew; a linked name is not
        known yet: any file may be meant."""
        from ._loading import weights_names, weights_paths

        return state(weights_paths(weights_names() if weights is None else [weights]))

    @classmethod
    def validate_inputs(cls, weights: str | None) -> bool | str:
        """Tell of a broken file before anything runs; a linked name is only known later."""
        if weights is None:
            return True
        from ._loading import weights_path

        try:
            read_info(weights_path(weights))
        except BGDefectError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, model: Any, weights: str, strength: float, allow_other_base: bool) -> Any:
        from ._loading import weights_path
        from ._weights import apply_weights

        changed, info = apply_weights(model, weights_path(weights), strength, allow_other_base)
        about = describe(info)
        log.info("%s", about)
        return (
            changed,
            info.background_prompt,
            info.defect_prompt,
            info.mask_prompt,
            info.resolution,
            about,
        )


NODES = [LoadBase, ApplyWeights]
