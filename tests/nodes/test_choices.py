"""What a graph chooses from: boxes of the host, folders of data sets, samples by verdict."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bgdefect_pack.bgdefect_core.errors import MaskError, PictureError, SettingError
from bgdefect_pack.bgdefect_core.judging import Judgement
from bgdefect_pack.bgdefect_core.quality import Quality, Verdict
from bgdefect_pack.nodes._judging import Judged

from .conftest import NAME

boxes = import_module(f"{NAME}.nodes._boxes")
folders = import_module(f"{NAME}.nodes._folders")
captions = import_module(f"{NAME}.nodes._captions")
placing = import_module(f"{NAME}.nodes._placing")


def box(left: float, top: float, width: float, height: float) -> dict[str, Any]:
    return {"x": left, "y": top, "width": width, "height": height, "label": "part"}


def test_boxes_come_alone_or_in_lists_and_are_cut_at_the_border() -> None:
    assert boxes.boxes_of(None) is None
    assert boxes.boxes_of(box(2, 1, 3, 2)) == [[(2, 1, 3, 2)]]
    assert boxes.boxes_of([[box(2, 1, 3, 2)], []]) == [[(2, 1, 3, 2)], []]  # one a picture
    [both] = boxes.boxes_of([box(2, 1, 3, 2), box(-5, 6, 7, 100)])
    assert both == [(2, 1, 3, 2), (-5, 6, 7, 100)]
    area = boxes.area_of(both, (8, 10))
    expected = np.zeros((8, 10), np.bool_)
    expected[1:3, 2:5] = True
    expected[6:8, 0:2] = True
    assert np.array_equal(area, expected)
    assert not boxes.area_of([(20, 20, 5, 5), (-9, -9, 4, 4)], (8, 10)).any()


@pytest.mark.parametrize(
    "value",
    [[], [[]], "0 0 5 5", {"x": 1}, box(float("nan"), 0, 1, 1), box(float("inf"), 0, 1, 1), 7],
)
def test_what_is_no_box_is_named(value: Any) -> None:
    with pytest.raises(SettingError, match="box holds"):
        boxes.boxes_of(value)


def test_masks_may_lie_in_the_boxes_only() -> None:
    picture = np.full((40, 60, 3), 120, np.uint8)
    allowed = torch.zeros(1, 40, 60)
    allowed[:, :, :30] = 1
    ground = placing.PlacingArea("texture", allowed, boxes=[[(20, 10, 30, 5)]])
    [part] = ground.parts([picture])
    expected = np.zeros((40, 60), np.bool_)
    expected[10:15, 20:30] = True
    assert np.array_equal(part, expected)


def test_each_picture_has_its_own_boxes() -> None:
    picture = np.full((40, 60, 3), 120, np.uint8)
    ground = placing.PlacingArea("texture", boxes=[[(20, 10, 30, 5)], []])
    first, second = ground.parts([picture, picture])
    assert first.sum() == 150 and not second.any()
    with pytest.raises(MaskError, match="the boxes of 2 pictures for 3"):
        ground.parts([picture] * 3)


def test_folders_of_data_sets_are_offered_and_found(tmp_path: Path) -> None:
    first, second, base = tmp_path / "one", tmp_path / "two", tmp_path / "input"
    (first / "screw/ground_truth/scratch").mkdir(parents=True)
    (second / "nut/a/b/c/d").mkdir(parents=True)
    (second / "linked").symlink_to(tmp_path)
    (second / ".hidden").mkdir()
    offered = folders.data_set_choices([first, second, tmp_path / "none"])
    assert offered == [
        "nut [datasets]",
        "nut/a [datasets]",
        "nut/a/b [datasets]",
        "nut/a/b/c [datasets]",
        "screw [datasets]",
        "screw/ground_truth [datasets]",
        "screw/ground_truth/scratch [datasets]",
    ]
    roots = [first, second]
    assert folders.place_of("nut/a [datasets]", base, roots) == ("nut/a", second)
    assert folders.place_of("nut/a", base, roots) == ("nut/a", base)
    for name in ("../input", "/etc", "linked/one"):
        with pytest.raises(SettingError, match="folder"):
            folders.place_of(f"{name} [datasets]", base, roots)
    with pytest.raises(SettingError, match="which this host has not"):
        folders.place_of("nut [datasets]", base, [])


def verdicts(*reasons: str) -> list[Judged]:
    samples: list[Judged] = []
    for number, reason in enumerate(reasons):
        verdict = Verdict(not reason, reason)
        samples.append(Judged(number, Judgement(Quality(0.5, 5.0, 0.3, 100.0, 0.0, 40.0), verdict)))
    return samples


def test_samples_are_chosen_by_their_verdict() -> None:
    quality = verdicts("", "too faint", "")
    assert captions.chosen("all", quality, 3) == [0, 1, 2]
    assert captions.chosen("good", quality, 3) == [0, 2]
    assert captions.chosen("rejected", quality, 3) == [1]
    assert captions.chosen("all", None, 2) == [0, 1]
    with pytest.raises(SettingError, match="quality is not connected"):
        captions.chosen("good", None, 2)
    with pytest.raises(SettingError, match="show is 'some'"):
        captions.chosen("some", quality, 3)
    with pytest.raises(PictureError, match="2 samples and quality 3 verdicts"):
        captions.chosen("all", quality, 2)


def test_a_caption_stands_below_the_picture_and_changes_none_of_it() -> None:
    image = torch.rand(2, 20, 200, 3)
    shown = captions.captioned(image, verdicts("", "too faint"))
    assert shown.shape == (2, 44, 200, 3)
    assert (shown[:, :20] - image).abs().max() <= 0.5 / 255 + 1e-6
    good, rejected = shown[:, 20:].amax((1, 2))
    assert good[1] > good[0] and rejected[0] > rejected[1]  # green, red
    assert captions.nothing_to_show("rejected").max() > 0.5
