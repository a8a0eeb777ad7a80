from __future__ import annotations

import numpy as np

from bgdefect_core.method.refinement import LabelSettings, label_of
from bgdefect_core.pictures.mask_shape import MaskShape


def ring() -> np.ndarray:
    mask = np.zeros((20, 20), np.bool_)
    mask[4:16, 4:16] = True
    mask[8:11, 8:11] = False
    return mask


def test_what_occurs_in_more_than_a_tenth_of_the_masks() -> None:
    whole = np.zeros((20, 20), np.bool_)
    whole[4:16, 4:16] = True
    two = whole.copy()
    two[9:11] = False
    assert MaskShape.of([whole] * 9 + [ring()]) == MaskShape(holes=False, pieces=False)
    assert MaskShape.of([whole] * 8 + [ring()] * 2) == MaskShape(holes=True, pieces=False)
    assert MaskShape.of([whole] * 8 + [two] * 2) == MaskShape(holes=False, pieces=True)
    assert type(MaskShape.of([whole]).holes) is bool  # as JSON takes it
    assert MaskShape.of([]) == MaskShape(holes=True, pieces=True)


def test_holes_are_filled_and_crumbs_dropped() -> None:
    label = ring()
    label[0, 0] = label[18, 18] = True
    requested = np.ones((20, 20), np.bool_)
    requested[8, 8] = False
    tidy = MaskShape(holes=False, pieces=False).tidied(label, requested)
    expected = np.zeros((20, 20), np.bool_)
    expected[4:16, 4:16] = True
    expected[8, 8] = False  # never beyond what was asked for
    assert np.array_equal(tidy, expected)
    assert np.array_equal(MaskShape().tidied(label, requested), label)
    two = np.zeros((20, 20), np.bool_)
    two[2:12, 2:6] = two[14:18, 14:18] = True  # 16 of 40: no crumb
    assert np.array_equal(MaskShape(False, False).tidied(two, two), two)


def test_labels_are_tidied_where_the_class_says_so() -> None:
    heat = ring().astype(np.float32)
    requested = np.zeros((20, 20), np.bool_)
    requested[2:18, 2:18] = True
    shape = MaskShape(holes=False, pieces=False)
    assert label_of(heat, requested, LabelSettings())[0].sum() == 135
    assert label_of(heat, requested, LabelSettings(), shape)[0].sum() == 144
    assert label_of(heat, requested, LabelSettings(tidy=False), shape)[0].sum() == 135
