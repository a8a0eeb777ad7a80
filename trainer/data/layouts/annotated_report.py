"""What the log says of a data set with annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bgdefect_core.pictures.listing import shown_names

from ..annotations.record import AnnotatedSet, defect_regions, is_background, others_of

__all__ = ["lines_of"]


class _Tally:
    """Pictures and regions, counted."""

    def __init__(self, record: AnnotatedSet) -> None:
        self.regions: Counter[str] = Counter()
        """Of each class."""
        self.drawn: Counter[str] = Counter()
        """Those whose outline a person drew."""
        self.good = self.several = self.ignored = self.undecided = self.unread = 0
        for picture in record.pictures:
            labels: set[str] = set()
            for region in defect_regions(picture.regions):
                labels.add(region.label)
                self.regions[region.label] += 1
                self.drawn[region.label] += not region.is_loose
            for region in picture.regions:
                self.ignored += not is_background(region.label) and region.label not in labels
            self.good += picture.is_good
            self.several += len(labels) > 1
            if not labels:
                self.unread += picture.unread > 0
                self.undecided += bool(others_of(picture.regions, ""))


def lines_of(record: AnnotatedSet, layout: str, with_points: bool) -> Iterator[tuple[str, bool]]:
    """Lines, each with whether it says nothing unusual.

    Args:
        layout: its name. with_points: whether points are read.
    """
    tally = _Tally(record)
    classes = [f"{name} ({count})" for name, count in sorted(tally.regions.items())]
    text = f"{layout}, {len(record.pictures)} pictures, {tally.good} of them good; regions: "
    yield text + (", ".join(classes) or "none"), True
    undrawn = [name for name in sorted(tally.regions) if not tally.drawn[name]]
    if undrawn:
        kind = "points" if with_points else "boxes"
        text = f"{kind} alone of {shown_names(undrawn)}: the filled boxes or circles are the "
        text += "masks, as loose as they are; bgdefect train --masks-from "
        yield f"{text}{kind} tightens them", True
    if tally.several:
        text = f"{tally.several} pictures show several classes; the regions of others are "
        yield f"{text}kept out of a class's background", True
    if tally.ignored:
        text = f"{tally.ignored} regions are to be ignored by their name: neither defect nor "
        yield f"{text}background", True
    if tally.undecided:
        text = f"{tally.undecided} pictures show nothing but regions to ignore: neither "
        yield f"{text}examples nor good pictures", False
    if tally.unread:
        text = f"{tally.unread} pictures have nothing but labels that are not read: they are "
        yield f"{text}no good pictures either", False
    for note in record.notes:
        yield note, False
