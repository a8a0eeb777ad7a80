"""Masks whose values or colours are classes: as a layout of folders, and in any other layout."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import (
    comparable,
    list_folders,
    list_without_masks,
    mask_key,
    named,
    picture_key,
    report_once,
    shown_names,
    unique_names,
)
from bgdefect_core.pictures.mask_values import NONZERO, WHITE

from ..annotations.mask_classes import MaskClasses, OtherPixels
from ..annotations.picture_index import PictureIndex
from ..annotations.record import Region
from ..examples import GOOD, Example
from ..sides import is_asked_for, side_called, side_of_place
from .black_masks import has_white, is_black
from .layout import Layout, choose, file_in, object_name
from .peeking import files_below, pictures_below

__all__ = ["ClassMasks", "MaskFolders"]

_PLACES = {"segmentationclass": ("jpegimages",), "masks": ("images",)}
"""Folder of masks -> names of the folder of pictures beside it."""
_ALL_MASKS = frozenset({"segmentationclass", "segmentationobject", "masks"})
_LABEL_MAP = "labelmap.txt"
_DEFECT = "defect"


class ClassMasks(Layout):
    """Another layout, whose masks hold several classes: each is a defect, wherever its picture
    stands. Pictures whose mask holds none are good ones."""

    def __init__(self, layout: Layout, classes: MaskClasses) -> None:
        self._layout = layout
        self._classes = classes
        self.name = layout.name
        self.summary = layout.summary
        self.good_place = layout.good_place

    def recognises(self, root: Path) -> bool:
        return self._layout.recognises(root)

    def classes(self, root: Path) -> dict[str, set[str]]:
        defects: dict[str, set[str]] = {name: set() for name in self._layout.classes(root)}
        for example in self._by_class(root):
            if not example.is_good:
                defects.setdefault(example.object, set()).add(example.defect)
        return defects

    def examples(self, root: Path, classes: Collection[tuple[str, str]]) -> list[Example]:
        chosen: list[Example] = []
        for example in self._by_class(root):
            if not example.is_good and (example.object, example.defect) in classes:
                chosen.append(example)
        return sorted(chosen, key=lambda example: (example.object, example.defect))

    def good_examples(self, root: Path, object: str | None, side: str) -> list[Example]:
        name = choose(root, "object", object, self.classes(root))[0]
        good = self._layout.good_examples(root, object, side)
        listed = {example.image for example in good}
        for example in self._by_class(root):
            is_new = example.is_good and example.object == name and example.image not in listed
            if is_new and is_asked_for(example.side, side):
                good.append(example)
        return good

    def _by_class(self, root: Path) -> list[Example]:
        """An example for each class of each picture; one without masks for a picture of none."""
        known: set[tuple[str, str]] = set()
        for object, defects in self._layout.classes(root).items():
            for defect in defects:
                known.add((object, defect))
        divided: dict[tuple[str, Path, str], Example] = {}
        for example in self._layout.examples(root, known):
            for defect, part in self._parts_of(example):
                key = (example.object, example.image, defect)
                before = divided.get(key)
                if before is not None:  # a row of a csv for each class, with one mask
                    part = replace(part, masks=(*before.masks, *part.masks))
                divided[key] = part
        return list(divided.values())

    def _parts_of(self, example: Example) -> list[tuple[str, Example]]:
        files: dict[str, list[Path]] = {}
        for path in example.masks:
            for name in self._classes.in_file(path):
                files.setdefault(name, []).append(path)
        parts: list[tuple[str, Example]] = []
        for name in self._classes.defects:
            if name in files:
                others = OtherPixels(example.masks, self._classes.others_of(name))
                part = replace(
                    example,
                    masks=tuple(files[name]),
                    defect=name,
                    values=self._classes.values_of((name,)),
                    others=(Region("others", others, str(example.masks[0])),),
                )
                parts.append((name, part))
        if not files:
            good = replace(example, masks=(), defect=GOOD, values=WHITE)
            parts.append((GOOD, good))
        return parts


class MaskFolders(Layout):
    """Pictures and masks of equal names in two folders, as Pascal VOC and CVAT have them."""

    name = "class_masks"
    summary = (
        "masks of classes: SegmentationClass and JPEGImages with labelmap.txt (CVAT's export "
        "Segmentation mask, Pascal VOC), or masks and images, there or in train, val and test; "
        "each name of labelmap.txt or --mask-classes is a defect, pictures without mask or class "
        "are good pictures; without names white is the defect (defect), or every value but 0 of "
        "masks without white"
    )
    good_place = "pictures without a class in their mask, outside the folder test"

    def reading_at(self, root: Path) -> Layout:
        """The layout with the names that its ``labelmap.txt`` gives, where there is one."""
        path = file_in(root, _LABEL_MAP) if root.is_dir() else None
        return self if path is None else ClassMasks(self, MaskClasses.read(path))

    def recognises(self, root: Path) -> bool:
        return bool(_bases_in(root))

    def classes(self, root: Path) -> dict[str, set[str]]:
        examples = self._all(root)
        object = object_name(root)
        return {object: {example.defect for example in examples if not example.is_good}}

    def examples(self, root: Path, classes: Collection[tuple[str, str]]) -> list[Example]:
        return [example for example in self._all(root) if not example.is_good and classes]

    def good_examples(self, root: Path, object: str | None, side: str) -> list[Example]:
        choose(root, "object", object, [object_name(root)])
        examples: list[Example] = []
        for example in self._all(root):
            if example.is_good and is_asked_for(example.side, side):
                examples.append(example)
        return examples

    def _all(self, root: Path) -> list[Example]:
        examples: list[Example] = []
        for base in _bases_in(root):
            examples += self._all_in(root, base)
        return examples

    def _all_in(self, root: Path, base: Path) -> list[Example]:
        """The examples of one folder with masks and pictures."""
        masks_at = _masks_of(base)
        if masks_at is None:
            return []
        masks: dict[tuple[str, str], Path] = {}
        for folder, files in _by_folder(pictures_below(masks_at)).items():
            for name, path in unique_names(files, mask_key).items():
                masks[_place(folder, masks_at), name] = path
        examples: list[Example] = []
        without: list[str] = []
        object = object_name(root)
        pictures_at, pictures = _pictures_of(base, masks_at)
        for files in _by_folder(pictures).values():
            unique_names(files)
        for image in pictures:
            side = side_of_place(root, image)
            mask = masks.pop((_place(image.parent, pictures_at), picture_key(image)), None)
            if mask is None:
                without.append(image.name)
            if mask is None or is_black(mask):
                examples.append(Example(image, (), object, GOOD, "", side=side))
            else:
                values = WHITE if has_white(mask) else NONZERO
                example = Example(image, (mask,), object, _DEFECT, "", values, side=side)
                examples.append(example)
        for mask in masks.values():
            expected = f"a picture of its name in {pictures_at}"
            raise DataError(f"{mask} has no picture", expected, "add it or remove the mask")
        if without:
            text = f"{base}: {shown_names(without)} have no mask: taken for good pictures"
            report_once(text, expected=False)
        return examples


def _bases_in(root: Path) -> list[Path]:
    """The folders with masks and pictures: the data set's own, else those of its sides."""
    if not root.is_dir():
        return []
    if _has_both(root):
        return [root]
    sides = [folder for folder in list_folders(root) if side_called(folder.name)]
    return list(filter(_has_both, sides))


def _has_both(base: Path) -> bool:
    place = _masks_of(base)
    if place is None:
        return False
    if comparable(place.name) == "segmentationclass":
        return True
    folders = list_folders(base)
    return any(named(folders, name) is not None for name in _PLACES["masks"])


def _masks_of(root: Path) -> Path | None:
    """The folder of masks."""
    if not root.is_dir():
        return None
    folders = list_folders(root)
    for name in _PLACES:
        place = named(folders, name)
        if place is not None:
            return place
    return None


def _pictures_of(root: Path, masks_at: Path) -> tuple[Path, list[Path]]:
    """The folder of pictures and all in it; without one, all pictures beside the masks."""
    for name in _PLACES[comparable(masks_at.name)]:
        place = named(list_folders(root), name)
        if place is not None:
            listed = files_below(place, partial(list_without_masks, folders_are_read=True))
            return place, list(listed)
    return root, PictureIndex(root, _ALL_MASKS).pictures


def _by_folder(files: Iterable[Path]) -> dict[Path, list[Path]]:
    """Files by the folders in which they lie."""
    by_folder: dict[Path, list[Path]] = {}
    for path in files:
        by_folder.setdefault(path.parent, []).append(path)
    return by_folder


def _place(inner: Path, folder: Path) -> str:
    """Folders from one folder to another in it, comparable."""
    return comparable(inner.relative_to(folder).as_posix())
