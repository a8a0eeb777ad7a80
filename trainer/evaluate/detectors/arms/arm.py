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
Samples = Literal["none", "method", "candidate"]


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
    """Name of that method or candidate; empty: the first generation method of the settings. An arm
    whose method is not among the settings is skipped, and the report says so."""
    label: Label = "refined"
    """The mask of a generated sample that is taken for its truth."""
    maker: Maker | None = None
    """Draws synthetic defects into good crops."""
    augment: bool = True
    """Every crop is augmented: see :func:`~trainer.evaluate.detectors.training_data.augmented`."""
    rival: str = ""
    """Name of the method that the goals compare ours with; empty: the arm is no rival."""
    usual: bool = True
    """Trained where the settings name no arms."""
    landscape: bool = False
    """The loss landscape of its detector is measured."""
    maps: bool = False
    """The report shows maps of its detector."""

    @property
    def has_both(self) -> bool:
        """Whether it has real and synthetic defects, so that the schedule says when to see
        which."""
        return self.known != "none" and (self.samples != "none" or self.maker is not None)
