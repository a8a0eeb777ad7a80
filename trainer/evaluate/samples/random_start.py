"""Samples that start from pure noise: the paper's own form of the loss L' (Table 4; docs/method.md,
choice 11 (a)).

The class is trained as ever and the masks are laid as ever, on the very pictures that the other
generators paint into, with the same seeds. But the whole square comes from noise
(:func:`bgdefect_core.method.random_start.sample_from_noise`): a sample is that square alone, its
label the requested mask within it. There is no picture before, so that no label is refined, nothing
is rejected, and neither fidelity nor strength is defined.

FOLDER/run.json says what made the samples; the digest of its settings stands in the folder's name; a
sample is finished where its picture lies. Batches are formed from the pairs' numbers alone, so that
a resumed run gives the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from bgdefect_core.declarations import options_of, replace_options
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.random_start import sample_from_noise
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.solvers import SOLVERS
from bgdefect_core.painting import Framing, Job
from bgdefect_core.pictures.crop import Crop, crop_box, take
from bgdefect_core.pictures.mask_reading import read_mask
from bgdefect_core.pictures.masks import Mask, region_map
from bgdefect_core.pictures.picture import Picture, Pixels
from bgdefect_core.pictures.pixels import as_pictures
from bgdefect_core.pictures.reading import read_picture
from bgdefect_core.pictures.stitching import stitch
from bgdefect_core.pictures.writing import write_mask, write_picture
from bgdefect_core.quality import QualityLimits
from bgdefect_core.records.run_record import RunRecord, read_inputs, settings_digest
from bgdefect_core.weights.files import read_info

from ...bases.load import Base
from ...data.examples import Example
from ...generation.attempts import attempt_seed
from ...generation.config import GenerateConfig
from ...generation.pairs import Pair, Pairs, open_pairs
from ...generation.record import run_settings
from ...generation.setup import ready_base
from ..config import EvaluateConfig
from ..measures.features import DEFECT_RESOLUTION
from ..plan.folds import Fold
from .methods import Method
from .ours import MethodSamples, base_name, trained
from .sample_set import GeneratedSample, NoSamples, SampleSet

_UNREAD = (
    "ready_masks",
    "variants",
    "retries",
    "background",
    "signal",
    "threshold",
    "peak",
    "feather",
    "stitch",
    "detail",
    *(option.name for option in options_of(QualityLimits)),
    "mask_prompt",
)
"""Settings of generation that a start from noise does not read."""


def make_from_noise(
    config: EvaluateConfig, place: Path, fold: Fold, shots: Sequence[Example], spec: Method
) -> MethodSamples:
    """Train the class and make its squares, or go on with both. Arguments as
    :func:`trainer.evaluate.samples.ours.make_ours`.

    Raises:
        BGDefectError: whatever the trainer refuses; NoSamples: no mask could be placed.
    """
    plan = trained(config, place, fold, shots, spec)
    first = plan.paint.sampling.guidance[:1]
    plan = replace_options(plan, guidance=first)  # nothing is judged: no retries
    info = read_info(plan.weights)
    pairs = open_pairs(plan, info)
    record = run_settings(plan, info, pairs)
    record |= {"base": base_name(config), "start": "noise"}
    settings = {name: value for name, value in record.items() if name not in _UNREAD}
    folder = plan.output.with_name(f"{spec.name}-{settings_digest(settings)}")
    run = RunRecord(folder / "run.json", settings, read_inputs(pairs.files(plan.count)))
    run.check()
    run.write()
    made = _make(plan, pairs, Framing(info.resolution, info.zoom), plan.prompts(info), folder)
    if not made:
        came = f"no mask could be placed for {plan.object} / {plan.defect}"
        raise NoSamples(
            came, "masks that fit on the good pictures", "see the log, or add good pictures"
        )
    samples = tuple(_read(folder, plan, index) for index in made)
    found = SampleSet(spec.name, samples, settings, len(samples), 0, 0)
    return MethodSamples(
        found,
        plan.weights,
        settings | {"samples": len(samples)},
        info.resolution,
        info.zoom,
        from_noise=True,
    )


def comparable_views(made: MethodSamples) -> tuple[str, ...]:
    """Views in which a generator's samples show as much of a part as real pictures do.

    Samples from noise are squares. Where the zoom is "whole" such a square is the picture. Else it
    holds the surroundings of the defect, where the network's side is large enough for those of the
    "defect" view, and never the whole picture.
    """
    if not made.from_noise or made.zoom == "whole":
        return ("defect", "whole")
    return ("defect",) if made.resolution >= DEFECT_RESOLUTION else ()


def on_picture(picture: Pixels, mask: Mask, crop: Crop, square: Any) -> tuple[Pixels, Mask]:
    """The part of a generated square that lies on the picture, in the picture's pixels, and the
    mask there.

    Args:
        picture: uint8 ``[H, W, 3]``, the good picture for which the mask was made; nothing of it
            enters but that a gray one stays gray. mask: bool ``[H, W]``. crop: the square's place.
            square: float32 ``[R, R, 3]`` in 0..1.

    Returns:
        uint8 ``[h, w, 3]`` and bool ``[h, w]``; of the picture's own size where the zoom is
        "whole".
    """
    window = tuple(slice(max(at, 0), at + crop.side) for at in (crop.top, crop.left))
    inside = np.zeros_like(mask)
    inside[window] = True
    stitched = stitch(Picture(picture), square, inside, crop, 0).eight_bit()
    return stitched[window].copy(), mask[window].copy()


def _make(
    plan: GenerateConfig,
    pairs: Pairs,
    framing: Framing,
    prompts: tuple[str, str, str],
    folder: Path,
) -> list[int]:
    """The numbers of the pairs that took a mask; their files are there afterwards."""
    base: Base | None = None
    made: list[int] = []
    for first in tqdm(range(0, plan.count, plan.batch), desc="from noise", unit="batch"):
        drawn = [pairs[number] for number in range(first, min(first + plan.batch, plan.count))]
        chosen = [pair for pair in drawn if pair.job is not None]
        made += [pair.index for pair in chosen]
        lacking = [pair for pair in chosen if not _picture(folder, pair.index).is_file()]
        if lacking:
            base = base or ready_base(plan)
            background, defect, placeholder = prompts
            encoded = base.prompts(background, [defect], placeholder)
            squares = dict(
                zip(
                    (pair.index for pair in chosen),
                    _batch(plan, base, encoded, framing, chosen),
                    strict=True,
                )
            )
            for pair in lacking:
                picture, mask = squares[pair.index]
                write_mask(_label(folder, pair.index), mask)
                write_picture(
                    _picture(folder, pair.index), picture
                )  # last: it says that the sample is finished
    return made


def _batch(
    plan: GenerateConfig,
    base: Base,
    prompts: RegionPrompts,
    framing: Framing,
    pairs: Sequence[Pair],
) -> list[tuple[Pixels, Mask]]:
    """One call of the sampler, padded to ``plan.batch`` as in generation."""
    jobs: list[Job] = [pair.job for pair in pairs if pair.job is not None]
    seeds = [attempt_seed(plan.seed, pair.index, 0) for pair in pairs]
    padding = plan.batch - len(jobs)
    sampling = plan.paint.sampling
    crops = [crop_box(job.requested, framing.resolution, framing.zoom) for job in jobs]
    masks = np.stack(
        [
            take(job.requested, crop, framing.resolution)
            for job, crop in zip(jobs, crops, strict=True)
        ]
    )
    cells = framing.resolution // base.factor
    regions = region_map(
        torch.from_numpy(np.concatenate([masks, masks[:1].repeat(padding, 0)]))[:, None],
        (cells, cells),
    )
    with unet_predictor(base.unet, base.schedule) as predict:
        z_0 = sample_from_noise(
            predict,
            regions.to(base.unet.device),
            prompts,
            base.schedule.levels(sampling.steps),
            seeds + seeds[:1] * padding,
            int(base.unet.config["in_channels"]),
            sampling.guidance[0],
            solver=SOLVERS[sampling.solver],
        )
    squares = as_pictures(base.decode(z_0))
    return [
        on_picture(job.picture.eight_bit(), job.requested, crop, square)
        for job, crop, square in zip(jobs, crops, squares, strict=False)
    ]


def _picture(folder: Path, index: int) -> Path:
    return folder / f"{index:05d}.png"


def _label(folder: Path, index: int) -> Path:
    return folder / f"{index:05d}_mask.png"


def _read(folder: Path, plan: GenerateConfig, index: int) -> GeneratedSample:
    file = _picture(folder, index)
    picture = read_picture(file)
    mask = read_mask(_label(folder, index), (picture.shape[0], picture.shape[1]))
    record = {"file": f"{folder.name}/{file.name}", "seed": attempt_seed(plan.seed, index, 0)}
    return GeneratedSample(picture, mask, mask, record=record)
