"""The types of wire that the host lacks; `_wires` says what travels on them."""

from __future__ import annotations

from comfy_api.latest import io

PromptsWire = io.Custom("BGDEFECT_PROMPTS")
"""Carries `_wires.GraphPrompts`."""
InversionWire = io.Custom("BGDEFECT_INVERSION")
"""Carries `_wires.Inversion`."""
MapsWire = io.Custom("BGDEFECT_MAPS")
"""Carries `_wires.AttentionMaps`."""
CropWire = io.Custom("BGDEFECT_CROP")
"""Carries `_picture_steps.CropBatch`."""
QualityWire = io.Custom("BGDEFECT_QUALITY")
"""Carries a list of `_judging.Judged`, one a sample."""
