"""Data sets written from a workflow's batches, and the folders that they may lie in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bgdefect_pack.bgdefect_core.errors import BGDefectError, OutputError, SettingError
from bgdefect_pack.bgdefect_core.judging import Judgement
from bgdefect_pack.bgdefect_core.method.randomness import attempt_seed
from bgdefect_pack.bgdefect_core.pictures.mask_reading import read_mask
from bgdefect_pack.bgdefect_core.pictures.reading import read_picture
from bgdefect_pack.bgdefect_core.quality import Quality, Verdict
from bgdefect_pack.bgdefect_core.records.manifest import ManifestLine, read_manifest
from bgdefect_pack.nodes import _convert, _folders, _saving, _showing
from bgdefect_pack.nodes._judging import Judged
from bgdefect_pack.nodes._showing import ShownSamples

NAMES = ("screw", "scratch")
GOOD = Judged(0, Judgement(Quality(0.5, 5.0, 0.3, 100.0, 0.0, 40.0), Verdict(True)))
BAD = Judged(
    3,
    Judgement(Quality(0.01, 0.1, 0.3, 100.0, 0.0, 40.0), Verdict(False, "no visible defect")),
)


def batch(count: int, seed: int = 0) -> torch.Tensor:
    return (
        torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 24, 32, 3))).float()
        / 255
    )


def save(
    root: Path,
    result: torch.Tensor,
    quality: list[Judged] | None = None,
    prompt: dict[str, object] | None = None,
) -> list[ManifestLine]:
    mask = torch.zeros(1, 24, 32)
    mask[:, 4:9, 6:12] = 1
    heat = mask[..., None].repeat(1, 1, 1, 3) * 0.5
    samples = _saving.FinishedSamples(batch(2, 9), result, mask, mask, heat)
    return _saving.save_samples(root, NAMES, samples, quality, 5, prompt)


def test_samples_are_on_disk_byte_for_byte_and_a_second_run_goes_on(tmp_path: Path) -> None:
    result = batch(4)
    first = save(tmp_path, result, [GOOD, BAD, GOOD, GOOD], {"1": {"class_type": "X"}})
    second = save(tmp_path, result)
    assert [record.index for record in first + second] == list(range(8))
    assert [record.accepted for record in first] == [True, False, True, True]
    for record, picture in zip(first, _convert.pictures_of(result), strict=True):
        assert np.array_equal(read_picture(tmp_path / record.file), picture)
        assert read_mask(tmp_path / record.label).sum() == 30
    seeds = [attempt_seed(5, number, 0) for number in range(4)]
    assert [record.seed for record in second] == seeds
    # The number of the sample in its run counts, not its place among those that are passed on.
    assert [record.seed for record in first] == [seeds[0], seeds[3], seeds[0], seeds[0]]
    assert first[1].file.startswith("extras/") and first[1].verdict == "no visible defect"
    assert second[0].verdict == "not judged" and second[0].quality == {}
    assert len(list((tmp_path / "screw/train/good").iterdir())) == 2  # each good picture once
    assert len(list((tmp_path / "screw/test/scratch").iterdir())) == 7
    records = read_manifest(tmp_path / "extras/screw/scratch/manifest.jsonl")
    prompt = tmp_path / "extras/screw/scratch" / records[0].mask_origin["prompt"]
    assert json.loads(prompt.read_text()) == {"1": {"class_type": "X"}}
    goods = _convert.pictures_of(batch(2, 9))
    for number, record in enumerate(records[:4]):
        assert np.array_equal(read_picture(record.source), goods[number % 2])


def test_a_sample_without_label_is_rejected(tmp_path: Path) -> None:
    empty, mask = torch.zeros(1, 24, 32), torch.zeros(1, 24, 32)
    mask[:, 4:9, 6:12] = 1
    samples = _saving.FinishedSamples(batch(1), batch(1), empty, mask)
    records = _saving.save_samples(tmp_path, NAMES, samples, [GOOD])
    assert records[0].verdict == "label empty" and not records[0].accepted and records[0].seed == -1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"refined": torch.zeros(3, 24, 32)}, "refined has 3"),
        ({"refined": torch.zeros(1, 24, 30)}, "refined is 30 x 24"),
        ({"mask": torch.zeros(1, 12, 32)}, "mask is 32 x 12"),
        ({"image": torch.zeros(1, 24, 30, 3)}, "image is 30 x 24"),
        ({"result": torch.zeros(2, 3, 4, 3)}, "result is 4 x 3"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(
    tmp_path: Path, change: dict[str, torch.Tensor], named: str
) -> None:
    mask = torch.zeros(1, 24, 32)
    mask[:, 4:9, 6:12] = 1
    right = _saving.FinishedSamples(batch(1), batch(2), mask, mask)
    with pytest.raises(BGDefectError, match=named):
        _saving.save_samples(tmp_path / "set", NAMES, replace(right, **change))
    with pytest.raises(BGDefectError, match="quality has 1"):
        _saving.save_samples(tmp_path / "set", NAMES, right, [GOOD])
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/../../x",
        "/etc",
        "a//b",
        "C:/x",
        "a\\..\\..\\b",
        "a\0b",
        " a",
        "a/ /b",
        "~root\n",
    ],
)
def test_a_folder_name_cannot_leave_its_base(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingError, match="folder is"):
        _folders.inside(tmp_path, name, "folder")


def test_plain_folder_names_are_taken(tmp_path: Path) -> None:
    assert _folders.inside(tmp_path, "a/b c-1", "folder") == tmp_path / "a" / "b c-1"


def test_links_lead_nowhere(tmp_path: Path) -> None:
    base, outside = tmp_path / "output", tmp_path / "outside"
    for folder in (base / "set" / "screw" / "test", outside):
        folder.mkdir(parents=True)
    (base / "link").symlink_to(outside)
    with pytest.raises(SettingError):
        _folders.inside(base, "link/x", "folder")
    _folders.refuse_links(base / "set", *NAMES, base)
    (base / "set" / "screw" / "test" / "scratch").symlink_to(outside)
    with pytest.raises(OutputError, match="is a link"):
        _folders.refuse_links(base / "set", *NAMES, base)
    (base / "set" / "screw" / "test" / "scratch").unlink()
    extras = base / "set" / "extras" / "screw" / "scratch"
    extras.mkdir(parents=True)
    (extras / "manifest.jsonl").symlink_to(outside / "file")
    with pytest.raises(OutputError, match="manifest.jsonl is a link"):
        _folders.refuse_links(base / "set", *NAMES, base)
    (base / "in.png").symlink_to(outside / "secret.png")
    (outside / "secret.png").write_bytes(b"x")
    with pytest.raises(BGDefectError, match="no pictures"):
        _folders.picture_files(base, base)
    with pytest.raises(SettingError, match="in.png"):
        _folders.refuse_outside(base, base, "library")


def test_the_overlay_draws_around_the_masks_only() -> None:
    result, mask = batch(2), torch.zeros(1, 24, 32)
    mask[:, 4:9, 6:12] = 1
    plain, shown = _showing.overlays(ShownSamples(result, mask)).split(32, dim=2)
    assert torch.equal(plain, result)
    assert torch.equal(shown[:, 4:9, 6:12], result[:, 4:9, 6:12])
    changed = (shown != result).any(-1)
    assert int(changed[0].sum()) == 26 and bool(changed[0, 3, 5])
    assert _showing.overlays(ShownSamples(result, mask, mask, result)).shape == (2, 24, 96, 3)
    square = _showing.zoomed(ShownSamples(result, mask, mask, result))
    for batch_of_squares in (square.result, square.mask, square.refined, square.heat):
        assert batch_of_squares is not None and batch_of_squares.shape[1:3] == (384, 384)
    with pytest.raises(BGDefectError, match="mask is 30 x 24"):
        _showing.zoomed(ShownSamples(result, torch.zeros(1, 24, 30)))
    for show in (_showing.overlays, _showing.zoomed):
        with pytest.raises(
            BGDefectError, match="refined is 31 x 24 pixels; expected 32 x 24, as result"
        ):
            show(ShownSamples(result, mask, torch.zeros(1, 24, 31)))
        with pytest.raises(
            BGDefectError, match="heat is 20 x 20 pixels; expected 32 x 24, as result"
        ):
            show(ShownSamples(result, mask, heat=torch.zeros(1, 20, 20, 3)))


def test_a_wide_mask_is_shown_without_mirrored_surroundings() -> None:
    """2.5 times 40 pixels are more than the picture is high: all of its height is shown."""
    result, mask = torch.rand(1, 64, 160, 3), torch.zeros(1, 64, 160)
    mask[:, 10:20, 100:140] = 1
    shown = _showing.zoomed(ShownSamples(result, mask))
    middle = ShownSamples(result[:, :, 88:152], torch.ones(1, 64, 64) * mask[:, :, 88:152])
    assert shown.result.shape == (1, 384, 384, 3)
    assert torch.equal(shown.result, _showing.zoomed(middle).result)
    assert shown.mask is not None
    rows, columns = shown.mask[0].nonzero(as_tuple=True)
    assert (int(rows.min()), int(columns.min())) == (60, 72)  # six times 10, and 100 - 88
