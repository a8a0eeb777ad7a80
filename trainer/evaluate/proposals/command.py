"""``bgdefect data propose``: regions for a person to confirm."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from bgdefect_core.declarations import check_settings
from bgdefect_core.errors import DataError
from bgdefect_core.paths import system_errors
from bgdefect_core.pictures.listing import list_without_masks
from bgdefect_core.pictures.picture import Picture
from bgdefect_core.pictures.reading import folder_white_level, load_picture
from bgdefect_core.records.dataset import DatasetWriter
from bgdefect_core.records.run_record import read_inputs
from bgdefect_core.records.sample import Sample, SampleFacts

from ...data.layouts import good_pictures
from .config import ProposeConfig
from .regions import boxes_around, regions_of
from .scoring import LearnedGoods

VERDICT = "proposed, not confirmed"


def propose(config: ProposeConfig) -> str:
    """Write the proposals; returns what to say.

    Raises:
        DataError: no bad picture, or too few good ones. PictureError: one that cannot be read.
            OutputError: the output holds another run. SettingError: a number out of its range, or
            the network is not installed.
    """
    check_settings(config.region_settings)
    bad = _bad_pictures(config.bad)
    object, defect = _names(config)
    goods = good_pictures(config.good, config.object)
    white = folder_white_level(bad[0].parent)
    files = {f"bad {number}": path for number, path in enumerate(bad)}
    files |= {f"good {number}": path for number, path in enumerate(goods)}
    settings = {"proposed": True, "boxes": config.boxes, **asdict(config.region_settings)}
    with DatasetWriter(
        config.output, object, defect, settings, read_inputs(files), white=white
    ) as writer:
        missing = [number for number in range(len(bad)) if not writer.attempts(number)]
        if missing:
            known = LearnedGoods(goods, config.region_settings)
            for number in tqdm(missing, desc="proposing", unit="picture"):
                picture = load_picture(bad[number], white)
                writer.add(_proposal(config, known, number, picture))
    return (
        f"{len(bad)} pictures with proposed regions: {config.output}\n"
        f"confirm, mend or reject them: bgdefect review {config.output}\n"
        f"then take the confirmed ones in: bgdefect review {config.output} --apply"
    )


def _proposal(config: ProposeConfig, known: LearnedGoods, number: int, picture: Picture) -> Sample:
    """What is proposed for a picture; it counts once a person accepts it."""
    settings = config.region_settings
    scores = known.scores(picture.eight_bit())
    regions = regions_of(scores, known.score, settings.level, settings.regions)
    boxes = boxes_around(regions)
    usual, highest = float(np.median(scores)), float(scores.max())
    facts = SampleFacts(
        index=number,
        attempt=0,
        source=known.nearest(picture.eight_bit()),
        mask_origin={"regions": len(regions)},
        seed=settings.seed,
        quality={"score": highest / max(known.score, 1e-9)},
        verdict=VERDICT,
        accepted=False,
    )
    mask = boxes if config.boxes else np.logical_or.reduce(regions)
    heat = (scores - usual).clip(0) / max(highest - usual, 1e-9)
    return Sample(facts, picture, mask, requested=boxes, heatmap=heat)


@system_errors(DataError, "a folder that can be read")
def _bad_pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder", "a folder of bad pictures", "check the path")
    pictures = list_without_masks(folder)
    if not pictures:
        raise DataError(f"{folder} holds no pictures", "bad pictures", "check the path")
    return pictures


def _names(config: ProposeConfig) -> tuple[str, str]:
    """Object and defect, by the folders of the bad pictures where they are not given."""
    folder = Path(os.path.abspath(config.bad))
    above = folder.parent.parent if folder.parent.name == "test" else folder.parent
    return config.object or above.name or "part", config.defect or folder.name
