"""Generation that starts from real defects: manifest, resume, replay, held-out ones, page."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bgdefect_core.copies import COPY
from bgdefect_core.declarations import replace_options
from bgdefect_core.errors import DataError, SettingError
from bgdefect_core.method.randomness import attempt_seed
from bgdefect_core.pictures.mask_reading import read_mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.reading import read_picture
from bgdefect_core.pictures.writing import write_mask
from bgdefect_core.records import manifest as lines
from bgdefect_core.weights.files import read_info
from trainer.evaluate.measures.cell_realism import variety
from trainer.evaluate.samples.methods import read_method
from trainer.evaluate.samples.sample_set import read_generated
from trainer.generation import chunks
from trainer.generation.config import GenerateConfig
from trainer.generation.generate import generate
from trainer.generation.pairs import open_pairs
from trainer.training.run_folder import RunFolder

from .conftest import files_of
from .test_generate import ANYTHING, NEVER, config, from_manifest, killed_at, manifest

__all__ = ["config"]  # the fixture


def real(config: GenerateConfig, **options: Any) -> GenerateConfig:
    return replace_options(config, **{"start": ("real",), "start_level": (0.2, 0.9)} | options)


def test_after_a_copy_the_next_attempt_starts_farther_from_the_real_defect(
    config: GenerateConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_chance(result: Pixels, *_: object) -> bool:
        return int(result.sum()) % 2 == 0

    monkeypatch.setattr("bgdefect_core.pasting.is_copy", by_chance)
    run = real(config, count=12, limits=ANYTHING, retries=4)
    generate(run)
    records = {(record.index, record.attempt): record for record in manifest(run)}
    copies = 0
    for (index, attempt), record in records.items():
        before = [records[index, earlier].verdict for earlier in range(attempt)]
        copies += before.count(COPY)
        expected = run.paint.starting.level_of(record.seed, attempt, before.count(COPY))
        assert record.start is not None and record.start["level"] == expected
    assert copies > 5

    stopped = dataclasses.replace(run, output=tmp_path / "stopped")
    killed_at(lines.Manifest, "append", len(records) * 2 // 3, lambda: generate(stopped))
    generate(stopped)
    assert files_of(stopped.output) == files_of(run.output)


def test_the_manifest_says_where_each_sample_started(config: GenerateConfig) -> None:
    run = real(config, start=("mixed",), count=8, limits=NEVER, retries=1)
    generate(run)
    records = manifest(run)
    kinds = {record.start["kind"] for record in records if record.start}
    assert kinds == {"noise", "real"}
    for record in records:
        seed = attempt_seed(run.seed, record.index, record.attempt)
        level = run.paint.starting.level_of(seed, record.attempt)
        assert record.start is not None
        if record.start["kind"] == "noise":
            assert level == 1 and "exemplar_difference" not in record.quality
            assert record.guidance == 1 + record.attempt
            continue
        assert record.start["level"] == level and record.guidance == 1
        assert record.start["exemplar"] == record.mask_origin["made_from"]
        assert record.start["file"] == record.mask_origin["file"]
        assert record.quality["exemplar_difference"] > 0


def test_attempts_have_their_own_start(config: GenerateConfig) -> None:
    """A retry from real in place of more guidance."""
    run = real(config, start=("noise", "real"), guidance=(1.0,), limits=NEVER)
    generate(run)
    starts = {(line.attempt, line.start["kind"]) for line in manifest(run) if line.start}
    assert starts == {(0, "noise"), (1, "real")}
    assert {line.guidance for line in manifest(run)} == {1.0}


def test_pastes_need_no_network(config: GenerateConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside the soft edge the good picture; the label is the mask that was varied."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network was called")

    monkeypatch.setattr("trainer.bases.load.Base.encode", refuse)
    monkeypatch.setattr("trainer.bases.load.Base.decode", refuse)
    monkeypatch.setattr(chunks, "prepare", refuse)
    run = real(config, start_level=(0.0, 0.0))
    generate(run)
    for record in manifest(run):
        assert record.start is not None and record.start["kind"] == "paste"
        assert record.quality["exemplar_difference"] == 0 and record.accepted
        requested = read_mask(run.output / record.requested)
        assert np.array_equal(read_mask(run.output / record.label), requested)


def test_a_killed_run_ends_with_the_same_bytes(config: GenerateConfig, tmp_path: Path) -> None:
    whole = real(config, start=("mixed",), output=tmp_path / "whole")
    generate(whole)
    stopped = real(config, start=("mixed",))
    killed_at(lines.Manifest, "append", 3, lambda: generate(stopped))
    generate(stopped)
    assert files_of(stopped.output) == files_of(whole.output)


@pytest.mark.parametrize("options", [{}, {"start_core": 0.5, "paste_detail": True}])
def test_the_line_makes_the_same_sample_again(
    config: GenerateConfig, tmp_path: Path, options: dict[str, Any]
) -> None:
    run = real(config, mask_library=config.good / "ground_truth/spot", **options)
    generate(run)
    line = manifest(run)[-1]
    record = json.loads((run.output / "extras/plate/spot/run.json").read_text())
    again = from_manifest(line, record, tmp_path / "again")
    generate(again)
    twins = [twin for twin in manifest(again) if twin.index == line.index]
    assert twins == [line]
    assert (
        files_of(again.output / "plate/test")["spot/00004.png"]
        == (run.output / line.file).read_bytes()
    )


def test_another_start_is_another_run_and_its_options_are_recorded(
    config: GenerateConfig,
) -> None:
    run = real(config, count=1, start_level=(0.4, 0.5))
    generate(run)
    (line,) = manifest(run)[:1]
    assert line.settings["start"] == ["real"] and line.settings["start_level"] == [0.4, 0.5]
    with pytest.raises(Exception, match="start_level"):
        generate(replace_options(run, start_level=(0.4, 0.6)))


def test_held_out_defects_are_no_start(
    config: GenerateConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run = real(config)
    info = read_info(run.weights)
    assert len(open_pairs(run, info).sources.mask_names) == 6
    assert "has no split beside it" in caplog.text
    split = RunFolder(run.weights).split
    split.parent.mkdir(exist_ok=True)
    listed = {"train": ["test/spot/000.png"], "held_out": ["test/spot/001.png"]}
    split.write_text(json.dumps(listed))
    try:
        assert open_pairs(run, info).sources.mask_names == ["000_mask.png"]
        assert "of the training side alone" in caplog.text
        assert open_pairs(config, info).sources.mask_names == ["000_mask.png"]
        others = config.output.parent / "other masks"
        others.mkdir()
        for number in range(2):
            mask = config.good / f"ground_truth/spot/00{number}_mask.png"
            shutil.copy(mask, others / f"new{number}.png")
        other = replace_options(config, mask_library=others)
        assert len(open_pairs(other, info).sources.mask_names) == 2  # the split is not about them
        with pytest.raises(DataError, match="trains on none of the masks"):
            open_pairs(real(other), info)
        from_noise = replace_options(config, start=("noise",))
        assert len(open_pairs(from_noise, info).sources.mask_names) == 6
    finally:
        split.unlink()


def test_a_start_without_real_defects_is_refused(config: GenerateConfig, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="with ready masks"):
        generate(real(config, masks=tmp_path))
    masks = tmp_path / "masks"
    write_mask(masks / "a.png", np.pad(np.ones((4, 4), np.bool_), 9))
    with pytest.raises(SettingError, match="no mask has its picture"):
        generate(real(config, mask_library=masks))
    with pytest.raises(SettingError, match="no variations are compared"):
        generate(real(config, variations=0))


def test_auto_starts_from_noise_without_real_defects(config: GenerateConfig) -> None:
    """It is settled for the run: another outcome would be another run."""
    known = replace_options(config, count=2, output=config.output / "known")
    generate(known)
    assert {line.settings["start"][0] for line in manifest(known)} == {"real"}
    assert {line.start["kind"] for line in manifest(known)} == {"real"}
    unknown = replace_options(config, count=2, output=config.output / "unknown", variations=0)
    generate(unknown)
    assert {line.settings["start"][0] for line in manifest(unknown)} == {"noise"}
    assert {line.start["kind"] for line in manifest(unknown)} == {"noise"}


def test_the_page_says_what_proves_nothing(config: GenerateConfig) -> None:
    run = real(config, count=4, variants=2)
    generate(run)
    page = (run.output / "extras/plate/spot/index.html").read_text()
    assert "share of the real (no evidence: it started there)" in page
    assert "difference from the real defect, median" in page
    assert "in-mask difference between samples of one mask, mean" in page
    assert "real at 0." in page
    plain = replace_options(
        config, output=config.output / "plain", count=2, variants=1, start=("noise",)
    )
    generate(plain)
    page = (plain.output / "extras/plate/spot/index.html").read_text()
    assert "no evidence" not in page and "samples of one mask" not in page


def test_variety_of_a_method(config: GenerateConfig) -> None:
    run = real(config, count=4, variants=2)
    generate(run)
    samples = read_generated("ours", run.output, "plate", "spot")
    figures = variety(samples)
    masks = [sample.requested for sample in samples.samples]
    pictures = [sample.picture.astype(float) / 255 for sample in samples.samples]
    expected = []
    for first in (0, 2):
        assert np.array_equal(masks[first], masks[first + 1])
        apart = np.abs(pictures[first] - pictures[first + 1])[masks[first]]
        expected.append(apart.mean())
    assert figures["in-mask difference between seeds"] == pytest.approx(np.mean(expected))
    assert figures["difference from the exemplar, least"] is not None
    assert read_picture(run.output / "plate/test/spot/00000.png").shape == pictures[0].shape


def test_keys_of_the_evaluation() -> None:
    paste = read_method("paste:start=real,start_level=0/0")
    assert paste.generate_settings == {"start": ("real",), "start_level": (0.0, 0.0)}
    retry = read_method("retry:start=noise/real,guidance=1")
    assert retry.generate_settings["start"] == ("noise", "real") and not retry.from_noise
    with pytest.raises(SettingError, match="start is 'noise/chaos'"):
        read_method("n:start=noise/chaos")
