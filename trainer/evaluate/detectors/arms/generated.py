"""Arms of generated samples: of our generation methods by their names, and of candidates."""

from __future__ import annotations

from .arm import Arm

PASTE = Arm(
    "real+paste",
    "the known real defects and the method paste: the same real defects pasted where our placement "
    "puts them, without a network; the control of the next three",
    samples="method",
    source="paste",
    rival="paste",
)
FROM_NOISE = Arm(
    "real+from noise",
    "the known real defects and the method from noise: the paper's own start",
    samples="method",
    source="from noise",
)
MIXED = Arm(
    "real+mixed",
    "the known real defects and the method mixed: half from noise, half from pasted real defects",
    samples="method",
    source="mixed",
)
OURS = Arm(
    "real+ours",
    "the known real defects and the first generation method: the recommended one, started from the "
    "pasted real defects",
    samples="method",
    landscape=True,
    maps=True,
)
OURS_REQUESTED = Arm(
    "real+ours requested",
    "the same, labelled by the requested masks; only where it is named",
    samples="method",
    label="requested",
    usual=False,
)
OURS_ALONE = Arm(
    "ours only", "the samples of the first method alone", known="none", samples="method"
)


def method_arm(method: str) -> Arm:
    """The arm of a further generation method."""
    summary = f"the known real defects and the samples of {method}"
    return Arm(f"real+{method}", summary, samples="method", source=method)


def candidate_arms(candidate: str) -> tuple[Arm, Arm]:
    """The two arms of a candidate data set: with the known real defects, and alone."""
    both = f"the known real defects and the samples of {candidate}"
    alone = f"the samples of {candidate} alone"
    return (
        Arm(f"real+{candidate}", both, samples="candidate", source=candidate),
        Arm(f"{candidate} only", alone, known="none", samples="candidate", source=candidate),
    )
