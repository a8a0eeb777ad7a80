"""``bgdefect calibrate``: what the label's threshold, the verdict's limits and the detail given
back rest on, measured on drawn defects.

A drawn defect has a true mask and a good twin. Both pictures go through the base's VAE, as samples
do, and the label made from their difference (docs/method.md, choice 3) is held against the true
mask. Strength and contrast of these defects, each of which is visible by construction, say what a
verdict may ask for. The decoded defect, with detail of its good twin, is held against the defect as
drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from bgdefect_core.errors import check_range
from bgdefect_core.method.refinement import PEAK, refine
from bgdefect_core.method.signals import SIGNALS
from bgdefect_core.method.signals.difference import difference_heat
from bgdefect_core.pictures.detail import DETAIL_GONE, with_detail
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.pixels import as_pictures, to_pixels
from bgdefect_core.quality import QualityLimits, defect_contrast, defect_strength, psnr

from ..bases.load import Base, load_base
from ..drawing.draw import Drawn, draw
from ..evaluate.measures.agreement import overlap, requested_box

FIRST_SEED, SEEDS = 40_000_000, 1_000_000
"""Picture i of seed s is drawn with ``FIRST_SEED + SEEDS * s + i``: neither trained on nor used by
``evaluate-base``."""
GROWTH = 3
"""Pixels by which a requested mask is wider than the defect; the other requested mask is the
bounding box."""
RULES = tuple((peak, threshold) for peak in (PEAK, 100.0) for threshold in (0.2, 0.3, 0.4, 0.5))
"""(percentile that is the peak, threshold) of each label that is tried."""
QUANTILES = (0.01, 0.05, 0.5)
DETAILS = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0, math.inf)
"""Changes at which no detail of the picture is left, as they are tried; 0: none is given back."""


@dataclass(frozen=True)
class CalibrateConfig:
    """Measure labels, strength and contrast of drawn defects at the base's native size."""

    pictures: int = 500
    """Drawn defects whose strength and contrast are measured."""
    decoded: int = 200
    """The first so many of them go through the VAE too; on these the labels are measured."""
    base: str | None = None
    """The base; nothing = the embedded one."""
    seed: int = 0
    """Another seed draws other defects."""


@dataclass(frozen=True)
class Calibration:
    """What was measured."""

    drawn: NDArray[np.float64]
    """``[pictures, 2]``: strength and contrast of each defect as drawn."""
    decoded: NDArray[np.float64]
    """``[decoded, 2]``: the same of their encodings, decoded."""
    requested: tuple[float, float]
    """Mean IoU of the requested mask itself with the truth: grown masks, bounding boxes."""
    labels: dict[tuple[float, float], tuple[float, float]]
    """(peak, threshold) -> mean IoU of that label with the truth: inside grown masks, inside
    bounding boxes."""
    details: dict[float, tuple[float, float]]
    """Change at which no detail is left -> mean PSNR in dB against the defect as drawn: on the
    defect, around it in its bounding box."""


def calibrate(config: CalibrateConfig) -> Calibration:
    """Draw, encode, decode and measure.

    Raises:
        SettingError: a number out of range. WeightsError: no such base.
    """
    check_range("pictures", config.pictures, 1, SEEDS // 2)
    check_range("decoded", config.decoded, 1, config.pictures)
    check_range("seed", config.seed, 0, 1_000_000)
    base = load_base(config.base)
    drawn: list[tuple[float, float]] = []
    decoded: list[tuple[float, float]] = []
    overlaps: list[NDArray[np.float64]] = []
    likeness: list[NDArray[np.float64]] = []
    pictures = islice(drawn_defects(config.seed, base.resolution), config.pictures)
    for number, one in enumerate(
        tqdm(pictures, desc="measuring", unit="defect", total=config.pictures)
    ):
        drawn.append(
            _shows(
                one.picture.astype(np.float32) / 255, one.good.astype(np.float32) / 255, one.mask
            )
        )
        if number < config.decoded:
            shows, found, alike = _through_the_vae(base, one)
            decoded.append(shows)
            overlaps.append(found)
            likeness.append(alike)
    requested, *means = np.mean(overlaps, axis=0).tolist()
    labels = {rule: (row[0], row[1]) for rule, row in zip(RULES, means, strict=True)}
    details = {
        gone: (row[0], row[1])
        for gone, row in zip(DETAILS, np.mean(likeness, axis=0).tolist(), strict=True)
    }
    return Calibration(
        np.array(drawn), np.array(decoded), (requested[0], requested[1]), labels, details
    )


def drawn_defects(seed: int, size: int) -> Iterator[Drawn]:
    """An endless sequence of pictures with a defect, ``size`` pixels a side, that follows from
    ``seed`` alone."""
    pictures = (draw(FIRST_SEED + SEEDS * seed + number, size, 1.0) for number in count())
    return (one for one in pictures if one.mask.any())


def grown(truth: Mask) -> Mask:
    """The mask and ``GROWTH`` pixels around it: bool ``[H, W]``, never the whole picture."""
    wider: Mask = ndimage.binary_dilation(truth, iterations=GROWTH)
    return truth if wider.all() else wider


def _through_the_vae(
    base: Base, one: Drawn
) -> tuple[tuple[float, float], NDArray[np.float64], NDArray[np.float64]]:
    """Strength and contrast of the decoded pair; ``[1 + rules, 2]`` IoU with the truth: the
    requested masks', then each label's; ``[details, 2]`` PSNR in dB."""
    pair = base.decode(base.encode(to_pixels([one.picture, one.good])))
    painted, normal = as_pictures(pair)
    heat = difference_heat(pair[:1], pair[1:])[0].numpy()
    masks = (grown(one.mask), requested_box(one.mask))
    labels = [
        masks,
        *([refine(heat, mask, threshold, peak)[0] for mask in masks] for peak, threshold in RULES),
    ]
    overlaps = np.array([[overlap(label, one.mask)["iou"] for label in row] for row in labels])
    return _shows(painted, normal, one.mask), overlaps, _detail_psnr(one, painted, normal)


def _detail_psnr(
    one: Drawn, painted: NDArray[np.float32], normal: NDArray[np.float32]
) -> NDArray[np.float64]:
    """``[details, 2]``: dB against the defect as drawn, on it and around it (where its box has no
    other pixel: on it, twice)."""
    true, good = (np.divide(picture, 255, dtype=np.float32) for picture in (one.picture, one.good))
    around = requested_box(one.mask) & ~one.mask
    zones = (one.mask, around if around.any() else one.mask)
    found = []
    for gone in DETAILS:
        result = np.clip(with_detail(painted, normal, good, gone) if gone else painted, 0, 1)
        found.append(
            [psnr(float(np.square(result - true, dtype=np.float64)[zone].mean())) for zone in zones]
        )
    return np.array(found)


def _shows(
    painted: NDArray[np.float32], normal: NDArray[np.float32], mask: Mask
) -> tuple[float, float]:
    strength = defect_strength(painted, normal, mask)
    return strength, defect_contrast(strength, normal, mask)


def report(found: Calibration) -> str:
    """Three Markdown tables: labels, detail, strength and contrast."""
    lines = [
        f"| label, {len(found.decoded)} drawn defects | IoU with the truth, mask grown by {GROWTH} pixels | bounding box |",
        "|---|---|---|",
        _label("the requested mask", found.requested),
    ]
    for (peak, threshold), values in found.labels.items():
        in_use = " (in use)" if (peak, threshold) == (PEAK, SIGNALS["difference"].threshold) else ""
        of = "maximum" if peak == 100 else f"{peak:g}th percentile"
        lines.append(_label(f"{threshold:g} of the change's {of}{in_use}", values))
    lines += [
        "",
        "| no detail is left at a change of | dB against the defect as drawn: on it | around it |",
        "|---|---|---|",
    ]
    for gone, values in found.details.items():
        name = {0.0: "0 (none is given back)", math.inf: "none (all is given back)"}.get(
            gone, f"{gone:g}"
        )
        lines.append(
            f"| {name}{' (in use)' if gone == DETAIL_GONE else ''} | {values[0]:.2f} | {values[1]:.2f} |"
        )
    names = [
        f"{figure}, {quantile:.0%} quantile"
        for figure in ("strength", "contrast")
        for quantile in QUANTILES
    ]
    lines += [
        "",
        f"| drawn defects | number | {' | '.join(names)} | above both limits |",
        "|" + "---|" * (3 + len(names)),
    ]
    limits = QualityLimits()
    for name, shows in (("as drawn", found.drawn), ("encoded and decoded", found.decoded)):
        figures = np.quantile(shows, QUANTILES, axis=0).T.ravel()
        above = (shows >= (limits.min_strength, limits.min_contrast)).all(axis=1).mean()
        lines.append(
            f"| {name} | {len(shows)} | {' | '.join(f'{figure:.3f}' for figure in figures)} | {above:.1%} |"
        )
    return "\n".join(lines)


def _label(name: str, values: Sequence[float]) -> str:
    return f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |"
