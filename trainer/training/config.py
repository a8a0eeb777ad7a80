"""The settings of ``bgdefect train``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from bgdefect_core.declarations import Choice, Doc, Range, check_settings
from bgdefect_core.errors import SettingError
from bgdefect_core.method.loss import LOSSES, LossName
from bgdefect_core.method.schedule import PredictionType
from bgdefect_core.pictures.crop import Zoom
from bgdefect_core.weights.info import PromptTexts

from ..bases.devices import pick_device
from ..bases.families import BASE_HELP
from ..bases.families.family import RESOLUTION
from ..bases.precision import Precision
from ..data.layouts import AS_FOUND, ReadingSettings, data_help
from .timesteps import DEFAULT_TIMESTEP_DRAW, TIMESTEP_DRAWS, TimestepDrawName
from .tuning import DEFAULT_TRAINED_PART, TRAINED_PARTS, TrainedPartName

__all__ = ["LOSSES", "TrainConfig"]

MasksFrom = Literal["labels", "boxes", "points"]
_MANY = 1_000_000
"""More iterations than any training has."""


@dataclass(frozen=True)
class TrainConfig:
    """Learn one defect class from a handful of pictures with masks."""

    data: Annotated[
        Path,
        Doc(data_help("Data set, of all objects or of one")),
    ]
    output: Annotated[
        Path,
        Doc(
            "Weights file to write (.safetensors), or a folder for OBJECT-DEFECT.safetensors. Log,"
            " sheets and checkpoints are written beside it, to a folder of the same name that ends"
            " in .run; the same command resumes an interrupted run."
        ),
    ]
    object: Annotated[
        str | None,
        Doc("Object, by its folder's name; required where the data set holds several."),
    ] = None
    defect: Annotated[
        str | None,
        Doc("Defect, by its folder's name; required where the object has several."),
    ] = None
    base: Annotated[
        str | None,
        Doc(BASE_HELP),
    ] = None
    prediction: Annotated[
        PredictionType | None,
        Doc(
            "What the base predicts, where its files do not say so or contradict each other."
            " Default: as they say."
        ),
    ] = None
    reading: Annotated[ReadingSettings, tyro.conf.arg(name="")] = AS_FOUND
    masks_from: Annotated[
        MasksFrom,
        Doc(
            "labels: the labels as they are. boxes: labels that are boxes are tightened to masks: "
            "the filled boxes are learned, the class finds the defect in each, and is learned "
            "again; where an aligned good picture lies in paired_good, the difference from it "
            "takes the box's place at once. points: the same of circles around points "
            "(--point-size). Both and the masks are kept in the run's folder, for bgdefect review."
        ),
    ] = "labels"
    box_rounds: Annotated[
        int,
        Range(0, 3),
        Doc(
            "Rounds of tightening by the class at most; fewer where nothing changes. 0: boxes are "
            "tightened by the edges of their pictures alone."
        ),
    ] = 3
    shots: Annotated[
        int | None,
        Range(1, _MANY),
        Doc(
            "Train on the first N pictures and hold out the others. Default: the side train of a"
            " data set that has sides (--sides), else the first half, as in the paper."
        ),
    ] = None
    fold: Annotated[
        int | None,
        Range(0, 1),
        Doc("0: train on the first half (default), 1: on the second; of the side train, if any."),
    ] = None
    split_file: Annotated[
        Path | None,
        Doc("A split that an earlier run wrote (split.json), instead of shots or fold."),
    ] = None
    steps: Annotated[int, Range(1, _MANY), Doc("Training iterations.")] = 500
    batch: Annotated[
        int,
        Range(1, 1024),
        Doc(
            "Pictures per iteration, process and accumulation step; the U-Net reads twice as many"
            " (both halves of Eq. 5)."
        ),
    ] = 4
    lr: Annotated[
        float | None,
        Range(1e-10, 1),
        Doc(
            "Learning rate of AdamW. Default: 1e-4 for small bases and LoRA, 5e-6 for a full Stable"
            " Diffusion U-Net."
        ),
    ] = None
    lora_rank: Annotated[
        int,
        Range(0, 256),
        Doc("Rank of a LoRA on all attention layers; 0: train the whole U-Net, as in the paper."),
    ] = 0
    trained_part: Annotated[
        TrainedPartName,
        Choice(TRAINED_PARTS),
        Doc(TRAINED_PARTS.help("What is trained where no LoRA is.")),
    ] = DEFAULT_TRAINED_PART
    loss: Annotated[LossName, Choice(LOSSES), Doc(LOSSES.help("Loss of the training."))] = (
        "disentangled"
    )
    mask_weight: Annotated[
        float | None,
        Range(0, 1000),
        Doc(
            "Weight of the disentangled loss inside the mask. Default: 4 for small bases; 1, as in"
            " the paper, for Stable Diffusion."
        ),
    ] = None
    min_snr_gamma: Annotated[
        float | None,
        Range(0.01, 10_000),
        Doc(
            "gamma of Min-SNR weighting: levels with a signal-to-noise ratio above it count less in"
            " the loss; 5 in the literature. Default: none, the loss of the base's own prediction."
        ),
    ] = None
    timesteps: Annotated[
        TimestepDrawName,
        Choice(TIMESTEP_DRAWS),
        Doc(TIMESTEP_DRAWS.help("How the timesteps of the training are drawn.")),
    ] = DEFAULT_TIMESTEP_DRAW
    views: Annotated[
        int,
        Range(1, 1024),
        Doc("Fixed augmented views per picture, encoded once; 1: the plain crop alone."),
    ] = 16
    flips: Annotated[bool, Doc("Mirror views. Off for parts with text on them.")] = True
    quarter_turns: Annotated[
        bool,
        Doc("Rotate views by multiples of 90 degrees. Off for parts with a fixed orientation."),
    ] = True
    zoom: Annotated[
        Zoom,
        Doc(
            "A square around the mask (defect), or the whole picture, for logical defects and the"
            " paper's recipes (whole). Generation uses the same."
        ),
    ] = "defect"
    resolution: Annotated[
        int | None,
        RESOLUTION,
        Doc("Side of the training squares in pixels. Default: the base's native size."),
    ] = None
    background_prompt: Annotated[
        str,
        Doc(
            "Prompt of the background, C_bg. {object} and {defect} are replaced by the names, with"
            " _ as a space."
        ),
    ] = "a photo of a {object}"
    defect_prompt: Annotated[str, Doc("Prompt of the defect, C_def.")] = (
        "a {defect} defect on a {object}"
    )
    mask_prompt: Annotated[str, Doc("Prompt of the empty mask, C_m.")] = "mask"
    precision: Annotated[
        Precision,
        Doc(
            "Arithmetic of the U-Net; fp16 needs a GPU. The trained weights, the optimizer, the "
            "loss and the encoding of the pictures stay in fp32. auto: bf16 where the device "
            "computes in it and the base was measured to paint the same in it, else fp32."
        ),
    ] = "auto"
    accumulate: Annotated[
        int,
        Range(1, 1024),
        Doc(
            "Accumulation steps per iteration: 2 with half the batch give the same result in half"
            " the memory."
        ),
    ] = 1
    gradient_checkpointing: Annotated[
        bool, Doc("Recompute activations: less memory, a third of the speed.")
    ] = False
    ema: Annotated[
        float,
        Range(0, 0.99999),
        Doc("Decay of an exponential mean of the weights, which is then written; 0: off."),
    ] = 0.0
    seed: Annotated[
        int, Range(0, 2**31), Doc("The same seed on the same machine gives the same result.")
    ] = 0
    save_every: Annotated[
        int, Range(1, _MANY), Doc("Iterations between checkpoints; the last two are kept.")
    ] = 100
    sample_every: Annotated[
        int, Range(0, _MANY), Doc("Iterations between sample sheets; 0: none.")
    ] = 0
    validate_every: Annotated[
        int,
        Range(0, _MANY),
        Doc(
            "Iterations between validations on held-out pictures; 0: before the first and after"
            " the last iteration only."
        ),
    ] = 0
    validation_pictures: Annotated[
        int,
        Range(0, _MANY),
        Doc(
            "Held-out pictures of a validation, evenly out of all, each at four noise levels; 0: no"
            " validation."
        ),
    ] = 32
    early_stop: Annotated[
        int,
        Range(0, _MANY),
        Doc(
            "Stop after this many validations without an improvement, and write the best weights;"
            " 0: off."
        ),
    ] = 0
    tensorboard: Annotated[bool, Doc("Write TensorBoard events to the run's folder, too.")] = False
    weights_precision: Annotated[
        Literal["fp16", "fp32"],
        Doc("Number format of the weights file; fp16 halves its size."),
    ] = "fp16"
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"],
        Doc("Device of the training; auto: a GPU where there is one."),
    ] = "auto"

    def check(self) -> None:
        """Raise SettingError where a value is out of its range, or two exclude each other."""
        check_settings(self)
        self.reading.check()
        splits = (self.shots, self.fold, self.split_file)
        if sum(split is not None for split in splits) > 1:
            came = "more than one of shots, fold and split_file is set"
            raise SettingError(came, "one of them", "leave the others out")
        if self.masks_from == "points" and self.reading.point_size is None:
            expected = "the diameter of the circles that stand for them"
            do = "set point_size to the size of the defects in pixels"
            raise SettingError("masks_from is points without point_size", expected, do)
        if self.early_stop and not self.validate_every:
            came = "early_stop without validations"
            raise SettingError(came, "validate_every above 0", "set validate_every to 50")
        if self.early_stop and not self.validation_pictures:
            came = "early_stop without pictures for validations"
            raise SettingError(came, "validation_pictures above 0", "set it to 32")
        if self.lora_rank and self.trained_part != DEFAULT_TRAINED_PART:
            came = f"trained_part is {self.trained_part} with a LoRA of rank {self.lora_rank}"
            raise SettingError(came, "one of them", "leave lora_rank or trained_part out")
        if not LOSSES[self.loss].weighted and self.mask_weight not in (None, 1):
            came = f"mask_weight is {self.mask_weight:g} with the {self.loss} loss"
            raise SettingError(came, "1", "leave it out")
        pick_device(self.device, self.precision)

    def prompts(self, object: str, defect: str) -> PromptTexts:
        """The prompts, with the names filled in."""
        names = {"{object}": object.replace("_", " "), "{defect}": defect.replace("_", " ")}
        texts = []
        for template in (self.background_prompt, self.defect_prompt, self.mask_prompt):
            for placeholder, name in names.items():
                template = template.replace(placeholder, name)
            texts.append(template)
        return PromptTexts(*texts)
