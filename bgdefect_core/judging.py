"""The verdict on one finished sample, held against the class and against the real defect behind its
mask. One rule for the command line and the nodes."""

from __future__ import annotations

from dataclasses import dataclass

from .copies import COPY
from .pasting import Pasted
from .pictures.masks import Mask
from .pictures.picture import Pixels
from .placement.surroundings import Surroundings
from .quality import Quality, Standard, Verdict, judge


@dataclass(frozen=True)
class Judgement:
    """The verdict, with what compares the sample with the real defect behind its mask."""

    verdict: Verdict
    real_share: float | None
    """Share of the real defect's change that the sample shows (``Surroundings.share_made``); None:
    not known."""
    exemplar_difference: float | None
    """How far the sample is from its exemplar (``copies.exemplar_difference``); None: started from
    noise."""


def judge_sample(
    quality: Quality,
    standard: Standard,
    good: Pixels,
    result: Pixels,
    mask: Mask,
    real: Surroundings | None,
    pasted: Pasted | None,
    start_level: float,
) -> Judgement:
    """The verdict on one sample. A good one that is a copy of its exemplar is rejected by name.

    Args:
        quality: its figures. standard: of its class.
        good, result: uint8 ``[H, W, 3]``, the good picture and the sample. mask: bool ``[H, W]``,
            as requested.
        real: surroundings of the real defect behind the mask; None: not known.
        pasted: the real defect that the sample started from; None: from noise.
        start_level: of the sample; at 0 it is the paste on purpose.
    """
    share = None if real is None else real.share_made(good, result, mask)
    verdict = judge(quality, standard.limits, 1.0 if share is None else share, standard.profile)
    if pasted is None:
        return Judgement(verdict, share, None)
    copied = start_level > 0 and pasted.is_copied_by(result, good, mask)
    if copied and verdict.good:
        verdict = Verdict(False, COPY)
    return Judgement(verdict, share, pasted.difference(result, good, mask))


def figures_of(
    quality: Quality, real_share: float | None, exemplar_difference: float | None
) -> dict[str, float]:
    """All figures of a sample that are known, by their names in the manifest."""
    figures = dict(quality.figures)
    if real_share is not None:
        figures["real_share"] = real_share
    if exemplar_difference is not None:
        figures["exemplar_difference"] = exemplar_difference
    return figures
