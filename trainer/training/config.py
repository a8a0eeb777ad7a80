"""The settings of ``bgdefect train``, and their limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from bgdefect_core.errors import SettingError, check_range
from bgdefect_core.pictures.crop import Zoom

from ..bases.devices import pick_device

Loss = Literal["disentangled", "naive"]
LOSSES: tuple[str, ...] = get_args(Loss)


@dataclass(frozen=True)
class TrainConfig:
    """Learn one defect class from a handful of pictures with masks."""

    data: Path
    """Data set: a folder in MVTec AD or MVTec LOCO layout (all objects, or one), or a csv (image,
    mask, class, defect, group)."""
    output: Path
    """Weights file to write (.safetensors), or a folder for OBJECT-DEFECT.safetensors. Log, sheets
    and checkpoints go beside it, into a folder of the same name that ends in .run; the same command
    goes on after a kill."""
    object: str | None = None
    """Object, by its folder's name; needed where the data set holds several."""
    defect: str | None = None
    """Defect, by its folder's name; needed where the object has several."""
    base: str | None = None
    """Base model: bgdefect-mini (embedded, the default), a diffusers folder, or a Stable Diffusion
    1.x/2.x .safetensors file."""
    shots: int | None = None
    """Train on the first N pictures, hold out the rest. Default: the first half, as in the
    paper."""
    fold: int | None = None
    """0: train on the first half (default), 1: on the second."""
    split_file: Path | None = None
    """A split written by an earlier run (split.json), instead of shots or fold."""
    steps: int = 500
    """Training iterations."""
    batch: int = 4
    """Pictures an iteration, process and accumulation step; the U-Net sees twice as many (both
    halves of Eq. 5)."""
    lr: float | None = None
    """Learning rate of AdamW. Default: 1e-4 for small bases and LoRA, 5e-6 for a full Stable
    Diffusion U-Net."""
    lora_rank: int = 0
    """Rank of a LoRA on all attention layers; 0: train the whole U-Net, as the paper does."""
    loss: Loss = "disentangled"
    """Eq. 5 of the paper, or plain noise matching (its Table 4), for comparison."""
    mask_weight: float | None = None
    """Weight of the disentangled loss inside the mask. Default: 4 for small bases, 1, the paper's,
    for Stable Diffusion."""
    views: int = 16
    """Fixed augmented views a picture, encoded once; 1: the plain crop alone."""
    flips: bool = True
    """Mirror views. Off for parts with writing on them."""
    quarter_turns: bool = True
    """Turn views by quarters. Off for parts that always lie one way."""
    zoom: Zoom = "defect"
    """A square around the mask (defect), or the whole picture, for logical defects and the paper's
    recipes (whole). Generation repeats it."""
    resolution: int | None = None
    """Side of the training squares in pixels. Default: the base's native size."""
    background_prompt: str = "a photo of a {object}"
    """Prompt of the background, C_bg. {object} and {defect} stand for the names, with _ as a
    space."""
    defect_prompt: str = "a {defect} defect on a {object}"
    """Prompt of the defect, C_def."""
    mask_prompt: str = "mask"
    """Prompt of the empty mask, C_m."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the U-Net; fp16 needs a GPU. The trained weights stay fp32 while training."""
    accumulate: int = 1
    """Accumulation steps an iteration: 2 with half the batch give the same result in half the
    memory."""
    gradient_checkpointing: bool = False
    """Trade a third of the speed for memory."""
    ema: float = 0.0
    """Decay of an exponential mean of the weights, which is then what is written; 0: off."""
    seed: int = 0
    """Same seed, same machine, same result."""
    save_every: int = 100
    """Iterations between checkpoints; the last two are kept."""
    sample_every: int = 0
    """Iterations between sample sheets; 0: none."""
    validate_every: int = 0
    """Iterations between validations on held-out pictures; 0: before the first and after the last
    only."""
    early_stop: int = 0
    """Stop after so many validations without an improvement, and write the best weights; 0: off."""
    tensorboard: bool = False
    """Write TensorBoard events into the run's folder, too."""
    weights_precision: Literal["fp16", "fp32"] = "fp16"
    """Numbers in the weights file: fp16 halves it."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train; auto: the best that there is."""

    def check(self) -> None:
        """Raise SettingError where a value is out of its range, or two exclude each other."""
        whole: dict[str, tuple[float, float]] = {
            "steps": (1, 1_000_000),
            "batch": (1, 1024),
            "lora_rank": (0, 256),
            "views": (1, 1024),
            "accumulate": (1, 1024),
            "ema": (0, 0.99999),
            "seed": (0, 2**31),
            "save_every": (1, 1_000_000),
            "sample_every": (0, 1_000_000),
            "validate_every": (0, 1_000_000),
            "early_stop": (0, 1_000_000),
        }
        for name, (low, high) in whole.items():
            check_range(name, getattr(self, name), low, high)
        if self.lr is not None:
            check_range("lr", self.lr, 1e-10, 1.0)
        if self.mask_weight is not None:
            check_range("mask_weight", self.mask_weight, 0, 1000)
        if sum(value is not None for value in (self.shots, self.fold, self.split_file)) > 1:
            raise SettingError(
                "more than one of shots, fold and split_file is set",
                "one of them",
                "leave the others out",
            )
        if self.early_stop and not self.validate_every:
            raise SettingError(
                "early_stop without validations",
                "validate_every above 0",
                "set validate_every to 50",
            )
        if self.loss == "naive" and self.mask_weight not in (None, 1):
            raise SettingError(
                f"mask_weight is {self.mask_weight:g} with the naive loss", "1", "leave it out"
            )
        pick_device(self.device, self.precision)

    @property
    def on_cpu(self) -> bool:
        """Whether the CPU trains: on request, or for want of anything else."""
        return pick_device(self.device).type == "cpu"

    def prompt(self, template: str, object: str, defect: str) -> str:
        """A prompt with the names filled in."""
        return template.replace("{object}", object.replace("_", " ")).replace(
            "{defect}", defect.replace("_", " ")
        )
