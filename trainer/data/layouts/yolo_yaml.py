"""YOLO's ``data.yaml``: the names of the classes, and where the pictures of each side lie."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import comparable, is_leftover, report_once

from ..annotations.picture_index import is_address, picture_at_end, place_at_end
from ..annotations.reading import find_inside, inside, read_small_text, read_yaml
from .peeking import pictures_below
from .yolo_labels import SIDES

__all__ = ["DataYaml", "pictures_in"]

_USUAL = ("data", "dataset")
"""Names of files that are meant for YOLO, whatever is wrong with them."""
_ENDINGS = (".yaml", ".yml")
_LARGEST = 1 << 20


@dataclass(frozen=True)
class DataYaml:
    """One such file."""

    path: Path
    content: Mapping[str, Any]

    @staticmethod
    def of(root: Path) -> DataYaml | None:
        """The file of a data set, or the data set itself where it is a file; None: there is none.

        Raises:
            DataError: several, or a file called data.yaml or dataset.yaml that is none.
        """
        if root.is_file():
            return DataYaml._read(root) if root.suffix.lower() in _ENDINGS else None
        candidates = list(filter(None, map(_yaml_in, sorted(root.iterdir()))))
        usual = [file for file in candidates if comparable(file.path.stem) in _USUAL]
        candidates = usual or candidates
        if len(candidates) > 1:
            came = f"{candidates[0].path} and {candidates[1].path} both have names and sides"
            do = "give the one that is meant as the data"
            raise DataError(came, "one file, or data.yaml", do)
        return candidates[0] if candidates else None

    @staticmethod
    def _read(path: Path) -> DataYaml:
        content = read_yaml(path)
        if not isinstance(content, dict):
            raise DataError(f"{path} holds no entries", "names, train and val", "export it again")
        return DataYaml(path, content)

    @property
    def sides(self) -> list[str]:
        """Those that it names."""
        return [side for side in SIDES if self.content.get(side)]

    @property
    def names(self) -> dict[int, str]:
        """Number of a class -> its name.

        Raises:
            DataError: there are none, or something else.
        """
        names = self.content.get("names")
        pairs: list[tuple[Any, Any]] = []
        if isinstance(names, list):
            pairs = list(enumerate(names))
        elif isinstance(names, dict):
            pairs = list(names.items())
        numbered: dict[int, str] = {}
        for number, name in pairs:
            if isinstance(number, str) and number.isdecimal():
                number = int(number)
            is_number = isinstance(number, int) and not isinstance(number, bool)
            is_name = isinstance(name, str | int | float) and not isinstance(name, bool)
            if not is_number or not is_name or not str(name).strip():
                came = f"{self.path} names the class {str(number)[:40]!r} {str(name)[:40]!r}"
                do = "correct it; in YAML, words such as on, no and ~ are names in quotes alone"
                raise DataError(came, "a number with a name", do)
            numbered[number] = str(name).strip()
        if not numbered and names not in ([], {}):  # a data set of good pictures alone has none
            raise DataError(f"{self.path} has no names of classes", "names: [...]", "correct it")
        return numbered

    @property
    def has_key_points(self) -> bool:
        """Whether lines of labels hold key points after a box."""
        return "kpt_shape" in self.content

    def base(self, folder: Path, outside: bool) -> Path:
        """The folder to which the sides are relative: ``path`` where that is there, or what it ends
        in where it is of another machine, else the data set's folder."""
        path = self.content.get("path")
        if not isinstance(path, str) or "\x00" in path:
            return folder
        base = Path(os.path.normpath(folder / path))
        if base.is_dir() and inside(folder, base, outside):
            return base
        base_here = place_at_end(folder, (folder,), path)
        return folder if base_here is None or not base_here.is_dir() else base_here

    def places(self, folder: Path, outside: bool) -> Iterator[tuple[str, Path]]:
        """Each side with its folders and list files.

        Raises:
            DataError: one is not there, but for those of test and val beside others, or leads out
                of the folder; or val is not there, and pictures are on no side.
        """
        base = self.base(folder, outside)
        found: list[tuple[str, Path]] = []
        missing: list[tuple[str, str]] = []
        for side, entry in self._entries():
            place = self._place_of(entry, folder, base, outside)
            if place is None:
                missing.append((side, entry))
            else:
                found.append((side, place))
        for side, entry in missing:
            came = f"{self.path}: {entry[:200]} ({side}) does not exist"
            if side == "train" or not found:
                raise DataError(came, "a folder or a list of pictures")
            if side != "test":  # Roboflow names test always
                self._check_named(came, folder, [place for _, place in found], outside)
            report_once(f"{came}: passed over", expected=False)
        yield from found

    def _entries(self) -> Iterator[tuple[str, str]]:
        """Each side with what it names."""
        for side in self.sides:
            listed = self.content[side]
            for entry in listed if isinstance(listed, list) else [listed]:
                if not isinstance(entry, str) or "\x00" in entry:
                    came = f"{self.path} lists {str(entry)[:40]!r}"
                    raise DataError(came, "folders or list files")
                yield side, entry

    def _check_named(self, came: str, folder: Path, places: list[Path], outside: bool) -> None:
        """Refuse a missing side where the data set holds pictures that are on none: they may be
        its own, under another name.

        Raises:
            DataError: there is such a picture.
        """
        base = self.base(folder, outside)
        on_sides: set[str] = set()
        for place in places:
            on_sides.update(map(os.path.normpath, pictures_in(place, folder, base, outside)))
        for image in pictures_below(folder, labels=".txt"):
            if os.path.normpath(image) not in on_sides:
                came += f", and {image} is on no side"
                do = "correct it, or delete the line if these pictures are not meant"
                raise DataError(came, "a folder or a list of pictures", do)

    def _place_of(self, entry: str, folder: Path, base: Path, outside: bool) -> Path | None:
        """The folder or list file of an entry: as it is written, without the ``../`` of Roboflow,
        or what an absolute path of another machine ends in; None: there is none.

        Raises:
            DataError: it leads out of the data's folder.
        """
        relative = entry.replace("\\", "/")
        places: list[Path] = []
        for name in (relative, relative.removeprefix("../")):
            places.append(Path(os.path.normpath(base / name)))
        in_folder = [place for place in places if inside(folder, place, outside)]
        for place in in_folder:
            if place.exists():
                return place
        is_elsewhere = is_address(entry) and not places[0].exists()
        if places[0].exists() or not (in_folder or is_elsewhere):
            came = f"{self.path} names {entry[:200]!r}, which leads out of {folder}"
            do = "correct it, or give --outside-files"
            raise DataError(came, "a place in the data's folder", do)
        place_here = place_at_end(folder, (base, folder), entry) if is_elsewhere else None
        if place_here is not None:
            text = f"{self.path} names {entry[:200]}, which is not on this machine: "
            report_once(f"{text}{place_here} is read", expected=False)
        return place_here


def _yaml_in(path: Path) -> DataYaml | None:
    """A file where it has names and sides; None: it is another one.

    Raises:
        DataError: it is called as one of YOLO and cannot be read.
    """
    if path.suffix.lower() not in _ENDINGS or is_leftover(path.name):
        return None
    if path.stat().st_size > _LARGEST:
        return None
    try:
        content = read_yaml(path)
    except DataError:
        if comparable(path.stem) in _USUAL:
            raise
        return None
    if not isinstance(content, dict) or "names" not in content:
        return None
    file = DataYaml(path, content)
    return file if file.sides else None


def pictures_in(place: Path, root: Path, base: Path, outside: bool) -> Iterator[Path]:
    """The pictures of a side's folder or list file.

    Raises:
        DataError: as ``_listed_pictures``.
    """
    if place.is_dir():
        yield from pictures_below(place, labels=".txt")
    else:
        yield from _listed_pictures(place, root, base, outside)


def _listed_pictures(place: Path, root: Path, base: Path, outside: bool) -> Iterator[Path]:
    """The pictures of a list file, a path a line: relative to the file, to ``base`` or to the data
    set's folder, or absolute, of another machine too.

    Raises:
        DataError: one is not there, or leads out of the folder.
    """
    bases = tuple(dict.fromkeys((place.parent, base, root)))
    elsewhere: list[str] = []
    for number, line in enumerate(read_small_text(place).splitlines(), start=1):
        name = line.strip().replace("\x00", "")
        if not name:
            continue
        where = f"{place}, line {number}"
        if is_address(name) and not Path(name).exists():
            image = picture_at_end(root, bases, name, where)
            elsewhere.append(name)
        else:
            image = find_inside(root, bases, name, where, outside)
            if image is None:  # Darknet's lists are relative to its own folder
                image = find_inside(root, bases, name.removeprefix("data/"), where, outside)
        if image is None:
            raise DataError(f"{where}: {name[:200]} does not exist", "a picture", "correct it")
        yield image
    if elsewhere:
        text = f"{place} names pictures by paths that are not on this machine, such as "
        text += f"{elsewhere[0][:200]}: those of the same names in {root} are read"
        report_once(text, expected=False)
