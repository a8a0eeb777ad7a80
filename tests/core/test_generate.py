from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor

from bgdefect_core.copies import COPY
from bgdefect_core.declarations import replace_options
from bgdefect_core.errors import MaskError, SettingError
from bgdefect_core.finishing import Painted
from bgdefect_core.jobs import Attempt, Framing, Job, PaintSettings
from bgdefect_core.method.predictor import UNetPredictor, unet_predictor
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.signals import SIGNALS, Evidence, Signal
from bgdefect_core.method.start import NOISE
from bgdefect_core.networks import ClassNetworks
from bgdefect_core.painting import paint
from bgdefect_core.pictures.crop import default_feather
from bgdefect_core.pictures.masks import Mask, bounding_box, feather
from bgdefect_core.pictures.picture import Picture
from bgdefect_core.pictures.pixels import to_pixels
from bgdefect_core.placement.exemplar import Exemplar
from bgdefect_core.placement.paste import SOFT_EDGE, core_of, paste
from bgdefect_core.preparing import Prepared, join, prepare, prepare_pastes
from bgdefect_core.quality import IDENTICAL_DB

from .conftest import StandIn, make_prompts, sd_schedule

FRAMING = Framing(64)
SETTINGS = replace_options(PaintSettings(), steps=2, start=("noise",))
SIZES = {"tall": (300, 130), "square": (256, 256), "wide": (500, 700), "small": (40, 60)}


class TinyCodec:
    """A random VAE of factor 4."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=(32, 32, 32),
            layers_per_block=1,
            latent_channels=4,
            sample_size=64,
        ).eval()
        self.vae.requires_grad_(False)
        self.encoded: list[Tensor] = []

    def encode(self, pixels: Tensor) -> Tensor:
        self.encoded.append(pixels)
        latents: Tensor = self.vae.encode(pixels).latent_dist.mean
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        pixels: Tensor = self.vae.decode(latents).sample
        return pixels


@pytest.fixture(scope="module")
def codec() -> TinyCodec:
    return TinyCodec()


@pytest.fixture(scope="module")
def predict(unet: UNet2DConditionModel) -> Iterator[UNetPredictor]:
    with unet_predictor(unet, sd_schedule()) as predictor:
        yield predictor


def picture_of(height: int, width: int, seed: int = 0) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Picture(pixels)


def box(size: tuple[int, int], top: float, left: float, height: float, width: float) -> Mask:
    """A box given in shares of the picture's sides."""
    mask = np.zeros(size, np.bool_)
    rows = slice(int(top * size[0]), int((top + height) * size[0]) + 1)
    mask[rows, int(left * size[1]) : int((left + width) * size[1]) + 1] = True
    return mask


def run(
    codec: TinyCodec,
    predict: UNetPredictor,
    jobs: Sequence[Job],
    prompts: RegionPrompts,
    settings: PaintSettings = SETTINGS,
    seeds: Sequence[int] = (1,),
    which: Sequence[int] = (0,),
    framing: Framing = FRAMING,
) -> tuple[Prepared, list[Painted]]:
    with torch.no_grad():
        prepared = prepare(ClassNetworks(codec, predict, prompts), jobs, framing, settings)
        attempts = attempts_of(which, seeds)
        return prepared, paint(ClassNetworks(codec, predict, prompts), prepared, attempts, settings)


def attempts_of(positions: Sequence[int], seeds: Sequence[int]) -> list[Attempt]:
    return [Attempt(*attempt) for attempt in zip(positions, seeds, strict=True)]


def check_sample(job: Job, sample: Painted, width: float) -> None:
    """What must hold whatever was painted."""
    band = feather(job.requested, width) > 0
    assert (
        sample.picture.pixels.dtype == np.uint8
        and sample.picture.pixels.shape == job.picture.pixels.shape
    )
    assert sample.picture.pixels[~band].tobytes() == job.picture.pixels[~band].tobytes()
    assert (sample.picture.pixels[job.requested] != job.picture.pixels[job.requested]).mean() > 0.5
    assert sample.mask.any() and not (sample.mask & ~job.requested).any()
    assert np.array_equal(sample.requested, job.requested)
    assert (
        sample.heat.shape == job.requested.shape
        and sample.heat.max() == 1
        and sample.heat.min() == 0
    )
    assert (sample.heat[~job.requested] == 0).all()
    assert (
        sample.judgement.quality.background_psnr == IDENTICAL_DB
        and sample.judgement.quality.background_max == 0
    )
    assert sample.judgement.quality.fill == pytest.approx(sample.mask.sum() / job.requested.sum())


@pytest.mark.parametrize("zoom", ["defect", "whole"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_outside_the_feather_band_the_output_is_the_input(
    codec: TinyCodec,
    predict: UNetPredictor,
    prompts: RegionPrompts,
    size: tuple[int, int],
    zoom: Any,
) -> None:
    job = Job(picture_of(*size), (box(size, 0.5, 0.1, 0.1, 0.2),))
    before = job.picture.pixels.copy()
    prepared, (sample,) = run(codec, predict, [job], prompts, framing=Framing(64, zoom))
    check_sample(job, sample, default_feather(prepared.crops[0], job.requested))
    assert np.array_equal(job.picture.pixels, before)
    assert prepared.regions.any() and not prepared.regions.all()


def test_one_pixel_in_a_corner_is_painted(
    codec: TinyCodec, predict: UNetPredictor, prompts: RegionPrompts
) -> None:
    mask = np.zeros((300, 130), np.bool_)
    mask[-1, -1] = True
    job = Job(picture_of(300, 130), (mask,))
    prepared, (sample,) = run(codec, predict, [job], prompts, framing=Framing(64, "whole"))
    assert prepared.regions.any()
    assert sample.mask.sum() == 1 and sample.mask[-1, -1]


def test_own_feather_width(
    codec: TinyCodec, predict: UNetPredictor, prompts: RegionPrompts
) -> None:
    job = Job(picture_of(256, 256), (box((256, 256), 0.4, 0.4, 0.2, 0.1),))
    _, (hard,) = run(codec, predict, [job], prompts, replace_options(SETTINGS, feather=0))
    check_sample(job, hard, 0)
    _, (soft,) = run(codec, predict, [job], prompts, replace_options(SETTINGS, feather=20))
    check_sample(job, soft, 20)
    assert (hard.picture.pixels != soft.picture.pixels)[
        feather(job.requested, 20) > 0.1
    ].mean() > 0.3


def test_without_stitching_the_decoded_square_is_the_result(
    codec: TinyCodec, predict: UNetPredictor, prompts: RegionPrompts
) -> None:
    size = (256, 300)
    job = Job(picture_of(*size), (box(size, 0.4, 0.4, 0.1, 0.1),))
    settings = replace_options(SETTINGS, stitch=False)
    prepared, (sample,) = run(codec, predict, [job], prompts, settings)
    crop = prepared.crops[0]
    square = np.zeros(size, np.bool_)
    square[crop.top : crop.top + crop.side, crop.left : crop.left + crop.side] = True
    assert not square.all()
    assert sample.picture.pixels[~square].tobytes() == job.picture.pixels[~square].tobytes()
    assert (sample.picture.pixels[square] != job.picture.pixels[square]).mean() > 0.9
    assert sample.judgement.quality.background_psnr < IDENTICAL_DB
    assert sample.mask.any() and not (sample.mask & ~job.requested).any()


def test_joined_batches_are_painted_as_each_alone(
    codec: TinyCodec, predict: UNetPredictor, prompts: RegionPrompts
) -> None:
    jobs = [
        Job(picture_of(256, 256, seed=i), (box((256, 256), 0.3, 0.2 + i / 10, 0.1, 0.2),))
        for i in range(2)
    ]
    alone = [run(codec, predict, [job], prompts) for job in jobs]
    with torch.no_grad():
        joined = join([prepared for prepared, _ in alone])
        both = paint(ClassNetworks(codec, predict, prompts), joined, [Attempt(1, 1)], SETTINGS)
    (second,) = alone[1][1]
    assert np.array_equal(both[0].picture.pixels, second.picture.pixels) and not np.array_equal(
        both[0].picture.pixels, alone[0][1][0].picture.pixels
    )


def test_many_jobs_and_seeds_in_one_batch(
    codec: TinyCodec, predict: UNetPredictor, prompts: RegionPrompts
) -> None:
    sizes = [(300, 130), (256, 256)]
    jobs = [
        Job(picture_of(*size, seed=i), (box(size, 0.3, 0.3, 0.1, 0.3),))
        for i, size in enumerate(sizes)
    ]
    for background in ("replay", "masked", "noised"):
        settings = replace_options(SETTINGS, background=background)
        prepared, samples = run(codec, predict, jobs, prompts, settings, [5, 6, 5, 6], [0, 0, 1, 1])
        for which, sample in zip((0, 0, 1, 1), samples, strict=True):
            check_sample(
                jobs[which], sample, default_feather(prepared.crops[which], jobs[which].requested)
            )
        assert not np.array_equal(samples[0].picture.pixels, samples[1].picture.pixels)
        with torch.no_grad():  # the same seeds at other places of an equal batch
            attempts = attempts_of([1, 0, 0, 1], [6, 6, 5, 5])
            again = paint(ClassNetworks(codec, predict, prompts), prepared, attempts, settings)
        for here, there in ((0, 3), (1, 1), (2, 0), (3, 2)):
            assert np.array_equal(again[here].picture.pixels, samples[there].picture.pixels)
            assert np.array_equal(again[here].mask, samples[there].mask)


def test_several_defects_in_one_picture(codec: TinyCodec, predict: UNetPredictor) -> None:
    size, prompts = (256, 256), make_prompts(2)
    masks = (box(size, 0.3, 0.2, 0.1, 0.2), box(size, 0.6, 0.6, 0.2, 0.1))
    job = Job(picture_of(*size), masks)
    prepared, (sample,) = run(codec, predict, [job], prompts)
    check_sample(job, sample, default_feather(prepared.crops[0], job.requested))
    assert set(prepared.regions.flatten().tolist()) == {0, 1, 2}
    for mask in masks:  # each is refined on its own scale: none is lost beside a stronger one
        assert (sample.mask & mask).any() and sample.heat[mask].max() == 1


@pytest.mark.parametrize("signal", SIGNALS)
def test_signals_and_thresholds(
    codec: TinyCodec, predict: UNetPredictor, prompts: RegionPrompts, signal: Any
) -> None:
    size = (256, 256)
    job = Job(picture_of(*size), (box(size, 0.3, 0.2, 0.2, 0.3),))
    fills = []
    for threshold in (0, 0.5, 1):
        settings = replace_options(SETTINGS, signal=signal, threshold=threshold)
        _, (sample,) = run(codec, predict, [job], prompts, settings)
        assert sample.mask.any() and not (sample.mask & ~job.requested).any()
        fills.append(sample.judgement.quality.fill)
    assert fills[0] == 1 and fills[0] >= fills[1] > fills[2] > 0


def test_the_likelihood_label_follows_from_the_samples_own_seed(
    codec: TinyCodec, predict: UNetPredictor, prompts: RegionPrompts
) -> None:
    size = (96, 80)
    job = Job(picture_of(*size), (box(size, 0.3, 0.3, 0.3, 0.3),))
    settings = replace_options(SETTINGS, signal="likelihood")
    _, first = run(codec, predict, [job], prompts, settings, (4, 5), (0, 0))
    _, again = run(codec, predict, [job], prompts, settings, (4, 5), (0, 0))
    _, other = run(
        codec,
        predict,
        [job],
        prompts,
        replace_options(settings, signal="difference"),
        (4, 5),
        (0, 0),
    )
    for one, two, changed in zip(first, again, other, strict=True):
        assert one.heat.tobytes() == two.heat.tobytes() and np.array_equal(one.mask, two.mask)
        assert np.array_equal(one.picture.pixels, changed.picture.pixels) and not np.array_equal(
            one.heat, changed.heat
        )
        assert np.array_equal(
            one.mask, job.requested & (one.heat >= np.float32(0.1))
        )  # its own threshold
    assert not np.array_equal(first[0].heat, first[1].heat)


def test_codec_is_fed_pictures_from_minus_one_to_one(
    predict: UNetPredictor, prompts: RegionPrompts
) -> None:
    codec = TinyCodec()
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[32:] = (255, 127, 0)
    run(
        codec,
        predict,
        [Job(Picture(picture), (box((64, 64), 0.4, 0.4, 0.1, 0.1),))],
        prompts,
        framing=Framing(64, "whole"),
    )
    (pixels,) = codec.encoded
    assert pixels.shape == (1, 3, 64, 64) and pixels.dtype == torch.float32
    assert pixels[0, :, 0, 0].tolist() == [-1, -1, -1]
    assert pixels[0, :, 63, 63].tolist() == pytest.approx([1, 127 / 127.5 - 1, -1])


def test_bad_jobs_are_refused_before_anything_is_computed(prompts: RegionPrompts) -> None:
    picture, good = picture_of(64, 64), box((64, 64), 0.4, 0.4, 0.1, 0.1)
    unused: Any = None
    for masks, words in [
        ((good, good), "2 masks for 1 defect prompts; expected one mask a prompt"),
        ((), "0 masks for 1 defect prompts"),
        ((good & False,), "empty"),
        ((good | True,), "full"),
        ((good[1:],), "64 x 63 pixels"),
        ((good.astype(np.uint8),), "uint8"),
    ]:
        with pytest.raises(MaskError, match=words):
            prepare(
                ClassNetworks(unused, unused, prompts),
                [Job(picture, (good,)), Job(picture, masks)],
                FRAMING,
                SETTINGS,
            )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"guidance": (-1,)},
        {"guidance": (1, float("nan"))},
        {"threshold": 1.5},
        {"background": "exact"},
        {"signal": "sum"},
        {"solver": "heun"},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        replace_options(SETTINGS, **wrong)


@pytest.mark.parametrize("position", [-1, 1])
def test_a_sample_needs_a_prepared_job(
    codec: TinyCodec, predict: UNetPredictor, prompts: RegionPrompts, position: int
) -> None:
    job = Job(picture_of(64, 64), (box((64, 64), 0.4, 0.4, 0.2, 0.2),))
    with pytest.raises(SettingError, match="0 to 0"):
        run(codec, predict, [job], prompts, which=[position])


@pytest.mark.parametrize(
    "values",
    [
        {"feather": -1.0},
        {"feather": float("nan")},
        {"feather": 5000.0},
        {"guidance": (31.0,)},
        {"threshold": 1.1},
    ],
)
def test_settings_out_of_range_are_refused_before_any_work(values: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(values))):
        replace_options(SETTINGS, **values)


def test_the_peak_of_the_signal_is_a_setting(
    codec: TinyCodec, predict: UNetPredictor, prompts: RegionPrompts
) -> None:
    """A smaller percentile as the peak: more pixels reach their share of it."""
    job = Job(picture_of(256, 256), (box((256, 256), 0.4, 0.4, 0.2, 0.1),))
    found = [
        run(codec, predict, [job], prompts, replace_options(SETTINGS, threshold=0.9, peak=peak))[1][
            0
        ].mask
        for peak in (100, 95, 50)
    ]
    assert 0 < found[0].sum() < found[1].sum() < found[2].sum()
    with pytest.raises(SettingError, match="peak"):
        replace_options(SETTINGS, peak=101)


def test_the_resolution_has_a_range() -> None:
    for resolution in (16, 5000):
        with pytest.raises(SettingError, match="resolution"):
            Framing(resolution)


class RequestedSignal(Signal):
    """Made up for a test: 1 everywhere."""

    name = "requested"
    summary = "made up"
    threshold = 0.25

    def heat(self, evidence: Evidence) -> Tensor:
        assert evidence.painted is not None
        return torch.ones(len(evidence.painted), *evidence.size)


def test_a_new_signal_needs_only_its_registration(
    codec: TinyCodec,
    predict: UNetPredictor,
    prompts: RegionPrompts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(SIGNALS._entries, "requested", RequestedSignal())
    settings = replace_options(SETTINGS, signal="requested")
    assert settings.label.threshold_in_use == 0.25
    job = Job(picture_of(64, 64), (box((64, 64), 0.4, 0.4, 0.2, 0.2),))
    _, (sample,) = run(codec, predict, [job], prompts, settings)
    assert np.array_equal(sample.mask, job.requested)
    assert (sample.heat[job.requested] == 1).all()


def real_defect(mask: Mask, seed: int, channels: int = 3) -> Exemplar:
    """A made-up real defect for a mask, with a margin of 4 pixels."""
    box = bounding_box(mask)
    patch = np.pad(mask[box.slices], 4)
    rng = np.random.default_rng(seed)
    colours = rng.random((*patch.shape, channels)).astype(np.float32)
    return Exemplar(colours, patch, box.top - 4, box.left - 4, 0.0, 1.0, False)


def start_jobs(*pictures: Picture) -> list[Job]:
    jobs: list[Job] = []
    for number, picture in enumerate(pictures):
        mask = box(picture.size, 0.3, 0.3, 0.2, 0.3)
        jobs.append(Job(picture, (mask,), None, (real_defect(mask, number),)))
    return jobs


def started(
    codec: TinyCodec,
    predict: Any,
    jobs: Sequence[Job],
    prompts: RegionPrompts,
    levels: Sequence[float] | None,
    settings: PaintSettings = SETTINGS,
    framing: Framing = FRAMING,
) -> list[Painted]:
    """One sample of each job; ``levels`` None: without a start at all."""
    real = replace_options(settings, start=("noise" if levels is None else "real",))
    attempts: list[Attempt] = []
    for number in range(len(jobs)):
        start_level = NOISE if levels is None else levels[number]
        attempts.append(Attempt(number, number, start_level=start_level))
    with torch.no_grad():
        prepared = prepare(ClassNetworks(codec, predict, prompts), jobs, framing, real)
        return paint(ClassNetworks(codec, predict, prompts), prepared, attempts, real)


TWO_TONED = Picture(np.repeat((np.indices((96, 96)).sum(0) < 90)[..., None], 3, 2) * np.uint8(255))


@pytest.mark.parametrize("zoom", ["defect", "whole"])
@pytest.mark.parametrize("background", ["noised", "replay"])
def test_a_start_at_1_is_a_start_from_noise(
    codec: TinyCodec, predict: UNetPredictor, prompts: RegionPrompts, background: str, zoom: Any
) -> None:
    jobs = start_jobs(picture_of(96, 80, 1), picture_of(80, 96, 2))
    settings = replace_options(SETTINGS, background=background)
    framing = Framing(64, zoom)
    plain = started(codec, predict, jobs, prompts, None, settings, framing)
    at_1 = started(codec, predict, jobs, prompts, [1.0, 1.0], settings, framing)
    for one, other in zip(plain, at_1, strict=True):
        assert one.picture.pixels.tobytes() == other.picture.pixels.tobytes()
        assert np.array_equal(one.mask, other.mask)
        assert other.start_level == 1 and other.judgement.exemplar_difference is None


def test_samples_near_the_start_resemble_the_exemplar(
    codec: TinyCodec, predict: UNetPredictor, prompts: RegionPrompts
) -> None:
    jobs = start_jobs(*[picture_of(96, 80, 1)] * 3)
    samples = started(codec, predict, jobs, prompts, [0.0, 0.2, 0.9])
    assert [sample.start_level for sample in samples] == [0.0, 0.2, 0.9]
    assert samples[0].judgement.exemplar_difference == 0
    for job, sample in zip(jobs, samples, strict=True):
        band = feather(job.requested, sample.feather) > 0
        assert (sample.picture.pixels[~band] == job.picture.pixels[~band]).all()
        assert sample.mask.any() and not (sample.mask & ~job.requested).any()


def test_a_paste_alone_needs_no_network(prompts: RegionPrompts) -> None:
    """Label: the mask; on two tones the pixels that changed."""
    (gray, toned), unused = start_jobs(picture_of(96, 80, 1), TWO_TONED), cast(Any, None)
    settings = replace_options(SETTINGS, start=("real",))
    prepared = prepare_pastes([gray, toned], FRAMING)
    attempts = [Attempt(place, seed, start_level=0) for place, seed in ((0, 1), (1, 2), (0, 3))]
    samples = paint(ClassNetworks(unused, unused, prompts), prepared, attempts, settings)
    assert np.array_equal(samples[0].mask, gray.requested)
    expected = paste(gray.picture, gray.exemplars).pixels
    assert np.array_equal(samples[0].picture.pixels, expected)
    assert np.array_equal(samples[2].picture.pixels, expected)
    changed = (samples[1].picture.pixels != TWO_TONED.pixels).any(axis=2)
    assert changed.any() and np.array_equal(samples[1].mask, changed & toned.requested)
    assert set(np.unique(samples[1].picture.pixels)) == {0, 255}
    assert samples[1].feather == 0 and samples[0].feather == SOFT_EDGE
    with pytest.raises(SettingError, match="prepared as pastes; expected start level 0"):
        paint(
            ClassNetworks(unused, unused, prompts),
            prepared,
            [Attempt(0, 1, start_level=0.5)],
            settings,
        )
    with pytest.raises(SettingError, match="a real defect that is not known"):
        prepare_pastes([Job(gray.picture, gray.masks)], FRAMING)


def test_deep_gray_and_two_toned_pictures_start_from_real(
    codec: TinyCodec, predict: UNetPredictor, prompts: RegionPrompts
) -> None:
    deep = Picture(np.random.default_rng(3).integers(0, 4096, (96, 80, 3), np.uint16), 4095)
    gray = Picture(np.repeat(picture_of(96, 80, 4).pixels[..., :1], 3, axis=2))
    jobs = start_jobs(deep, gray, TWO_TONED)
    for paste_detail in (False, True):
        settings = replace_options(SETTINGS, paste_detail=paste_detail)
        samples = started(codec, predict, jobs, prompts, [0.5, 0.5, 0.5], settings)
        assert samples[0].picture.white == 4095 and samples[0].picture.pixels.dtype == np.uint16
        assert (samples[1].picture.pixels == samples[1].picture.pixels[..., :1]).all()
        assert set(np.unique(samples[2].picture.pixels)) == {0, 255}


def test_several_real_defects_in_one_picture(codec: TinyCodec, predict: UNetPredictor) -> None:
    size, prompts = (96, 96), make_prompts(2)
    masks = (box(size, 0.1, 0.1, 0.2, 0.2), box(size, 0.6, 0.6, 0.2, 0.2))
    exemplars = tuple(real_defect(mask, number) for number, mask in enumerate(masks))
    job = Job(picture_of(*size), masks, None, exemplars)
    samples = started(codec, predict, [job, job], prompts, [0.0, 0.6])
    for exemplar, mask in zip(exemplars, masks, strict=True):
        assert (samples[0].picture.pixels[mask] != job.picture.pixels[mask]).mean() > 0.9
        assert exemplar.mask.sum() == mask.sum()
        assert (samples[1].mask & mask).any()


def test_a_core_held_still_is_the_pastes_own(
    codec: TinyCodec, predict: UNetPredictor, prompts: RegionPrompts
) -> None:
    jobs = start_jobs(picture_of(96, 80, 1))
    settings = replace_options(SETTINGS, start_core=0.4)
    (sample,) = started(codec, predict, jobs, prompts, [0.8], settings)
    core = core_of(jobs[0].requested, 0.4)
    pasted = paste(jobs[0].picture, jobs[0].exemplars)
    assert core.any() and (sample.picture.pixels[core] == pasted.pixels[core]).all()
    band = jobs[0].requested & ~(feather(core, SOFT_EDGE) > 0)
    assert (sample.picture.pixels[band] != pasted.pixels[band]).any()


def test_a_job_without_a_real_defect_starts_from_noise(
    codec: TinyCodec, predict: UNetPredictor, prompts: RegionPrompts
) -> None:
    jobs = start_jobs(picture_of(96, 80, 1), picture_of(96, 80, 2))
    jobs[1] = Job(jobs[1].picture, jobs[1].masks)
    samples = started(codec, predict, jobs, prompts, [0.4, 0.4])
    assert [sample.start_level for sample in samples] == [0.4, 1.0]


class Unchanged:
    """A codec that loses nothing: latents are the pixels."""

    def encode(self, pixels: Tensor) -> Tensor:
        return torch.nn.functional.pad(pixels, (0, 0, 0, 0, 0, 1))

    def decode(self, latents: Tensor) -> Tensor:
        return latents[:, :3]


def test_a_copy_of_the_real_defect_is_rejected_by_name(prompts: RegionPrompts) -> None:
    """A network that knows the paste by heart gives it back from any level; at 0 it is wanted."""
    rng = np.random.default_rng(0)
    good = Picture(rng.integers(120, 136, (64, 64, 1), np.uint8).repeat(3, 2))
    mask = box(good.size, 0.3, 0.3, 0.3, 0.3)
    job = Job(good, (mask,), None, (real_defect(mask, 1, 1),))
    framing = Framing(64, "whole")
    known = Unchanged().encode(to_pixels([paste(good, job.exemplars)]))
    schedule = sd_schedule()

    def by_heart(z: Tensor, t: int, context: Any, regions: Tensor) -> Tensor:
        alpha = float(schedule.alphas_cumprod[t])
        return (z - alpha**0.5 * known) / (1 - alpha) ** 0.5

    codec = cast(TinyCodec, Unchanged())
    predict = StandIn(by_heart, schedule)
    verdicts = []
    for settings, level in (
        (SETTINGS, 0.5),
        (SETTINGS, 0.0),
        (replace_options(SETTINGS, start_core=1.0), 0.5),
    ):
        (sample,) = started(codec, predict, [job], prompts, [level], settings, framing)
        verdicts.append(sample.judgement.verdict.reason)
    assert verdicts == [COPY, "", ""]
