"""Whether masks fit, on real held-out defects, where the truth is the human mask.

The requested mask is the dilated bounding box of the truth. The defect picture is encoded, noised
at several levels (Eq. 6) and denoised once with ``C_1``; the attention to the defect's words is
recorded as in Eq. 13. The likelihood gain is measured as in generation. Signals that need the
picture before the defect are measured only in data sets with ``paired_good``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bgdefect_core.method.attention_maps import MapRecorder
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.randomness import seeded_noise
from bgdefect_core.method.refinement import LabelSettings, label_of
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.signals import SIGNALS, Evidence, LatentEvidence
from bgdefect_core.pictures.crop import Crop, crop_box, put_back, take
from bgdefect_core.pictures.masks import Mask, bounding_box
from bgdefect_core.pictures.overlap import overlap
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.pixels import to_pixels
from bgdefect_core.pictures.region_maps import region_map

from ...bases.apply import load_trained
from ...bases.devices import pick_device
from ...bases.load import Base
from ...data.examples import Example, load_example
from ...data.paired_good import before_of, check_same_size, load_before
from ..samples.sample_set import SampleSet
from .fidelity import changed

DILATION = 0.15
"""Share of its longest side by which the bounding box grows on each side, at least 2 pixels."""
Agreement = dict[str, list[dict[str, float]]]
"""Mask or signal -> :func:`overlap` of each picture."""


@dataclass(frozen=True)
class AgreementSettings:
    """How mask agreement is measured; masks are refined as in generation."""

    levels: int
    """Noise levels at which attention is recorded, evenly over the schedule."""
    label: LabelSettings = field(default_factory=LabelSettings)
    """Used with every signal in turn."""
    attention_words: str | None = None
    seed: int = 0
    batch: int = 4


def requested_box(truth: Mask) -> Mask:
    """The dilated bounding box of a mask: bool ``[H, W]``, never the whole picture."""
    box = bounding_box(truth)
    reach = max(2, round(DILATION * box.longest))
    requested = np.zeros_like(truth)
    requested[box.with_margin(reach)] = True
    return truth if requested.all() else requested


def real_agreement(
    weights: Path,
    base_spec: str | None,
    examples: Sequence[Example],
    settings: AgreementSettings,
    device: str = "auto",
) -> Agreement:
    """Agreement of requested and refined masks with the human mask.

    Args:
        weights: of the class. base_spec: its base. examples: held-out real defects.

    Returns:
        "requested" and each signal; those that need the picture before the defect only where every
        picture has its ``paired_good``.

    Raises:
        SettingError: the base's attention is too coarse. And whatever loading raises.
    """
    base, info = load_trained(base_spec, weights)
    for signal in SIGNALS.values():
        signal.check_resolution(info.resolution, base.factor)
    base.to(pick_device(device))
    words = settings.attention_words
    prompts = base.prompts(info.background_prompt, [info.defect_prompt], info.mask_prompt, words)
    complete = all(before_of(example) is not None for example in examples)
    agreement: Agreement = {"requested": []}
    for first in range(0, len(examples), settings.batch):
        batch = []
        for example in examples[first : first + settings.batch]:
            batch.append(_Item.read(example, info.resolution, info.zoom))
        for item in batch:
            agreement["requested"].append(overlap(item.requested, item.truth))
        for name, heats in _heats(base, prompts, batch, settings, first, complete).items():
            label = replace(settings.label, signal=name)
            for item, heat in zip(batch, heats, strict=True):
                placed = put_back(heat, item.crop, item.truth.shape)
                refined, _ = label_of(placed, item.requested, label)
                agreement.setdefault(name, []).append(overlap(refined, item.truth))
    return agreement


@dataclass(frozen=True)
class _Item:
    """One real defect, cut as generation would cut it."""

    truth: Mask
    requested: Mask
    crop: Crop
    square: Pixels
    inside: Mask
    """The requested mask in the square."""
    before: Pixels | None
    """The square before the defect."""

    @staticmethod
    def read(example: Example, resolution: int, zoom: Any) -> _Item:
        """Read the files of one example.

        Raises:
            PictureError: the picture before the defect has another size.
        """
        picture, truth = load_example(example)
        requested = requested_box(truth)
        crop = crop_box(requested, resolution, zoom)
        before = load_before(example)
        if before is not None:
            check_same_size(example, before, picture.shape)
            before = take(before, crop, resolution)
        return _Item(
            truth=truth,
            requested=requested,
            crop=crop,
            square=take(picture, crop, resolution),
            inside=take(requested, crop, resolution),
            before=before,
        )


@torch.no_grad()
def _heats(
    base: Base,
    prompts: RegionPrompts,
    batch: Sequence[_Item],
    settings: AgreementSettings,
    first: int,
    complete: bool,
) -> dict[str, NDArray[np.float32]]:
    """The signals' maps, float32 ``[B, R, R]``; those that need the picture before the defect come
    last.

    Args:
        first: position of the batch among all examples. complete: every picture before its defect
            is known.
    """
    squares, masks, befores = [], [], []
    for item in batch:
        squares.append(item.square)
        masks.append(item.inside)
        if item.before is not None:
            befores.append(item.before)
    z_0 = base.encode(to_pixels(squares))
    inside = torch.from_numpy(np.stack(masks))[:, None]
    regions = region_map(inside, (z_0.shape[-2], z_0.shape[-1])).to(z_0.device)
    recorder = MapRecorder(prompts.word_positions())
    height, width = batch[0].square.shape[:2]
    positions = range(first, first + len(batch))
    seeds = [settings.seed * 1_000_003 + position * 1009 for position in positions]
    with unet_predictor(base.unet, base.schedule) as predict:
        latents = LatentEvidence(predict, z_0, regions, prompts, seeds)
        _record_attention(latents, settings.levels, recorder)
        evidence = Evidence((height, width), recorder, latents=latents)
        if complete:
            normal = base.decode(base.encode(to_pixels(befores)))
            evidence = replace(evidence, painted=base.decode(z_0), normal=normal)
        heats: dict[str, NDArray[np.float32]] = {}
        for signal in sorted(SIGNALS.values(), key=lambda signal: signal.needs_before):
            if complete or not signal.needs_before:
                heats[signal.name] = signal.heat(evidence).cpu().numpy()
    return heats


def _record_attention(latents: LatentEvidence, steps: int, recorder: MapRecorder) -> None:
    """Noise the latents at several levels and denoise each once."""
    predict, z_0, c_1 = latents.predict, latents.z_0, latents.prompts.defect_context()
    levels = predict.schedule.levels(steps)
    for level in range(levels.steps, 0, -1):
        eps = seeded_noise([seed + level for seed in latents.seeds], z_0.shape[1:]).to(z_0)
        z_t = predict.schedule.noised(z_0, eps, levels.alphas[level])
        predict(z_t, levels.timesteps[level], c_1, latents.regions, recorder)


def generated_agreement(samples: SampleSet) -> Agreement:
    """Agreement of the masks of generated samples with the pixels that changed by more than 16 of
    255.

    The refined mask is made from that same change where its signal is the difference: this is a
    check of the files, not a proof of the method. Samples without a known good picture, or without
    such a change, are left out; without any sample the result is empty.
    """
    agreement: Agreement = {}
    for sample in samples.samples:
        where = changed(sample)
        if where is not None and where.any():
            agreement.setdefault("requested", []).append(overlap(sample.requested, where))
            agreement.setdefault("refined", []).append(overlap(sample.label, where))
    return agreement
