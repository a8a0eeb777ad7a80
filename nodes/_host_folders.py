"""What the picture nodes ask of the host: folders, a progress bar, whether to write metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.utils
import folder_paths
from comfy.cli_args import args


def input_directory() -> Path:
    """The folder that workflows read from."""
    return Path(folder_paths.get_input_directory())


def input_subfolders() -> list[str]:
    """The names of its folders."""
    names: list[str] = folder_paths.get_input_subfolders()
    return names


def output_directory() -> Path:
    """The folder that workflows write to."""
    return Path(folder_paths.get_output_directory())


def progress_bar(total: int) -> Any:
    """The host's bar, which checks Cancel at each update."""
    return comfy.utils.ProgressBar(total)


def writes_metadata() -> bool:
    """Whether the user lets the host write workflows into files."""
    return not args.disable_metadata
