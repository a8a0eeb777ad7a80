"""The plain layout: good pictures in one folder."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from bgdefect_core.pictures.listing import list_pictures, list_without_masks, unique_names

from ..examples import GOOD, Example
from .layout import Layout


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
        return [Example(picture, (), name, GOOD, "") for picture in pictures]
