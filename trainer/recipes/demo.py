"""``bgdefect demo``: train one class, generate from it, and show the way to the result."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from skimage import data as textures
from tqdm import tqdm

from bgdefect_core.errors import BGDefectError, DataError, OtherRunError, check_range
from bgdefect_core.jobs import PaintSettings
from bgdefect_core.method.sampling import SamplingSettings
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.writing import write_mask, write_picture

from ..bases.load import load_base
from ..data.layouts import find_examples, good_pictures
from ..drawing.defects import SURFACE_DEFECTS
from ..generation.config import GenerateConfig
from ..generation.generate import generate
from ..generation.summary import Summary
from ..training.run_folder import RunFolder
from ..training.train import TrainConfig, train
from .demo_config import DemoConfig

__all__ = ["DemoConfig", "demo", "write_textures"]

log = logging.getLogger(__name__)

TEXTURES = ("brick", "grass", "gravel")
"""scikit-image's CC0 pictures, 512 x 512, gray; they lie in its wheel."""
TEXTURE_DEFECT = "crack"
_SIDE, _DEFECTIVE, _GOOD = 128, 16, 32


def demo(config: DemoConfig) -> Summary:
    """Train, then generate; each goes on where an earlier run was stopped.

    Raises:
        SettingError: see :func:`check`. DataError: no class with enough pictures, or a csv. And
            whatever ``train`` and ``generate`` raise.
    """
    check(config)
    data = config.data or (
        Path(os.environ["BGDEFECT_DATA"]) if os.environ.get("BGDEFECT_DATA") else None
    )
    if data is None:
        data = config.output / "data"
        write_textures(data, config.seed)
    object, defect = choose_class(data, config)
    masks = _masks(data, object, defect)
    if not masks.is_dir():
        raise DataError(
            f"{data} has no folder {masks}",
            "MVTec layout",
            "use bgdefect train and bgdefect generate for other layouts",
        )
    place = config.output / f"{object}-{defect}"
    if config.fresh and place.is_dir():
        shutil.rmtree(place)
    log.info("%s / %s from %s: learning from %d pictures", object, defect, data, config.shots)
    training = replace(
        _training(config),
        data=data,
        output=place / f"{object}-{defect}.safetensors",
        object=object,
        defect=defect,
    )
    try:
        weights = train(training)
        log.info("painting it into good pictures that it has never seen")
        return generate(
            replace(
                _generation(config),
                weights=weights,
                good=data,
                output=place / "samples",
                mask_library=masks,
                mask_split=RunFolder(weights).split,
                object=object,
            )
        )
    except OtherRunError as error:
        raise OtherRunError(
            error.came, error.expected, "start anew with --fresh (make demo ARGS=--fresh)"
        ) from error


def check(config: DemoConfig) -> None:
    """Refuse, before anything is written, what training or painting would refuse when its turn
    comes.

    Raises:
        SettingError: a value out of its range. WeightsError: the base cannot be loaded.
    """
    check_range("shots", config.shots, 1, 1_000_000)
    _training(config).check()
    _generation(config).check()
    load_base(config.base).schedule.levels(config.steps)


def _training(config: DemoConfig) -> TrainConfig:
    """What the settings decide of the training, whatever the class."""
    return TrainConfig(
        Path(),
        Path(),
        base=config.base,
        shots=config.shots,
        steps=config.train_steps,
        seed=config.seed,
    )


def _generation(config: DemoConfig) -> GenerateConfig:
    """What the settings decide of the painting, whatever the class."""
    return GenerateConfig(
        Path(),
        Path(),
        Path(),
        count=config.count,
        paint=PaintSettings(SamplingSettings(steps=config.steps)),
        seed=config.seed,
        base=config.base,
    )


def choose_class(data: Path, config: DemoConfig) -> tuple[str, str]:
    """The class asked for, by option or variable; else the first that has ``shots`` pictures and
    good ones.

    Raises:
        DataError: there is none.
    """
    object = config.object or os.environ.get("BGDEFECT_OBJECT") or None
    defect = config.defect or os.environ.get("BGDEFECT_DEFECT") or None
    counts: dict[tuple[str, str], int] = {}
    for example in find_examples(data, object, defect):
        counts[example.object, example.defect] = counts.get((example.object, example.defect), 0) + 1
    for (name, kind), count in counts.items():
        if count >= config.shots and _has_good(data, name):
            return name, kind
    most = max(counts.values())
    expected = f"{config.shots} pictures of one defect, and good ones of the object"
    raise DataError(
        f"{data}: the largest defect class has {most} pictures", expected, "give fewer shots"
    )


def _has_good(data: Path, object: str) -> bool:
    try:
        return bool(good_pictures(data, object))
    except BGDefectError:
        return False


def _masks(data: Path, object: str, defect: str) -> Path:
    inside = data / "ground_truth" / defect
    return inside if inside.is_dir() else data / object / "ground_truth" / defect


def write_textures(root: Path, seed: int) -> None:
    """Three objects in MVTec layout from scikit-image's textures: good crops, and crops with drawn
    cracks.

    Crops with defects come from the upper half of a texture, good ones from the lower half: they
        share no pixel.
    """
    for number, name in enumerate(tqdm(TEXTURES, desc="drawing defects", unit="texture")):
        if (root / name / "test" / TEXTURE_DEFECT / f"{_DEFECTIVE - 1:03d}.png").is_file():
            continue
        gray = np.asarray(getattr(textures, name)(), np.uint8)
        texture: Pixels = np.repeat(gray[..., None], 3, axis=2)
        rng = np.random.default_rng((seed, number))
        upper, lower = texture[: len(texture) // 2], texture[len(texture) // 2 :]
        for index in range(_GOOD):
            write_picture(root / name / "train" / "good" / f"{index:03d}.png", _crop(rng, lower))
        for index in range(_DEFECTIVE):
            picture, mask = _damaged(rng, upper)
            write_mask(
                root / name / "ground_truth" / TEXTURE_DEFECT / f"{index:03d}_mask.png", mask
            )
            write_picture(root / name / "test" / TEXTURE_DEFECT / f"{index:03d}.png", picture)


def _crop(rng: np.random.Generator, texture: Pixels) -> Pixels:
    top = int(rng.integers(texture.shape[0] - _SIDE + 1))
    left = int(rng.integers(texture.shape[1] - _SIDE + 1))
    return texture[top : top + _SIDE, left : left + _SIDE].copy()


def _damaged(rng: np.random.Generator, texture: Pixels) -> tuple[Pixels, Mask]:
    while True:
        crop = _crop(rng, texture)
        everywhere = np.ones((_SIDE, _SIDE), np.bool_)
        painted = SURFACE_DEFECTS[TEXTURE_DEFECT](rng, crop.astype(np.float32) / 255, everywhere)
        if painted is not None and painted[1].any():
            picture, mask = painted
            return np.rint(picture * 255).astype(np.uint8), mask
