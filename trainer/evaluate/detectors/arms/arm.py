"""The declaration of an arm: what the training data of a detector consist of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bgdefect_core.pictures.picture import Pixels

from ..pictures import Pair

Maker = Callable[[Pixels, Pixels, np.random.Generator], Pair]
"""Draws a synthetic defect into the first good crop; the second is a crop of another good
picture."""
Known = Literal["shots", "all", "none"]
Label = Literal["refined", "requested"]
Samples = Literal["none", "generator", "candidate"]


@dataclass(frozen=True)
class Arm:
    """One arm: real defects, synthetic defects and augmentation that a detector is trained on.

    Every arm trains on the good pictures of the training side as well.
    """

    name: str
    summary: str
    known: Known = "shots"
    """Real defects: the known ones, all of the training side, or none."""
    samples: Samples = "none"
    """Generated samples: none, those of a generation method, or those of a candidate data set."""
    source: str = ""
    """Name of that method or candidate; empty: the first generation method of the settings."""
    label: Label = "refined"
    """The mask of a generated sample that is taken for its truth."""
    maker: Maker | None = None
    """Draws synthetic defects into good crops."""
    augment: bool = False
    """Every crop is augmented: see :func:`~trainer.evaluate.detectors.training_data.augmented`."""
    rival: str = ""
    """Name of the method that the goals compare ours with; empty: the arm is no rival."""
    landscape: bool = False
    """The loss landscape of its detector is measured."""
    maps: bool = False
    """The report shows maps of its detector."""
