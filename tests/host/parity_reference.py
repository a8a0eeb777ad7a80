"""What the core computes with diffusers: the reference that the host's MODEL is held against."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from bgdefect_core.method.attention_maps import MapRecorder
from bgdefect_core.method.backgrounds import BACKGROUNDS
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.randomness import attempt_seed
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.sample_batch import SampleBatch
from bgdefect_core.method.sampling import sample
from bgdefect_core.method.schedule import NoiseSchedule
from bgdefect_core.pictures.region_maps import region_map
from trainer.bases.load import Base

SEED = 100
TEXTS = ("a photo of a metal part", "a deep scratch on a metal part", "mask", "a dark stain")
"""Background, defect, placeholder, a second defect."""


def pictures(count: int, height: int, width: int) -> Tensor:
    """Drawn parts, IMAGE ``[count, H, W, 3]`` in 0..1: a disc on a shaded ground, another colour
    each."""
    rows, columns = np.mgrid[:height, :width]
    drawn = []
    for index in range(count):
        ground = 0.35 + 0.3 * columns / width + 0.05 * np.sin(rows / (3 + index))
        disc = (rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (
            0.35 * min(height, width)
        ) ** 2
        drawn.append(
            np.stack(
                [
                    np.where(disc, 0.2 + 0.25 * channel + 0.1 * index, ground)
                    for channel in range(3)
                ],
                -1,
            )
        )
    return torch.from_numpy(np.stack(drawn)).float().clamp(0, 1)


def boxes(count: int, height: int, width: int, defects: int) -> Tensor:
    """Masks ``[defects, count, H, W]``: disjoint boxes, another place in each picture."""
    masks = torch.zeros(defects, count, height, width)
    for defect in range(defects):
        for index in range(count):
            top, left = height // 5 + 9 * index, width // 8 + defect * width // 2
            masks[defect, index, top : top + height // 3, left : left + width // 4] = 1
    return masks


def random_prompts(width: int, defects: int, pooled: int = 0, length: int = 77) -> RegionPrompts:
    """Random prompts, the words of each defect at 1 to 4."""
    generator = torch.Generator().manual_seed(9)

    def tokens() -> Tensor:
        return torch.randn(1, length, width, generator=generator)

    added = {"text_embeds": torch.randn(1, pooled, generator=generator)} if pooled else {}
    return RegionPrompts(
        tokens(),
        [tokens() for _ in range(defects)],
        tokens(),
        [[1, 2, 3, 4]] * defects,
        tokens(),
        added,
    )


def write_case(
    folder: Path,
    unet: Any,
    schedule: NoiseSchedule,
    prompts: RegionPrompts,
    z_0: Tensor,
    masks: Tensor,
    source: Mapping[str, Any],
    steps: int = 4,
    modes: Sequence[str] = tuple(BACKGROUNDS),
    base: Base | None = None,
) -> Path:
    """Run the method with diffusers and write everything that went in and came out.

    Args:
        masks: ``[R, B, H, W]``. source: how the host shall load the same U-Net.
        base: whose pictures and texts are stored too.
    """
    count, levels, regions = (
        len(z_0),
        schedule.levels(steps),
        region_map(masks.transpose(0, 1), (z_0.shape[-2], z_0.shape[-1])),
    )
    seeds = [attempt_seed(SEED, number, 0) for number in range(count)]
    stored = {
        "z_0": z_0,
        "masks": masks,
        "background": prompts.background,
        "placeholder": prompts.placeholder,
    }
    stored |= {f"defect.{number}": tokens for number, tokens in enumerate(prompts.defects)}
    if prompts.empty is not None:
        stored["empty"] = prompts.empty
    if "text_embeds" in prompts.added:
        stored["pooled"] = prompts.added["text_embeds"]
    with unet_predictor(unet, schedule) as predict:
        for mode in modes:
            background = BACKGROUNDS[mode].prepare(predict, z_0, regions, prompts, levels)
            if background.mode.inverts:
                stored[f"levels.{mode}"] = torch.stack(list(background.latents))
            for guidance in (1.0, 2.5) if mode == "replay" else (1.0,):
                passed: list[Tensor] = []
                recorder = MapRecorder(prompts.word_positions())

                def keep(done: int, total: int, z: Tensor, into: list[Tensor] = passed) -> None:
                    into.append(z)

                sample(
                    predict,
                    background,
                    SampleBatch(regions, seeds, guidance),
                    prompts,
                    recorder=recorder,
                    callback=keep,
                )
                stored[f"sampled.{mode}.{guidance}"] = torch.stack(passed)
                stored |= {
                    f"map.{mode}.{guidance}.{h}x{w}": mean
                    for (h, w), mean in recorder.means.items()
                }
    if base is not None:
        stored["pictures"] = pictures(count, masks.shape[-2], masks.shape[-1])
        stored["decoded"] = base.decode(stored[f"sampled.{modes[0]}.1.0"][-1])
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: tensor.detach().float().contiguous() for name, tensor in stored.items()},
        folder / "case.safetensors",
    )
    words = [list(words) for words in prompts.defect_words]
    case = {
        "source": dict(source),
        "steps": steps,
        "seed": SEED,
        "seeds": seeds,
        "words": words,
        "texts": TEXTS if base else None,
    }
    (folder / "case.json").write_text(json.dumps(case), "utf-8")
    return folder


def case_of_base(
    folder: Path,
    base: Base,
    source: Mapping[str, Any],
    size: tuple[int, int] = (64, 64),
    steps: int = 3,
    defects: int = 1,
    modes: Sequence[str] = tuple(BACKGROUNDS),
) -> Path:
    """A case of two pictures with the base's own texts and VAE."""
    prompts = base.prompts(TEXTS[0], [TEXTS[1], TEXTS[3]][:defects], TEXTS[2])
    images = pictures(2, *size)
    z_0 = base.encode(images.permute(0, 3, 1, 2) * 2 - 1)
    return write_case(
        folder,
        base.unet,
        base.schedule,
        prompts,
        z_0,
        boxes(2, *size, defects),
        source,
        steps,
        modes,
        base,
    )
