"""Which device a command runs on."""

from __future__ import annotations

import torch

from bgdefect_core.errors import SettingError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""The arithmetic of a precision."""


def pick_device(name: str, precision: str = "fp32") -> torch.device:
    """The device of this name; "auto": CUDA, else MPS, else the CPU.

    Raises:
        SettingError: this machine has none, or it is a CPU and the precision is fp16.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    if not available.get(name, False):
        raise SettingError(
            f"this machine has no {name} device", "one that it has", "set device to auto"
        )
    if precision == "fp16" and name == "cpu":
        raise SettingError("fp16 on a CPU", "bf16 or fp32", "set precision to bf16")
    return torch.device(name)
