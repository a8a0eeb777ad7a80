"""Crop, stitch, refine and judge on batches, without a host."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bgdefect_pack.bgdefect_core.errors import BGDefectError, MaskError, PictureError, SettingError
from bgdefect_pack.bgdefect_core.method.attention_maps import MapRecorder
from bgdefect_pack.bgdefect_core.method.refinement import LabelSettings
from bgdefect_pack.bgdefect_core.quality import QualityLimits
from bgdefect_pack.nodes import _judging
from bgdefect_pack.nodes import _refining as refining
from bgdefect_pack.nodes import _squares as crops

DIFFERENCE = LabelSettings("difference", 0.5)


def pictures(count: int, height: int, width: int, channels: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(seed).random((count, height, width, channels), np.float32)
    )


def box_mask(count: int, height: int, width: int, top: int, left: int, side: int) -> torch.Tensor:
    mask = torch.zeros(count, height, width)
    mask[:, top : top + side, left : left + side] = 1
    return mask


@pytest.mark.parametrize(("height", "width"), [(16, 16), (33, 70), (201, 97), (768, 1024)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_stitching_leaves_every_value_outside_the_seam_as_it_was(
    height: int, width: int, channels: int
) -> None:
    image, mask = pictures(2, height, width, channels), box_mask(1, height, width, 3, 5, 6)
    crop = crops.crop_pictures(image, mask, 64, "defect", 3.0)
    assert crops.cropped_image(crop).shape == (2, 64, 64, 3)
    assert crops.cropped_mask(crop).shape == (2, 64, 64)
    result = crops.stitched(crop, torch.zeros(4, 64, 64, 3))
    assert result.shape == (4, height, width, 3)
    far = torch.ones(height, width, dtype=torch.bool)
    far[0:12, 2:14] = False  # the mask's box and three pixels around it
    colours = image[..., :3] if channels > 1 else image.expand(-1, -1, -1, 3)
    for sample in range(4):
        assert torch.equal(
            result[sample][far], colours[sample % 2][far]
        )  # floats that no byte can hold, too
        assert bool((result[sample][3:9, 5:11] == 0).all())


def test_without_blending_the_square_alone_is_replaced() -> None:
    image, mask = pictures(1, 100, 300), box_mask(1, 100, 300, 40, 150, 8)
    crop = crops.crop_pictures(image, mask, 32, "defect", None)
    result = crops.stitched(crop, torch.ones(1, 32, 32, 3), blend=False)
    box = crop.boxes[0]
    changed = (result != image).any(-1)[0]
    assert int(changed.sum()) == box.side**2
    assert bool(
        (result[0, box.top : box.top + box.side, box.left : box.left + box.side] == 1).all()
    )


def test_with_the_good_squares_what_did_not_change_is_the_picture_itself() -> None:
    image, mask = (pictures(2, 90, 90) * 255).round() / 255, box_mask(1, 90, 90, 30, 30, 20)
    crop = crops.crop_pictures(image, mask, 64, "defect", None)
    normal = torch.full((2, 64, 64, 3), 0.5)
    result = crops.stitched(crop, normal.repeat(2, 1, 1, 1), normal=normal)
    assert result.shape == (4, 90, 90, 3) and torch.allclose(
        result, image.repeat(2, 1, 1, 1), atol=1e-6
    )
    with pytest.raises(PictureError, match="normal is 32 pixels wide and painted 64"):
        crops.stitched(crop, normal, normal=normal[:, :32, :32])
    with pytest.raises(PictureError, match="normal has 1 pictures for 2 squares"):
        crops.stitched(crop, normal, normal=normal[:1])


def test_a_sample_that_is_the_decoded_paste_comes_back_as_the_paste() -> None:
    """The first sample starts from a real defect, the second from noise."""
    image, mask = (pictures(1, 90, 90) * 255).round() / 255, box_mask(1, 90, 90, 30, 30, 20)
    crop = crops.crop_pictures(image, mask, 64, "defect", 0.0)
    normal, pasted = torch.full((1, 64, 64, 3), 0.7), image.clone()
    pasted[:, 30:50, 30:50] = (image[:, 30:50, 30:50] * 51).round() / 255
    paste = crops.pasted_squares(pasted, torch.full((1, 64, 64, 3), 0.1), [0.4, 1.0])
    result = crops.stitched(crop, torch.full((2, 64, 64, 3), 0.1), normal=normal, pasted=paste)
    assert torch.allclose(result[0], pasted[0], atol=1.5 / 255)
    assert float((result[1] - pasted[0]).abs().max()) > 0.05
    assert crops.pasted_squares(None, None, [0.4]) is None
    with pytest.raises(SettingError, match="not all of pasted, pasted_normal and start"):
        crops.pasted_squares(pasted, None, [0.4])
    wrong = crops.pasted_squares(pasted[:, :60], normal, [0.4])
    with pytest.raises(PictureError, match="pasted is 1 of 90 x 60 pixels"):
        crops.stitched(crop, normal, normal=normal, pasted=wrong)
    with pytest.raises(SettingError, match="3 start levels for 1 samples"):
        few = crops.pasted_squares(pasted, normal, [0.4] * 3)
        crops.stitched(crop, normal, normal=normal, pasted=few)


def test_a_further_mask_is_cut_with_the_same_square() -> None:
    first, second = box_mask(1, 80, 80, 10, 10, 4), box_mask(1, 80, 80, 30, 40, 4)
    crop = crops.crop_pictures(
        pictures(1, 80, 80), torch.maximum(first, second), 64, "defect", None
    )
    parts = [crops.cropped_mask(crop, mask) for mask in (first, second)]
    assert torch.equal(torch.maximum(*parts), crops.cropped_mask(crop))
    assert not bool((parts[0] * parts[1]).any())
    large, far = pictures(1, 400, 400), box_mask(1, 400, 400, 390, 390, 4)
    with pytest.raises(MaskError, match="outside its square"):
        crops.cropped_mask(
            crops.crop_pictures(large, box_mask(1, 400, 400, 0, 0, 4), 64, "defect", None), far
        )


def test_a_further_picture_is_cut_with_the_same_square() -> None:
    image, mask = pictures(2, 80, 90), box_mask(1, 80, 90, 10, 10, 4)
    crop = crops.crop_pictures(image, mask, 64, "defect", None)
    assert torch.equal(crops.cropped_image(crop, image), crops.cropped_image(crop))
    other = crops.cropped_image(crop, 1 - image)
    assert torch.allclose(other, 1 - crops.cropped_image(crop), atol=1.5 / 255)
    for wrong in (image[:1], image[:, :60]):
        with pytest.raises(PictureError, match="2 of 90 x 80"):
            crops.cropped_image(crop, wrong)


def test_the_difference_refines_the_mask_in_the_square_and_in_the_picture() -> None:
    image, mask = pictures(1, 200, 120), box_mask(1, 200, 120, 100, 40, 32)
    crop = crops.crop_pictures(
        image, mask, 80, "defect", None
    )  # the square has 80 pixels: no resizing
    normal = torch.full((1, 80, 80, 3), 0.5)
    painted = normal.repeat(2, 1, 1, 1)
    top, left = 100 - crop.boxes[0].top, 40 - crop.boxes[0].left
    painted[1, top : top + 10, left : left + 32] = 0.9
    label, heat = refining.refined(DIFFERENCE, None, painted, normal, None, crop)
    assert label.shape == heat.shape == (2, 200, 120)
    assert not bool(label[0].any()) and not bool(heat[0].any())  # nothing was painted there
    expected = torch.zeros(200, 120)
    expected[100:110, 40:72] = 1
    expected[[100, 100, 109, 109], [40, 71, 40, 71]] = (
        0  # smoothed over 3 x 3 pixels a corner keeps 4/9
    )
    assert torch.equal(label[1], expected)
    square, _ = refining.refined(DIFFERENCE, None, painted, normal, crops.cropped_mask(crop), None)
    assert torch.equal(square[1, top : top + 32, left : left + 32], expected[100:132, 40:72])


def test_in_a_picture_of_two_tones_the_label_is_what_changed() -> None:
    image = torch.ones(1, 64, 64, 3)
    image[:, 20:40] = 0
    mask = box_mask(1, 64, 64, 18, 20, 24)
    crop = crops.crop_pictures(image, mask, 64, "whole", None)
    painted = image.clone()
    painted[:, 20:40, 24:40] = torch.linspace(0, 1, 16)[
        None, None, :, None
    ]  # a gap that fades: its lighter half is there
    result = crops.stitched(crop, painted, normal=image)
    label, _ = refining.refined(DIFFERENCE, None, painted, image, None, crop)
    changed = (result != image).any(-1)
    assert torch.equal(label > 0, changed) and sorted(result.unique().tolist()) == [0, 1]
    assert int(changed.sum()) == 20 * 8


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((None, None, torch.zeros(1, 32, 32, 3), torch.zeros(1, 32, 32), None), "painted"),
        ((None, torch.zeros(1, 32, 32, 3), None, torch.zeros(1, 32, 32), None), "normal"),
        ((None, torch.zeros(1, 32, 32, 3), torch.zeros(1, 32, 32, 3), None, None), "mask"),
        (
            (
                None,
                torch.zeros(1, 32, 32, 3),
                torch.zeros(1, 32, 40, 3),
                torch.ones(1, 32, 32),
                None,
            ),
            "normal",
        ),
    ],
)
def test_refining_names_what_is_missing(arguments: tuple[object, ...], named: str) -> None:
    with pytest.raises(BGDefectError, match=named):
        refining.refined(DIFFERENCE, *arguments)


def test_attention_without_maps_is_refused() -> None:
    with pytest.raises(SettingError, match="maps"):
        refining.refined(
            LabelSettings("attention", 0.5),
            None,
            None,
            None,
            box_mask(1, 32, 32, 4, 4, 4),
            None,
        )


@pytest.mark.parametrize("signal", ["attention", "product"])
def test_maps_that_cannot_serve_are_refused_by_name(signal: str) -> None:
    settings, pair = (
        LabelSettings(signal, 0.5),
        (torch.zeros(3, 32, 32, 3), torch.zeros(1, 32, 32, 3)),
    )
    with pytest.raises(SettingError, match="words is 0"):
        refining.refined(settings, MapRecorder([]), *pair, box_mask(1, 32, 32, 4, 4, 4), None)
    maps = MapRecorder([torch.tensor([1])])
    maps.means[8, 8] = torch.ones(2, 8, 8)
    if signal == "product":
        with pytest.raises(SettingError, match="maps are of 2 samples and painted has 3"):
            refining.refined(settings, maps, *pair, box_mask(1, 32, 32, 4, 4, 4), None)


def test_with_a_crop_what_is_refined_must_be_its_squares() -> None:
    image, mask = pictures(3, 96, 128), box_mask(1, 96, 128, 30, 40, 20)
    crop, square = crops.crop_pictures(image, mask, 64, "defect", None), torch.zeros(3, 64, 64, 3)
    for painted, normal, words in (
        (image, image, "painted is 128 x 96 pixels; expected squares"),
        (square[:2], square[:1], "painted has 2 pictures for 3 squares"),
        (square, square[:1], "normal has 1 pictures for 3 squares"),
    ):
        with pytest.raises(PictureError, match=words):
            refining.refined(DIFFERENCE, None, painted, normal, None, crop)
    attention = LabelSettings("attention", 0.5)
    for maps_of, words in (
        (torch.ones(2, 8, 8), "maps are of 2 samples, 8 x 8 cells"),
        (torch.ones(3, 6, 8), "3 samples, 8 x 6 cells"),
    ):
        maps = MapRecorder([torch.tensor([1])])
        maps.means[maps_of.shape[1], maps_of.shape[2]] = maps_of
        with pytest.raises(SettingError, match=words):
            refining.refined(attention, maps, None, None, None, crop)
    maps = MapRecorder([torch.tensor([1])])
    maps.means[8, 8] = torch.ones(6, 8, 8)
    assert refining.refined(attention, maps, None, None, None, crop)[0].shape == (6, 96, 128)
    with pytest.raises(SettingError, match="maps are of 6 samples and painted has 3"):
        refining.refined(attention, maps, square, None, None, crop)


@pytest.mark.parametrize(
    ("image", "mask", "named"),
    [
        (torch.zeros(2, 40, 40, 3), torch.zeros(1, 40, 40), "mask is empty"),
        (torch.zeros(2, 40, 40, 3), torch.ones(1, 40, 40), "mask is full"),
        (torch.zeros(2, 40, 40, 3), torch.zeros(1, 64, 64), "mask is 64 x 64"),
        (torch.zeros(2, 40, 40, 3), box_mask(3, 40, 40, 1, 1, 2), "mask has 3"),
        (torch.zeros(2, 8, 40, 3), box_mask(1, 8, 40, 1, 1, 2), "image is 40 x 8"),
        (torch.full((1, 40, 40, 3), float("nan")), box_mask(1, 40, 40, 1, 1, 2), "image holds NaN"),
        (torch.zeros(1, 40, 40, 2), box_mask(1, 40, 40, 1, 1, 2), "image has the shape"),
    ],
)
def test_what_cannot_be_cropped_is_named(
    image: torch.Tensor, mask: torch.Tensor, named: str
) -> None:
    with pytest.raises((MaskError, PictureError), match=named):
        crops.crop_pictures(image, mask, 64, "defect", None)


def test_verdicts_follow_the_figures() -> None:
    image, mask = torch.full((1, 120, 120, 3), 0.5), box_mask(1, 120, 120, 50, 50, 20)
    crop = crops.crop_pictures(image, mask, 60, "defect", 2.0)
    normal = torch.full((1, 60, 60, 3), 0.5)
    painted = normal.repeat(3, 1, 1, 1)
    inside = crops.cropped_mask(crop)[0] > 0.5
    painted[0][inside] = 0.9
    painted[2][:] = 0.9  # the background as well
    result = crops.stitched(crop, painted)
    label, _ = refining.refined(DIFFERENCE, None, painted, normal, None, crop)
    verdicts = _judging.judged(crop, painted, normal, result, label, QualityLimits())
    assert [one.judgement.verdict.good for one in verdicts] == [True, False, False]
    assert verdicts[0].judgement.quality.strength == pytest.approx(0.4, abs=1e-6)
    assert (
        verdicts[0].judgement.quality.background_psnr == 100
        and verdicts[0].judgement.quality.background_max == 0
    )
    assert verdicts[1].judgement.verdict.reason == "no visible defect"
    assert verdicts[2].judgement.verdict.reason == "background not kept by the sampler"
    with pytest.raises(PictureError, match="refined has 1"):
        _judging.judged(crop, painted, normal, result, label[:1], QualityLimits())
    with pytest.raises(PictureError, match="normal is 30 pixels"):
        _judging.judged(crop, painted, normal[:, :30, :30], result, label, QualityLimits())
