"""Gray pictures of 12 bits in files of 16, one of which is dark: the evaluation reads all of a
folder by one white level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.reading import read_of_folder
from trainer.data.examples import GOOD, Example
from trainer.data.layouts import ReadingSettings
from trainer.data.paired_good import load_before
from trainer.evaluate.detectors.pictures import load_pairs
from trainer.evaluate.plan.fold import Fold
from trainer.evaluate.samples.sample_set import check_unseen
from trainer.training.cache import Views
from trainer.training.sheet import sheet_items

DARK, LIGHT = 160, 4000


def write(path: Path, value: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.full((32, 32), value // 2, np.uint16)
    values[:16] = value
    Image.fromarray(values).save(path)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A dark picture 0 and a light picture 1 in each folder; pictures before the defect are dark
    alone."""
    for place in ("train/good", "test/pit"):
        for number, value in enumerate((DARK, LIGHT)):
            write(tmp_path / "part" / place / f"{number}.png", value)
    write(tmp_path / "part" / "paired_good" / "pit" / "0.png", DARK)
    mask = np.zeros((32, 32), np.uint8)
    mask[4:12, 4:12] = 255
    truth = tmp_path / "part" / "ground_truth" / "pit"
    truth.mkdir(parents=True)
    for number in range(2):
        Image.fromarray(mask).save(truth / f"{number}_mask.png")
    return tmp_path


def good(root: Path, number: int) -> Example:
    return Example(root / "part" / "train" / "good" / f"{number}.png", (), "part", GOOD, "")


def defect(root: Path, number: int) -> Example:
    image = root / "part" / "test" / "pit" / f"{number}.png"
    mask = root / "part" / "ground_truth" / "pit" / f"{number}_mask.png"
    return Example(image, (mask,), "part", "pit", "")


def test_a_detector_sees_a_dark_picture_as_dark(root: Path) -> None:
    examples = [good(root, 0), good(root, 1), defect(root, 0), defect(root, 1)]
    highest = [int(picture.max()) for picture, _ in load_pairs(examples, 32)]
    assert highest == [DARK >> 4, LIGHT >> 4, DARK >> 4, LIGHT >> 4]


def test_the_picture_before_the_defect_has_the_white_level_of_its_picture(root: Path) -> None:
    before = load_before(defect(root, 0))
    assert before is not None
    assert np.array_equal(before, read_of_folder(defect(root, 0).image))
    assert load_before(defect(root, 1)) is None


def test_the_sheet_shows_a_dark_picture_as_dark(root: Path) -> None:
    items = sheet_items(root, [defect(root, 0)], Views(32, "whole"), ReadingSettings())
    assert int(items[0][0].max()) == DARK >> 4


def test_a_leaked_dark_picture_is_noticed_in_another_folder(root: Path, tmp_path: Path) -> None:
    """A candidate that holds nothing but a copy of the dark picture."""
    candidate = tmp_path / "candidate"
    for place in ("test/pit", "ground_truth/pit"):
        (candidate / "part" / place).mkdir(parents=True)
    example = defect(root, 0)
    for path in (example.image, *example.masks):
        copy = candidate / path.relative_to(root)
        copy.write_bytes(path.read_bytes())
    fold = Fold((), (), (defect(root, 0), defect(root, 1)), (), (), ())
    with pytest.raises(DataError, match="leaks"):
        check_unseen("other", candidate, "part", "pit", fold)
