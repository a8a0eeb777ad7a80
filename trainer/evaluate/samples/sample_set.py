"""Generated samples, ours and other generators', in one form."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.crop import crop_box, default_feather
from bgdefect_core.pictures.files import Picture, read_picture
from bgdefect_core.pictures.masks import Mask, coverage, feather
from bgdefect_core.pictures.tones import change
from bgdefect_core.quality import background_change
from bgdefect_core.records.dataset import read_manifest
from bgdefect_core.records.dataset_place import extras_folder

from ...data.examples import Example, load_example
from ...data.layouts import find_examples
from ..plan.folds import Fold

HIDDEN = ("no visible defect", "defect lost in its surroundings", "far less of it than in life")
"""Verdicts of samples that do not show their defect."""


class NoSamples(DataError):
    """A generator made nothing for a class: it is left out there by name, the rest is measured."""


@dataclass(frozen=True)
class GeneratedSample:
    """One generated picture with what is known of it."""

    picture: Picture
    label: Mask
    """The refined mask of ours; a candidate's mask."""
    requested: Mask
    """What was asked for; a candidate's mask again."""
    source: Picture | None = None
    """The good picture that it was painted into, where it is known."""
    record: dict[str, Any] | None = None
    """Its manifest line."""


@dataclass(frozen=True)
class SampleSet:
    """The samples of one generator for one class."""

    name: str
    samples: tuple[GeneratedSample, ...]
    """Accepted ones; ours may be none."""
    settings: dict[str, Any]
    """Of ours: all that decided them. Empty for a candidate."""
    attempts: int
    """Attempts, rejected ones included."""
    shown: int
    """First attempts in which the defect shows."""
    firsts: int
    """First attempts."""

    @cached_property
    def digest(self) -> str:
        """Of all pictures and masks."""
        digest = hashlib.sha256(self.name.encode())
        for sample in self.samples:
            for array in (sample.picture, sample.label, sample.requested):
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    @property
    def pictures(self) -> list[Picture]:
        return [sample.picture for sample in self.samples]

    @property
    def labels(self) -> list[Mask]:
        return [sample.label for sample in self.samples]


def read_ours(name: str, root: Path, object: str, defect: str) -> SampleSet:
    """The data set that ``bgdefect generate`` wrote.

    Raises:
        NoSamples: no attempts at all: no mask could be placed.
    """
    records = read_manifest(extras_folder(root, object, defect) / "manifest.jsonl")
    accepted = sorted(
        (record for record in records if record.accepted),
        key=lambda record: record.index,
    )
    if not records:
        raise NoSamples(
            f"no mask could be placed for {object} / {defect}",
            "masks that fit on the good pictures",
            "add good pictures",
        )
    samples = []
    for record in accepted:
        good = root / object / "train" / "good" / record.good_name
        label, requested = (_mask(root / file) for file in (record.label, record.requested))
        samples.append(
            GeneratedSample(
                read_picture(root / record.file), label, requested, read_picture(good), asdict(record)
            )
        )
    firsts = [record for record in records if record.attempt == 0]
    shown = sum(record.verdict not in HIDDEN for record in firsts)
    return SampleSet(
        name, tuple(samples), dict(records[0].settings), len(records), shown, len(firsts)
    )


def candidate_folder(root: Path, number: int) -> Path:
    """Where a candidate's samples for one fold lie: ``fold0`` or ``fold1`` in its folder, else the
    folder itself."""
    own = root / f"fold{number}"
    return own if own.is_dir() else root


def check_unseen(name: str, root: Path, object: str, defect: str, fold: Fold) -> None:
    """Refuse a candidate that holds a picture of the validation or the test side, compared pixel by
    pixel.

    Raises:
        DataError: naming both files. PictureError: a bad file, named.
    """
    held = (*fold.validation, *fold.good_validation, *fold.test, *fold.good_test)
    known = {_pixels(example.image): example.image for example in held}
    for example in find_examples(root, object, defect):
        twin = known.get(_pixels(example.image))
        if twin is not None:
            came = f"the candidate {name!r} leaks: {example.image} is {twin}, which tests or chooses the checkpoint"
            raise DataError(
                came,
                "samples made from the training side alone",
                "give a folder a fold: fold0 and fold1 in the candidate's",
            )


def _pixels(path: Path) -> bytes:
    picture = read_picture(path)
    return hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).digest()


def read_candidate(name: str, root: Path, object: str, defect: str) -> SampleSet:
    """Another generator's data set: images and masks in any layout that the trainer reads.

    Raises:
        DataError: it holds no examples of this class. PictureError, MaskError: a bad file, named.
    """
    examples: Sequence[Example] = find_examples(root, object, defect)
    samples = []
    for example in examples:
        picture, mask = load_example(example)
        samples.append(GeneratedSample(picture, mask, mask))
    return SampleSet(name, tuple(samples), {}, len(samples), len(samples), len(samples))


def by_area(mask: Mask, size: tuple[int, int]) -> Mask:
    """The mask at another size, bool ``[h, w]``: a cell is defect where more than half of it is; a
    defect that would vanish so keeps its most covered cell."""
    if mask.shape == size:
        return mask
    share = coverage(torch.from_numpy(mask)[None, None], size)[0, 0].numpy()
    found: Mask = share > 0.5
    return found if found.any() or not mask.any() else share == share.max()


def fidelity(
    sample: GeneratedSample, resolution: int, zoom: Any, width: float | None = None
) -> tuple[float, float] | None:
    """Off-mask fidelity, from the files themselves: PSNR in dB and largest change outside the
    requested mask's seam.

    Args:
        resolution, zoom: of the generation, from which the seam's width follows. width: of the
            seam, where it was given.

    Returns:
        None where the good picture is not known.
    """
    if sample.source is None or sample.source.shape != sample.picture.shape:
        return None
    return background_change(
        sample.source, sample.picture, seam_of(sample, resolution, zoom, width)
    )


def seam_of(sample: GeneratedSample, resolution: int, zoom: Any, width: float | None) -> Mask:
    """The requested mask and its seam, bool ``[H, W]``; arguments as :func:`fidelity`."""
    if width is None:
        width = default_feather(crop_box(sample.requested, resolution, zoom), sample.requested)
    return feather(sample.requested, width) > 0


def changed(sample: GeneratedSample, threshold: int = 16) -> Mask | None:
    """Where the sample differs from its good picture by more than ``threshold`` of 255: bool ``[H,
    W]``; None: not known."""
    if sample.source is None or sample.source.shape != sample.picture.shape:
        return None
    where: Mask = change(sample.source, sample.picture) > threshold / 255
    return where


def _mask(path: Path) -> Mask:
    """A mask of our own writing."""
    mask: Mask = read_picture(path)[..., 0] > 127
    return mask
