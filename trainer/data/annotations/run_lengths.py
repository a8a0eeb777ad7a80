"""Run lengths as COCO writes them: column after column, background first; as a list, or packed into
a string (five bits a character from "0" on, differences to the run before the last)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.masks import Mask

__all__ = ["mask_of_runs", "packed", "runs_of_mask", "unpacked"]

_FIRST = 48
"""Code of the character "0"."""
_LONGEST = 13
"""Characters of a number at most: 64 bits."""


def mask_of_runs(runs: Sequence[int], size: tuple[int, int]) -> Mask:
    """The mask of some run lengths: bool ``[H, W]``.

    Args:
        runs: whole numbers from 0 up; their sum is H times W.
        size: (H, W) in pixels.

    Raises:
        DataError: other numbers, or another sum.
    """
    height, width = size
    try:
        lengths = np.array(runs, np.int64)
    except OverflowError as reason:
        raise DataError("a run length is beyond all pictures", f"{height * width}") from reason
    total = height * width
    if lengths.ndim != 1 or (lengths < 0).any() or (lengths > total).any():
        raise DataError("a run length is out of range", f"whole numbers from 0 to {total}")
    if int(lengths.sum()) != total:
        came = f"run lengths of {int(lengths.sum())} pixels"
        raise DataError(came, f"{total}, for {width} x {height} pixels")
    inside = np.arange(len(lengths)) % 2 == 1
    return np.repeat(inside, lengths).reshape(width, height).T.copy()


def runs_of_mask(mask: Mask) -> list[int]:
    """The run lengths of a mask: whole numbers, the first of background (0 where there is none)."""
    flat: NDArray[np.bool_] = mask.T.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    runs: list[int] = np.diff(edges).tolist()
    return [0, *runs] if flat.size and flat[0] else runs


def packed(runs: Sequence[int]) -> str:
    """Run lengths as COCO's string."""
    characters: list[str] = []
    for number, run in enumerate(runs):
        value = run - runs[number - 2] if number > 2 else run
        while True:
            bits = value & 31
            value >>= 5
            is_last = value == -1 if bits & 16 else value == 0
            characters.append(chr(_FIRST + (bits if is_last else bits | 32)))
            if is_last:
                break
    return "".join(characters)


def unpacked(text: str) -> list[int]:
    """The run lengths of COCO's string.

    Raises:
        DataError: another character, or a string that breaks off.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for character in text:
        code = ord(character) - _FIRST
        if not 0 <= code < 64 or shift >= 5 * _LONGEST:
            came = f"packed run lengths hold {text[:20]!r}"
            raise DataError(came, "COCO's string of run lengths", "write them again")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value, shift = 0, 0
    if shift:
        came = f"packed run lengths break off ({text[-20:]!r})"
        raise DataError(came, "COCO's string of run lengths", "write them again")
    return runs
