"""Crop, Refine, Stitch and Quality against `generate` from start to end, fed the very same decoded
steps: equal labels, pictures, figures and verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from bgdefect_pack.bgdefect_core.method.refinement import LabelSettings
from bgdefect_pack.bgdefect_core.pictures.mask_shape import MaskShape
from bgdefect_pack.bgdefect_core.placement.library import numbered_library
from bgdefect_pack.bgdefect_core.quality import QualityLimits
from bgdefect_pack.nodes import _refining as refining
from bgdefect_pack.nodes import _squares as crops
from bgdefect_pack.nodes._judging import Judged, judged
from bgdefect_pack.nodes._placing import NewMask, pasted_image
from bgdefect_pack.nodes._wires import RealDefect, RealDefects

from bgdefect_core.copies import COPY
from bgdefect_core.finishing import Painted
from bgdefect_core.jobs import Attempt, Framing, Job, PaintSettings, StitchSettings
from bgdefect_core.method.predictor import Predictor, unet_predictor
from bgdefect_core.method.sampling import SamplingSettings
from bgdefect_core.method.start import StartSettings
from bgdefect_core.networks import ClassNetworks
from bgdefect_core.painting import paint
from bgdefect_core.pictures.picture import Picture
from bgdefect_core.placement.likeness import Likeness
from bgdefect_core.placement.placing import place_mask
from bgdefect_core.placement.settings import PlacementSettings
from bgdefect_core.placement.surroundings import surroundings_of
from bgdefect_core.preparing import prepare
from bgdefect_core.quality import ClassProfile, Standard

from ..core.conftest import make_prompts, sd_schedule, tiny_unet
from ..core.test_generate import TinyCodec

SIZE = (140, 190)
SIDE = 64
LIMITS = QualityLimits()


@dataclass
class Case:
    """What both sides are fed."""

    job: Job
    settings: PaintSettings
    start_levels: list[float]
    profile: ClassProfile = ClassProfile(0)


@dataclass
class Squares:
    """IMAGE of the decoded squares."""

    normal: torch.Tensor
    pasted: torch.Tensor
    """Of the pictures with the real defects; of nothing where samples start from noise."""
    painted: torch.Tensor


@contextmanager
def tiny_network() -> Iterator[Predictor]:
    with torch.no_grad(), unet_predictor(tiny_unet(), sd_schedule()) as predict:
        yield predict


def painted_by_the_core(case: Case) -> tuple[list[Painted], Squares]:
    codec, prompts, decoded = TinyCodec(), make_prompts(), list[torch.Tensor]()
    decode = codec.decode

    def recorded(latents: torch.Tensor) -> torch.Tensor:
        decoded.append(decode(latents).clamp(-1, 1))  # as the host does
        return decoded[-1]

    codec.decode = recorded  # type: ignore[method-assign]
    settings = case.settings
    with tiny_network() as predict:
        prepared = prepare(
            ClassNetworks(codec, predict, prompts), [case.job], Framing(SIDE), settings
        )
        attempts: list[Attempt] = []
        for number, level in enumerate(case.start_levels):
            attempts.append(Attempt(0, 3 + number, start_level=level))
        standard = Standard(profile=case.profile)
        samples = paint(
            ClassNetworks(codec, predict, prompts), prepared, attempts, settings, standard
        )
    images = [(square / 2 + 0.5).movedim(1, -1) for square in decoded]
    return samples, Squares(images[0], images[1], images[-1])


def judged_by_the_nodes(
    case: Case, squares: Squares, real: RealDefects | None
) -> tuple[torch.Tensor, torch.Tensor, list[Judged]]:
    image = torch.from_numpy(case.job.picture.pixels)[None].float() / 255
    mask = torch.from_numpy(case.job.requested)[None].float()
    crop = crops.crop_pictures(image, mask, SIDE, "defect", case.settings.stitching.feather)
    label, _ = refining.refined(
        LabelSettings("difference", 0.3),
        None,
        squares.painted,
        squares.normal,
        None,
        crop,
        None if real is None else MaskShape.of(real.library.patches),
    )
    pasted = None
    if real is not None:
        new = [NewMask(0, case.job.requested, real.behind[0])]
        pasted = crops.PastedSquares(pasted_image(image, new), squares.pasted, case.start_levels)
    results = crops.stitched(crop, squares.painted, normal=squares.normal, pasted=pasted)
    verdicts = judged(
        crop,
        squares.painted,
        squares.normal,
        results,
        label,
        LIMITS,
        real,
        case.start_levels,
    )
    # Without the good squares no detail comes back.
    assert bool((results != crops.stitched(crop, squares.painted)).any())
    return label, results, verdicts


def assert_equal(samples: list[Painted], nodes: tuple[torch.Tensor, ...]) -> None:
    labels, results, verdicts = nodes
    for sample, label, result, verdict in zip(samples, labels, results, verdicts, strict=True):
        assert np.array_equal(sample.mask, label.numpy() > 0.5)
        difference = sample.picture.pixels.astype(int) - (result * 255).round().numpy()
        assert np.abs(difference).max() <= 1  # codecs and hosts round at other places
        ours, core = verdict.judgement, sample.judgement
        assert ours.quality.figures == pytest.approx(core.quality.figures, rel=1e-5)
        assert ours.verdict.reason == core.verdict.reason
        for value, expected in (
            (ours.real_share, core.real_share),
            (ours.exemplar_difference, core.exemplar_difference),
            (ours.continuity, core.continuity),
        ):
            assert (value is None) == (expected is None)
            if expected is not None:
                assert value == pytest.approx(expected, rel=0.02)


def noise(seed: int, low: int, high: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    values = np.random.default_rng(seed).integers(low, high, (*size, 3))
    return values.astype(np.uint8)


@pytest.mark.parametrize("feather", [None, 5.0])
def test_the_nodes_judge_as_the_command_line_does(feather: float | None) -> None:
    mask = np.zeros(SIZE, np.bool_)
    mask[60:85, 90:115] = True
    settings = PaintSettings(SamplingSettings(steps=2), stitching=StitchSettings(feather=feather))
    case = Case(Job(Picture(noise(0, 0, 256)), (mask,)), settings, [1.0, 1.0])
    samples, squares = painted_by_the_core(case)
    assert_equal(samples, judged_by_the_nodes(case, squares, None))


def placed_defect() -> tuple[Job, RealDefects]:
    """Dark squares of 20 x 20 in light pictures, five of them, and the first placed on another."""
    picture, mask = noise(1, 140, 200), np.zeros((60, 60), np.bool_)
    mask[20:40, 20:40] = True
    known = []
    for number in range(5):
        real = noise(2 + number, 140, 200, (60, 60))
        real[mask] = 60 + 5 * number
        known.append(surroundings_of(real, mask))
    around, library = known[0], numbered_library([mask] * 5, known)
    place = place_mask(
        np.ones(SIZE, np.bool_),
        library.masks[0],
        np.random.default_rng(0),
        PlacementSettings(),
        Likeness(picture),
    )
    assert place is not None and place.exemplar is not None
    job = Job(Picture(picture), (place.mask,), around, (place.exemplar,))
    return job, RealDefects([RealDefect("0", around, place.exemplar)], library)


def test_starts_from_the_real_defect_are_judged_alike() -> None:
    job, real = placed_defect()
    starting = StartSettings(("real",), (0.5, 0.5))
    settings = PaintSettings(SamplingSettings(steps=3), starting)
    profile = ClassProfile.from_library(real.library, SIDE, "defect")
    assert profile.strength is not None and profile.shape is not None
    case = Case(job, settings, [0.5, 1.0], profile)
    samples, squares = painted_by_the_core(case)
    nodes = judged_by_the_nodes(case, squares, real)
    assert_equal(samples, nodes)
    verdicts = nodes[2]
    assert [verdict.start["kind"] for verdict in verdicts if verdict.start] == ["real", "noise"]
    assert (
        verdicts[0].judgement.real_share is not None
        and verdicts[1].judgement.exemplar_difference is None
    )
    assert "real share" in verdicts[0].line


def test_a_copy_of_the_real_defect_is_rejected_by_name() -> None:
    job, real = placed_defect()
    image = torch.from_numpy(job.picture.pixels)[None].float() / 255
    mask = torch.from_numpy(job.requested)[None].float()
    crop = crops.crop_pictures(image, mask, SIDE, "defect", None)
    [behind] = real.behind
    assert behind.exemplar is not None
    result = pasted_image(image, [NewMask(0, job.requested, behind)])
    squares = crops.cropped_image(crop, result), crops.cropped_image(crop)
    for start, reason in (([0.5], COPY), ([0.0], ""), (None, "")):
        [verdict] = judged(crop, *squares, result, mask, LIMITS, real, start)
        assert verdict.judgement.verdict.reason == reason, start
