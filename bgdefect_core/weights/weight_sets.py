"""The weights in one folder of a diffusers model: files found by listing, read with safetensors."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from ..errors import WeightsError
from ..pictures.listing import is_leftover
from .safetensors_file import open_safetensors

__all__ = ["find_weights", "read_tensors"]

logger = logging.getLogger(__name__)

_SUFFIX = ".safetensors"
_PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".msgpack", ".h5")
_SHARD = re.compile(r"-(\d+)-of-(\d+)")
_STANDARD = ("diffusion_pytorch_model", "model")
"""Names that diffusers and transformers write."""
_VARIANTS = ("", "fp16")
"""In the order of preference."""
_EXPECTED = "safetensors weights, which cannot run code"
_AGAIN = "copy the folder again"


@dataclass
class WeightSet:
    """The files of one set of weights: one file, or all shards."""

    name: str
    variant: str
    """Such as "fp16" or "non_ema"; empty for the plain set."""
    whole: Path | None = None
    shards: dict[int, Path] = field(default_factory=dict)
    total: int = 0

    def files(self) -> list[Path]:
        """The files to read.

        Raises:
            WeightsError: shards are missing.
        """
        if self.whole is not None:
            return [self.whole]
        for number in range(1, self.total + 1):
            if number not in self.shards:
                shard = next(iter(self.shards.values()))
                came = f"{shard.parent} lacks part {number} of {self.total} of {self.name}"
                raise WeightsError(came, "all parts of the weights", _AGAIN)
        return [self.shards[number] for number in sorted(self.shards)]


def find_weights(part: Path) -> list[Path]:
    """The files of a folder's weights: the plain ones, else fp16, else the only other variant.

    What systems and tools leave in folders is passed over; endings may be in capitals.

    Raises:
        WeightsError: none, only pickles, several other variants, or missing shards.
    """
    files = sorted(path for path in part.iterdir() if path.is_file() and not is_leftover(path.name))
    sets: dict[tuple[str, str], WeightSet] = {}
    for path in files:
        if path.suffix.lower() != _SUFFIX:
            continue
        stem = path.name[: -len(_SUFFIX)]
        shard = _SHARD.search(stem)
        name, _, variant = _SHARD.sub("", stem).partition(".")
        weights = sets.setdefault((name, variant.lower()), WeightSet(name, variant.lower()))
        if shard is None:
            weights.whole = path
        else:
            weights.shards[int(shard[1])] = path
            weights.total = max(weights.total, int(shard[2]))
    if not sets:
        raise _no_weights(part, files)
    weights = _preferred(part, list(sets.values()))
    chosen = weights.files()
    if len(sets) > 1 or weights.variant:
        logger.info("%s: reads %s", part, ", ".join(path.name for path in chosen))
    return chosen


def _preferred(part: Path, sets: list[WeightSet]) -> WeightSet:
    for variant in _VARIANTS:
        matching = [weights for weights in sets if weights.variant == variant]
        for name in _STANDARD:
            for weights in matching:
                if weights.name == name:
                    return weights
        if matching:
            sets = matching
            break
    if len(sets) > 1:
        names = [f"{weights.name}.{weights.variant}".rstrip(".") for weights in sets]
        came = f"{part} holds several sets of weights: {', '.join(names)}"
        expected = "a plain one, an fp16 one, or a single other one"
        raise WeightsError(came, expected, "keep the one to be used")
    return sets[0]


def _no_weights(part: Path, files: list[Path]) -> WeightsError:
    """Why a folder has no weights, and what to do."""
    for path in files:
        if ".safetensors.index" in path.name.lower():
            came = f"{part} holds {path.name}, but none of the files that it names"
            shards = _indexed(path)
            if shards:
                came += f", first {shards[0]}"
            return WeightsError(came, _EXPECTED, "copy these files, too")
    for path in files:
        if path.suffix.lower() in _PICKLES:
            came = f"{part} holds only {path.name}, a pickle"
            return WeightsError(
                came, _EXPECTED, "save the model again with safe_serialization=True"
            )
    return WeightsError(f"{part} holds no weights", _EXPECTED, _AGAIN)


def _indexed(index: Path) -> list[str]:
    """The files that an index names."""
    try:
        names = set(json.loads(index.read_bytes())["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    return sorted(map(str, names))


def read_tensors(files: list[Path]) -> dict[str, Tensor]:
    """All tensors of the files, as they are stored.

    Raises:
        WeightsError: a damaged file.
    """
    tensors = {}
    for path in files:
        with open_safetensors(path, _EXPECTED) as file:
            for name in file.keys():  # noqa: SIM118 (not a dict)
                tensors[name] = file.get_tensor(name)
    return tensors
