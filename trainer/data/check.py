"""``bgdefect data check``: what a data set holds, what is odd in it, and what each class is good
for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from bgdefect_core.declarations import Doc, check_settings
from bgdefect_core.errors import BGDefectError, DataError
from bgdefect_core.pictures.decoding import holds_sixteen_bits
from bgdefect_core.pictures.listing import shown_names
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.reading import read_of_folder, white_level
from bgdefect_core.records.run_record import file_digest

from .annotations.overhang import Overhangs
from .annotations.shapes import Size
from .check_notes import noted
from .check_report import CheckedClass, CheckReport, Thumbnail, lines, thumbnail, write_page
from .examples import Example, load_example
from .layouts import AS_FOUND, LAYOUTS, ReadingSettings, all_good_examples, find_examples, layout_of
from .splits import by_class, group_of

__all__ = ["CheckConfig", "check", "lines"]

_SMALL = 16
"""Pixels of a defect below which it is hardly learned."""
_THUMBNAILS = 24
"""Of each class at most."""


@dataclass(frozen=True)
class CheckConfig:
    """Read a whole data set and say what it holds: layout, classes, sizes, depth, groups, areas of
    the masks, what is odd, and what each class can be used for."""

    source: Annotated[
        Path, tyro.conf.Positional, Doc(LAYOUTS.help("Data set, in one of these layouts."))
    ]
    page: Annotated[
        Path | None,
        Doc(
            "HTML file to write: the report with thumbnails and histograms, in one file. Default: "
            "nothing is written."
        ),
    ] = None
    reading: Annotated[ReadingSettings, tyro.conf.arg(name="")] = AS_FOUND


def check(config: CheckConfig) -> CheckReport:
    """Look at everything. Bad files are listed, not raised.

    Raises:
        DataError: there is no data set, or its annotation cannot be read at all.
        OutputError: the page cannot be written.
    """
    check_settings(config)
    config.reading.check()
    with noted() as notes:
        report = _report_of(config)
    report.odd += notes.lines
    if config.page is not None:
        write_page(report, config.page)
        report.page = config.page
    return report


def _report_of(config: CheckConfig) -> CheckReport:
    root, reading = config.source, config.reading
    layout = layout_of(root, reading)
    classes = layout.classes(root)
    examples = find_examples(root, reading=reading) if any(classes.values()) else []
    good: dict[Path, Example] = {}
    for object in classes or [os.path.basename(os.path.abspath(root))]:
        for example in all_good_examples(root, object, reading):
            good[example.image] = example
    if not examples and not good:
        came = f"{root} holds no picture as {layout.name} has it"
        raise DataError(came, layout.summary, "check the path, or force another --layout")
    report = CheckReport(os.path.basename(os.path.abspath(root)), layout.name)
    look = _Look(report, _shown(examples) if config.page else frozenset())
    for example in (*examples, *good.values()):
        look.at(example)
    look.at_all([*examples, *good.values()])
    return report


def _shown(examples: Sequence[Example]) -> frozenset[tuple[str, str, Path]]:
    """Which examples get a thumbnail: of each class so many, evenly over its pictures."""
    shown: set[tuple[str, str, Path]] = set()
    for (object, defect), members in by_class(examples).items():
        count = min(_THUMBNAILS, len(members))
        for place in np.linspace(0, len(members) - 1, count).round().astype(int).tolist():
            shown.add((object, defect, members[place].image))
    return frozenset(shown)


@dataclass
class _Look:
    """Goes through the examples of a data set."""

    report: CheckReport
    shown: frozenset[tuple[str, str, Path]]
    """Examples with thumbnails; empty: none, of good pictures neither."""
    contents: dict[str, Path] = field(default_factory=dict)
    """Digest of a picture's file -> the first one of this content."""
    overhangs: Overhangs = field(default_factory=Overhangs)
    unfilled: dict[Path, int] = field(default_factory=dict)
    """Labels of each picture that have no pixel in it."""

    def at(self, example: Example) -> None:
        """Read one."""
        try:
            picture, mask = self._read(example)
            digest = file_digest(example.image, DataError, "a picture")
        except BGDefectError as error:
            self.report.odd.append(str(error))
            self.report.unusable += 1
            return
        if example.image in self.report.defective or example.image in self.report.good:
            return  # of a further class
        (self.report.good if mask is None else self.report.defective).add(example.image)
        self.report.sides[example.side, mask is None] += 1
        self.report.sizes[f"{picture.shape[1]} x {picture.shape[0]}"] += 1
        if holds_sixteen_bits(example.image):
            self.report.deep.append(example.image)
        twin = self.contents.setdefault(digest, example.image)
        if twin != example.image:
            kind = ""
            if mask is None and twin in self.report.defective:
                kind = ", which shows a defect"
            self.report.odd.append(f"{example.image} has the content of {twin}{kind}")

    def _read(self, example: Example) -> tuple[Pixels, Mask | None]:
        if example.is_good:
            picture = read_of_folder(example.image)
            if self.shown and len(self.report.good_thumbnails) < _THUMBNAILS // 2:
                self.report.good_thumbnails.append(_thumbnail_of(example, picture, None))
            return picture, None
        picture, mask = load_example(example)
        self._look_at_regions(example, (mask.shape[0], mask.shape[1]))
        key = (example.object, example.defect)
        entry = self.report.classes.setdefault(key, CheckedClass())
        entry.pictures += 1
        entry.groups.add(group_of(example))
        entry.areas.append(int(mask.sum()))
        entry.shares.append(float(mask.mean()))
        entry.shared += bool(example.others)
        entry.boxes += bool(example.regions) and all(r.is_loose for r in example.regions)
        if entry.areas[-1] < _SMALL:
            self.report.odd.append(f"{example.image}: a defect of {entry.areas[-1]} pixels")
        if (*key, example.image) in self.shown:
            entry.thumbnails.append(_thumbnail_of(example, picture, mask))
        return picture, mask

    def _look_at_regions(self, example: Example, size: Size) -> None:
        self.overhangs.add(example.image, example.regions, size)
        for region in example.regions if len(example.regions) > 1 else ():
            if not region.fill(size).any():
                self.unfilled[example.image] = self.unfilled.get(example.image, 0) + 1

    def at_all(self, examples: Sequence[Example]) -> None:
        """What only all of them tell."""
        report = self.report
        if report.deep:
            report.bits = int(white_level(report.deep) or 255).bit_length()
        report.parts = len({group_of(example) for example in examples})
        report.named = len({example.image for example in examples if example.group})
        parted = _parted(examples)
        if parted:
            text = f"{len(parted)} parts stand on the side train and on another: "
            report.odd.append(text + shown_names(parted))
        if self.overhangs.text:
            report.odd.append(self.overhangs.text)
        if self.unfilled:
            text = f"{sum(self.unfilled.values())} labels have no pixel in their picture: "
            report.odd.append(text + shown_names([path.name for path in self.unfilled]))
        sides = {size: count for size, count in report.sizes.items() if count == 1}
        if len(sides) == 1 and report.sizes.total() > 3 and len(report.sizes) == 2:
            report.odd.append(f"one picture alone has the size {next(iter(sides))}")


def _parted(examples: Sequence[Example]) -> list[str]:
    """Names of the groups that stand on a side that is learned from, and on one that is not."""
    sides: dict[str, set[bool]] = {}
    for example in examples:
        if example.group:
            sides.setdefault(example.group, set()).add(example.is_held)
    return sorted(group for group, held in sides.items() if len(held) > 1)


def _thumbnail_of(example: Example, picture: Pixels, mask: Mask | None) -> Thumbnail:
    return thumbnail(example.image.name, picture, mask)
