"""``bgdefect generate --more-like``: which masks are drawn, what the run records, what is
refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from bgdefect_core.declarations import replace_options
from bgdefect_core.errors import BGDefectError, DataError, OtherRunError, SettingError
from bgdefect_core.placement.library import MaskLibrary, RealMask
from bgdefect_core.quality import QualityLimits
from bgdefect_core.records.manifest import ManifestLine, read_manifest
from bgdefect_core.records.misses import KnownDefect, MissReport, mask_digest, read_misses
from bgdefect_core.weights.files import read_info
from trainer.generation.config import GenerateConfig
from trainer.generation.generate import generate
from trainer.generation.more_like import more_like_line, read_more_like
from trainer.generation.pairs import open_pairs

ANYTHING = QualityLimits(0, 0, 0, 0, 255, 0, 0, class_share=0, shared=False)
RATES = {0: 1.0, 1: 0.5, 2: 0.0, 3: 0.0, 4: 0.0}


@pytest.fixture
def config(weights: Path, tiny_base: Path, plates: Path, tmp_path: Path) -> GenerateConfig:
    torch.set_num_threads(1)
    return replace_options(
        GenerateConfig(weights, plates, tmp_path / "out"),
        base=str(tiny_base),
        count=4,
        batch=4,
        retries=0,
        steps=2,
        limits=ANYTHING,
    )


@pytest.fixture
def misses(plates: Path, tmp_path: Path) -> Path:
    """The first five of six spots: the first always missed, the second half of the time."""
    path = tmp_path / "misses.json"
    report(plates, RATES).write(path)
    return path


def report(plates: Path, rates: dict[int, float], defect: str = "spot") -> MissReport:
    known = []
    for number, rate in rates.items():
        mask = plates / f"ground_truth/spot/{number:03d}_mask.png"
        picture = f"plate/test/spot/{number:03d}.png"
        known.append(KnownDefect(picture, mask.name, mask_digest(mask), (0.3, 0.5), rate))
    return MissReport("plate", defect, tuple(known), {"seeds": [0, 1]})


def manifest(config: GenerateConfig) -> list[ManifestLine]:
    return read_manifest(config.output / "extras" / "plate" / "spot" / "manifest.jsonl")


def test_the_file_comes_back_and_says_yes_or_no(misses: Path, plates: Path) -> None:
    assert read_misses(misses) == report(plates, RATES)
    entries = json.loads(misses.read_text())["known"]
    assert [entry["missed"] for entry in entries] == [True, True, False, False, False]
    twice = misses.with_name("twice.json")
    report(plates, RATES).write(twice)
    assert twice.read_bytes() == misses.read_bytes()


def test_frequencies_by_hand(config: GenerateConfig, misses: Path) -> None:
    """1 + 3 r: 4 at r = 1, 2.5 at r = 0.5, the floor of 1 else, also for a mask that the file does
    not know. Shares: 4 and 2.5 of 10.5."""
    drawn = replace_options(config, more_like=misses)
    more_like = open_pairs(drawn, read_info(config.weights)).sources.more_like
    assert more_like is not None
    assert more_like.frequencies == (4.0, 2.5, 1.0, 1.0, 1.0, 1.0)
    line = more_like_line({"more_like": more_like.record})
    assert "000_mask.png 38 %, 001_mask.png 24 %, each other one 10 %" in line
    flat = open_pairs(replace_options(drawn, more_like_factor=0), read_info(config.weights))
    assert flat.sources.more_like is not None
    assert flat.sources.more_like.frequencies == (1.0,) * 6


def test_masks_of_one_picture_share_its_rate(plates: Path, config: GenerateConfig) -> None:
    masks = [plates / f"ground_truth/spot/{number:03d}_mask.png" for number in range(5)]
    names = ["000_mask.png#1", "000_mask.png#2", *(path.name for path in masks[1:])]
    drawn: list[RealMask] = []
    for name, origin in zip(names, [masks[0], *masks], strict=True):
        drawn.append(RealMask(np.ones((2, 2), np.bool_), name, origin=origin))
    path = config.output.with_name("more.json")
    report(plates, RATES).write(path)
    info = read_info(config.weights)
    more_like = read_more_like(path, 1.0, info, MaskLibrary(drawn), masks[0].parent, None)
    assert more_like.frequencies == (2.0, 2.0, 1.5, 1.0, 1.0, 1.0)


def test_pairs_follow_the_frequencies_and_the_seed(config: GenerateConfig, misses: Path) -> None:
    """In ten rounds of six: 60 x 4 / 10.5 = 22.9 of the first mask, 5.7 of each that is found."""
    drawn = replace_options(config, more_like=misses, variations=0)
    info = read_info(config.weights)

    def names(settings: GenerateConfig, count: int = 60) -> list[str]:
        pairs = open_pairs(settings, info)
        return [pairs[index].origin["made_from"] for index in range(count)]

    first = names(drawn)
    assert first.count("000_mask.png") in range(20, 26)
    assert all(1 <= first.count(f"{number:03d}_mask.png") <= 12 for number in (2, 3, 4, 5))
    assert names(drawn, 20) == first[:20]
    assert names(replace_options(drawn, seed=1), 20) != first[:20]


def test_run_manifest_and_page_say_so(config: GenerateConfig, misses: Path, plates: Path) -> None:
    """The content of the file and the factor belong to the run; where the file lies does not."""
    drawn = replace_options(config, more_like=misses)
    generate(drawn)
    frequencies = {"000_mask.png": 4.0, "001_mask.png": 2.5}
    for line in manifest(drawn):
        assert line.settings["more_like"]["factor"] == 3.0
        expected = frequencies.get(line.mask_origin["made_from"], 1.0)
        assert line.mask_origin["frequency"] == expected
    page = (drawn.output / "extras/plate/spot/index.html").read_text()
    assert "Drawn towards missed defects, shares of the masks: 000_mask.png 38 %" in page

    moved = misses.rename(misses.with_name("moved.json"))
    longer = replace_options(drawn, more_like=moved, count=5)
    assert generate(longer).wanted == 5
    report(plates, RATES | {0: 0.0}).write(moved)
    for other in (longer, replace_options(longer, more_like=None)):
        with pytest.raises(OtherRunError, match="more_like"):
            generate(other)


def test_without_the_option_nothing_of_it_is_recorded(config: GenerateConfig) -> None:
    """The factor alone changes no byte of a run."""
    generate(config)
    for line in manifest(config):
        assert not {"more_like", "more_like_factor"} & set(line.settings)
        assert "frequency" not in line.mask_origin
    again = replace_options(config, more_like_factor=7.0, output=config.output.with_name("again"))
    generate(again)
    folder = Path("extras/plate/spot")
    for name in ("pairs.jsonl", "index.html"):
        assert (config.output / folder / name).read_bytes() == (
            again.output / folder / name
        ).read_bytes()
    assert "Drawn towards" not in (again.output / folder / "index.html").read_text()
    for line, twin in zip(manifest(config), manifest(again), strict=True):
        assert line.settings == twin.settings
        assert (config.output / line.file).read_bytes() == (again.output / twin.file).read_bytes()


def refused(
    config: GenerateConfig, plates: Path, misses: Path, case: str
) -> tuple[GenerateConfig, type[BGDefectError], str]:
    folder = misses.parent
    drawn = replace_options(config, more_like=misses)
    if case == "ready masks":
        return replace_options(drawn, masks=folder), SettingError, "ready masks .* more_like"
    if case == "no such file":
        absent = replace_options(config, more_like=folder / "absent.json")
        return absent, DataError, "absent.json is no list of missed defects"
    if case == "another file":
        misses.write_text('{"train": []}')
        return drawn, DataError, "is no list of missed defects"
    if case == "rate out of range":
        misses.write_text(misses.read_text().replace('"miss_rate": 1.0', '"miss_rate": 1.5'))
        return drawn, SettingError, "miss_rate of 000_mask.png"
    if case == "another class":
        report(plates, RATES, "cut").write(misses)
        return drawn, DataError, "is about plate / cut, the weights about plate / spot"
    if case == "another library":
        library = folder / "library"
        library.mkdir()
        shutil.copy(plates / "ground_truth/spot/000_mask.png", library)
        one = replace_options(drawn, mask_library=library)
        return one, DataError, "names 001_mask.png, of which there is no mask"
    if case == "another mask":
        text = misses.read_text()
        digest = mask_digest(plates / "ground_truth/spot/003_mask.png")
        misses.write_text(text.replace(digest, "0" * 64))
        return drawn, DataError, "made with another mask 003_mask.png"
    beside = case == "held out, split beside the weights"
    own = Path(shutil.copy(config.weights, folder))
    split = folder / f"{own.stem}.run" / "split.json"
    split.parent.mkdir()
    listed = {"train": [f"test/spot/{n:03d}.png" for n in (0, 1, 2, 3)]}
    split.write_text(json.dumps(listed | {"held_out": ["test/spot/004.png"]}))
    drawn = replace_options(drawn, weights=own) if beside else drawn
    given = drawn if beside else replace_options(drawn, mask_split=split)
    return given, DataError, "names defects that the training held out: 004_mask.png"


@pytest.mark.parametrize(
    "case",
    [
        "ready masks",
        "no such file",
        "another file",
        "rate out of range",
        "another class",
        "another library",
        "another mask",
        "held out, split beside the weights",
        "held out, split given",
    ],
)
def test_what_does_not_belong_is_refused_by_name(
    config: GenerateConfig, plates: Path, misses: Path, case: str
) -> None:
    wrong, error, message = refused(config, plates, misses, case)
    with pytest.raises(error, match=message):
        generate(wrong)
    assert not config.output.exists()
