"""The plain layout: good pictures in one folder."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from bgdefect_core.pictures.listing import (
    is_leftover,
    list_pictures,
    list_without_masks,
    report_once,
    shown_names,
    unique_names,
)

from ..examples import GOOD, Example
from .layout import Layout

_LABELS = frozenset({".json", ".xml", ".csv"})


class PlainFolder(Layout):
    """It holds good pictures alone, so that classes come from elsewhere."""

    name = "plain"
    summary = "a folder of good pictures, for generation"
    good_place = "pictures in the folder"

    def recognises(self, root: Path) -> bool:
        return root.is_dir() and bool(list_pictures(root))

    def classes(self, root: Path) -> dict[str, list[str]]:
        return {}

    def examples(self, root: Path, classes: Collection[tuple[str, str]]) -> list[Example]:
        return []

    def good_examples(self, root: Path, object: str | None, side: str) -> list[Example]:
        name = object or root.name
        pictures = list_without_masks(root)
        unique_names(pictures)
        _report_labels(root)
        return [Example(picture, (), name, GOOD, "") for picture in pictures]


def _report_labels(root: Path) -> None:
    """Say which files beside the pictures may hold labels of a layout that is not read."""
    names: list[str] = []
    for path in sorted(root.iterdir()):
        if path.suffix.lower() in _LABELS and not is_leftover(path.name):
            names.append(path.name)
    if names:
        text = f"{root}: all pictures are taken for good ones; if {shown_names(names)} hold labels "
        report_once(f"{text}of defects, they are in no form that is read", expected=False)
