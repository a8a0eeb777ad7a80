"""A training run as it is set up: its class, its parts, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch import nn

from bgdefect_core.method.loss import Loss, LossWeights, NoisyBatch
from bgdefect_core.method.regions import Context, RegionPrompts
from bgdefect_core.weights.info import PromptTexts

from ..bases.load import Base
from ..data.splits import Split
from .batches import Batches
from .cache import LatentCache
from .config import TrainConfig
from .run_folder import RunFolder
from .sheet import SheetItem


@dataclass
class Progress:
    """State of a run; part of its checkpoints."""

    step: int = 0
    """Iterations done."""
    best: float | None = None
    """Least validation loss, for the early stop."""
    since_best: int = 0
    """Validations since then."""
    stopped: bool = False
    first: float | None = None
    """Validation loss before the first iteration."""
    last: float | None = None
    """The latest validation loss."""


@dataclass(frozen=True)
class TrainingClass:
    """The class of a run: its names, its pictures, and the folder of the run."""

    object: str
    defect: str
    split: Split
    folder: RunFolder


@dataclass
class TrainingRun:
    """A training run, set up."""

    config: TrainConfig
    target: TrainingClass
    base: Base
    resolution: int
    prompts: RegionPrompts
    prompt_texts: PromptTexts
    loss: Loss
    context: Context
    """What the loss lets the U-Net read."""
    weights: LossWeights
    cache: LatentCache
    batches: Batches
    validation: list[NoisyBatch]
    """Empty where nothing is held out."""
    sheet: list[SheetItem]
    accelerator: Accelerator
    unet: Any
    """As accelerate wraps it."""
    parameters: list[nn.Parameter]
    optimizer: Any
    average: EMAModel | None
    progress: Progress = field(default_factory=Progress)

    @property
    def folder(self) -> RunFolder:
        """The folder of the run."""
        return self.target.folder

    def modules(self) -> dict[str, nn.Module]:
        """The modules of a checkpoint; the mean's share its memory."""
        modules: dict[str, nn.Module] = {"unet": self.base.unet}
        if self.average is not None:
            modules["average"] = nn.ParameterList(self.average.shadow_params)
        return modules
