"""``bgdefect data check``: what a data set holds, what is odd in it, and what each class is good
for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from bgdefect_core.declarations import Doc, check_settings
from bgdefect_core.errors import BGDefectError, DataError
from bgdefect_core.pictures.decoding import holds_sixteen_bits
from bgdefect_core.pictures.reading import read_of_folder
from bgdefect_core.records.run_record import file_digest

from .examples import Example, load_example
from .layouts import AS_FOUND, LAYOUTS, ReadingSettings, find_examples, good_examples, layout_of
from .splits import group_of

__all__ = ["CheckConfig", "check"]

_SHOWN = 10
_SMALL = 16
"""Pixels of a defect below which it is hardly learned."""


@dataclass(frozen=True)
class CheckConfig:
    """Read a whole data set and say what it holds: layout, classes, sizes, depth, groups, areas of
    the masks, what is odd, and what each class can be used for. Nothing is written."""

    source: Annotated[
        Path, tyro.conf.Positional, Doc(LAYOUTS.help("Data set, in one of these layouts."))
    ]
    reading: Annotated[ReadingSettings, tyro.conf.arg(name="")] = AS_FOUND


@dataclass
class _Class:
    """What was found of one class."""

    pictures: int = 0
    groups: set[tuple[str, str]] = field(default_factory=set)
    areas: list[int] = field(default_factory=list)
    """Pixels of each mask."""
    shares: list[float] = field(default_factory=list)
    boxes: int = 0
    """Pictures whose label is boxes alone."""


@dataclass
class _Findings:
    classes: dict[tuple[str, str], _Class] = field(default_factory=dict)
    sizes: Counter[str] = field(default_factory=Counter)
    sixteen_bits: int = 0
    odd: list[str] = field(default_factory=list)
    contents: dict[str, Path] = field(default_factory=dict)


def check(config: CheckConfig) -> list[str]:
    """The lines of the report. Bad files are listed, not raised.

    Raises:
        DataError: there is no data set, or its annotation cannot be read at all.
    """
    check_settings(config)
    config.reading.check()
    root, reading = config.source, config.reading
    layout = layout_of(root, reading)
    classes = layout.classes(root)
    examples = find_examples(root, reading=reading) if any(classes.values()) else []
    good: dict[Path, Example] = {}
    for object in classes:
        for side in ("train", "test"):
            for example in good_examples(root, object, side, reading):
                good[example.image] = example
    found = _Findings()
    for example in examples:
        _look_at(example, found)
    for example in good.values():
        _look_at(example, found)
    return list(_report(layout.name, found, examples, list(good.values())))


def lines(report: list[str]) -> list[str]:
    """What is printed."""
    return report


def _look_at(example: Example, found: _Findings) -> None:
    try:
        if example.is_good:
            shape = read_of_folder(example.image).shape
        else:
            picture, mask = load_example(example)
            shape = picture.shape
            entry = found.classes.setdefault((example.object, example.defect), _Class())
            entry.pictures += 1
            entry.groups.add(group_of(example))
            entry.areas.append(int(mask.sum()))
            entry.shares.append(float(mask.mean()))
            entry.boxes += bool(example.regions) and all(r.is_box for r in example.regions)
            if entry.areas[-1] < _SMALL:
                found.odd.append(f"{example.image}: a defect of {entry.areas[-1]} pixels")
        digest = file_digest(example.image, DataError, "a picture")
    except BGDefectError as error:
        found.odd.append(str(error))
        return
    twin = found.contents.setdefault(digest, example.image)
    if twin != example.image:
        found.odd.append(f"{example.image} has the content of {twin}")
    found.sizes[f"{shape[1]} x {shape[0]}"] += 1
    found.sixteen_bits += holds_sixteen_bits(example.image)


def _report(
    layout: str, found: _Findings, examples: Sequence[Example], good: Sequence[Example]
) -> Iterator[str]:
    pictures = {example.image for example in examples}
    grouped = sum(bool(example.group) for example in (*examples, *good))
    yield f"layout     {layout}"
    yield f"pictures   {len(pictures)} with defects, {len(good)} good"
    sizes = [f"{size} ({count})" for size, count in found.sizes.most_common(5)]
    yield f"sizes      {', '.join(sizes)}" + (" and more" if len(found.sizes) > 5 else "")
    yield f"depth      {found.sixteen_bits} files of 16 bits, the others of 8"
    groups = {group_of(example) for example in (*examples, *good)}
    yield f"groups     {len(groups)} parts; {grouped} entries name theirs"
    for (object, defect), entry in sorted(found.classes.items()):
        low, middle, high = np.quantile(entry.areas, [0, 0.5, 1]).astype(int).tolist()
        yield ""
        yield f"{object} / {defect}"
        yield f"  pictures {entry.pictures} of {len(entry.groups)} parts"
        share = f"{100 * float(np.median(entry.shares)):.2g} % of the picture"
        yield f"  masks    {low} to {high} pixels, median {middle} ({share})"
        for line in _uses(entry, len(good)):
            yield f"  use      {line}"
    yield ""
    yield f"odd        {len(found.odd) or 'nothing'}"
    for line in found.odd[:_SHOWN]:
        yield f"  {line}"
    if len(found.odd) > _SHOWN:
        yield f"  and {len(found.odd) - _SHOWN} more"


def _uses(entry: _Class, good: int) -> Iterator[str]:
    """What a class can be used for."""
    if entry.boxes:
        yield f"{entry.boxes} pictures have boxes alone: train --masks-from boxes tightens them"
    if len(entry.groups) < 2:
        yield "one part alone: train with --shots and all pictures; nothing can be held out"
    else:
        yield "train; generate from its masks"
        enough = len(entry.groups) >= 4 and good >= 4
        yield "evaluate" if enough else "evaluate: needs 4 parts with the defect, 4 good pictures"
    if not good:
        yield "generate: name good pictures by --good, there are none here"
