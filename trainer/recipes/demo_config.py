"""The settings of ``bgdefect demo``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DemoConfig:
    """Learn one defect class on the embedded base and paint it into unseen good pictures, in
    minutes on two cores.

    Run again, it goes on where it was stopped, or shows what is there.
    """

    data: Path | None = None
    """Data set in MVTec layout (of several objects, or one). Default: the variable BGDEFECT_DATA;
    else scikit-image's textures with drawn defects."""
    object: str | None = None
    """Object. Default: the variable BGDEFECT_OBJECT; else the first with enough pictures."""
    defect: str | None = None
    """Defect. Default: the variable BGDEFECT_DEFECT; else the first with enough pictures."""
    output: Path = Path("runs/demo")
    """Folder for weights and samples."""
    count: int = 24
    """Samples."""
    shots: int = 12
    """Pictures to learn from."""
    train_steps: int = 250
    """Training iterations."""
    steps: int = 10
    """Sampling steps."""
    seed: int = 0
    """Everything random follows from it."""
    base: str | None = None
    """Base model; default: the embedded one."""
    fresh: bool = False
    """Throw away what an earlier demo of this class made, and start anew."""
