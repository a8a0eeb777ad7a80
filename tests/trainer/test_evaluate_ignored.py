"""Regions of other classes, and those to be ignored, are neither defect nor background to the
detector of a class: in its loss, in its metrics, in what identifies it. Worked by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bgdefect_core.pictures.picture import Pixels
from trainer.data.layouts import find_examples
from trainer.evaluate.detectors.fit import draw_batch
from trainer.evaluate.detectors.losses import dice_loss, focal_loss
from trainer.evaluate.detectors.metrics import aupro, detection_metrics, picture_figures
from trainer.evaluate.detectors.pictures import Pair, load_pairs, squared
from trainer.evaluate.detectors.training_data import ArmData
from trainer.evaluate.detectors.truth import IGNORED, Truth
from trainer.evaluate.misses.scoring import turn_figures
from trainer.evaluate.plan.fold import Fold
from trainer.evaluate.plan.plan import FoldData

pytest.importorskip("sklearn")
SIDE = 32


def box(label: str, top: int, left: int, bottom: int, right: int) -> dict[str, object]:
    points = [[left, top], [right, bottom]]
    return {"label": label, "shape_type": "rectangle", "points": points}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A picture with a scratch of 4 x 4, a dent of 4 x 8 and a place to ignore of 2 x 2."""
    folder = tmp_path / "part"
    folder.mkdir()
    Image.new("RGB", (SIDE, SIDE), (90, 90, 90)).save(folder / "a.png")
    shapes = [box("scratch", 2, 2, 6, 6), box("dent", 20, 20, 24, 28), box("ignore", 10, 2, 12, 4)]
    content = {"shapes": shapes, "imagePath": "a.png", "imageHeight": SIDE, "imageWidth": SIDE}
    (folder / "a.json").write_text(json.dumps(content))
    return folder


def truth_of_scratch() -> Truth:
    truth = np.zeros((SIDE, SIDE), np.int8)
    truth[2:6, 2:6] = 1
    truth[20:24, 20:28] = IGNORED
    truth[10:12, 2:4] = IGNORED
    return truth


def test_others_are_read_as_neither(root: Path) -> None:
    (pair,) = load_pairs(find_examples(root, None, "scratch"), SIDE)
    assert np.array_equal(pair[1], truth_of_scratch())
    (dent,) = load_pairs(find_examples(root, None, "dent"), SIDE)
    assert (dent[1] == 1).sum() == 32 and (dent[1] == IGNORED).sum() == 16 + 4


def test_where_both_meet_it_is_the_defect() -> None:
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    picture: Pixels = np.zeros((4, 4, 3), np.uint8)
    assert (
        squared(picture, mask, 4, np.ones((4, 4), bool))[1].tolist()
        == [[1] * 4] * 2 + [[IGNORED] * 4] * 2
    )
    assert squared(picture, mask, 4, mask)[1].dtype == np.bool_  # nothing is left to ignore


def test_metrics_by_hand() -> None:
    """The detector says 0.9 on the dent and at 8 of the scratch's 16 pixels, 0.5 at 16 of the
    background, 0.1 elsewhere.

    Of the 1024 pixels 36 do not count. AP: 8 of 16 at precision 1; the others at 0.1 with all 988:
    0.5 + 0.5 * 16 / 988. F1-max: at 0.9, 2 * 8 / (16 + 8). AUROC: half of the scratch is above all,
    the others share 0.1 with 956 of the 972 of the background and lie below 16 of them. AUPRO: the
    overlap is 0.5 from rate 0 to 16 / 972, then rises linearly to 1 at rate 1.
    """
    truth = truth_of_scratch()
    anomaly = np.full((SIDE, SIDE), 0.1, np.float32)
    anomaly[truth == IGNORED] = 0.9
    anomaly[2:4, 2:6] = 0.9
    anomaly[28:30, 8:16] = 0.5
    good = np.full((SIDE, SIDE), 0.1, np.float32)
    nothing = np.zeros((SIDE, SIDE), bool)
    alone = detection_metrics([truth, nothing], [anomaly, good])
    counted = 2 * SIDE * SIDE - 36
    background = counted - 16
    assert alone["pixel_ap"] == pytest.approx(0.5 + 0.5 * 16 / counted, abs=1e-6)
    assert alone["pixel_f1max"] == pytest.approx(16 / 24, abs=1e-6)
    tied = (background - 16) / background
    assert alone["pixel_auroc"] == pytest.approx(0.5 + 0.5 * tied / 2, abs=1e-6)
    limit = 0.3
    flat = 16 / background
    end = 0.5 + 0.5 * (limit - flat) / (1 - flat)
    area = 0.5 * flat + (0.5 + end) / 2 * (limit - flat)
    assert aupro([truth, nothing], [anomaly, good]) == pytest.approx(area / limit, abs=1e-6)
    as_background = detection_metrics([truth > 0, nothing], [anomaly, good])
    assert as_background["pixel_ap"] < 0.2 < 0.5 < alone["pixel_ap"]


def test_what_is_ignored_does_not_make_a_picture_score_high() -> None:
    """Only the dent is seen: the picture with the scratch scores below the good one, of 0.2."""
    truth = truth_of_scratch()
    anomaly = np.where(truth == IGNORED, np.float32(0.9), np.float32(0.1))
    good = np.full((SIDE, SIDE), 0.2, np.float32)
    nothing = np.zeros((SIDE, SIDE), bool)
    figures = picture_figures([truth, nothing], [anomaly, good])
    assert figures["defect_scores"] == pytest.approx([0.1], rel=1e-5)
    assert detection_metrics([truth, nothing], [anomaly, good])["image_auroc"] == 0
    # 16 pixels of 0.1 below all of the good picture: 16 of the 2012 that count
    assert figures["defect_precision"] == pytest.approx([16 / (2 * SIDE * SIDE - 36)])


def test_losses_by_hand() -> None:
    """As the tests of both losses, beside a pixel that is wrong and does not count."""
    logits = torch.tensor([[[[0.0, 2.0, 50.0]], [[0.0, 0.0, -50.0]]]], requires_grad=True)
    truth = torch.tensor([[[1, 0, IGNORED]]], dtype=torch.int8)
    p = 1 / (1 + math.exp(-2))
    expected = (0.25 * -math.log(0.5) + (1 - p) ** 2 * -math.log(p)) / 2
    loss = focal_loss(logits, truth)
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    loss.backward()
    assert logits.grad is not None and not logits.grad[..., 2].any() and logits.grad[..., 0].any()
    sure = torch.tensor([[[[0.0, 0.0, 50.0, -50.0]], [[0.0, 50.0, 0.0, 50.0]]]])
    truth = torch.tensor([[[0, 1, 1, IGNORED]]], dtype=torch.int8)
    assert float(dice_loss(sure, truth)) == pytest.approx(1 - 3 / 4.5, rel=1e-6)


def test_drawn_crops_carry_what_is_ignored() -> None:
    picture: Pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pair: Pair = (picture, truth_of_scratch())
    data = ArmData([picture], [pair], augment=True)
    _, truths = draw_batch(data, 4, SIDE, 0.0, 0, 0)
    assert truths.dtype == torch.int8
    assert [int((truth == IGNORED).sum()) for truth in truths] == [36, 0, 36, 0]
    assert [int((truth == 1).sum()) for truth in truths] == [16, 0, 16, 0]


def test_misses_and_identity(root: Path) -> None:
    """A detector that is sure of the dent alone misses the scratch, and raises no alarm by it."""

    class SureOfDents(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(len(pictures), 2, SIDE, SIDE)
            logits[:, 0] = 3
            logits[:, 1, 20:24, 20:28] = 9
            return logits

    defects = load_pairs(find_examples(root, None, "scratch"), SIDE)
    good: Pair = (np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((SIDE, SIDE), bool))
    figures = turn_figures(SureOfDents(), defects, [good])
    low = (16 / 21) ** 2 / (1 + math.exp(3))  # of the window of 21 at 5, 5, 16 rows are inside
    assert figures["defects"] == pytest.approx([low], rel=1e-4)
    # all of the scratch is tied with the background: 16 of the pixels that count; 32 of the good
    # picture are above
    assert figures["pixel_ap"] == pytest.approx(16 / (2 * SIDE * SIDE - 36), abs=1e-6)
    (scratch,) = find_examples(root, None, "scratch")
    fold = Fold((scratch,), (), (), (), (), ())
    assert set(FoldData("part", "scratch", 0, fold, root).ignored) == {"ignored"}
    plain = Fold((find_examples(root, None, "dent")[0],), (), (), (), (), ())
    assert FoldData("part", "dent", 0, plain, root).ignored != {}
