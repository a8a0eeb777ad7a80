"""All samples of one cell: of our own methods, and of the candidates."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from ..plan.plan import Cell, DetectorScope
from ..rows import Skip
from .generation import Generation, MethodSamples, paint_samples
from .random_start import make_from_noise
from .sample_set import NoSamples, SampleSet, candidate_folder, check_unseen, read_candidate
from .settings import SampleSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CellSamples:
    """The samples of one cell, by source."""

    methods: Sequence[MethodSamples]
    """Of our own methods. A set is empty where all attempts were rejected."""
    candidates: Sequence[SampleSet]
    skips: Sequence[Skip]
    """Methods without samples."""


def make_samples(generation: Generation, cell: Cell) -> CellSamples:
    """Make the samples of all methods, or resume them, and read those of the candidates.

    Raises:
        BGDefectError: whatever the trainer refuses, or a bad candidate.
    """
    methods: list[MethodSamples] = []
    skips: list[Skip] = []
    for method in generation.settings.methods if generation.needed else ():
        make = make_from_noise if method.from_noise else paint_samples
        try:
            generated = make(generation, cell, method)
            methods.append(generated)
            if not generated.samples.samples:
                attempts = generated.samples.attempts
                came = f"none of {attempts} attempts was accepted"
                raise NoSamples(came, "", "see the page beside its samples")
        except NoSamples as reason:
            skips.append(Skip(f"{cell.name}, method {method.name}", str(reason)))
            log.warning("%s, method %s is left out: %s", cell.name, method.name, reason)
    candidates = []
    for name, root in generation.settings.candidate_folders.items():
        folder = candidate_folder(root, cell.data.number)
        candidates.append(read_candidate(name, folder, cell.data.object, cell.data.defect))
    return CellSamples(methods, candidates, skips)


def check_candidates(settings: SampleSettings, scopes: Sequence[DetectorScope]) -> None:
    """Refuse a candidate without samples of a class, and one that holds what a detector is tested
    or chosen with.

    Raises:
        DataError: naming the candidate.
    """
    for scope in scopes:
        fold = scope.whole.data.fold
        for name, root in settings.candidate_folders.items():
            for data in {cell.data.name: cell.data for cell in scope.cells}.values():
                folder = candidate_folder(root, data.number)
                check_unseen(name, folder, data.object, data.defect, fold)
