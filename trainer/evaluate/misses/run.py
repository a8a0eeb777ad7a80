"""``bgdefect misses``: hold out in turn, list what is missed, judge a batch of samples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from bgdefect_core.files import atomic_write
from bgdefect_core.records.misses import KnownDefect, MissReport, mask_digest

from ...bases.devices import pick_device
from ...data.examples import Example
from ...data.splits import relative_file
from ..detectors.metrics import sklearn_metrics
from ..store import Store
from .batch import AcceptedBatch, read_batch
from .scoring import CrossValidation, Scores, data_digest
from .settings import MissesConfig
from .turns import KnownSide, known_side, mask_keys, mask_source

METHOD = (
    "The known defects are held out in turn, and each good picture in one turn. A detector is "
    "trained on the rest, with classical augmentation and a fixed schedule. The score of a defect "
    "is the highest 21 x 21 mean of P(defect) inside its mask; it is missed where it is not above "
    "the threshold, which at most the share false_alarms of the held-out good pictures exceed. "
    "pixel_ap is that of all pictures of a turn together, the mean over turns and seeds."
)
GATE_METHOD = (
    "The same turns with the samples added to the training, but for those that were made from a "
    "held-out defect or painted into a held-out good picture. keep: neither the mean pixel_ap nor "
    "the share of the known defects that are found falls. The weights that painted the samples "
    "learned from all known defects, also from those that are held out here, so that the score "
    "with samples may be somewhat too high."
)


@dataclass(frozen=True)
class Gate:
    """The cross-validated scores without and with a batch."""

    path: Path
    samples: Path
    before: Scores
    after: Scores

    @property
    def falls(self) -> list[str]:
        """What is lower with the batch: a gain at the pixels of defects that are found is no reason
        to find fewer of them."""
        lower = {
            "pixel AP": self.after.pixel_ap < self.before.pixel_ap,
            "the share that is found": self.after.found < self.before.found,
        }
        return [name for name, falls in lower.items() if falls]

    @property
    def verdict(self) -> Literal["keep", "drop"]:
        """keep: nothing falls."""
        return "drop" if self.falls else "keep"

    @property
    def better(self) -> int:
        """Turns and seeds in which the score is higher with the batch."""
        return sum(a > b for a, b in zip(self.after.each, self.before.each, strict=True))


@dataclass(frozen=True)
class MissesOutcome:
    """What came of it."""

    path: Path
    """Of misses.json."""
    report: MissReport
    gate: Gate | None = None


def misses(config: MissesConfig) -> MissesOutcome:
    """List the known defects that are missed, or resume; judge the samples, where there are some.

    Raises:
        BGDefectError: whatever the user can mend, before any detector is trained.
    """
    config.check()
    sklearn_metrics()
    side = known_side(config)
    mask_keys(side.known)
    batch = None
    if config.samples is not None:
        batch = read_batch(config.samples, side, config.detector.resolution)
    validation = CrossValidation(
        config.detector,
        config.seeds,
        config.false_alarms,
        Store(config.output),
        pick_device(config.device),
    )
    before = validation.scores(side)
    report = make_report(config, side, before, validation.record(with_samples=False))
    path = config.output / "misses.json"
    report.write(path)
    if batch is None:
        return MissesOutcome(path, report)
    after = validation.scores(side, batch)
    record = validation.record(with_samples=True)
    return MissesOutcome(path, report, _write_gate(config.output, batch, before, after, record))


def make_report(
    config: MissesConfig, side: KnownSide, scores: Scores, detector: Mapping[str, Any]
) -> MissReport:
    """What misses.json says. It names no place on this machine: equal data give equal bytes.

    Args:
        detector: its settings, as plain JSON.
    """
    defects: list[Example] = []
    for turn in side.turns:
        defects += turn.known
    known: list[KnownDefect] = []
    for number, example in enumerate(defects):
        mask = mask_source(example)
        entry = KnownDefect(
            picture=relative_file(example, config.data),
            mask=mask.name,
            sha256=mask_digest(mask),
            scores=tuple(run[number] for run in scores.of_defects),
            miss_rate=fmean(missed[number] for missed in scores.misses),
        )
        known.append(entry)
    known.sort(key=lambda entry: entry.picture)
    how = {
        "method": METHOD,
        "data_sha256": data_digest((*side.known, *side.good)),
        "turns": len(side.turns),
        "good_pictures": len(side.good),
        "seed": config.seed,
        "seeds": list(config.seeds),
        "detector": dict(detector),
    }
    first = side.known[0]
    return MissReport(first.object, first.defect, tuple(known), how | _figures(scores))


def _figures(scores: Scores) -> dict[str, Any]:
    return {
        "false_alarms": scores.false_alarms,
        "thresholds": scores.thresholds,
        "pixel_ap": scores.pixel_ap,
        "found": scores.found,
    }


def _write_gate(
    output: Path, batch: AcceptedBatch, before: Scores, after: Scores, detector: Mapping[str, Any]
) -> Gate:
    """Write the verdict on a batch beside misses.json, under a name that follows from it.

    Raises:
        OutputError: the place cannot be written to.
    """
    path = output / f"gate-{batch.samples.digest[:8]}.json"
    gate = Gate(path, batch.root, before, after)
    document = {
        "method": GATE_METHOD,
        "samples": len(batch.samples.samples),
        "samples_sha256": batch.samples.digest,
        "verdict": gate.verdict,
        "without": _figures(before) | {"each": before.each},
        "with": _figures(after) | {"each": after.each},
        "detector": dict(detector),
    }
    with atomic_write(path, "w") as file:
        json.dump(document, file, indent=1, allow_nan=False)
        file.write("\n")
    return gate


def tell(outcome: MissesOutcome) -> list[str]:
    """Lines for the terminal."""
    lines: list[str] = []
    for known in outcome.report.known:
        state = "missed" if known.missed else "found"
        shown = ", ".join(f"{score:.3f}" for score in known.scores)
        lines.append(f"{known.picture}: {state}, miss rate {known.miss_rate:.2f}, scores {shown}")
    how = outcome.report.how
    limits = ", ".join(f"{limit:.3f}" for limit in how["thresholds"])
    lines += [
        f"thresholds by {how['good_pictures']} good pictures: {limits}",
        f"missed defects: {outcome.path}",
    ]
    gate = outcome.gate
    if gate is None:
        return lines
    before, after = gate.before, gate.after
    change = 100 * (after.pixel_ap - before.pixel_ap)
    reason = f", since {' and '.join(gate.falls)} would fall" if gate.falls else ""
    return [
        *lines,
        f"pixel AP of held-out known defects: {100 * before.pixel_ap:.1f} without the samples, "
        f"{100 * after.pixel_ap:.1f} with them ({change:+.1f}); higher in {gate.better} of "
        f"{len(after.each)} turns and seeds",
        f"found: {100 * before.found:.0f} % without, {100 * after.found:.0f} % with",
        f"verdict: {gate.verdict} {gate.samples}{reason}; nothing was deleted",
        f"gate: {gate.path}",
    ]


def exit_code(outcome: MissesOutcome) -> int:
    """1 where a batch is to be dropped."""
    return int(outcome.gate is not None and outcome.gate.verdict == "drop")
