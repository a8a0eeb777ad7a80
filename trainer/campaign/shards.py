"""A chunk of pairs on its way from the worker that placed its masks to the one that paints it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgdefect_core.jobs import Job
from bgdefect_core.method.start import StartName
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.reading import load_picture
from bgdefect_core.placement.exemplar import Exemplar
from bgdefect_core.placement.surroundings import Surroundings
from bgdefect_core.quality import ClassProfile

from ..generation.pair import Pair
from ..generation.setup import GenerationRun

__all__ = ["PackedChunk", "PackedPair", "packed_chunk", "pairs_of"]


@dataclass(frozen=True)
class PackedPair:
    """A pair whose good picture is named, and whose real defect is a number in a list."""

    index: int
    source: Path
    """The good picture's file, as the head knows it."""
    picture: str
    """The same, relative to the good pictures' tree."""
    masks: tuple[Mask, ...]
    real: int | None
    exemplars: tuple[Exemplar, ...]
    origin: dict[str, Any]


@dataclass(frozen=True)
class PackedChunk:
    """The pairs of a chunk that have a mask."""

    pairs: tuple[PackedPair, ...]
    surroundings: tuple[Surroundings, ...]
    """Of the real defects, once each."""
    profile: ClassProfile
    white: int | None
    """White level of the good pictures."""
    start: tuple[StartName, ...]
    """Where samples start, settled."""


def packed_chunk(run: GenerationRun, pairs: Sequence[Pair], good: Path) -> PackedChunk:
    """The pairs of a chunk.

    Args:
        pairs: with files below ``good``; those without a mask are left out.
    """
    numbers: dict[int, int] = {}
    surroundings: list[Surroundings] = []
    packed: list[PackedPair] = []
    for pair in pairs:
        job = pair.job
        if job is None:
            continue
        number = None
        if job.real is not None:
            number = numbers.setdefault(id(job.real), len(surroundings))
            if number == len(surroundings):
                surroundings.append(job.real)
        relative = pair.source.relative_to(good).as_posix()
        packed.append(
            PackedPair(
                pair.index, pair.source, relative, job.masks, number, job.exemplars, pair.origin
            )
        )
    profile, start = run.standard.profile, run.paint.starting.start
    return PackedChunk(tuple(packed), tuple(surroundings), profile, run.pairs.white, start)


def pairs_of(chunk: PackedChunk, good: Path) -> list[Pair]:
    """The pairs, with their pictures read.

    Args:
        good: the good pictures' tree as it is laid out.

    Raises:
        PictureError: a picture cannot be read.
    """
    pairs: list[Pair] = []
    for packed in chunk.pairs:
        real = None if packed.real is None else chunk.surroundings[packed.real]
        job = Job(
            load_picture(good / packed.picture, chunk.white), packed.masks, real, packed.exemplars
        )
        pairs.append(Pair(packed.index, packed.source, job, packed.origin))
    return pairs
