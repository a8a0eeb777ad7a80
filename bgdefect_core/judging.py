"""The verdict on one finished sample, held against the class and against the real defect behind its
mask. One rule for the command line and the nodes."""

from __future__ import annotations

from dataclasses import dataclass

from .copies import COPY
from .method.start import NOISE
from .pasting import Pasted
from .placement.surroundings import Surroundings
from .quality import Quality, Standard, StitchedSample, Verdict, judge, measure
from .quality.continuity import IN_PIECES, LEAST


@dataclass(frozen=True)
class Judgement:
    """The figures and the verdict of a sample, with what compares it with the real defect behind
    its mask."""

    quality: Quality
    verdict: Verdict
    real_share: float | None = None
    """Share of the real defect's change that the sample shows (``Surroundings.share_made``); None:
    not known."""
    exemplar_difference: float | None = None
    """How far the sample is from its exemplar (``copies.exemplar_difference``); None: started from
    noise."""
    continuity: float | None = None
    """Whether it holds together as its exemplar does (``continuity.continuity``); None: started
    from noise."""

    @property
    def figures(self) -> dict[str, float]:
        """All figures that are known, by their names in the manifest."""
        compared = {
            "real_share": self.real_share,
            "exemplar_difference": self.exemplar_difference,
            "continuity": self.continuity,
        }
        known = {name: value for name, value in compared.items() if value is not None}
        return {**self.quality.figures, **known}


def judge_sample(
    sample: StitchedSample,
    standard: Standard,
    real: Surroundings | None = None,
    pasted: Pasted | None = None,
    start_level: float = NOISE,
) -> Judgement:
    """The figures of one sample and the verdict. A good one that is a copy of its exemplar, or
    in more pieces than that, is rejected by name.

    Args:
        standard: of its class.
        real: surroundings of the real defect behind the mask; None: not known.
        pasted: the real defect that the sample started from; None: from noise.
        start_level: of the sample; at 0 it is the paste on purpose.

    Raises:
        MaskError, PictureError: as of :func:`.quality.measure`.
    """
    good, result, mask = sample.good, sample.result, sample.requested
    quality = measure(sample, standard.profile)
    share = None if real is None else real.share_made(good, result, mask)
    verdict = judge(quality, standard.limits, 1.0 if share is None else share, standard.profile)
    if pasted is None:
        return Judgement(quality, verdict, share)
    difference = pasted.difference(result, good, mask)
    continuity = pasted.continuity(result, good, mask, sample.refined)
    if verdict.good and start_level > 0:
        if pasted.is_copied_by(result, good, mask):
            verdict = Verdict(False, COPY)
        elif standard.limits.shared and continuity < LEAST:
            verdict = Verdict(False, IN_PIECES)
    return Judgement(quality, verdict, share, difference, continuity)
