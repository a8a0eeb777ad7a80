"""The device of a command, and the number types of its arithmetic."""

from __future__ import annotations

import torch

from bgdefect_core.errors import SettingError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""The type of each precision."""


def pick_device(name: str, precision: str = "fp32") -> torch.device:
    """The device of this name; "auto": CUDA, else MPS, else the CPU.

    Raises:
        SettingError: this machine has no such device, or it is a CPU and the precision is fp16.
    """
    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    if name == "auto":
        name = available[0]
    if name not in available:
        came = f"this machine has no {name} device"
        raise SettingError(came, f"one of {', '.join(available)}", "set device to auto")
    if precision == "fp16" and name == "cpu":
        raise SettingError("fp16 on a CPU", "bf16 or fp32", "set precision to bf16")
    return torch.device(name)
