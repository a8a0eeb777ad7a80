"""What ``bgdefect data check`` found, in words: lines for a terminal, a page with thumbnails."""

from __future__ import annotations

import base64
import io
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined
from PIL import Image

from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.overlay import GREEN, outlined
from bgdefect_core.pictures.picture import Pixels

__all__ = ["CheckReport", "CheckedClass", "Thumbnail", "lines", "thumbnail", "write_page"]

_SHOWN = 10
_SIDE = 144
"""Longest side of a thumbnail in pixels."""
_ENOUGH = 4
"""Parts with the defect, and good pictures, that an evaluation needs."""


@dataclass(frozen=True)
class Thumbnail:
    """A small picture with the outline of its label."""

    name: str
    jpeg: bytes

    @property
    def address(self) -> str:
        """The picture itself, for a page that needs no other file."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg).decode("ascii")


@dataclass
class CheckedClass:
    """What was found of one class."""

    pictures: int = 0
    groups: set[tuple[str, str]] = field(default_factory=set)
    areas: list[int] = field(default_factory=list)
    """Pixels of each mask."""
    shares: list[float] = field(default_factory=list)
    boxes: int = 0
    """Pictures whose label is boxes alone."""
    shared: int = 0
    """Pictures that show other classes too."""
    thumbnails: list[Thumbnail] = field(default_factory=list)

    @property
    def area(self) -> str:
        """The areas of the masks in words."""
        low, middle, high = np.quantile(self.areas, [0, 0.5, 1]).astype(int).tolist()
        share = f"{100 * float(np.median(self.shares)):.2g} % of the picture"
        return f"{low} to {high} pixels, median {middle} ({share})"

    @property
    def histogram(self) -> list[tuple[str, int]]:
        """Masks by their areas: bins that double, from the smallest to the largest."""
        bins = Counter(int(math.log2(area)) for area in self.areas)
        labelled: list[tuple[str, int]] = []
        for power in range(min(bins), max(bins) + 1):
            labelled.append((f"{2**power} to {2 ** (power + 1) - 1}", bins[power]))
        return labelled

    def uses(self, good: int) -> list[str]:
        """What the class can be used for.

        Args:
            good: good pictures of the data set.
        """
        uses: list[str] = []
        if self.boxes:
            text = "pictures have boxes alone: labels come out as loose as the boxes; train with "
            uses.append(f"{self.boxes} {text}--masks-from boxes")
        if len(self.groups) < 2:
            uses.append("one part alone: train with --shots and all pictures; nothing is held out")
        else:
            uses.append("train; generate from its masks")
            text = f"not evaluate: that takes {_ENOUGH} parts with the defect (here "
            text += f"{len(self.groups)}) and {_ENOUGH} good pictures (here {good})"
            has_enough = len(self.groups) >= _ENOUGH and good >= _ENOUGH
            uses.append("evaluate" if has_enough else text)
        if not good:
            uses.append("generate: name good pictures by --good, there are none here")
        return uses


@dataclass
class CheckReport:
    """What was found of a data set."""

    source: str
    layout: str
    classes: dict[tuple[str, str], CheckedClass] = field(default_factory=dict)
    sizes: Counter[str] = field(default_factory=Counter)
    """Of the pictures."""
    defective: set[Path] = field(default_factory=set)
    good: set[Path] = field(default_factory=set)
    good_thumbnails: list[Thumbnail] = field(default_factory=list)
    deep: list[Path] = field(default_factory=list)
    """Files of 16 bits."""
    bits: int = 8
    """That their values use."""
    parts: int = 0
    named: int = 0
    """Pictures whose part is named."""
    sides: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """Pictures by the data set's own side, and whether they are good ones."""
    odd: list[str] = field(default_factory=list)
    unusable: int = 0
    """Examples and good pictures that cannot be read; ``odd`` says why."""
    page: Path | None = None
    """Where the page stands, if one was written."""

    @property
    def pictures(self) -> str:
        """Their numbers in words."""
        text = f"{len(self.defective)} with defects, {len(self.good)} good"
        return f"{text}, {self.unusable} that cannot be used" if self.unusable else text

    @property
    def groups(self) -> str:
        """The parts that the pictures show, in words."""
        if not self.named:
            return f"{self.parts} parts: no picture names its own, so each counts as one"
        return f"{self.parts} parts, which {self.named} pictures name"

    @property
    def own_sides(self) -> str:
        """The pictures of each of the data set's own sides, in words."""
        texts: list[str] = []
        for side in ("train", "val", "test"):
            count, good = self.sides[side, False], self.sides[side, True]
            if count or good:
                texts.append(f"{side} {count} with defects, {good} good")
        return "; ".join(texts) or "none of its own"

    @property
    def depth(self) -> str:
        """The depth of the files in words."""
        text = f"{len(self.deep)} files of 16 bits, the others of 8"
        return f"{text}; the values of the former use {self.bits} bits" if self.deep else text

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What holds of the whole data set, by its heading."""
        sizes = [f"{size} ({count})" for size, count in self.sizes.most_common(5)]
        rest = " and more" if len(self.sizes) > 5 else ""
        return [
            ("layout", self.layout),
            ("pictures", self.pictures),
            ("sizes", ", ".join(sizes) + rest),
            ("depth", self.depth),
            ("groups", self.groups),
            ("sides", self.own_sides),
        ]


def lines(report: CheckReport) -> list[str]:
    """The report for a terminal."""
    return list(_lines(report))


def _lines(report: CheckReport) -> Iterator[str]:
    for name, text in report.facts:
        yield f"{name:10} {text}"
    for (object, defect), entry in sorted(report.classes.items()):
        yield ""
        yield f"{object} / {defect}"
        yield f"  pictures {entry.pictures} of {len(entry.groups)} parts"
        if entry.shared:
            yield f"           {entry.shared} of them show other classes too"
        yield f"  masks    {entry.area}"
        bins = [f"{label}: {count}" for label, count in entry.histogram if count]
        yield f"  areas    {', '.join(bins)}"
        for line in entry.uses(len(report.good)):
            yield f"  use      {line}"
    yield ""
    yield f"odd        {len(report.odd) or 'nothing'}"
    for line in report.odd[:_SHOWN]:
        yield f"  {line}"
    if len(report.odd) > _SHOWN:
        yield f"  and {len(report.odd) - _SHOWN} more"
    if report.page is not None:
        yield f"page       {report.page}"


def thumbnail(name: str, picture: Pixels, mask: Mask | None) -> Thumbnail:
    """A picture, uint8 ``[H, W, 3]``, with the outline of a mask, bool ``[H, W]``."""
    image = Image.fromarray(picture)
    scale = min(_SIDE / max(image.size), 1.0)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    small = np.asarray(image.resize(size, Image.Resampling.BOX))
    if mask is not None:
        shares = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
        small = outlined(small, np.asarray(shares) > 0, GREEN)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(small)).save(buffer, "JPEG", quality=85)
    return Thumbnail(name, buffer.getvalue())


def write_page(report: CheckReport, path: Path) -> None:
    """The report as one HTML file that needs nothing else.

    Raises:
        OutputError: the place cannot be written to.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(
        Path(__file__).with_name("check.html.j2").read_text(encoding="utf-8")
    )
    classes = sorted(report.classes.items())
    text = template.render(report=report, classes=classes, tallest=_tallest)
    with atomic_write(path, "w") as file:
        file.write(text)


def _tallest(histogram: Sequence[tuple[str, int]]) -> int:
    return max(count for _, count in histogram)
