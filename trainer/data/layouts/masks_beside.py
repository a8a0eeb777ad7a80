"""Pictures with masks beside them: NAME.png and NAME_mask.png in one folder."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from bgdefect_core.pictures.listing import (
    apart_from_masks,
    list_folders,
    list_pictures,
    named,
    picture_files,
    report_once,
    shown_names,
    unique_names,
)

from ..examples import GOOD, Example
from ..sides import is_asked_for, side_of_place
from .black_masks import is_black
from .layout import Layout, choose, object_name

_DEFECT = "defect"


class MasksBeside(Layout):
    """A data set of one object, called as its folder is, and of one defect: in a folder itself, or
    in the folders in it, such as sides."""

    name = "masks_beside"
    summary = (
        "masks beside pictures: NAME.png with NAME_mask.png in one folder, or in folders in it; "
        "white is the defect (defect); pictures without mask, or with one that is all black, are "
        "good pictures"
    )
    good_place = "pictures without a mask beside them, outside the folder test"

    def recognises(self, root: Path) -> bool:
        if not root.is_dir() or named(list_folders(root), "ground_truth") is not None:
            return False
        return any(apart_from_masks(picture_files(place))[1] for place in _places_in(root))

    def classes(self, root: Path) -> dict[str, list[str]]:
        has_defects = any(not example.is_good for example in _all(root))
        return {object_name(root): [_DEFECT] if has_defects else []}

    def examples(self, root: Path, classes: Collection[tuple[str, str]]) -> list[Example]:
        return [example for example in _all(root) if classes and not example.is_good]

    def good_examples(self, root: Path, object: str | None, side: str) -> list[Example]:
        choose(root, "object", object, [object_name(root)])
        examples: list[Example] = []
        for example in _all(root):
            if example.is_good and is_asked_for(example.side, side):
                examples.append(example)
        return examples


def _places_in(root: Path) -> list[Path]:
    return [root, *list_folders(root)]


def _all(root: Path) -> list[Example]:
    """All pictures.

    Raises:
        DataError: two pictures or two masks of one name.
    """
    examples: list[Example] = []
    without: list[str] = []
    object = object_name(root)
    for place in _places_in(root):
        pictures, masks = apart_from_masks(list_pictures(place, folders_are_read=place == root))
        unique_names(pictures)
        unique_names(masks)
        mask_of = {picture: mask for mask, picture in masks.items()}
        for image in pictures:
            side = side_of_place(root, image)
            mask = mask_of.get(image)
            if mask is None:
                without.append(image.name)
            if mask is None or is_black(mask):
                examples.append(Example(image, (), object, GOOD, "", side=side))
            else:
                examples.append(Example(image, (mask,), object, _DEFECT, "", side=side))
    if without:
        text = f"{root}: {shown_names(without)} have no mask: taken for good pictures"
        report_once(text, expected=False)
    return examples
