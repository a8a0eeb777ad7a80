"""Arms of generated samples: of our first generation method, of others, and of candidates."""

from __future__ import annotations

from .arm import Arm

OURS_REQUESTED = Arm(
    "real+ours requested",
    "the known real defects and our samples, labelled by the requested mask",
    samples="generator",
    label="requested",
)
OURS = Arm(
    "real+ours refined",
    "the known real defects and our samples, labelled by the refined mask",
    samples="generator",
    landscape=True,
    maps=True,
)
CLASSICAL_OURS = Arm(
    "real+classical+ours refined",
    "the known real defects and our samples with refined masks, with classical augmentation",
    samples="generator",
    augment=True,
)
OURS_ALONE = Arm(
    "ours only",
    "our samples alone, labelled by the refined mask",
    known="none",
    samples="generator",
)


def method_arm(method: str) -> Arm:
    """The arm of a generation method after the first."""
    summary = f"the known real defects and the samples of {method}, labelled by the refined mask"
    return Arm(f"real+{method} refined", summary, samples="generator", source=method)


def candidate_arms(candidate: str) -> tuple[Arm, Arm]:
    """The two arms of a candidate data set: with the known real defects, and alone."""
    both = f"the known real defects and the samples of {candidate}"
    alone = f"the samples of {candidate} alone"
    return (
        Arm(f"real+{candidate}", both, samples="candidate", source=candidate),
        Arm(f"{candidate} only", alone, known="none", samples="candidate", source=candidate),
    )
