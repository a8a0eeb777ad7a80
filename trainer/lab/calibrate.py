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
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.errors import SettingError, check_range
from bgdefect_core.method.refinement import refine
from bgdefect_core.method.signals import SIGNALS
from bgdefect_core.method.signals.difference import PEAK, difference_heat, with_covered
from bgdefect_core.pictures.detail import DETAIL_GONE, with_detail
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.overlap import overlap
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.pixels import as_pictures, to_pixels
from bgdefect_core.quality import QualityLimits, defect_contrast, defect_strength, psnr

from ..bases.load import Base, load_base
from ..drawing.draw import Drawn, draw
from ..evaluate.measures.agreement import requested_box
from .verdict_shares import VerdictShares, class_shares, shares_table, weave_shares

FIRST_SEED, SEEDS = 40_000_000, 1_000_000
"""Pixels i of seed s is drawn with ``FIRST_SEED + SEEDS * s + i``: neither trained on nor used by
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

    pictures: Annotated[
        int,
        Range(1, SEEDS // 2),
        Doc("Drawn defects whose strength and contrast are measured."),
    ] = 500
    decoded: Annotated[
        int,
        Doc("How many of them, from the first on, go through the VAE and give labels."),
    ] = 200
    base: Annotated[str | None, Doc("Base model. Default: the embedded one.")] = None
    verdicts: Annotated[
        int,
        Range(0, 1000),
        Doc(
            "Real defects, and masks painted with the background's prompt, that the verdict judges "
            "in each class and on each drawn weave; 0: none."
        ),
    ] = 20
    known: Annotated[
        int, Range(1, 1000), Doc("Real defects of a class from which its limits are learned.")
    ] = 5
    data: Annotated[
        Path | None, Doc("Data set with the real defects of the classes in ``weights``.")
    ] = None
    weights: Annotated[
        tuple[Path, ...], Doc("Class weights files, whose classes are judged; needs ``data``.")
    ] = ()
    seed: Annotated[int, Range(0, 1_000_000), Doc("Another seed draws other defects.")] = 0


@dataclass(frozen=True)
class DecodedDefect:
    """What one drawn defect measures once it went through the VAE."""

    shows: tuple[float, float]
    """Strength and contrast."""
    overlaps: NDArray[np.float64]
    """``[1 + rules, 2]``: IoU with the truth of the requested masks, then of each label."""
    likeness: NDArray[np.float64]
    """``[details, 2]``: PSNR in dB against the defect as drawn, on it and around it."""


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
    verdicts: Sequence[VerdictShares] = ()
    """Of each class and drawn weave."""


def calibrate(config: CalibrateConfig) -> Calibration:
    """Draw, encode, decode and measure.

    Raises:
        SettingError: a number out of range. WeightsError: no such base.
    """
    check_settings(config)
    check_range("decoded", config.decoded, 1, config.pictures)
    if config.weights and config.data is None:
        raise SettingError("weights are given without data", "the data set of their classes")
    base = load_base(config.base)
    drawn: list[tuple[float, float]] = []
    decoded: list[DecodedDefect] = []
    defects = islice(drawn_defects(config.seed, base.resolution), config.pictures)
    for defect in tqdm(defects, desc="measuring", unit="defect", total=config.pictures):
        drawn.append(_shows(_floats(defect.picture), _floats(defect.good), defect.mask))
        if len(decoded) < config.decoded:
            decoded.append(_through_the_vae(base, defect))
    overlaps = _pairs(np.mean([defect.overlaps for defect in decoded], axis=0))
    likeness = _pairs(np.mean([defect.likeness for defect in decoded], axis=0))
    return Calibration(
        drawn=np.array(drawn),
        decoded=np.array([defect.shows for defect in decoded]),
        requested=overlaps[0],
        labels=dict(zip(RULES, overlaps[1:], strict=True)),
        details=dict(zip(DETAILS, likeness, strict=True)),
        verdicts=_verdicts(config, base),
    )


def _pairs(figures: NDArray[np.float64]) -> list[tuple[float, float]]:
    """The rows of ``[N, 2]``."""
    return [(first, second) for first, second in figures.tolist()]


def _verdicts(config: CalibrateConfig, base: Base) -> list[VerdictShares]:
    if config.verdicts == 0:
        return []
    rows: list[VerdictShares] = []
    if config.data is not None:
        for file in config.weights:
            numbers = (config.known, config.verdicts, config.seed)
            rows.append(class_shares(file, config.base, config.data, *numbers))
    return rows + weave_shares(base, config.known, config.verdicts, config.seed)


def drawn_defects(seed: int, size: int) -> Iterator[Drawn]:
    """An endless sequence of pictures with a defect, ``size`` pixels a side, that follows from
    ``seed`` alone."""
    for number in count():
        drawn = draw(FIRST_SEED + SEEDS * seed + number, size, 1.0)
        if drawn.mask.any():
            yield drawn


def grown(truth: Mask) -> Mask:
    """The mask and ``GROWTH`` pixels around it: bool ``[H, W]``, never the whole picture."""
    wider: Mask = ndimage.binary_dilation(truth, iterations=GROWTH)
    return truth if wider.all() else wider


def _through_the_vae(base: Base, defect: Drawn) -> DecodedDefect:
    decoded = base.decode(base.encode(to_pixels([defect.picture, defect.good])))
    painted, normal = as_pictures(decoded)
    heat = difference_heat(decoded[:1], decoded[1:])[0].numpy()
    columns: list[list[float]] = []
    for mask in (grown(defect.mask), requested_box(defect.mask)):
        column = [overlap(mask, defect.mask)["iou"]]
        raised = with_covered(heat, defect.good, np.rint(255 * painted).astype(np.uint8), mask)
        for peak, threshold in RULES:
            label, _ = refine(raised, mask, threshold, peak)
            column.append(overlap(label, defect.mask)["iou"])
        columns.append(column)
    return DecodedDefect(
        _shows(painted, normal, defect.mask),
        np.stack(columns, axis=1),
        _detail_psnr(defect, painted, normal),
    )


def _detail_psnr(
    defect: Drawn, painted: NDArray[np.float32], normal: NDArray[np.float32]
) -> NDArray[np.float64]:
    """``[details, 2]``: dB against the defect as drawn, on it and around it (where its box has no
    other pixel: on it, twice)."""
    true, good = _floats(defect.picture), _floats(defect.good)
    around = requested_box(defect.mask) & ~defect.mask
    around = around if around.any() else defect.mask
    rows: list[list[float]] = []
    for gone in DETAILS:
        result = np.clip(with_detail(painted, normal, good, gone) if gone else painted, 0, 1)
        errors = np.square(result - true, dtype=np.float64)
        on_defect = float(errors[defect.mask].mean())
        rows.append([psnr(on_defect), psnr(float(errors[around].mean()))])
    return np.array(rows)


def _floats(picture: Pixels) -> NDArray[np.float32]:
    """The picture in 0..1."""
    floats: NDArray[np.float32] = np.divide(picture, 255, dtype=np.float32)
    return floats


def _shows(
    painted: NDArray[np.float32], normal: NDArray[np.float32], mask: Mask
) -> tuple[float, float]:
    strength = defect_strength(painted, normal, mask)
    return strength, defect_contrast(strength, normal, mask)


def report(calibration: Calibration) -> str:
    """Markdown tables: labels, detail, strength and contrast, shares that pass the verdict."""
    lines = [
        f"| label, {len(calibration.decoded)} drawn defects | IoU with the truth, mask grown by "
        f"{GROWTH} pixels | bounding box |",
        "|---|---|---|",
        _label("the requested mask", calibration.requested),
    ]
    rule_in_use = (PEAK, SIGNALS["difference"].threshold)
    for (peak, threshold), values in calibration.labels.items():
        in_use = " (in use)" if (peak, threshold) == rule_in_use else ""
        of = "maximum" if peak == 100 else f"{peak:g}th percentile"
        lines.append(_label(f"{threshold:g} of the change's {of}{in_use}", values))
    lines += [
        "",
        "| no detail is left at a change of | dB against the defect as drawn: on it | around it |",
        "|---|---|---|",
    ]
    names = {0.0: "0 (none is given back)", math.inf: "none (all is given back)"}
    for gone, values in calibration.details.items():
        name = names.get(gone, f"{gone:g}")
        in_use = " (in use)" if gone == DETAIL_GONE else ""
        lines.append(f"| {name}{in_use} | {values[0]:.2f} | {values[1]:.2f} |")
    headings: list[str] = []
    for figure in ("strength", "contrast"):
        headings += [f"{figure}, {quantile:.0%} quantile" for quantile in QUANTILES]
    lines += [
        "",
        f"| drawn defects | number | {' | '.join(headings)} | above both limits |",
        "|" + "---|" * (3 + len(headings)),
        _quantiles("as drawn", calibration.drawn),
        _quantiles("encoded and decoded", calibration.decoded),
    ]
    if calibration.verdicts:
        lines += ["", *shares_table(calibration.verdicts)]
    return "\n".join(lines)


def _label(name: str, values: Sequence[float]) -> str:
    return f"| {name} | {_cells(values)} |"


def _quantiles(name: str, shows: NDArray[np.float64]) -> str:
    """The row of some defects; ``shows``: ``[n, 2]`` strength and contrast."""
    limits = QualityLimits()
    figures = np.quantile(shows, QUANTILES, axis=0).T.ravel()
    above = (shows >= (limits.min_strength, limits.min_contrast)).all(axis=1).mean()
    return f"| {name} | {len(shows)} | {_cells(figures.tolist())} | {above:.1%} |"


def _cells(figures: Sequence[float]) -> str:
    return " | ".join(f"{figure:.3f}" for figure in figures)
