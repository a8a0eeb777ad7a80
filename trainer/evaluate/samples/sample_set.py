"""Generated samples, our own and those of candidates, in one form."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.mask_reading import read_label
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.reading import read_of_folder, read_picture
from bgdefect_core.pictures.region_maps import coverage
from bgdefect_core.quality.verdict import NOT_SHOWN
from bgdefect_core.records.dataset_place import extras_folder
from bgdefect_core.records.decisions import Key
from bgdefect_core.records.manifest import read_manifest

from ...data.examples import load_example
from ...data.layouts import find_examples
from ..plan.fold import Fold


class NoSamples(DataError):
    """A method made nothing for a class: it is left out there by name, the rest is measured."""


@dataclass(frozen=True)
class GeneratedSample:
    """One generated picture with what is known of it."""

    picture: Pixels
    label: Mask
    """The refined mask of our own samples; a candidate's mask."""
    requested: Mask
    """The requested mask of our own samples; a candidate's mask again."""
    source: Pixels | None = None
    """The good picture that it was painted into, where it is known."""
    file: str = ""
    """Its file, relative to the data set; empty for a candidate's."""
    seed: int | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    """Figures of the verdict; empty where nothing is judged."""
    pair: int | None = None
    """Number of the pair of picture and mask, where it is known."""
    real_mask: str = ""
    """File of the real mask from which its own was made; empty where it is not known."""
    good: str = ""
    """File of the good picture, where it is known."""


@dataclass(frozen=True)
class SampleSet:
    """The samples of one method for one class."""

    name: str
    samples: tuple[GeneratedSample, ...]
    """Accepted ones; there may be none."""
    settings: dict[str, Any]
    """All that decided our own samples. Empty for a candidate."""
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
    def pictures(self) -> list[Pixels]:
        """uint8 ``[H, W, 3]`` each."""
        return [sample.picture for sample in self.samples]

    @property
    def labels(self) -> list[Mask]:
        """bool ``[H, W]`` each."""
        return [sample.label for sample in self.samples]


def read_generated(name: str, root: Path, object: str, defect: str) -> SampleSet:
    """What stands of the data set that ``bgdefect generate`` wrote, after a person's review.

    Args:
        name: of the method. root: the data set.

    Raises:
        NoSamples: no attempts at all: no mask could be placed.
    """
    records = read_manifest(extras_folder(root, object, defect) / "manifest.jsonl")
    if not records:
        raise NoSamples(
            f"no mask could be placed for {object} / {defect}",
            "masks that fit on the good pictures",
            "add good pictures",
        )
    samples: dict[Key, GeneratedSample] = {}
    firsts = shown = 0
    for record in records:
        if record.attempt == 0:
            firsts += 1
            shown += record.verdict not in NOT_SHOWN
        if record.accepted:
            samples[record.key] = GeneratedSample(
                picture=read_of_folder(root / record.file),
                label=read_label(root / record.label),
                requested=read_label(root / record.requested),
                source=read_of_folder(root / record.good_file(root)),
                file=record.file,
                seed=record.seed,
                quality=record.quality,
                pair=record.mask_origin.get("pair"),
                real_mask=_real_mask(record.mask_origin),
                good=record.source,
            )
    return SampleSet(
        name=name,
        samples=tuple(samples[key] for key in sorted(samples)),
        settings=dict(records[0].settings),
        attempts=len(records),
        shown=shown,
        firsts=firsts,
    )


def _real_mask(origin: Mapping[str, Any]) -> str:
    """File of the real mask from which a library's mask was made; "" for ready masks."""
    return str(origin["file"]) if origin.get("kind") == "placed" else ""


def read_candidate(name: str, root: Path, object: str, defect: str) -> SampleSet:
    """The data set of another method, in any layout that the trainer reads.

    Raises:
        DataError: it holds no examples of this class. PictureError, MaskError: a bad file, named.
    """
    samples = []
    for example in find_examples(root, object, defect):
        picture, mask = load_example(example)
        samples.append(GeneratedSample(picture, mask, mask))
    count = len(samples)
    return SampleSet(name, tuple(samples), {}, attempts=count, shown=count, firsts=count)


def candidate_folder(root: Path, number: int) -> Path:
    """Where a candidate's samples for one fold lie: ``fold0`` or ``fold1`` in its folder, else the
    folder itself."""
    of_fold = root / f"fold{number}"
    return of_fold if of_fold.is_dir() else root


def check_unseen(name: str, root: Path, object: str, defect: str, fold: Fold) -> None:
    """Refuse a candidate that holds a picture of the validation or the test side, compared pixel by
    pixel.

    Args:
        name, root: of the candidate. fold: of the detector.

    Raises:
        DataError: naming both files. PictureError: a bad file, named.
    """
    held_out = (*fold.validation, *fold.good_validation, *fold.test, *fold.good_test)
    known = {_pixel_digest(example.image): example.image for example in held_out}
    for example in find_examples(root, object, defect):
        twin = known.get(_pixel_digest(example.image))
        if twin is not None:
            raise DataError(
                f"the candidate {name!r} leaks: {example.image} is {twin}, which is kept "
                "out of training",
                "samples made from the training side alone",
                "give a folder for each fold: fold0 and fold1 in the candidate's",
            )


def _pixel_digest(path: Path) -> bytes:
    # by the file alone: a copy in another folder is read alike
    picture = read_picture(path)
    return hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).digest()


def by_area(mask: Mask, size: tuple[int, int]) -> Mask:
    """The mask at another size, bool ``[h, w]``: a pixel is defect where more than half of it is; a
    defect that would vanish keeps its most covered pixel.

    Args:
        size: (h, w) in pixels.
    """
    if mask.shape == size:
        return mask
    share = coverage(torch.from_numpy(mask)[None, None], size)[0, 0].numpy()
    resized: Mask = share > 0.5
    if mask.any() and not resized.any():
        resized = share == share.max()
    return resized
