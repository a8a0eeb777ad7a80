"""All drawn defects of surfaces and parts, by name.

Not from the paper: part of the project's own drawn pictures for pretraining. Every painter in
`SURFACE_DEFECTS` maps (rng, picture float32 [S, S, 3] in 0..1, part bool [S, S] where it may lie)
to (picture with the defect, mask bool [S, S] of the pixels that visibly changed), or to None when
it found no place. A seed's pictures follow from the order of these names, and from the order in
which each painter draws its numbers.
"""

from __future__ import annotations

from .defect_tools import Painter
from .defects_border import broken_edge, burr, extra_material, missing_material
from .defects_hollows import blowhole, dent, hole, pit
from .defects_lines import crack, crease, cut, scratch, thread
from .defects_matter import contamination, discoloration, spot, stain

SURFACE_DEFECTS: dict[str, Painter] = {
    "scratch": scratch,
    "crack": crack,
    "hole": hole,
    "pit": pit,
    "dent": dent,
    "stain": stain,
    "discoloration": discoloration,
    "spot": spot,
    "contamination": contamination,
    "blowhole": blowhole,
    "cut": cut,
    "thread": thread,
    "crease": crease,
    "missing material": missing_material,
    "broken edge": broken_edge,
    "burr": burr,
    "extra material": extra_material,
}
