"""Which masks are compared with the human one, and that the figures follow from the settings."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bgdefect_core.errors import SettingError
from bgdefect_core.method.refinement import LabelSettings
from bgdefect_core.method.signals import SIGNALS
from trainer.data.examples import Example
from trainer.data.layouts import find_examples
from trainer.evaluate.measures.agreement import (
    AgreementSettings,
    generated_agreement,
    real_agreement,
)
from trainer.evaluate.samples.sample_set import GeneratedSample, SampleSet

SETTINGS = AgreementSettings(levels=2, seed=3, batch=2)


def spots(root: Path) -> list[Example]:
    return [example for example in find_examples(root) if example.defect == "spot"][:3]


def test_without_pictures_before_attention_and_likelihood_are_compared(
    weights: Path, tiny_base: Path, plates: Path
) -> None:
    found = real_agreement(weights, str(tiny_base), spots(plates), SETTINGS, "cpu")
    assert set(found) == {"requested", "attention", "likelihood"}
    assert {len(pictures) for pictures in found.values()} == {3}
    assert all(one["recall"] == 1 for one in found["requested"])  # it is the dilated box
    assert any(
        one["recall"] < 1 for one in found["likelihood"]
    )  # random weights: the label is a part of it
    assert found == real_agreement(weights, str(tiny_base), spots(plates), SETTINGS, "cpu")
    other = real_agreement(
        weights, str(tiny_base), spots(plates), AgreementSettings(levels=2, seed=4, batch=2), "cpu"
    )
    assert other["requested"] == found["requested"] and other["likelihood"] != found["likelihood"]


def test_masks_are_refined_as_the_generator_refines_its_own(
    weights: Path, tiny_base: Path, plates: Path
) -> None:
    found = real_agreement(weights, str(tiny_base), spots(plates), SETTINGS, "cpu")
    lower = real_agreement(
        weights,
        str(tiny_base),
        spots(plates),
        replace(SETTINGS, label=LabelSettings(peak=50)),
        "cpu",
    )
    assert lower["requested"] == found["requested"]  # a lower peak labels more
    assert sum(one["recall"] for one in lower["likelihood"]) > sum(
        one["recall"] for one in found["likelihood"]
    )
    with pytest.raises(SettingError, match="attention words 'hole'"):
        wrong = replace(SETTINGS, attention_words="hole")
        real_agreement(weights, str(tiny_base), spots(plates), wrong, "cpu")


def test_a_perfect_label_and_an_empty_one_stand_at_the_ends() -> None:
    source, painted = np.full((32, 32, 3), 100, np.uint8), np.zeros((32, 32), bool)
    painted[4:12, 6:20] = True
    picture = np.where(painted[..., None], 180, source).astype(np.uint8)
    samples = [
        GeneratedSample(picture, label, painted, source)
        for label in (painted, np.zeros_like(painted))
    ]
    found = generated_agreement(SampleSet("planted", tuple(samples), {}, 2, 2, 2))["refined"]
    assert found == [dict.fromkeys(("iou", "precision", "recall"), value) for value in (1, 0)]


def test_with_pictures_before_all_signals_are_compared(
    weights: Path, tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    root = tmp_path / "plate"
    shutil.copytree(plates, root)
    for example in spots(root):
        before = root / "paired_good" / "spot" / example.image.name
        before.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / "train" / "good" / "000.png", before)
    found = real_agreement(weights, str(tiny_base), spots(root), SETTINGS, "cpu")
    assert list(found) == ["requested", "attention", "likelihood", "difference", "product"]
    assert set(found) == {"requested", *SIGNALS}
    without = real_agreement(weights, str(tiny_base), spots(plates), SETTINGS, "cpu")
    assert found["likelihood"] == without["likelihood"]  # it needs no picture before
