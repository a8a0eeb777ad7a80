"""Folders and tensors of models: names in small or capital letters, types that are no weights."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from ..errors import WeightsError
from ..pictures.listing import comparable, list_folders

__all__ = ["check_types", "file_named", "is_short", "part_of"]

logger = logging.getLogger(__name__)

_QUANTISED = (
    ".scale_weight",
    ".weight_scale",
    ".weight_scale_inv",
    ".scale_input",
    ".input_scale",
    "scaled_fp8",
    ".absmax",
    ".quant_map",
    ".comfy_quant",
)
"""Ends of names that quantised weights bring along."""


def _entry_named(paths: Iterable[Path], path: Path) -> Path:
    """The one of some paths whose name is that of ``path`` to a person, in small or capital
    letters; ``path`` itself where there is none.

    Raises:
        WeightsError: two of them.
    """
    key = comparable(path.name)
    alike = [entry for entry in paths if comparable(entry.name) == key]
    if path in alike or not alike:
        return path
    if len(alike) > 1:
        came = f"{path.parent} holds {' and '.join(entry.name for entry in alike)}"
        raise WeightsError(came, f"one {path.name}", "remove one of them")
    return alike[0]


def part_of(folder: Path, name: str) -> Path:
    """The sub-folder of a model that has this name, in small or capital letters; its usual path
    where there is none.

    Raises:
        WeightsError: two of them.
    """
    return _entry_named(list_folders(folder), folder / name)


def file_named(folder: Path, name: str) -> Path:
    """The file of this name in a folder, by the rules of :func:`part_of`."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    return _entry_named(filter(Path.is_file, entries), folder / name)


def is_short(tensor: Tensor) -> bool:
    """Whether a tensor has floating-point numbers of 8 bits, with which torch does not compute."""
    return tensor.is_floating_point() and tensor.element_size() == 1


def check_types(where: str, tensors: Mapping[str, Tensor], prefixes: tuple[str, ...] = ()) -> None:
    """Refuse quantised weights, whose numbers are not the weights; say where weights are of 8 bits.

    Args:
        where: the folder or file, for messages.
        tensors: by name.
        prefixes: begins of the names of networks; empty: all are of one.

    Raises:
        WeightsError: whole numbers, or scales that belong to weights of 8 or fewer bits.
    """
    short = set()
    for name, tensor in tensors.items():
        is_network = not prefixes or name.startswith(prefixes)
        is_whole = not tensor.is_floating_point() and "position_ids" not in name
        if (is_network and is_whole) or name.endswith(_QUANTISED):
            came = f"{where} holds quantised weights ({name[:200]} is {tensor.dtype})"
            raise WeightsError(came, "fp32, fp16 or bf16", "choose the model before quantisation")
        if is_network and is_short(tensor):
            short.add(str(tensor.dtype).removeprefix("torch."))
    if short:
        text = "%s holds weights of 8 bits (%s), rounded coarsely: read as fp32"
        logger.warning(text, where, ", ".join(sorted(short)))
