"""Samples of a workflow into a data set on disk."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..bgdefect_core.errors import MaskError, PictureError
from ..bgdefect_core.files import atomic_write
from ..bgdefect_core.method.randomness import attempt_seed
from ..bgdefect_core.pictures.masks import Mask
from ..bgdefect_core.pictures.picture import Picture, Pixels
from ..bgdefect_core.quality.verdict import EMPTY_LABEL
from ..bgdefect_core.records.dataset import DatasetWriter
from ..bgdefect_core.records.dataset_place import extras_folder
from ..bgdefect_core.records.manifest import ManifestLine
from ..bgdefect_core.records.sample import Sample, SampleFacts
from ._convert import pictures_of
from ._judging import Judged
from ._spreading import spread, spread_masks, spread_pictures
from ._squares import colour_image

SETTINGS = {"made_by": "the ComfyUI nodes of BGDefect"}
"""The run's settings in the manifest. Every sample names the workflow that made it instead, so that
a run may go on with another."""
UNKNOWN_SEED = -1


@dataclass(frozen=True, eq=False)
class FinishedSamples:
    """S samples of a workflow, as the host has them. What has fewer items is repeated, in the order
    of the host's Repeat Image Batch."""

    image: Tensor
    """IMAGE of the good pictures."""
    result: Tensor
    """IMAGE ``[S, H, W, 3]``."""
    refined: Tensor
    """MASK: the labels."""
    mask: Tensor
    """MASK, as requested."""
    heat: Tensor | None = None
    """IMAGE."""


@dataclass(frozen=True, eq=False)
class _Arrays:
    """One of them, as the data set has it."""

    good: Pixels
    picture: Pixels
    label: Mask
    requested: Mask
    heat: NDArray[np.float32] | None


def save_samples(
    root: Path,
    names: tuple[str, str],
    samples: FinishedSamples,
    quality: Sequence[Judged] | None = None,
    seed: int | None = None,
    prompt: Mapping[str, Any] | None = None,
) -> list[ManifestLine]:
    """Add S samples to the data set in ``root``, after those of earlier runs.

    Args:
        root: the data set's folder. names: object and defect.
        quality: one a sample; None: all with a label are accepted.
        seed: of the run, for the record: sample i gets its own of it. prompt: the workflow, for
            the record.

    Returns:
        The records, as in the manifest.

    Raises:
        MaskError, PictureError: numbers or sizes that do not fit together. OutputError,
            SettingError: see ``DatasetWriter``.
    """
    arrays = _arrays_of(samples)
    if quality is not None and len(quality) != len(arrays):
        raise PictureError(
            f"quality has {len(quality)} verdicts for {len(arrays)} pictures",
            "as many",
            "connect the quality of this run",
        )
    with DatasetWriter(root, *names, SETTINGS) as writer:
        origin = {"kind": "workflow", **_record_prompt(extras_folder(root, *names), prompt)}
        first = writer.next_index
        lines: list[ManifestLine] = []
        for number, sample in enumerate(arrays):
            judged = quality[number] if quality else None
            painted_as = number if judged is None else judged.number
            facts = SampleFacts(
                index=first + number,
                attempt=0,
                source=_good_file(root / names[0] / "train" / "good", sample.good),
                mask_origin=origin | {"sample": number},
                seed=UNKNOWN_SEED if seed is None else attempt_seed(seed, painted_as, 0),
                **_verdict(judged, sample.label),
            )
            picture = Picture(sample.picture)
            lines.append(
                writer.add(Sample(facts, picture, sample.label, sample.requested, sample.heat))
            )
        return lines


def _arrays_of(samples: FinishedSamples) -> list[_Arrays]:
    """Each sample by itself; sizes are compared before anything is written."""
    pictures = pictures_of(colour_image(samples.result, "result"), "result")
    count = len(pictures)
    goods = spread_pictures(samples.image, count, "image")
    labels = spread_masks(samples.refined, count, "refined")
    masks = spread_masks(samples.mask, count, "mask")
    heats: list[NDArray[np.float32] | None] = [None] * count
    if samples.heat is not None:
        heat = spread(colour_image(samples.heat, "heat"), count, "heat")
        heats = list(heat[..., 0].numpy())
    arrays: list[_Arrays] = []
    for parts in zip(goods, pictures, labels, masks, heats, strict=True):
        sample = _Arrays(*parts)
        _check_sizes(len(arrays), sample)
        arrays.append(sample)
    return arrays


def _check_sizes(number: int, sample: _Arrays) -> None:
    height, width = sample.picture.shape[:2]
    for name, array in (
        ("image", sample.good),
        ("refined", sample.label),
        ("mask", sample.requested),
    ):
        if array.shape[:2] != (height, width):
            came = f"sample {number}: {name} is {array.shape[1]} x {array.shape[0]} pixels"
            do = f"connect the {name} of the whole picture"
            raise MaskError(came, f"{width} x {height}, as result", do)


def _verdict(judged: Judged | None, label: Mask) -> dict[str, Any]:
    if judged is None:
        good = bool(label.any())
        return {"quality": {}, "verdict": "not judged" if good else EMPTY_LABEL, "accepted": good}
    good = judged.judgement.verdict.good and bool(label.any())
    reason = judged.judgement.verdict.reason or EMPTY_LABEL
    return {
        "quality": judged.judgement.figures,
        "verdict": "good" if good else reason,
        "accepted": good,
        "start": judged.start,
    }


def _record_prompt(extras: Path, prompt: Mapping[str, Any] | None) -> dict[str, str]:
    """The workflow beside the manifest, once, named by its content."""
    if prompt is None:
        return {}
    text = json.dumps(prompt, sort_keys=True, indent=1)
    name = f"prompts/{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    if not (extras / name).exists():
        with atomic_write(extras / name, "w") as file:
            file.write(text)
    return {"prompt": name}


def _good_file(folder: Path, picture: Pixels) -> Path:
    """The good picture in the data set, once, named by its file's content as the writer names
    it."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, format="PNG")
    content = buffer.getvalue()
    path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.png"
    if not path.exists():
        with atomic_write(path) as file:
            file.write(content)
    return path
