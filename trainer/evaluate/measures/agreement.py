"""Do the masks fit? On real held-out defects, where the truth is the human mask.

The requested mask is the dilated bounding box of the truth. The defect picture is encoded, noised
at several levels (Eq. 6) and denoised once with ``C_1``; the attention to the defect's words is
recorded as in Eq. 13. The likelihood gain is measured as in generation. The difference signal needs
the picture as it was before the defect: only data sets with ``paired_good`` have one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bgdefect_core.errors import PictureError
from bgdefect_core.method.attention import MapRecorder
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.randomness import seeded_noise
from bgdefect_core.method.refinement import PEAK, refine
from bgdefect_core.method.signals import SIGNALS, Evidence, LatentEvidence
from bgdefect_core.pictures.crop import Crop, crop_box, put_back, take
from bgdefect_core.pictures.files import Picture, read_picture
from bgdefect_core.pictures.masks import Mask, bounding_box, region_map
from bgdefect_core.pictures.pixels import to_pixels

from ...bases.apply import load_trained
from ...bases.devices import pick_device
from ...bases.load import Base
from ...data.examples import Example, load_example
from ..samples.sample_set import SampleSet, changed

DILATION = 0.15
"""By which share of its longest side the bounding box grows on each side, at least 2 pixels."""


@dataclass(frozen=True)
class AgreementSettings:
    """How mask agreement is measured."""

    levels: int
    """Noise levels at which attention is recorded, evenly over the schedule."""
    threshold: float | None = None
    """None: each signal's own (``Signal.threshold``)."""
    seed: int = 0
    batch: int = 4


@dataclass(frozen=True)
class Refining:
    """How the generator itself refines its masks."""

    peak: float = PEAK
    attention_words: str | None = None


def requested_box(truth: Mask) -> Mask:
    """The dilated bounding box of a mask: bool ``[H, W]``, never the whole picture."""
    top, left, height, width = bounding_box(truth)
    reach = max(2, round(DILATION * max(height, width)))
    box = np.zeros_like(truth)
    box[max(top - reach, 0) : top + height + reach, max(left - reach, 0) : left + width + reach] = (
        True
    )
    return truth if box.all() else box


def overlap(found: Mask, truth: Mask) -> dict[str, float]:
    """IoU, precision and recall, 0..1 each; an empty prediction has precision 0."""
    both = float((found & truth).sum())
    return {
        "iou": both / max(float((found | truth).sum()), 1.0),
        "precision": both / max(float(found.sum()), 1.0),
        "recall": both / max(float(truth.sum()), 1.0),
    }


def before_of(example: Example) -> Path | None:
    """The true "before" of a defect picture: ``paired_good/DEFECT/NAME`` beside ``test``; None
    where there is none."""
    if example.image.parent.parent.name != "test":
        return None
    path = example.image.parent.parent.parent / "paired_good" / example.defect / example.image.name
    return path if path.is_file() else None


def real_agreement(
    weights: Path,
    base_spec: str | None,
    examples: Sequence[Example],
    settings: AgreementSettings,
    device: Any = "auto",
    refining: Refining = Refining(),
) -> dict[str, list[dict[str, float]]]:
    """Agreement of requested and refined masks with the human mask.

    Args:
        weights: of the class. base_spec: its base. examples: held-out real defects.

    Returns:
        "requested", "attention", "likelihood", and where every picture has its ``paired_good`` also
        "difference" and "product": one ``overlap`` a picture.

    Raises:
        SettingError: the base's attention is too coarse. And whatever loading raises.
    """
    base, info = load_trained(base_spec, weights)
    for signal in SIGNALS.values():
        signal.check_resolution(info.resolution, base.factor)
    base.to(pick_device(device))
    prompts = base.prompts(
        info.background_prompt, [info.defect_prompt], info.mask_prompt, refining.attention_words
    )
    complete = all(before_of(example) is not None for example in examples)
    found: dict[str, list[dict[str, float]]] = {}
    for first in range(0, len(examples), settings.batch):
        batch = [
            _Item.read(example, info.resolution, info.zoom)
            for example in examples[first : first + settings.batch]
        ]
        heats = _heats(base, prompts, batch, settings, first, complete)
        for number, item in enumerate(batch):
            found.setdefault("requested", []).append(overlap(item.requested, item.truth))
            for name, heat in heats.items():
                placed = put_back(heat[number], item.crop, item.truth.shape)
                threshold = SIGNALS[name].threshold_in_use(settings.threshold)
                refined, _ = refine(placed, item.requested, threshold, refining.peak)
                found.setdefault(name, []).append(overlap(refined, item.truth))
    return found


@dataclass(frozen=True)
class _Item:
    """One real defect, cut as generation would cut it."""

    truth: Mask
    requested: Mask
    crop: Crop
    square: Picture
    inside: Mask
    before: Picture | None

    @staticmethod
    def read(example: Example, resolution: int, zoom: Any) -> _Item:
        picture, truth = load_example(example)
        requested = requested_box(truth)
        crop = crop_box(requested, resolution, zoom)
        path = before_of(example)
        before = read_picture(path) if path else None
        if before is not None and before.shape != picture.shape:
            raise PictureError(
                f"{path} is of another size than {example.image}",
                "equal sizes",
                "remove or correct it",
            )
        return _Item(
            truth,
            requested,
            crop,
            take(picture, crop, resolution),
            take(requested, crop, resolution),
            None if before is None else take(before, crop, resolution),
        )


@torch.no_grad()
def _heats(
    base: Base,
    prompts: Any,
    batch: Sequence[_Item],
    settings: AgreementSettings,
    first: int,
    complete: bool,
) -> dict[str, NDArray[np.float32]]:
    """The signals' maps ``[B, R, R]``; those that need the picture before the defect only where
    all pictures have one (``complete``), and last."""
    z_0 = base.encode(to_pixels([item.square for item in batch]))
    inside = torch.from_numpy(np.stack([item.inside for item in batch]))[:, None]
    cells = (z_0.shape[-2], z_0.shape[-1])
    regions = region_map(inside, cells).to(z_0.device)
    recorder = MapRecorder(prompts.word_positions())
    levels = base.schedule.levels(settings.levels)
    height, width = batch[0].square.shape[:2]
    own = [settings.seed * 1_000_003 + (first + number) * 1009 for number in range(len(batch))]
    with unet_predictor(base.unet, base.schedule) as predict:
        for level in range(levels.steps, 0, -1):
            eps = seeded_noise([seed + level for seed in own], z_0.shape[1:]).to(z_0)
            z_t = base.schedule.noised(z_0, eps, levels.alphas[level])
            predict(z_t, levels.timesteps[level], prompts.defect_context(), regions, recorder)
        latents = LatentEvidence(predict, z_0, regions, prompts, own)
        evidence = Evidence((height, width), recorder, latents=latents)
        if complete:
            before = to_pixels([item.before for item in batch if item.before is not None])
            normal = base.decode(base.encode(before))
            evidence = replace(evidence, painted=base.decode(z_0), normal=normal)
        heats: dict[str, NDArray[np.float32]] = {}
        for signal in sorted(SIGNALS.values(), key=lambda signal: signal.needs_before):
            if complete or not signal.needs_before:
                heats[signal.name] = signal.heat(evidence).cpu().numpy()
    return heats


def generated_agreement(samples: SampleSet) -> dict[str, list[dict[str, float]]]:
    """Agreement of the masks of generated samples with the pixels that changed by more than 16 of
    255.

    The refined mask is made from that same change where its signal is the difference: this is a
        check of the files, not a
    proof of the method. Samples without a known good picture, or without such a change, are left
    out; without any: empty.
    """
    found: dict[str, list[dict[str, float]]] = {}
    for sample in samples.samples:
        where = changed(sample)
        if where is not None and where.any():
            found.setdefault("requested", []).append(overlap(sample.requested, where))
            found.setdefault("refined", []).append(overlap(sample.label, where))
    return found
