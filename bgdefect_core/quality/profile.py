"""What the known real defects of a class say about its samples (docs/method.md, choices 16, 20 and
21): in which direction they change a picture, how strongly, and what they share.

One profile serves command line and nodes. It needs the library of real masks with their
surroundings alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..codec import Codec
from ..pictures.crop import Zoom
from ..pictures.mask_shape import MaskShape
from ..pictures.masks import Mask
from ..placement.library import MaskLibrary
from .effects import Effects, effects_of
from .known import KnownSquare, known_defects
from .properties import PROPERTIES
from .shown import SCALES, Shown, Signature, core_change, directions_of, shown

LEAST_KNOWN = 3
"""Real defects from which a class's own limits of strength and contrast follow."""
LEAST_SHARING = 5
"""Real defects from which shared properties follow."""
NEARLY = 0.9
"""Share of the best median contrast that is as good: the coarser scale is the safer one."""
REACHED_BY = 0.9
"""Share of the real defects that have what counts as shared."""
_DEVIATIONS = 1.64
_LEAST = 1e-3


@dataclass(frozen=True)
class Reached:
    """A figure of the known real defects: what nearly all reach, and what nearly all stay
    below."""

    low: float
    high: float

    @staticmethod
    def expected(figures: Sequence[float]) -> Reached:
        """What 19 of 20 real defects can be expected to reach, known or not: 1.64 standard
        deviations from the mean, both of the figures' logarithms. The least of five known ones says
        too little where a class varies, and too much where it does not."""
        logarithms = np.log(np.maximum(figures, _LEAST))
        mean, reach = float(logarithms.mean()), _DEVIATIONS * float(logarithms.std(ddof=1))
        return Reached(math.exp(mean - reach), math.exp(mean + reach))

    @staticmethod
    def by(figures: Sequence[float]) -> Reached:
        """What nine of ten known defects reach, and stay below."""
        low, high = np.quantile(figures, (1 - REACHED_BY, REACHED_BY))
        return Reached(float(low), float(high))


@dataclass(frozen=True, eq=False)
class ClassProfile:
    """The known real defects of a class, as a measure for its samples."""

    known: int
    """Real defects whose picture is known."""
    signature: Signature | None = None
    """None: no real defect is known, any change counts."""
    strength: Reached | None = None
    """None: fewer than ``LEAST_KNOWN`` real defects are known."""
    contrast: Reached | None = None
    mean: Reached | None = None
    effects: Effects = field(default_factory=lambda: Effects(()))
    properties: Mapping[str, Reached] = field(default_factory=dict)
    """Name of a shared property -> its figure; empty where too few real defects are known, and in
    two-toned pictures, whose effect says more."""
    shape: MaskShape | None = None
    """Of the real masks, for labels; None: no real mask is known."""

    @staticmethod
    def from_library(
        library: MaskLibrary, resolution: int, zoom: Zoom, codec: Codec | None = None
    ) -> ClassProfile:
        """The profile of a class.

        Args:
            library: real masks; those whose surroundings are known count.
            resolution: side of the network's picture. zoom: what the square around the mask shows.
            codec: the VAE; None: real defects are measured without it, which loses little
                (docs/method.md, choice 20).
        """
        defects = known_defects(library, resolution, zoom, codec)
        shape = MaskShape.of(library.patches)
        return ClassProfile.of(defects, effects_of(library), shape)

    @staticmethod
    def of(
        defects: Sequence[KnownSquare],
        effects: Effects | None = None,
        shape: MaskShape | None = None,
    ) -> ClassProfile:
        """The profile of real defects that were cut and filled already."""
        effects = effects or Effects(())
        if not defects:
            return ClassProfile(0, effects=effects, shape=shape)
        signature = signature_of(defects)
        views: list[Shown] = []
        strengths: list[float] = []
        contrasts: list[float] = []
        means: list[float] = []
        for defect in defects:
            view = shown(defect.painted, defect.normal, defect.mask, signature)
            views.append(view)
            strengths.append(view.strength)
            contrasts.append(view.contrast)
            means.append(view.mean)
        if len(views) < LEAST_KNOWN:
            return ClassProfile(len(views), signature, effects=effects, shape=shape)
        return ClassProfile(
            known=len(views),
            signature=signature,
            strength=Reached.expected(strengths),
            contrast=Reached.expected(contrasts),
            mean=Reached.expected(means),
            effects=effects,
            properties={} if effects.changes else _shared(views),
            shape=shape,
        )

    def properties_of(self, view: Shown) -> dict[str, float]:
        """A sample's figures of the shared properties."""
        return {name: PROPERTIES[name].of(view) for name in self.properties}

    @property
    def record(self) -> dict[str, Any]:
        """What samples are held against, as plain JSON."""
        record: dict[str, Any] = {"known": self.known}
        if self.shape is not None:
            record |= {"holes": self.shape.holes, "pieces": self.shape.pieces}
        if self.signature is not None:
            record["smoothing"] = self.signature.scale
        if self.strength is not None and self.contrast is not None and self.mean is not None:
            record["strength"] = round(self.strength.low, 4)
            record["contrast"] = round(self.contrast.low, 4)
            record["mean_change"] = round(self.mean.low, 4)
        if self.effects.known:
            record["effect"] = self.effects.in_words()
            record["effect_ways"] = list(self.effects.expected)
            record["effect_share"] = round(self.effects.share, 4)
        for name, reached in self.properties.items():
            record[name] = [round(reached.low, 4), round(reached.high, 4)]
        return record

    def view(
        self, painted: NDArray[np.float32], normal: NDArray[np.float32], mask: Mask
    ) -> Shown | None:
        """A sample as it counts towards the class's defect (:func:`shown`); None: no real defect is
        known."""
        if self.signature is None:
            return None
        return shown(painted, normal, mask, self.signature)


def signature_of(defects: Sequence[KnownSquare]) -> Signature:
    """The direction of a class, and its smoothing: the coarsest at which its real defects stand out
    from the variation of their surroundings nearly as much as at the best (median contrast)."""
    signatures: list[Signature] = []
    medians: list[float] = []
    for scale in SCALES:
        cores = []
        for defect in defects:
            cores.append(core_change(defect.painted, defect.normal, defect.mask, scale))
        signature = Signature(directions_of(cores), scale)
        contrasts = []
        for defect in defects:
            view = shown(defect.painted, defect.normal, defect.mask, signature)
            contrasts.append(view.contrast)
        signatures.append(signature)
        medians.append(float(np.median(contrasts)))
    near = np.flatnonzero(np.array(medians) >= NEARLY * max(medians))
    return signatures[int(near[-1])]


def _shared(views: Sequence[Shown]) -> dict[str, Reached]:
    """The properties that real defects share, with what nine of ten of them reach."""
    if len(views) < LEAST_SHARING:
        return {}
    shared: dict[str, Reached] = {}
    for name, entry in PROPERTIES.items():
        reached = Reached.by([entry.of(view) for view in views])
        alike = reached.high <= entry.most_spread * reached.low
        if alike and reached.low >= entry.least_shared:
            shared[name] = reached
    return shared
