"""Samples that start from pure noise: the paper's own form of the loss L' (Table 4; docs/method.md,
choice 11 (a)).

The class is trained as for any method, and the masks are placed on the same pictures with the same
seeds. But the whole square comes from noise (``method/random_start.py``): a sample is that square
alone, and its label is the requested mask within it. There is no picture before the defect, so that
no label is refined, nothing is rejected, and neither fidelity nor strength is defined.

FOLDER/run.json says what made the samples; the digest of its settings is part of the folder's name.
A sample is finished where its picture exists. Batches are formed from the pairs' numbers alone, so
that a resumed run gives the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from bgdefect_core.declarations import options_of, replace_options
from bgdefect_core.jobs import Framing, Job, PaintSettings
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.random_start import sample_from_noise
from bgdefect_core.method.randomness import attempt_seed
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.sample_batch import SampleBatch
from bgdefect_core.method.solvers import SOLVERS
from bgdefect_core.pictures.crop import Crop, crop_box, take
from bgdefect_core.pictures.mask_reading import read_mask
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Picture, Pixels
from bgdefect_core.pictures.pixels import as_pictures
from bgdefect_core.pictures.reading import read_of_folder
from bgdefect_core.pictures.region_maps import region_map
from bgdefect_core.pictures.stitching import stitch
from bgdefect_core.pictures.writing import write_mask, write_picture
from bgdefect_core.quality import QualityLimits
from bgdefect_core.records.run_record import RunRecord, read_inputs, settings_digest
from bgdefect_core.weights.files import read_info
from bgdefect_core.weights.info import PromptTexts

from ...bases.load import Base
from ...generation.config import GenerateConfig
from ...generation.pairs import Pairs, open_pairs
from ...generation.record import run_settings
from ...generation.setup import ready_base
from ..plan.plan import Cell
from .generation import Generation, MethodSamples
from .methods import READ_BY_WHOLE_SQUARE, WHOLE_SQUARE, Method
from .sample_set import GeneratedSample, NoSamples, SampleSet


def _unread() -> frozenset[str]:
    """Settings of generation that whole squares from noise do not read."""
    names = {"ready_masks", "variants", "retries", "mask_prompt"}
    for option in (*options_of(PaintSettings), *options_of(QualityLimits)):
        if option.name not in READ_BY_WHOLE_SQUARE:
            names.add(option.name)
    return frozenset(names)


def make_from_noise(generation: Generation, cell: Cell, method: Method) -> MethodSamples:
    """Train the class and make its squares, or resume both.

    Raises:
        BGDefectError: whatever the trainer refuses. NoSamples: no mask could be placed.
    """
    config = generation.train(cell, method)
    first = config.paint.sampling.guidance[:1]
    config = replace_options(config, guidance=first)  # nothing is judged: no retries
    info = read_info(config.weights)
    pairs = open_pairs(config, info, generation.sources(cell))
    record = run_settings(config, info, pairs)
    record |= {"base": generation.base_name, WHOLE_SQUARE.name: True}
    unread = _unread()
    settings = {name: value for name, value in record.items() if name not in unread}
    folder = config.output.with_name(f"{method.name}-{settings_digest(settings)}")
    run = RunRecord(folder / "run.json", settings, read_inputs(pairs.files(config.count)))
    run.check()
    run.write()
    sampler = _Sampler(config, Framing(info.resolution, info.zoom), config.prompts(info))
    indices = _make_files(sampler, pairs, folder)
    if not indices:
        raise NoSamples(
            f"no mask could be placed for {config.object} / {config.defect}",
            "masks that fit on the good pictures",
            "see the log, or add good pictures",
        )
    samples = tuple(_read(folder, config.seed, index) for index in indices)
    return MethodSamples(
        method=method,
        samples=SampleSet(method.name, samples, settings, attempts=len(samples), shown=0, firsts=0),
        weights=config.weights,
        settings=settings | {"samples": len(samples)},
        resolution=info.resolution,
        zoom=info.zoom,
    )


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
    rows = slice(max(crop.top, 0), crop.top + crop.side)
    columns = slice(max(crop.left, 0), crop.left + crop.side)
    window = (rows, columns)
    inside = np.zeros_like(mask)
    inside[window] = True
    stitched = stitch(Picture(picture), square, inside, crop, 0).eight_bit()
    return stitched[window].copy(), mask[window].copy()


@dataclass
class _Sampler:
    """Makes squares from noise; the networks are loaded when they are first needed."""

    config: GenerateConfig
    framing: Framing
    texts: PromptTexts
    base: Base | None = None

    def squares(self, jobs: Mapping[int, Job]) -> dict[int, tuple[Pixels, Mask]]:
        """Pair number -> its square and the mask within it, by one call of the sampler."""
        if self.base is None:
            self.base = ready_base(self.config)
        texts = self.texts
        prompts = self.base.prompts(texts.background, [texts.defect], texts.mask)
        crops: list[Crop] = []
        masks: list[Mask] = []
        seeds: list[int] = []
        for index, job in jobs.items():
            crop = crop_box(job.requested, self.framing.resolution, self.framing.zoom)
            crops.append(crop)
            masks.append(take(job.requested, crop, self.framing.resolution))
            seeds.append(attempt_seed(self.config.seed, index, 0))
        pictures = self._sample(self.base, prompts, masks, seeds)
        squares = {}
        for (index, job), crop, picture in zip(jobs.items(), crops, pictures, strict=False):
            squares[index] = on_picture(job.picture.eight_bit(), job.requested, crop, picture)
        return squares

    def _sample(
        self, base: Base, prompts: RegionPrompts, masks: list[Mask], seeds: list[int]
    ) -> NDArray[np.float32]:
        """The decoded squares of a batch, float32 ``[B, R, R, 3]`` in 0..1.

        The batch is filled up to its full size as in generation: its size decides last digits.
        """
        missing = self.config.batch - len(masks)
        masks = masks + masks[:1] * missing
        seeds = seeds + seeds[:1] * missing
        sampling = self.config.paint.sampling
        cells = self.framing.resolution // base.factor
        regions = region_map(torch.from_numpy(np.stack(masks))[:, None], (cells, cells))
        with unet_predictor(base.unet, base.schedule) as predict:
            z_0 = sample_from_noise(
                predict,
                SampleBatch(regions.to(base.unet.device), seeds, sampling.guidance[0]),
                prompts,
                sampling.levels(base.schedule),
                int(base.unet.config["in_channels"]),
                SOLVERS[sampling.solver],
            )
        return as_pictures(base.decode(z_0))


def _make_files(sampler: _Sampler, pairs: Pairs, folder: Path) -> list[int]:
    """Make the missing files; returns the numbers of the pairs that took a mask."""
    count, batch = sampler.config.count, sampler.config.batch
    indices: list[int] = []
    for first in tqdm(range(0, count, batch), desc="from noise", unit="batch"):
        jobs: dict[int, Job] = {}
        for number in range(first, min(first + batch, count)):
            job = pairs[number].job
            if job is not None:
                jobs[number] = job
        indices += jobs
        missing = [index for index in jobs if not _picture(folder, index).is_file()]
        if not missing:
            continue
        squares = sampler.squares(jobs)
        for index in missing:
            picture, mask = squares[index]
            write_mask(_label(folder, index), mask)
            # The picture comes last: it says that the sample is finished.
            write_picture(_picture(folder, index), picture)
    return indices


def _picture(folder: Path, index: int) -> Path:
    return folder / f"{index:05d}.png"


def _label(folder: Path, index: int) -> Path:
    return folder / f"{index:05d}_mask.png"


def _read(folder: Path, seed: int, index: int) -> GeneratedSample:
    file = _picture(folder, index)
    picture = read_of_folder(file)
    mask = read_mask(_label(folder, index), (picture.shape[0], picture.shape[1]))
    seed = attempt_seed(seed, index, 0)
    return GeneratedSample(picture, mask, mask, file=f"{folder.name}/{file.name}", seed=seed)
