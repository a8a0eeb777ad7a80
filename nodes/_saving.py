"""Samples of a workflow into a data set on disk, and what to show of them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..bgdefect_core.errors import MaskError, PictureError
from ..bgdefect_core.files import atomic_write
from ..bgdefect_core.method.randomness import attempt_seed
from ..bgdefect_core.pictures.crop import Crop, crop_box, take
from ..bgdefect_core.pictures.masks import Mask, bounding_box, check_mask
from ..bgdefect_core.pictures.overlay import CYAN, GREEN, outlined, warmed
from ..bgdefect_core.pictures.picture import Picture, Pixels
from ..bgdefect_core.records.dataset import DatasetWriter
from ..bgdefect_core.records.dataset_place import extras_folder
from ..bgdefect_core.records.manifest import ManifestLine
from ..bgdefect_core.records.sample import Sample, SampleFacts
from ._convert import cycled, image_of, mask_batch, mask_of, masks_of, pictures_of
from ._judging import Judged
from ._squares import colour_image

SETTINGS = {"made_by": "the ComfyUI nodes of BGDefect"}
"""The run's settings in the manifest. Every sample names the workflow that made it instead, so that
a run may go on with another."""
UNKNOWN_SEED = -1
ZOOMED = 384
"""Side of a zoomed preview in pixels."""
Zoomed = tuple[Tensor, Tensor, Tensor | None, Tensor | None]
"""Result, requested mask, refined mask, heat."""


def save_samples(
    root: Path,
    names: tuple[str, str],
    image: Tensor,
    result: Tensor,
    label: Tensor,
    requested: Tensor,
    heat: Tensor | None,
    quality: Sequence[Judged] | None,
    seed: int | None,
    prompt: Mapping[str, Any] | None,
) -> list[ManifestLine]:
    """Add S samples to the data set in ``root``, after those of earlier runs.

    Args:
        root: the data set's folder. names: object and defect.
        image: IMAGE of the good pictures. result: IMAGE ``[S, H, W, 3]``. label, requested: their
            MASKs; heat: IMAGE. What has fewer items is repeated, in the order of the host's Repeat
            Image Batch.
        quality: one a sample; None: all with a label are accepted.
        seed: of the run, for the record: sample i gets its own of it. prompt: the workflow, for
            the record.

    Returns:
        The records, as in the manifest.

    Raises:
        MaskError, PictureError: numbers or sizes that do not fit together. OutputError,
            SettingError: see ``DatasetWriter``.
    """
    pictures = pictures_of(colour_image(result, "result"), "result")
    count = len(pictures)
    goods = pictures_of(_spread(colour_image(image, "image"), count, "image"), "image")
    labels = masks_of(_spread(mask_batch(label, "refined"), count, "refined"), "refined")
    masks = masks_of(_spread(mask_batch(requested, "mask"), count, "mask"), "mask")
    heats = (
        [None] * count
        if heat is None
        else list(_spread(colour_image(heat, "heat"), count, "heat")[..., 0].numpy())
    )
    if quality is not None and len(quality) != count:
        raise PictureError(
            f"quality has {len(quality)} verdicts for {count} pictures",
            "as many",
            "connect the quality of this run",
        )
    for number, picture in enumerate(pictures):
        _fitting(number, picture, goods[number], labels[number], masks[number])
    with DatasetWriter(root, *names, SETTINGS) as writer:
        origin = {"kind": "workflow", **_record_prompt(extras_folder(root, *names), prompt)}
        first = max((record.index for record in writer.records), default=-1) + 1
        lines: list[ManifestLine] = []
        for number, picture in enumerate(pictures):
            judged = quality[number] if quality else None
            painted_as = number if judged is None else judged.number
            facts = SampleFacts(
                index=first + number,
                attempt=0,
                source=_good_file(root / names[0] / "train" / "good", goods[number]),
                mask_origin=origin | {"sample": number},
                seed=UNKNOWN_SEED if seed is None else attempt_seed(seed, painted_as, 0),
                **_verdict(judged, labels[number]),
            )
            arrays = (labels[number], masks[number], heats[number])
            lines.append(writer.add(Sample(facts, Picture(picture), *arrays)))
        return lines


def _verdict(judged: Judged | None, label: Mask) -> dict[str, Any]:
    if judged is None:
        good = bool(label.any())
        return {"quality": {}, "verdict": "not judged" if good else "label empty", "accepted": good}
    good = judged.verdict.good and bool(label.any())
    reason = judged.verdict.reason or "label empty"
    return {
        "quality": judged.figures,
        "verdict": "good" if good else reason,
        "accepted": good,
        "start": judged.start,
    }


def _spread(batch: Tensor, count: int, name: str) -> Tensor:
    """A batch of ``count``, or of a number that divides it, as one of ``count``."""
    if len(batch) == 0 or count % len(batch):
        raise PictureError(
            f"{name} has {len(batch)} items for {count} pictures",
            f"a number that divides {count}",
            f"connect others to {name}",
        )
    return cycled(batch, count)


def _fitting(number: int, picture: Pixels, good: Pixels, label: Mask, requested: Mask) -> None:
    """Sizes are compared before anything is written."""
    for name, size in (
        ("image", good.shape[:2]),
        ("refined", label.shape),
        ("mask", requested.shape),
    ):
        if size != picture.shape[:2]:
            came = f"sample {number}: {name} is {size[1]} x {size[0]} pixels"
            do = f"connect the {name} of the whole picture"
            raise MaskError(came, f"{picture.shape[1]} x {picture.shape[0]}, as result", do)


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


def zoomed(result: Tensor, requested: Tensor, label: Tensor | None, heat: Tensor | None) -> Zoomed:
    """The square around each sample's requested mask, ``ZOOMED`` pixels a side: the arguments of
    ``overlays``, cut alike."""
    pictures = pictures_of(colour_image(result, "result"), "result")
    masks = masks_of(_spread(mask_batch(requested, "mask"), len(pictures), "mask"), "mask")
    for number, (picture, mask) in enumerate(zip(pictures, masks, strict=True)):
        check_mask(mask, picture.shape[:2], "mask" if len(requested) == 1 else f"mask {number}")
    boxes = [_seen(mask) for mask in masks]

    def squares(arrays: Sequence[NDArray[Any]], name: str) -> list[NDArray[Any]]:
        _same_size(pictures, arrays, name)
        return [take(array, box, ZOOMED) for array, box in zip(arrays, boxes, strict=True)]

    label_squares = heat_squares = None
    if label is not None:
        labels = masks_of(_spread(mask_batch(label, "refined"), len(boxes), "refined"), "refined")
        label_squares = mask_of(squares(labels, "refined"))
    if heat is not None:
        heats = pictures_of(_spread(colour_image(heat, "heat"), len(boxes), "heat"), "heat")
        heat_squares = image_of(squares(heats, "heat"))
    result_squares = image_of(squares(pictures, "result"))
    return result_squares, mask_of(squares(masks, "mask")), label_squares, heat_squares


def _seen(mask: Mask) -> Crop:
    """The square that is shown: as that of training, but where it would stick out of the picture
    the largest one within, so that nothing is mirrored at the border."""
    box, shorter = crop_box(mask, 96, "defect"), min(mask.shape)
    top, left, height, width = bounding_box(mask)
    if box.side <= shorter or max(height, width) > shorter:
        return box
    places = []
    for start, length, whole in zip((top, left), (height, width), mask.shape, strict=True):
        middle = start + length // 2 - shorter // 2
        places.append(min(max(middle, 0), whole - shorter))
    return Crop(places[0], places[1], shorter)


def overlays(
    result: Tensor, requested: Tensor | None, label: Tensor | None, heat: Tensor | None
) -> Tensor:
    """What came where: the requested mask's outline (cyan), the refined one's (green), the heat
    beside it.

    Args:
        result: IMAGE of S pictures. requested, label: MASKs, heat: IMAGE, of S or a number that
            divides it.

    Returns:
        IMAGE ``[S, H, 2 W, 3]``: the result and its outlines side by side; ``[S, H, 3 W, 3]`` with
        heat.
    """
    pictures = pictures_of(colour_image(result, "result"), "result")
    drawn = list(pictures)
    for name, mask, colour in (("mask", requested, CYAN), ("refined", label, GREEN)):
        if mask is not None:
            masks = masks_of(_spread(mask_batch(mask, name), len(drawn), name), name)
            _same_size(pictures, masks, name)
            for number, outline in enumerate(masks):
                drawn[number] = outlined(drawn[number], outline, colour)
    both = [image_of(pictures), image_of(drawn)]
    if heat is None:
        return torch.cat(both, dim=2)
    warm = pictures_of(_spread(colour_image(heat, "heat"), len(drawn), "heat"), "heat")
    _same_size(pictures, warm, "heat")
    warmed_pictures = []
    for picture, heat_picture in zip(pictures, warm, strict=True):
        warmed_pictures.append(warmed(picture, heat_picture[..., 0]))
    return torch.cat([*both, image_of(warmed_pictures)], dim=2)


def _same_size(pictures: Sequence[Pixels], others: Sequence[NDArray[Any]], name: str) -> None:
    """Refuse what has another size than the results."""
    for picture, array in zip(pictures, others, strict=True):
        if array.shape[:2] != picture.shape[:2]:
            came = f"{name} is {array.shape[1]} x {array.shape[0]} pixels"
            raise PictureError(
                came,
                f"{picture.shape[1]} x {picture.shape[0]}, as result",
                f"connect the {name} of these samples",
            )
