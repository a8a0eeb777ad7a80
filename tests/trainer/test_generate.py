"""Generation of a data set: resume after kill -9, same line same picture, retries, dry runs, masks,
bad input."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Container
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from PIL import Image

from bgdefect_core.declarations import options_of, replace_options
from bgdefect_core.errors import (
    BGDefectError,
    DataError,
    MaskError,
    OtherRunError,
    OutputError,
    PictureError,
    SettingError,
)
from bgdefect_core.method.randomness import attempt_seed
from bgdefect_core.method.signals import SIGNALS, SignalName
from bgdefect_core.pictures.decoding import decode
from bgdefect_core.pictures.mask_reading import read_mask
from bgdefect_core.pictures.picture import Picture
from bgdefect_core.pictures.reading import read_picture
from bgdefect_core.pictures.writing import ImageFormat, write_mask, write_picture
from bgdefect_core.placement.settings import PlacementSettings
from bgdefect_core.quality import QualityLimits
from bgdefect_core.records import dataset
from bgdefect_core.records import manifest as lines
from bgdefect_core.records.manifest import ManifestLine, read_manifest
from bgdefect_core.weights.files import read_info
from trainer.data.layouts import find_examples, good_examples
from trainer.generation.attempts import Outcome, batches, needed
from trainer.generation.config import GenerateConfig
from trainer.generation.generate import generate
from trainer.generation.pairs import open_pairs
from trainer.generation.sources import ExampleSources, sources_in_folders
from trainer.generation.summary import report

from .conftest import Run, files_of, nudge
from .test_page import data_in

ANYTHING = QualityLimits(0, 0, 0, 0, 255, 0, 0, class_share=0, shared=False)
NEVER = dataclasses.replace(ANYTHING, min_strength=1.0)


@pytest.fixture
def config(weights: Path, tiny_base: Path, plates: Path, tmp_path: Path) -> GenerateConfig:
    torch.set_num_threads(1)
    return replace_options(
        GenerateConfig(weights, plates, tmp_path / "out"),
        base=str(tiny_base),
        count=5,
        variants=2,
        batch=2,
        retries=1,
        steps=2,
        limits=ANYTHING,
    )


def write_area(path: Path, area: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(area.astype(np.uint8) * 255).save(path)


def manifest(config: GenerateConfig) -> list[ManifestLine]:
    return read_manifest(config.output / "extras" / "plate" / "spot" / "manifest.jsonl")


# --- batches
# ------------------------------------------------------------------------------------------


def run_batches(
    good: set[tuple[int, int]],
    samples: list[int],
    size: int,
    retries: int,
    copies: Container[tuple[int, int]] = (),
) -> tuple[list, dict]:
    made: dict[tuple[int, int], Outcome] = {}
    shown = []

    def outcome(index: int, attempt: int) -> Outcome | None:
        return made.get((index, attempt))

    for slots in batches(samples, size, retries, outcome):
        shown.append(slots)
        for slot in needed(slots, outcome):
            made[slot] = "good" if slot in good else "copy" if slot in copies else "rejected"
    return shown, made


def test_batches_by_hand() -> None:
    shown, made = run_batches({(0, 0), (1, 1), (2, 0)}, [0, 1, 2], 2, 2)
    assert shown == [[(0, 0), (1, 0)], [(2, 0), (1, 1)]]
    assert made == {(0, 0): "good", (1, 0): "rejected", (2, 0): "good", (1, 1): "good"}


def test_free_slots_try_later_attempts_which_count_only_when_needed() -> None:
    shown, made = run_batches({(7, 1), (7, 2)}, [7], 4, 2)
    assert shown == [[(7, 0), (7, 1), (7, 2), (7, 0)]]
    assert made == {(7, 0): "rejected", (7, 1): "good"}


def test_a_slot_after_a_copy_in_its_batch_does_not_count() -> None:
    """It was painted at the level that follows a rejected attempt, not a copy."""
    shown, made = run_batches({(7, 1), (7, 2)}, [7], 2, 2, copies={(7, 0)})
    assert shown == [[(7, 0), (7, 1)], [(7, 1), (7, 2)]]
    assert made == {(7, 0): "copy", (7, 1): "good"}


def test_every_batch_is_full_and_a_hopeless_sample_ends() -> None:
    shown, made = run_batches(set(), [0, 1, 2], 2, 3)
    assert all(len(slots) == 2 for slots in shown)
    assert set(made) == {(index, attempt) for index in range(3) for attempt in range(4)}


def test_seeds_differ_and_repeat() -> None:
    seeds = {attempt_seed(*key) for key in np.ndindex(3, 20, 5)}
    assert len(seeds) == 300 and all(0 <= seed < 2**63 for seed in seeds)
    assert attempt_seed(0, 1, 2) == attempt_seed(0, 1, 2)


# --- runs
# ------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked child")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_killed_run_ends_with_the_same_bytes(config: GenerateConfig, tmp_path: Path) -> None:
    """SIGKILL before and after manifest lines and between the files of a sample; nothing is lost or
    doubled."""
    free = replace_options(config, output=tmp_path / "free")
    generate(free)
    shown = [record.quality["strength"] for record in manifest(free)]
    config = replace_options(
        config, limits=dataclasses.replace(ANYTHING, min_strength=float(np.median(shown)))
    )  # some pass
    whole = replace_options(config, output=tmp_path / "whole")
    summary = generate(whole)
    records = manifest(whole)
    expected = files_of(whole.output)
    assert summary.accepted + len(summary.rejected) == 5 and summary.unmade == 0
    assert {record.accepted for record in records} == {True, False}
    keys = [(record.index, record.attempt) for record in records]
    assert len(set(keys)) == len(keys)
    points: list[tuple[object, str, int]] = [
        (lines.Manifest, "append", 0),
        (dataset, "write_file", 6),
        (lines.Manifest, "append", len(records) - 2),  # the last: one record stands already
    ]
    for owner, name, after in points:
        killed_at(owner, name, after, lambda: generate(config))
    generate(config)
    assert files_of(config.output) == expected


def killed_at(owner: object, name: str, after: int, run: Callable[[], object]) -> None:
    """Run in a child that kills itself with SIGKILL at the call number ``after`` of
    ``owner.name``."""
    child = os.fork()
    if child == 0:
        original, calls = getattr(owner, name), [0]

        def fatal(*args: object, **options: object) -> object:
            if calls[0] == after:
                os.kill(os.getpid(), signal.SIGKILL)
            calls[0] += 1
            return original(*args, **options)

        try:
            setattr(owner, name, fatal)
            run()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def test_the_solver_is_recorded(config: GenerateConfig, tmp_path: Path) -> None:
    """Another solver is another run."""
    short = replace_options(config, limits=ANYTHING, count=2, steps=3, start=("noise",))
    generate(short)
    records = manifest(short)
    assert {record.settings["solver"] for record in records} == {"dpmpp_2m"}
    generate(replace_options(short, solver="dpmpp_2m"))
    assert manifest(short) == records
    with pytest.raises(OutputError, match="solver was dpmpp_2m, now ddim"):
        generate(replace_options(short, solver="ddim"))
    with pytest.raises(OutputError, match="image_format was png, now tiff"):
        generate(replace_options(short, image_format="tiff"))
    other = replace_options(short, solver="ddim", output=tmp_path / "other")
    generate(other)
    assert {record.settings["solver"] for record in manifest(other)} == {"ddim"}
    for one, two in zip(records, manifest(other), strict=True):
        assert one.seed == two.seed
        assert (
            read_picture(short.output / one.file) != read_picture(other.output / two.file)
        ).any()
    with pytest.raises(SettingError, match="solver is 'heun'"):
        generate(replace_options(short, solver="heun", output=tmp_path / "never"))  # type: ignore[arg-type]
    assert not (tmp_path / "never").exists()


def test_detail_is_recorded_and_changes_the_picture_alone(
    config: GenerateConfig, tmp_path: Path
) -> None:
    plain = replace_options(config, count=2, detail=False)
    generate(plain)
    records = manifest(plain)
    with pytest.raises(OutputError, match="detail was False, now True"):
        generate(replace_options(plain, detail=True))
    assert manifest(plain) == records
    other = replace_options(config, count=2, output=tmp_path / "other")
    generate(other)
    for one, two in zip(records, manifest(other), strict=True):
        assert (one.settings["detail"], two.settings["detail"]) == (False, True)
        assert one.seed == two.seed and one.quality["strength"] == two.quality["strength"]
        without, given = (
            read_picture(plain.output / one.file),
            read_picture(other.output / two.file),
        )
        assert (without != given).any()
        assert (
            read_picture(plain.output / one.label) == read_picture(other.output / two.label)
        ).all()


def test_an_attempt_does_not_depend_on_what_was_rejected_elsewhere(
    config: GenerateConfig, tmp_path: Path
) -> None:
    """Other verdicts form other batches; the attempts that both runs make are the same bytes."""
    config = replace_options(config, count=6, variants=1, batch=4, retries=2)
    never = replace_options(config, limits=NEVER, output=tmp_path / "never")
    generate(never)
    every = {(line.index, line.attempt): line for line in manifest(never)}
    assert len(every) == 18
    shown = [line.quality["strength"] for line in every.values()]
    middle = dataclasses.replace(ANYTHING, min_strength=float(np.quantile(shown, 0.6)))
    config = replace_options(config, limits=middle)
    generate(config)
    lines_of_some = manifest(config)
    assert 6 < len(lines_of_some) < 18
    for line in lines_of_some:
        other = every[line.index, line.attempt]
        assert (config.output / line.file).read_bytes() == (never.output / other.file).read_bytes()


def test_lines_layout_and_retries(config: GenerateConfig) -> None:
    never = replace_options(config, limits=NEVER, count=2, variants=1)
    summary = generate(never)
    records = manifest(never)
    assert summary.accepted == 0 and [item.index for item in summary.rejected] == [0, 1]
    assert sorted((r.index, r.attempt) for r in records) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert all(r.seed == attempt_seed(0, r.index, r.attempt) for r in records)
    assert len({r.seed for r in records}) == 4 and {r.settings["batch"] for r in records} == {2}
    assert not list((never.output / "plate").rglob("test/**/*.png"))
    rows = data_in(never.output / "extras" / "plate" / "spot" / "index.html")["rows"]
    assert [row["name"] for row in rows] == ["00000_0", "00000_1", "00001_0", "00001_1"]
    assert not any(row["accepted"] for row in rows)


def test_data_set_is_mvtec_and_background_is_the_input(config: GenerateConfig) -> None:
    generate(replace_options(config, limits=ANYTHING, count=3, variants=3, feather=0))
    root = config.output / "plate"
    pictures, labels = (
        sorted((root / part / "spot").iterdir()) for part in ("test", "ground_truth")
    )
    assert [path.name for path in pictures] == ["00000.png", "00001.png", "00002.png"]
    assert [path.name for path in labels] == ["00000_mask.png", "00001_mask.png", "00002_mask.png"]
    records = manifest(config)
    assert (
        len({r.source for r in records}) == 1
        and len({json.dumps(r.mask_origin) for r in records}) == 1
    )
    for record in records:
        normal = read_picture(root.parent / record.good_file(root.parent))
        result = read_picture(config.output / record.file)
        requested = read_mask(config.output / record.requested)
        label = read_mask(config.output / record.label)
        assert (result[~requested] == normal[~requested]).all() and (
            result[requested] != normal[requested]
        ).any()
        assert not (label & ~requested).any()


@pytest.mark.parametrize("signal", ["difference", "likelihood"])
def test_the_same_line_gives_the_same_sample_in_a_longer_run(
    config: GenerateConfig, tmp_path: Path, signal: SignalName
) -> None:
    """Extending a run keeps what is there; a sample does not depend on how many others were asked
    for."""
    small = replace_options(config, limits=ANYTHING, count=2, variants=1, signal=signal)
    generate(small)
    first = files_of(config.output / "plate")
    generate(replace_options(small, count=3))
    again = files_of(config.output / "plate")
    assert first.items() <= again.items() and len(manifest(config)) == 3
    other = replace_options(small, count=3, output=tmp_path / "other")
    generate(other)
    assert files_of(other.output / "plate") == again
    for line in manifest(config):
        label, requested = (
            read_mask(config.output / line.label),
            read_mask(config.output / line.requested),
        )
        assert line.settings["signal"] == signal and label.any() and not (label & ~requested).any()


def test_attention_is_read_from_the_chosen_words(config: GenerateConfig, tmp_path: Path) -> None:
    attention = replace_options(config, signal="attention", count=1, variants=1, batch=1)
    heats = {}
    for number, words in enumerate((None, "spot defect", "plate")):
        one = replace_options(attention, attention_words=words, output=tmp_path / str(number))
        generate(one)
        line = manifest(one)[0]
        assert line.settings.get("attention_words") == words
        heats[words] = files_of(one.output)[line.heatmap]
    assert len(set(heats.values())) == 3
    for wrong in (
        replace_options(attention, attention_words="hole"),
        replace_options(config, attention_words="spot"),
    ):
        with pytest.raises(SettingError, match="attention words"):
            generate(wrong)
        assert not config.output.exists()


def test_dry_run_writes_nothing(config: GenerateConfig) -> None:
    summary = generate(replace_options(config, dry_run=True))
    assert (
        summary.dry_run
        and summary.accepted == 5
        and summary.seconds > 0
        and not config.output.exists()
    )


def test_a_dry_run_looks_at_the_place_and_takes_off_what_is_made(
    config: GenerateConfig, run: Run
) -> None:
    dry = replace_options(config, dry_run=True)
    generate(replace_options(config, count=4))
    before = files_of(config.output)
    summary = generate(dry)
    assert (summary.done, summary.accepted, summary.unmade) == (4, 1, 0) and summary.seconds > 0
    finished = generate(replace_options(dry, count=4))
    assert (finished.done, finished.accepted, finished.seconds) == (4, 0, 0)
    with pytest.raises(OtherRunError, match="seed"):
        generate(replace_options(dry, seed=1))
    foreign = config.output.parent / "file"
    foreign.write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        generate(replace_options(dry, output=foreign))
    assert files_of(config.output) == before
    options = [
        "--weights",
        config.weights,
        "--good",
        config.good,
        "--base",
        config.base,
        "--steps",
        2,
        "--device",
        "cpu",
        "--count",
        2,
    ]
    code, shown, _ = run(
        "generate", *options, "--output", config.output.parent / "new", "--dry-run"
    )
    assert (
        code == 0
        and "2 of 2 samples can be made\n" in shown
        and "retries of rejected ones come on top" in shown
    )


def test_a_dry_run_counts_guidance_and_the_vae(
    config: GenerateConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call takes one second: 2 steps a batch of samples, twice with guidance; coder and
    decoder for pairs, a decoder for samples. From real defects: half of the steps in the mean, and
    the pastes are coded too."""
    monkeypatch.setattr("trainer.generation.dry_run.timed", lambda call, times: 1.0)
    dry = replace_options(config, dry_run=True, count=4, variants=1, batch=2)
    noise = replace_options(dry, start=("noise",))
    assert generate(replace_options(noise, guidance=(1.0, 3.0))).seconds == 2 * 2 + 2 * 2 + 2 * 1
    assert generate(replace_options(noise, guidance=(3.0,))).seconds == 2 * 2 * 2 + 2 * 2 + 2 * 1
    assert generate(dry).seconds == 2 * 2 * 0.5 + 2 * 4 + 2 * 1
    plain = replace_options(dry, paste_detail=False)
    assert generate(plain).seconds == 2 * 2 * 0.5 + 2 * 3 + 2 * 1


def test_masks_that_fit_nowhere_are_counted(config: GenerateConfig, tmp_path: Path) -> None:
    huge = np.zeros((300, 300), bool)
    huge[10:290, 10:290] = True
    write_mask(tmp_path / "masks" / "huge.png", huge)
    fixed = PlacementSettings(scale=(1.0, 1.0), tries=1)
    config = replace_options(config, mask_library=tmp_path / "masks", placement=fixed, dry_run=True)
    summary = generate(config)
    assert summary.unmade == 5 and summary.accepted == 0 and "huge.png" in summary.unplaced[0]


def test_ready_masks_and_odd_pictures(config: GenerateConfig, tmp_path: Path) -> None:
    """16-bit gray, RGBA and plain gray pictures, with masks of the same names."""
    good, masks = tmp_path / "good", tmp_path / "masks"
    good.mkdir()
    gray = np.random.default_rng(0).integers(60, 200, (40, 48), np.uint8)
    Image.fromarray(gray.astype(np.uint16) * 257).save(good / "deep.png")
    Image.fromarray(gray).save(good / "gray.png")
    Image.fromarray(np.dstack([gray, gray, gray, np.full_like(gray, 255)])).save(good / "clear.png")
    mask = np.zeros((40, 48), bool)
    mask[10:18, 12:24] = True
    for name in ("deep_mask", "gray", "clear"):
        write_mask(masks / f"{name}.png", mask)
    run = replace_options(
        config, good=good, masks=masks, limits=ANYTHING, count=3, variants=1, batch=3
    )
    generate(run)
    records = manifest(run)
    assert {Path(r.source).name for r in records} == {"deep.png", "gray.png", "clear.png"}
    for record in records:
        assert (read_mask(run.output / record.requested) == mask).all()
        normal, result = (
            read_picture(Path(record.source)),
            read_picture(run.output / record.file),
        )
        assert (normal[30:] == result[30:]).all()


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("colour", [False, True], ids=["gray", "colour"])
@pytest.mark.parametrize("image_format", ["png", "tiff"])
def test_all_sixteen_bits_go_through_to_the_file(
    config: GenerateConfig, tmp_path: Path, colour: bool, bits: int, image_format: ImageFormat
) -> None:
    """PNG and TIFF, in and out: outside the mask and its seam the written values are the good
    picture's, all of them; inside they stay in the scale of the input."""
    good, masks = tmp_path / "good", tmp_path / "masks"
    good.mkdir()
    highest = 2**bits - 1
    rng = np.random.default_rng(bits)
    mask = np.zeros((40, 48), bool)
    mask[10:18, 12:24] = True
    values: dict[str, np.ndarray] = {}
    for name in ("a.tif", "b.png"):
        shape = (40, 48, 3) if colour else (40, 48)
        pixels = rng.integers(highest // 4, highest // 2, shape).astype(np.uint16)
        pixels[0, 0] = highest
        values[name] = pixels
        write_mask(masks / f"{Path(name).stem}.png", mask)
        levels = pixels if colour else np.repeat(pixels[..., None], 3, axis=2)
        write_picture(
            good / name, Picture(levels, highest), "tiff" if name.endswith("tif") else "png"
        )
    run = replace_options(
        config,
        good=good,
        masks=masks,
        limits=ANYTHING,
        count=2,
        variants=1,
        batch=2,
        image_format=image_format,
    )
    generate(run)
    records = manifest(run)
    assert len(records) == 2
    for record in records:
        assert Path(record.file).suffix == {"png": ".png", "tiff": ".tif"}[image_format]
        assert record.white == highest
        written = decode(run.output / record.file, PictureError).pixels
        before = values[Path(record.source).name]
        assert written.dtype == np.uint16 and written.shape == before.shape
        assert written.max() <= highest and (written[10:18, 12:24] != before[10:18, 12:24]).any()
        assert (written[30:] == before[30:]).all() and (written[:, 36:] == before[:, 36:]).all()
        kept = decode(run.output / record.good_file(run.output), PictureError)
        assert kept.pixels.dtype == np.uint16 and (kept.pixels == before).all()


def test_ready_masks_of_several_defects_are_pointed_out(
    config: GenerateConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, far in (("one", False), ("two", True)):
        write_picture(tmp_path / "good" / f"{name}.png", np.full((100, 120, 3), 90, np.uint8))
        mask = np.zeros((100, 120), bool)
        mask[10:18, 10:18] = True
        mask[80:88, 100:108] = far
        write_mask(tmp_path / "masks" / f"{name}.png", mask)
    ready = replace_options(config, good=tmp_path / "good", masks=tmp_path / "masks")
    info = read_info(config.weights)
    open_pairs(ready, dataclasses.replace(info, zoom="whole"))
    assert not caplog.messages
    open_pairs(ready, info)
    assert "1 of 2 masks show defects far from each other" in caplog.text


def test_masks_of_held_out_pictures_are_pointed_out(
    config: GenerateConfig, plates: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = Path(shutil.copy(config.weights, tmp_path))
    own = replace_options(config, weights=weights, start=("noise",))
    info = read_info(own.weights)
    sources_in_folders(own, info)
    assert "held out" not in caplog.text  # nothing is known of the training
    split = tmp_path / "spot.run" / "split.json"
    split.parent.mkdir()
    split.write_text(
        json.dumps(
            {
                "train": ["test/spot/000.png"],
                "held_out": ["test/spot/001.png", "test/spot/004.png", "test/cut/002.png"],
            }
        )
    )
    for library in (None, plates / "ground_truth/spot"):
        caplog.clear()
        sources_in_folders(replace_options(own, mask_library=library), info)
        folder = f"{plates}/ground_truth/spot"
        assert f"2 of 6 masks in {folder} belong to pictures that the training held" in caplog.text
        assert f"--mask-split {split} leaves the masks out" in caplog.text
    caplog.clear()
    sources = sources_in_folders(replace_options(own, mask_split=split), info)
    assert sources.mask_names == ["000_mask.png"]
    assert "held out" not in caplog.text
    split.write_text("{")
    sources_in_folders(own, info)
    assert "split.json is no split file" in caplog.text


def test_pairs_use_pictures_evenly_and_repeat(config: GenerateConfig) -> None:
    pairs = open_pairs(config, read_info(config.weights))
    assert pairs.part == "texture"
    drawn = [pairs[index] for index in range(6)]
    uses = Counter(pair.source for pair in drawn)
    assert len(uses) >= 2 and max(uses.values()) <= 2 * 6 / 3 + 1
    assert len({pair.origin["made_from"] for pair in drawn}) == 6  # each mask once a round
    again = pairs[1].job
    assert (
        again is not None
        and drawn[1].job is not None
        and (again.masks[0] == drawn[1].job.masks[0]).all()
    )


def test_examples_stand_in_for_folders(
    config: GenerateConfig, plates: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The same pictures and masks, in the same order, give the same samples."""
    caplog.set_level(logging.INFO)
    generate(config)
    assert "6 of 6 masks have their picture" in caplog.text
    examples = ExampleSources(good_examples(plates, "plate"), find_examples(plates, defect="spot"))
    other = replace_options(config, good=Path(), output=tmp_path / "other")
    generate(other, examples)
    for line, twin in zip(manifest(config), manifest(other), strict=True):
        for name in ("index", "attempt", "seed", "quality", "verdict", "source"):
            assert getattr(line, name) == getattr(twin, name)
    assert files_of(config.output / "plate") == files_of(other.output / "plate")


def test_a_sample_is_held_against_the_real_defect_of_its_mask(config: GenerateConfig) -> None:
    pair = open_pairs(config, read_info(config.weights))[0]
    assert pair.job is not None and pair.job.real is not None and pair.job.real.fullness > 0
    strict = dataclasses.replace(ANYTHING, min_real_share=1000.0)  # no share is as large
    judged = replace_options(config, limits=strict, count=2, variants=1, retries=0)
    generate(judged)
    for record in manifest(judged):
        normal, result = (
            read_picture(Path(record.source)),
            read_picture(judged.output / record.file),
        )
        share = pair.job.real.share_made(
            normal, result, read_mask(judged.output / record.requested)
        )
        if record.mask_origin["made_from"] == pair.origin["made_from"]:
            assert record.quality["real_share"] == pytest.approx(share)
    assert {record.verdict for record in manifest(judged)} == {"far less of it than in life"}


def test_the_areas_bound_where_masks_lie(config: GenerateConfig, tmp_path: Path) -> None:
    height, width = read_picture(sorted((config.good / "train" / "good").glob("*"))[0]).shape[:2]
    left = np.zeros((height, width), bool)
    left[:, : width // 2] = True
    write_area(tmp_path / "left.png", left)
    info = read_info(config.weights)
    allowed = open_pairs(replace_options(config, allowed=tmp_path / "left.png"), info)
    forbidden = open_pairs(replace_options(config, forbidden=tmp_path / "left.png"), info)
    for index in range(4):
        inside, outside = allowed[index].job, forbidden[index].job
        assert inside is not None and not (inside.requested & ~left).any()
        assert outside is not None and not (outside.requested & left).any()


def test_a_picture_where_nothing_is_allowed_is_listed(
    config: GenerateConfig, tmp_path: Path
) -> None:
    goods = sorted((config.good / "train" / "good").glob("*"))
    size = read_picture(goods[0]).shape[:2]
    write_area(tmp_path / "areas" / f"{goods[0].stem}_mask.png", np.zeros(size, bool))
    write_area(tmp_path / "areas" / f"{goods[1].stem}.png", np.ones(size, bool))
    dry = replace_options(config, allowed=tmp_path / "areas", count=12, dry_run=True)
    summary = generate(dry)
    reasons = dict(line.split(": ", 1) for line in summary.left_out)
    assert reasons[str(goods[0])] == "nothing of the part is allowed"
    assert "has no mask for it" in reasons[str(goods[2])] and str(goods[1]) not in reasons
    assert "nothing of the part is allowed" in report(summary)
    with pytest.raises(SettingError, match="ready masks"):
        replace_options(config, masks=tmp_path / "areas", allowed=tmp_path / "areas").check()


def test_choices_are_kept_and_losing_them_changes_nothing(config: GenerateConfig) -> None:
    generate(replace_options(config, count=4))
    kept = config.output / "extras" / "plate" / "spot" / "pairs.jsonl"
    assert len(kept.read_text().splitlines()) == 1 + 2
    fresh = open_pairs(config, read_info(config.weights))
    expected = [fresh[index].origin for index in range(3)]
    kept.unlink()
    generate(config)
    origins = {line.mask_origin["pair"]: line.mask_origin for line in manifest(config)}
    assert [origins[index] for index in range(3)] == [
        {"pair": index, **expected[index]} for index in range(3)
    ]


# --- bad input
# ------------------------------------------------------------------------------------------


def bad(
    config: GenerateConfig, tmp_path: Path, case: str
) -> tuple[GenerateConfig, type[BGDefectError], str]:
    good, masks = tmp_path / "good", tmp_path / "masks"
    plain, mask = np.full((40, 48, 3), 90, np.uint8), np.zeros((40, 48), bool)
    mask[5:9, 5:9] = True
    write_picture(good / "a.png", plain)
    write_mask(masks / "a.png", mask)
    own = replace_options(config, good=good, masks=masks)
    if case == "picture without mask":
        write_picture(good / "b.png", plain)
        return own, DataError, "b.png has no mask"
    if case == "mask without picture":
        write_mask(masks / "b.png", mask)
        return own, DataError, "b.png has no picture"
    if case == "mask of another size":
        write_mask(masks / "a.png", mask[:30])
        return own, DataError, "48 x 30"
    if case == "corrupt picture":
        (good / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
        return own, DataError, "a.png cannot be read"
    if case == "full mask":
        write_mask(masks / "a.png", np.ones((40, 48), bool))
        return own, DataError, "a.png is full"
    if case == "no mask at all":
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 48), np.uint8)).save(
            masks / "a.png"
        )
        return own, DataError, "a.png is no mask"
    if case == "one pixel":
        write_picture(good / "a.png", plain[:1, :1])
        return own, DataError, "1 x 1"
    if case == "empty library mask":
        write_mask(masks / "b.png", np.zeros((9, 9), bool))
        return replace_options(config, mask_library=masks), MaskError, "b.png is empty"
    if case == "no masks":
        return replace_options(own, masks=None), SettingError, "--mask-library"
    if case == "no such object":
        root = tmp_path / "several"
        for name in ("nut", "bolt"):
            write_picture(root / name / "train" / "good" / "0.png", plain)
        return replace_options(own, good=root), DataError, "'plate'"
    if case == "output is a file":
        config.output.write_text("mine")
        return config, OutputError, "is a file"
    if case == "output inside a file":
        (tmp_path / "file").write_text("mine")
        return (
            replace_options(config, output=tmp_path / "file" / "out"),
            OutputError,
            "cannot be",
        )
    if case == "output holds pictures":
        write_picture(config.output / "plate" / "test" / "spot" / "0.png", plain)
        return config, OutputError, "already holds"
    raise KeyError(case)


@pytest.mark.parametrize(
    "case",
    [
        "picture without mask",
        "mask without picture",
        "mask of another size",
        "corrupt picture",
        "full mask",
        "no mask at all",
        "one pixel",
        "empty library mask",
        "no masks",
        "no such object",
        "output is a file",
        "output inside a file",
        "output holds pictures",
    ],
)
def test_bad_input_is_named_and_nothing_written(
    config: GenerateConfig, tmp_path: Path, case: str
) -> None:
    broken, error, message = bad(config, tmp_path, case)
    before = files_of(tmp_path)
    with pytest.raises(error, match=message):
        generate(broken)
    assert files_of(tmp_path) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 0},
        {"batch": 0},
        {"variants": 0},
        {"retries": -1},
        {"seed": -1},
        {"steps": 0},
        {"threshold": 1.5},
        {"guidance": (float("nan"),)},
        {"guidance": (1.0, 31.0)},
        {"guidance": ()},
        {"feather": -1.0},
        {"precision": "fp16", "device": "cpu"},
        {"masks": Path("a"), "mask_library": Path("b")},
    ],
)
def test_settings_out_of_range(config: GenerateConfig, changes: dict) -> None:
    with pytest.raises(SettingError):
        generate(replace_options(config, **changes))
    assert not config.output.exists()


def test_guidance_rises_with_the_attempts(config: GenerateConfig, tmp_path: Path) -> None:
    """Attempts 0, 1 and 2 at a sample from noise take 1, 4 and 4; each is the picture that a run
    with that guidance alone makes."""
    rising = replace_options(
        config, start=("noise",), guidance=(1.0, 4.0), retries=2, limits=NEVER, count=2
    )
    generate(rising)
    lines = {(line.index, line.attempt): line for line in manifest(rising)}
    assert {slot: line.guidance for slot, line in lines.items()} == {
        (i, a): 4.0 if a else 1.0 for i in range(2) for a in range(3)
    }
    assert lines[0, 0].settings["guidance"] == [1.0, 4.0]
    for value in (1.0, 4.0):
        fixed = replace_options(rising, guidance=(value,), output=tmp_path / f"{value}")
        generate(fixed)
        for line in manifest(fixed):
            other = lines[line.index, line.attempt]
            same = (fixed.output / line.file).read_bytes() == (
                rising.output / other.file
            ).read_bytes()
            assert same == (other.guidance == value), (line.index, line.attempt)


def test_variants_of_one_pair_cost_one_inversion(config: GenerateConfig) -> None:
    """2 steps up for the pair, 2 down for each of 4 variants; with one variant a pair, 2 + 2 steps
    a sample. By default none up."""
    config = replace_options(config, start=("noise",))
    rows = []

    def count(module: torch.nn.Module, args: tuple) -> None:
        if isinstance(module, UNet2DConditionModel):
            rows.append(len(args[0]))

    replay = replace_options(config, background="replay")
    for variants, expected in ((4, 2 + 2 * 4), (1, (2 + 2) * 4), (2, 2 * 4)):
        settings = config if variants == 2 else replay
        run = replace_options(
            settings,
            count=4,
            variants=variants,
            batch=4,
            steps=2,
            output=config.output / str(variants),
        )
        rows.clear()
        with torch.nn.modules.module.register_module_forward_pre_hook(count):
            generate(run)
        assert sum(rows) == expected


def test_another_run_is_refused(config: GenerateConfig) -> None:
    small = replace_options(config, limits=ANYTHING, count=1, variants=1, batch=1)
    generate(small)
    before = files_of(config.output)
    with pytest.raises(OutputError, match="seed"):
        generate(replace_options(small, seed=1))
    assert files_of(config.output) == before


def test_a_path_is_the_same_run_however_it_is_typed(
    config: GenerateConfig, plates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace_options(config, limits=ANYTHING, count=1, variants=1, batch=1)
    generate(small)
    before = files_of(config.output / "plate")
    monkeypatch.chdir(plates.parent)
    generate(replace_options(small, good=Path("plate")))
    monkeypatch.chdir(plates)
    generate(replace_options(small, good=Path("../plate")))
    assert files_of(config.output / "plate") == before


def own_plates(config: GenerateConfig, plates: Path, folder: Path) -> GenerateConfig:
    """The run on a copy of the plates that a test may change."""
    return replace_options(
        config, good=shutil.copytree(plates, folder / "plate"), count=3, variants=1
    )


def repainted(path: Path) -> None:
    picture = read_picture(path)
    picture[0, 0] ^= 1
    write_picture(path, picture)


def test_a_run_does_not_go_on_with_a_changed_file(
    config: GenerateConfig, plates: Path, tmp_path: Path
) -> None:
    """Names alone say nothing: a good picture, a mask and the picture of a mask are known by their
    content."""
    run = own_plates(config, plates, tmp_path)
    generate(run)
    before = files_of(run.output)
    mask = run.good / "ground_truth/spot/001_mask.png"
    for path in (run.good / "train/good/001.png", mask, run.good / "test/spot/002.png"):
        kept = path.read_bytes()
        if path == mask:
            write_mask(path, np.roll(read_mask(path), 1, axis=1))
        else:
            repainted(path)
        with pytest.raises(OtherRunError, match=f"{path} is not what it was when the run began"):
            generate(replace_options(run, count=4))
        assert files_of(run.output) == before
        path.write_bytes(kept)
    generate(replace_options(run, count=4))
    assert len(manifest(run)) > 3


def test_a_run_is_refused_on_a_base_whose_vae_changed(
    config: GenerateConfig, tmp_path: Path
) -> None:
    base = shutil.copytree(config.base or "", tmp_path / "base")
    run = replace_options(config, base=str(base), output=tmp_path / "out", count=1)
    generate(run)
    before = files_of(run.output)
    (path,) = (base / "vae").glob("*.safetensors")
    nudge(path)
    with pytest.raises(
        OtherRunError, match="the vae of the base .* is not what it was when the run began"
    ):
        generate(replace_options(run, count=2))
    assert files_of(run.output) == before


def test_a_run_is_refused_where_the_default_threshold_was_another(
    config: GenerateConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(config)
    before = files_of(config.output)
    monkeypatch.setattr(SIGNALS["difference"], "threshold", 0.45)
    for run in (config, replace_options(config, dry_run=True)):
        with pytest.raises(
            OtherRunError,
            match="threshold was 0.3, now 0.45",
        ):
            generate(run)
    assert files_of(config.output) == before


def test_a_run_goes_on_where_its_data_were_moved_or_linked(
    config: GenerateConfig, plates: Path, tmp_path: Path
) -> None:
    run = own_plates(config, plates, tmp_path)
    generate(replace_options(run, count=1))
    path = run.output / "extras/plate/spot/run.json"
    before = json.loads(path.read_text())["inputs"]
    moved = run.good.rename(tmp_path / "elsewhere")
    linked = tmp_path / "link"
    linked.symlink_to(moved, target_is_directory=True)
    generate(replace_options(run, good=moved, count=2))
    generate(replace_options(run, good=linked))
    after = json.loads(path.read_text())["inputs"]
    assert {name: after[name]["sha256"] for name in before} == {
        name: entry["sha256"] for name, entry in before.items()
    }
    numbered = sorted(name for name in after if name.startswith("good"))
    assert numbered == ["good 0", "good 1", "good 2"]


def from_manifest(line: ManifestLine, record: dict, output: Path) -> GenerateConfig:
    """The settings of a run, from one line of its manifest and its run.json alone."""
    made_with = line.made_with or {}
    options = {option.name for option in options_of(GenerateConfig)}
    settings: dict = {}
    for name, value in line.settings.items():
        if name in options:
            settings[name] = tuple(value) if isinstance(value, list) else value
    for name in ("masks", "mask_library", "mask_split"):
        settings[name] = Path(made_with[name]) if made_with[name] else None
    return replace_options(
        GenerateConfig(Path(made_with["weights"]), Path(made_with["good"]), output),
        **settings
        | {
            "object": record["object"],
            "defect": record["defect"],
            "count": line.index + 1,
            "base": made_with["base"],
            "allow_other_base": made_with["allow_other_base"],
        },
    )


@pytest.mark.parametrize("ready", [False, True])
def test_a_sample_is_made_again_from_its_line_and_the_runs_record(
    config: GenerateConfig, plates: Path, tmp_path: Path, ready: bool
) -> None:
    run = own_plates(
        replace_options(config, placement=PlacementSettings(elastic=0.1), peak=90.0, limits=NEVER),
        plates,
        tmp_path,
    )
    run = replace_options(run, background_prompt="a plate", object="disc", count=2)
    if ready:
        for number in range(3):
            write_mask(
                tmp_path / f"masks/00{number}.png",
                read_mask(run.good / f"ground_truth/spot/00{number}_mask.png"),
            )
        run = replace_options(run, masks=tmp_path / "masks")
    else:
        split = tmp_path / "split.json"
        split.write_text(
            json.dumps(
                {"train": [f"test/spot/00{number}.png" for number in range(4)], "held_out": []}
            )
        )
        run = replace_options(run, mask_split=split, mask_library=run.good / "ground_truth/spot")
    generate(run)
    place = run.output / "extras/disc/spot"
    line = read_manifest(place / "manifest.jsonl")[-1]
    assert line.attempt == 1 and line.settings["threshold"] == 0.3 and line.feather >= 2
    assert (
        line.made_with["versions"]["torch"]
        and Path(line.mask_origin["file"]).is_file()
        and Path(line.source).is_absolute()
    )
    again = from_manifest(line, json.loads((place / "run.json").read_text()), tmp_path / "again")
    generate(again)
    twin = next(
        one
        for one in read_manifest(again.output / "extras/disc/spot/manifest.jsonl")
        if (one.index, one.attempt) == (line.index, line.attempt)
    )
    assert twin == line
    for kind in ("file", "label", "requested", "heatmap"):
        assert (again.output / getattr(twin, kind)).read_bytes() == (
            run.output / getattr(line, kind)
        ).read_bytes()
