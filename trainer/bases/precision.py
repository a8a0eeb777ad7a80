"""The precision of painting and training: which one ``auto`` comes to.

bf16 is taken where two things hold. The device computes in it: that is asked when a run starts. And
its pictures are those of fp32: the mean difference inside the mask is at most ``MOST_GRAY_LEVELS``.
That was measured once for a base and stands in ``GRAY_LEVELS`` by the base's fingerprint. It is not
measured at the start of a run: 64 samples in both precisions take longer than most runs, and an
answer that depends on chance or load would change what a resumed run makes.
"""

from __future__ import annotations

import logging
from typing import Literal

import torch

from .base import Base

__all__ = ["GRAY_LEVELS", "MOST_GRAY_LEVELS", "Precision", "choose_precision", "has_bf16"]

log = logging.getLogger(__name__)

Precision = Literal["auto", "fp32", "bf16", "fp16"]

MOST_GRAY_LEVELS = 2.0
"""Largest mean difference inside the mask between samples in bf16 and fp32, of 255."""

GRAY_LEVELS: dict[str, float] = {
    "415e0c31bf4148fb429ebddf62966134fcbb804238a7c1952498680d75629192": 0.308,  # bgdefect-mini
}
"""Mean difference inside the mask, of 255, by the fingerprint of the base: the same 64 samples in
bf16 and in fp32 (``bgdefect bench precision``)."""

_AMPERE = (8, 0)
"""The first CUDA devices with bf16."""
_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "bf16")
"""Of processors that multiply in bf16; elsewhere it is imitated, many times slower than fp32."""


def choose_precision(wanted: Precision, base: Base, device: torch.device) -> Precision:
    """The precision of a run: ``wanted``, or what "auto" comes to.

    Args:
        wanted: as set.
        base: the one that the run works on, with or without a class on it.
        device: of the run.

    Returns:
        "fp32", "bf16" or "fp16".
    """
    if wanted == "bf16" and device.type == "cpu" and not has_bf16(device):
        log.warning("this processor has no bf16 arithmetic: it is imitated and slow, use fp32")
    if wanted != "auto":
        return wanted
    if not has_bf16(device):
        return "fp32"
    difference = GRAY_LEVELS.get(base.fingerprint)
    if difference is None:
        log.info(
            "precision fp32: bf16 was not measured on the base %s. --precision bf16 is faster",
            base.name,
        )
        return "fp32"
    return "bf16" if difference <= MOST_GRAY_LEVELS else "fp32"


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies in bf16 by instructions of its own."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= _AMPERE
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False  # older releases of torch cannot say
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in _INSTRUCTIONS)
