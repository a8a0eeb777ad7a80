"""What the picture nodes ask of the host: folders, a progress bar, whether to write metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.utils
import folder_paths
from comfy.cli_args import args

DATA_SETS = "datasets"
"""The host's name of its folders of data sets (v0.30 and later)."""


def input_directory() -> Path:
    """The folder that workflows read from."""
    return Path(folder_paths.get_input_directory())


def input_subfolders() -> list[str]:
    """The names of its folders."""
    names: list[str] = folder_paths.get_input_subfolders()
    return names


def dataset_roots() -> list[Path]:
    """The host's folders of data sets; older hosts have none."""
    if DATA_SETS not in folder_paths.folder_names_and_paths:
        return []
    return [Path(root) for root in folder_paths.get_folder_paths(DATA_SETS)]


def output_directory() -> Path:
    """The folder that workflows write to."""
    return Path(folder_paths.get_output_directory())


def progress_bar(total: int) -> Any:
    """The host's bar, which checks Cancel at each update."""
    return comfy.utils.ProgressBar(total)


def writes_metadata() -> bool:
    """Whether the user lets the host write workflows into files."""
    return not args.disable_metadata
