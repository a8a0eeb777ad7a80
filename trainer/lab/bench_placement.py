"""``bgdefect bench placement``: what choosing pictures for masks costs, and whether the coarse look
chooses as a full search does.

The full search makes every variation at full size, compares it at random places of every picture,
and moves the best on. A place or picture of the fast search is as good where the full search's
difference there is :meth:`Surroundings.alike` the least that it found.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from tqdm import tqdm

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.errors import DataError
from bgdefect_core.pictures.mask_files import pictures_beside, read_library
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.placement.coarse import CoarsePicture, CoarsePlaces
from bgdefect_core.placement.likeness import Likeness
from bgdefect_core.placement.matching import JUDGED
from bgdefect_core.placement.search import Search, full_least
from bgdefect_core.placement.settings import PlacementSettings
from bgdefect_core.placement.surroundings import Surroundings

from ..data.layouts import data_help, good_pictures
from ..generation.good_files import GoodFiles


@dataclass(frozen=True)
class BenchPlacementConfig:
    """Cost of choosing a picture for a mask, and how often it chooses as a full search does."""

    good: Annotated[Path, Doc(data_help("Good pictures"))]
    mask_library: Annotated[
        Path, Doc("Folder of real masks whose pictures are beside it (ground_truth/DEFECT).")
    ]
    masks: Annotated[int, Range(1, 10_000), Doc("Masks that are compared.")] = 20
    candidates: Annotated[int, Range(2, 1000), Doc("Pictures that each mask looks at.")] = 12
    full: Annotated[
        int, Range(0, 1000), Doc("Pictures of them on which the full search runs too; 0: none.")
    ] = 4
    seed: Annotated[int, Range(0, 2**31), Doc("Seed of masks, pictures and variations.")] = 0


@dataclass
class _Sums:
    """Seconds of the processor, and counts of agreement."""

    read: float = 0.0
    look: float = 0.0
    place: float = 0.0
    places: int = 0
    places_alike: int = 0
    pictures_alike: int = 0


def bench_placement(config: BenchPlacementConfig) -> str:
    """The table of costs and agreement.

    Raises:
        SettingError: a number out of its range. DataError: no mask has its picture.
    """
    check_settings(config)
    library = read_library(config.mask_library, None, pictures_beside(config.mask_library))
    goods = GoodFiles(good_pictures(config.good, None), "texture")
    defects: list[tuple[Mask, Surroundings]] = []
    for mask in library.masks:
        if mask.surroundings is not None:
            defects.append((mask.patch, mask.surroundings))
    if not defects:
        raise DataError("no mask has its picture", "test/DEFECT beside ground_truth/DEFECT")
    sums = _Sums()
    for number in tqdm(range(config.masks), desc="placing", unit="mask", leave=False):
        rng = np.random.default_rng((config.seed, number))
        patch, around = defects[int(rng.integers(len(defects)))]
        _compare(config, goods, Search(patch, around, rng, PlacementSettings()), rng, sums)
    milliseconds = 1000 / config.masks
    lines = [
        f"{config.masks} masks, {config.candidates} pictures each, processor time",
        f"{'pictures shrunk and transformed, once each':44} {sums.read * milliseconds:9.1f} ms",
        f"{'looked at, with the templates':44} {sums.look * milliseconds:9.1f} ms",
        f"{'placed at full size':44} {sums.place * milliseconds:9.1f} ms",
    ]
    if config.full:
        places = sums.places_alike / sums.places
        pictures = sums.pictures_alike / config.masks
        lines.append(f"{'places as near as the full search':44} {places:9.2f}")
        lines.append(f"{'pictures as near as the full search':44} {pictures:9.2f}")
    return "\n".join(lines)


def _compare(
    config: BenchPlacementConfig,
    goods: GoodFiles,
    search: Search,
    rng: np.random.Generator,
    sums: _Sums,
) -> None:
    """One mask on its candidates."""
    candidates = rng.permutation(len(goods))[: config.candidates].tolist()
    looks: list[CoarsePlaces] = []
    for number in candidates:
        picture = goods.picture(number).eight_bit()
        everywhere = np.ones(picture.shape[:2], np.bool_)
        grid = search.templates.grid(goods.shape(number))
        started = time.process_time()
        coarse = CoarsePicture(picture, everywhere, grid)
        read = time.process_time()
        looks.append(search.templates.places(coarse, JUDGED))
        sums.read += read - started
        sums.look += time.process_time() - read
    nearest = int(np.argmin([look.least for look in looks]))
    likeness = Likeness(goods.picture(candidates[nearest]).eight_bit())
    everywhere = np.ones(goods.shape(candidates[nearest]), np.bool_)
    coarse = search.shrunk(likeness.picture, everywhere)
    started = time.process_time()
    search.place(search.look(coarse), likeness, everywhere, rng)
    sums.place += time.process_time() - started
    leasts: list[float] = []
    for number in candidates[: config.full]:
        likeness = Likeness(goods.picture(number).eight_bit())
        everywhere = np.ones(goods.shape(number), np.bool_)
        leasts.append(full_least(search, likeness, everywhere, rng))
        coarse = search.shrunk(likeness.picture, everywhere)
        fast = search.nearest(search.look(coarse), likeness, everywhere)
        sums.places += 1
        sums.places_alike += fast <= search.around.alike(leasts[-1])
    if leasts:
        chosen = int(np.argmin([look.least for look in looks[: config.full]]))
        sums.pictures_alike += leasts[chosen] <= search.around.alike(min(leasts))
