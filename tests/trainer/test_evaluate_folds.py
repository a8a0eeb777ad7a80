"""No part stands on two sides: in splits that are made, and in split files that somebody edited."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bgdefect_core.declarations import flat_values, replace_options
from bgdefect_core.errors import DataError, SettingError
from bgdefect_core.pictures.writing import write_mask, write_picture
from bgdefect_core.quality import QualityLimits
from trainer.data.splits import group_of
from trainer.evaluate.command import take_file
from trainer.evaluate.config import (
    NO_DATA,
    RECIPES,
    EvaluateConfig,
    read_config,
    recipe_path,
)
from trainer.evaluate.plan.fold import Fold, read_fold, write_fold
from trainer.evaluate.plan.folds import make_folds
from trainer.evaluate.plan.plan import Cell, DetectorScope, make_cells, make_scopes
from trainer.evaluate.report.goals import naive_of
from trainer.evaluate.samples.cell_samples import check_candidates
from trainer.evaluate.samples.methods import read_method

from .conftest import evaluation


def cells_of(config: EvaluateConfig) -> list[Cell]:
    return make_cells(config.plan, config.seed, config.output, write=False)


def scopes_of(config: EvaluateConfig) -> list[DetectorScope]:
    return make_scopes(config.plan, cells_of(config), config.output, write=False)


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An object of 8 parts with 3 pictures each of ``dent``; 4 of the parts, and 6 others, have
    good pictures."""
    root = tmp_path_factory.mktemp("grouped") / "lid"
    picture, mask = np.full((32, 32, 3), 120, np.uint8), np.zeros((32, 32), bool)
    mask[10:14, 10:14] = True
    lines = ["file,group"]
    for index in range(24):
        write_picture(root / f"test/dent/{index:03d}.png", picture)
        write_mask(root / f"ground_truth/dent/{index:03d}_mask.png", mask)
        lines.append(f"test/dent/{index:03d}.png,part{index // 3}")
    for side, count in (("train", 14), ("test", 6)):
        for index in range(count):
            write_picture(root / f"{side}/good/{index:03d}.png", picture)
            lines.append(
                f"{side}/good/{index:03d}.png,part{2 * (index % 10) + (side == 'test') * 20}"
            )
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.mark.parametrize("number", [0, 1])
def test_no_part_stands_on_two_sides(grouped: Path, number: int) -> None:
    fold = make_folds(
        evaluation(grouped, validation=3, validation_good=2).plan, 0, "lid", ["dent"], number
    )[0]
    sides = [
        (fold.pool, fold.good_train),
        (fold.validation, fold.good_validation),
        (fold.test, fold.good_test),
    ]
    groups = [{group_of(one) for some in side for one in some} for side in sides]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    assert all(some for side in sides for some in side)
    assert len(fold.test) == 12


@pytest.mark.parametrize("side", ["train", "test"])
def test_good_pictures_of_one_side_alone_are_divided(side: str, tmp_path: Path) -> None:
    root, picture = tmp_path / "lid", np.full((32, 32, 3), 120, np.uint8)
    mask = np.zeros((32, 32), bool)
    mask[10:14, 10:14] = True
    for index in range(4):
        write_picture(root / f"test/dent/{index:03d}.png", picture)
        write_mask(root / f"ground_truth/dent/{index:03d}_mask.png", mask)
        write_picture(root / f"{side}/good/{index:03d}.png", picture)
    fold = make_folds(evaluation(root).plan, 0, "lid", ["dent"], 0)[0]
    assert len(fold.good_train) == len(fold.good_test) == 2
    assert not set(fold.good_train) & set(fold.good_test)


def test_classes_whose_parts_fall_into_different_halves_share_no_detector(
    grouped: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(grouped, tmp_path / "lid")
    for side in ("test", "ground_truth"):
        (root / side / "cut").mkdir()
    for index in range(8):  # the parts of the last dents come first among the cuts
        shutil.copy(root / "test/dent/000.png", root / f"test/cut/{index:03d}.png")
        shutil.copy(
            root / "ground_truth/dent/000_mask.png", root / f"ground_truth/cut/{index:03d}_mask.png"
        )
    lines = [f"test/cut/{index:03d}.png,part{7 - index}\n" for index in range(8)]
    (root / "manifest.csv").write_text((root / "manifest.csv").read_text() + "".join(lines))
    config = evaluation(
        root, folds=(0,), shots=(2,), validation=2, validation_good=2, detectors_by="object"
    )
    with pytest.raises(
        DataError, match="lid, fold 0, all classes together leaks: .* show one part"
    ):
        scopes_of(config)
    one = replace_options(config, classes=("lid/dent",))
    (alone,) = scopes_of(one)
    assert alone.whole.data.fold == make_folds(one.plan, 0, "lid", ["dent"], 0)[0]


@pytest.fixture
def two_classes(tmp_path: Path) -> Path:
    """An object with 12 cuts and 20 dents, 60 good pictures to train on, 10 to test on."""
    root, rng = tmp_path / "cup", np.random.default_rng(0)
    mask = np.zeros((32, 32), bool)
    mask[5:9, 5:9] = True
    for folder, count in (
        ("train/good", 60),
        ("test/good", 10),
        ("test/cut", 12),
        ("test/dent", 20),
    ):
        for index in range(count):
            write_picture(
                root / f"{folder}/{index:03d}.png",
                rng.integers(0, 255, (32, 32, 3), dtype=np.uint8),
            )
            if folder in ("test/cut", "test/dent"):
                write_mask(root / f"ground_truth/{folder[5:]}/{index:03d}_mask.png", mask)
    return root


@pytest.mark.parametrize(
    "parts", [False, True], ids=["single pictures", "parts with good pictures"]
)
def test_classes_that_share_a_detector_share_their_good_pictures(
    two_classes: Path, parts: bool
) -> None:
    if parts:  # of twelve parts there are a cut and a good picture
        lines = [
            f"test/cut/{i:03d}.png,part{i}\ntrain/good/{i:03d}.png,part{i}\n" for i in range(12)
        ]
        (two_classes / "manifest.csv").write_text("file,group\n" + "".join(lines))
    config = evaluation(two_classes, folds=(0, 1), shots=(0,), detectors_by="object")
    for tested in scopes_of(config):
        whole = tested.whole.data.fold
        held = {*whole.good_validation, *whole.good_test}
        assert len(tested.cells) == 2 and whole.good_validation
        for cell in tested.cells:  # what its generator paints into
            assert not held & set(cell.data.fold.good_train)
            sides = {group_of(one) for one in (*whole.test, *whole.validation, *held)}
            assert not sides & {group_of(one) for one in cell.data.fold.good_train}
    alone = replace_options(config, detectors_by="class")
    assert [cell.data.fold for cell in cells_of(alone)] == [
        make_folds(alone.plan, 0, "cup", [defect], number)[0]
        for defect in ("cut", "dent")
        for number in (0, 1)
    ]


def test_split_files_whose_classes_disagree_about_good_pictures_are_refused(
    two_classes: Path, tmp_path: Path
) -> None:
    config = evaluation(
        two_classes, folds=(0,), shots=(0,), detectors_by="object", splits=tmp_path / "splits"
    )
    for defect in ("cut", "dent"):
        write_fold(
            tmp_path / "splits" / f"cup-{defect}-fold0.json",
            make_folds(config.plan, 0, "cup", [defect], 0)[0],
            two_classes,
        )
    with pytest.raises(DataError, match="all classes together leaks"):
        scopes_of(config)


def test_a_candidate_may_hold_nothing_that_its_object_tests(
    two_classes: Path, tmp_path: Path
) -> None:
    """With one detector an object, a cut among the test pictures is held out for the dents'
    candidate, too."""
    config = evaluation(
        two_classes,
        output=tmp_path / "out",
        folds=(0,),
        shots=(0,),
        detectors_by="object",
        dry_run=True,
    )
    (tested,) = scopes_of(config)
    root = tmp_path / "other" / "cup"
    for defect in ("cut", "dent"):
        shutil.copytree(two_classes / "ground_truth" / defect, root / "ground_truth" / defect)
        for path in sorted((two_classes / "ground_truth" / defect).iterdir()):
            write_picture(
                root / "test" / defect / f"{path.stem[:3]}.png", np.zeros((32, 32, 3), np.uint8)
            )
    config = replace_options(config, candidate=(f"other={tmp_path / 'other'}",))
    check_candidates(config.sampling, [tested])
    cut = next(one for one in tested.whole.data.fold.test if one.defect == "cut")
    shutil.copy(cut.image, root / "test/dent/000.png")
    with pytest.raises(DataError, match=f"'other' leaks: .*dent/000.png is .*cut/{cut.image.name}"):
        check_candidates(config.sampling, [tested])


def test_the_folds_swap_their_sides(grouped: Path) -> None:
    one, two = (
        make_folds(evaluation(grouped).plan, 0, "lid", ["dent"], number)[0] for number in (0, 1)
    )
    assert set(one.test) >= {*two.pool, *two.validation} and not set(one.test) & set(two.test)


def test_shots_are_different_parts_as_long_as_there_are_some(grouped: Path) -> None:
    fold = make_folds(evaluation(grouped, validation=3).plan, 0, "lid", ["dent"], 0)[0]
    parts = len({group_of(one) for one in fold.pool})
    assert len({group_of(one) for one in fold.shots(parts, 0)}) == parts
    assert fold.shots(2, 0) == fold.shots(2, 0) and len(fold.shots(parts + 1, 0)) == parts + 1
    assert fold.shots(0, 0) == fold.pool
    with pytest.raises(DataError, match="fewer shots"):
        fold.shots(99, 0)


def leak_picture(lists: dict[str, list[str]]) -> None:
    lists["pool"].append(lists["test"][0])


def leak_part(lists: dict[str, list[str]]) -> None:
    lists["pool"].append(lists["test"].pop())  # its part's other pictures still test


def leak_into_validation(lists: dict[str, list[str]]) -> None:
    lists["validation"].append(lists["test"].pop())


def leak_good(lists: dict[str, list[str]]) -> None:
    lists["good_train"].append(lists["good_test"][0])


@pytest.mark.parametrize("leak", [leak_picture, leak_part, leak_into_validation, leak_good])
def test_a_leak_planted_in_a_split_file_is_refused(
    grouped: Path, tmp_path: Path, leak: object
) -> None:
    config = evaluation(grouped, splits=tmp_path, folds=(0,), shots=(2,))
    fold = make_folds(config.plan, 0, "lid", ["dent"], 0)[0]
    path = tmp_path / "lid-dent-fold0.json"
    write_fold(path, fold, grouped)
    assert read_fold(path, grouped, "lid", "dent") == fold
    lists = json.loads(path.read_text())
    leak(lists)  # type: ignore[operator]
    path.write_text(json.dumps(lists))
    with pytest.raises(DataError, match="leaks"):
        cells_of(config)


def test_damaged_splits_and_unknown_classes_say_what_to_do(grouped: Path, tmp_path: Path) -> None:
    config = evaluation(grouped, splits=tmp_path)
    with pytest.raises(DataError, match="no split of an evaluation"):
        cells_of(config)
    write_fold(tmp_path / "lid-dent-fold0.json", Fold((), (), (), (), (), ()), grouped)
    with pytest.raises(DataError, match="no pictures are left for pool"):
        cells_of(config)
    for wrong in (
        evaluation(grouped, classes=("lid/rust",)),
        evaluation(grouped, objects=("lid", "cup")),
    ):
        with pytest.raises(DataError, match="rust|cup"):
            cells_of(wrong)
    absent = evaluation(grouped, tmp_path / "out", candidate=(f"other={tmp_path / 'nothing'}",))
    with pytest.raises(DataError):
        check_candidates(absent.sampling, scopes_of(absent))


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.json")), ids=lambda path: path.stem)
def test_every_recipe_is_a_config_that_only_lacks_its_data(path: Path, tmp_path: Path) -> None:
    default, rest = take_file(["--recipe", path.stem, "--seed", "3"])
    assert default is not None and default.plan.data == NO_DATA and rest == ["--seed", "3"]
    with pytest.raises(SettingError, match="no data set is given"):
        default.check()
    settings = json.loads(path.read_text()) | {"data": str(tmp_path)}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    config = read_config(tmp_path / "config.json")
    if path.stem.startswith("mvtec"):  # about another base than the embedded one
        with pytest.raises(
            SettingError,
            match="no base is given; expected --base with a Stable Diffusion 1.5 checkpoint",
        ):
            config.check()
        config = replace_options(config, base="sd15.safetensors")
    config.check()


@pytest.mark.parametrize("name", ["mvtec_ad", "mvtec_loco"])
def test_the_mvtec_recipes_hold_to_the_paper(name: str) -> None:
    config = read_config(recipe_path(name))
    ours, naive, from_noise, _ = config.sampling.methods
    assert (
        config.plan.folds == (0, 1)
        and config.plan.shots == (0,)
        and config.sampling.train_steps == 500
        and config.detector.detector_steps * config.detector.detector_batch == 200 * 500
        and config.detector.network == "draem"
        and config.sampling.samples == 500
    )
    assert ours.train == {
        "zoom": "whole",
        "resolution": 256,
        "flips": False,
        "quarter_turns": False,
    }
    painted = {
        "steps": 50,
        "spacing": "leading",
        "solver": "ddim",
        "background": "masked",
        "stitch": False,
        "signal": "attention",
        "threshold": 0.5,
        "peak": 100,
        "guidance": (1.0,),
        "detail": False,
    }
    assert painted.items() <= ours.generate_settings.items()
    limits = flat_values(QualityLimits())
    limits |= {name: ours.generate_settings.get(name, limit) for name, limit in limits.items()}
    assert limits.pop("max_background_max") == 255 and not any(limits.values())
    assert naive.train == from_noise.train == ours.train | {"loss": "naive"}
    assert (
        naive.generate == ours.generate
        and from_noise.from_noise
        and from_noise.generate_settings.items() <= ours.generate_settings.items()
        and naive_of(config.sampling.methods) == naive
    )
    assert (config.plan.detectors_by == "object") == (name == "mvtec_ad") and len(
        config.plan.objects
    ) == {
        "mvtec_ad": 15,
        "mvtec_loco": 5,
    }[name]


def test_a_runs_record_is_a_config_file(tmp_path: Path) -> None:
    config = evaluation(
        tmp_path,
        parts=("realism",),
        shots=(2, 5),
        seeds=(4,),
        candidate=("other=x",),
        detector_lr=0.01,
    )
    (tmp_path / "config.json").write_text(json.dumps(config.record()))
    assert read_config(tmp_path / "config.json") == config


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"epocs": 3}, "epocs"),
        ({"detector_steps": "three"}, "detector_steps"),
        ({"parts": ["realismus"]}, "realismus"),
        ({"crop": 512}, "crop is 512"),
        ({"resolution": 100, "crop": 32}, "multiple of 32"),
        ({"arms": ["all real"]}, "'real' is left out"),
        ({"seeds": []}, "seeds is empty"),
        ({"generators": ["a", "a:steps=10"]}, "given twice"),
        ({"generators": ["a:stepps=10"]}, "stepps"),
        ({"generators": ["a:steps=ten"]}, "ten"),
        ({"candidate": ["folder"]}, "NAME=FOLDER"),
        ({"data": 5}, "data is 5"),
        ({"shots": ["x"]}, "shots is 'x'"),
        ({"seeds": [True]}, "seeds is True"),
        ({"generators": [3]}, "generators is 3"),
        ({"generators": ["../x:steps=10"]}, "name '../x' of a generation method"),
        ({"generators": [":steps=10"]}, "name '' of a generation method"),
        ({"candidate": ["a/b=folder"]}, "name 'a/b' of a candidate"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, settings: dict[str, object], match: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"data": str(tmp_path)} | settings))
    with pytest.raises(SettingError, match=match):
        read_config(tmp_path / "config.json").check()


def test_generators_part_training_from_generation() -> None:
    spec = read_method("naive:loss=naive,steps=20,train_zoom=whole")
    assert (spec.name, dict(spec.train), dict(spec.generate)) == (
        "naive",
        {"loss": "naive", "zoom": "whole"},
        {"steps": 20},
    )
    assert dict(read_method("plain:detail=false").generate) == {"detail": False}
    with pytest.raises(
        SettingError,
        match="detail is 'no' in the generation method 'plain'; expected true or false",
    ):
        read_method("plain:detail=no")
    assert recipe_path("deeppcb").is_file()
    with pytest.raises(SettingError, match="deeppcb"):
        recipe_path("nothing")
    with pytest.raises(SettingError, match="one of the two"):
        take_file(["--recipe", "deeppcb", "--config", "x.json"])
