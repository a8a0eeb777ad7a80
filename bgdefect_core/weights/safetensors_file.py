"""Opening safetensors files, and what a file is instead where it is none.

The header is read by the safetensors library; only the first bytes of a refused file are looked at
here, so that the advice fits the fault.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from ..errors import WeightsError
from ..paths import system_errors

__all__ = ["describe_damage", "open_safetensors"]

_PICKLES = (b"PK", *(bytes((0x80, protocol)) for protocol in range(2, 6)))
_WEB_PAGES = (b"<!doctype", b"<html", b"<?xml")
_APPLE_DOUBLE = b"\x00\x05\x16\x07"
_AGAIN = "copy the file again"


@contextmanager
def open_safetensors(path: Path, expected: str) -> Iterator[Any]:
    """Open a file with ``safetensors.safe_open`` on the CPU; no tensor is loaded by it.

    Args:
        path: the file, under any name.
        expected: what the file should have been, for messages.

    Yields:
        The handle: ``keys()``, ``metadata()``, ``get_tensor(name)``, ``get_slice(name)``.

    Raises:
        WeightsError: no such file, no rights, not a safetensors file, or a damaged one; also while
            the block reads from it.
    """
    with system_errors(WeightsError, expected):
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "no plain file"
            kind = kind if path.exists() else "no such file"
            raise WeightsError(f"{path}: {kind}", expected)
        try:
            with path.open("rb") as file, safe_open(_name(path, file.fileno()), "pt") as handle:
                yield handle
        except SafetensorError as reason:
            came, do = describe_damage(path)
            raise WeightsError(f"{path}: {came} ({reason})", expected, do) from reason


def _name(path: Path, descriptor: int) -> str:
    """The path, or another name of the open file where its name is not valid UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return f"/dev/fd/{descriptor}"
    return os.fspath(path)


def describe_damage(path: Path) -> tuple[str, str]:
    """What a file is that safetensors cannot read, and what to do about it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(64)
    if size == 0:
        return "is empty (0 bytes)", _AGAIN
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the weights", "run `git lfs pull` in its repository"
    if start.lstrip().lower().startswith(_WEB_PAGES):
        return "is a web page under this name", "download the file itself, signed in if need be"
    if start.startswith(_APPLE_DOUBLE):
        return "is a file that macOS writes beside the real one", "choose the one without ._"
    if start.startswith(_PICKLES):
        return "is a pickle (.pt, .ckpt) under another name", "convert it to safetensors"
    if len(start) < 9 or start[8:9] != b"{":
        return "is not a safetensors file", "choose another file"
    length = struct.unpack("<Q", start[:8])[0]
    if size < 8 + length:
        return f"is truncated within its header, at {size} bytes", _AGAIN
    return f"is truncated or damaged: its header does not describe its {size} bytes", _AGAIN
