"""What a run records of itself: the settings that make it this run, and what a repetition needs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bgdefect_core.declarations import Free, flat_values, options_of
from bgdefect_core.errors import WeightsError
from bgdefect_core.pictures.area_reading import Areas
from bgdefect_core.records.run_record import file_digest
from bgdefect_core.weights.info import ClassWeightsInfo

from ..bases.devices import pick_device
from ..bases.versions import library_versions
from .config import GenerateConfig
from .pairs import Pairs


def run_settings(config: GenerateConfig, info: ClassWeightsInfo, pairs: Pairs) -> dict[str, Any]:
    """All that decides what the samples look like, as plain JSON: a run is resumed only with the
    same.

    Every option but those that are declared free. Files are known by names and content.

    Args:
        pairs: after :meth:`Pairs.validate`.
    """
    free = {option.name for option in options_of(GenerateConfig) if Free() in option.metadata}
    settings: dict[str, Any] = {}
    for name, value in flat_values(config).items():
        if name not in free:
            settings[name] = list(value) if isinstance(value, tuple) else value
    sources = pairs.sources
    if sources.more_like is not None:
        settings["more_like"] = sources.more_like.record
    if sources.labels is not None:
        settings["labels"] = sources.labels
    prompts = config.prompts(info)
    return settings | {
        "weights_sha256": file_digest(config.weights, WeightsError, "a class weights file"),
        "class": f"{info.object} / {info.defect}",
        "base_fingerprint": info.base_fingerprint,
        "resolution": info.resolution,
        "zoom": info.zoom,
        "good_names": _names_digest([path.name for path in sources.good]),
        "ready_masks": sources.library is None,
        "mask_names": _names_digest(sources.mask_names),
        "known_surroundings": sources.known_surroundings,
        "part": pairs.part,
        "rotate_used": pairs.placement.rotate,
        "flip_used": pairs.placement.flip,
        "allowed_names": _area_names(sources.allowed),
        "forbidden_names": _area_names(sources.forbidden),
        "threshold": config.paint.label.threshold_in_use,
        "background_prompt": prompts.background,
        "defect_prompt": prompts.defect,
        "mask_prompt": prompts.mask,
        "device": pick_device(config.device).type,
    }


def made_with(config: GenerateConfig, library: Path | None, base_licence: str) -> dict[str, Any]:
    """What a repetition needs beside :func:`run_settings`: paths and versions.

    Args:
        library: the folder or data set of real masks that is used, given or detected.
        base_licence: of the base, as the class weights name it.
    """
    paths = {
        "weights": config.weights,
        "good": config.good,
        "masks": config.masks,
        "mask_library": library,
        "mask_split": config.mask_split,
        "allowed": config.allowed,
        "forbidden": config.forbidden,
    }
    record: dict[str, Any] = {}
    for name, path in paths.items():
        record[name] = None if path is None else os.path.abspath(path)
    base = config.base or "bgdefect-mini"
    return record | {
        "base": os.path.abspath(base) if config.base and Path(base).exists() else base,
        "base_licence": base_licence,
        "allow_other_base": config.allow_other_base,
        "threads": torch.get_num_threads(),
        "versions": library_versions(),
    }


def _area_names(areas: Areas | None) -> str | None:
    return None if areas is None else _names_digest([path.name for path in areas.files])


def _names_digest(names: Sequence[str]) -> str:
    text = "\n".join(names)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]
