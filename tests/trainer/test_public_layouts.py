"""The folder forms of public data sets: classes, groups, sides, masks, which layout is taken."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bgdefect_core.errors import DataError, MaskError
from bgdefect_core.pictures import listing
from bgdefect_core.pictures.mask_values import NONZERO
from trainer.data.check import CheckConfig, check
from trainer.data.examples import load_example
from trainer.data.gathering import gather
from trainer.data.layouts import (
    LAYOUTS,
    ReadingSettings,
    black_masks,
    find_examples,
    good_examples,
    layout_of,
)
from trainer.data.splits import group_of, split_halves

from .annotated_sets import coco_nut, labelme_nut, yolo_nut
from .public_sets import (
    btad_nut,
    ksdd2_nut,
    ksdd_nut,
    mask,
    picture,
    real_iad,
    real_iad_nut,
    split_table,
    view,
    visa_nut,
)

BUILDERS: dict[str, Callable[[Path], Path]] = {
    "visa": visa_nut,
    "real_iad": real_iad_nut,
    "ksdd": ksdd_nut,
    "ksdd2": ksdd2_nut,
    "btad": btad_nut,
}
OTHERS = {"coco": coco_nut, "yolo": yolo_nut, "labelme": labelme_nut}


def names_of(root: Path, object: str, side: str = "train") -> list[str]:
    return [example.image.name for example in good_examples(root, object, side)]


@pytest.mark.parametrize("name", BUILDERS)
def test_no_other_layout_with_labels_recognises_it(name: str, tmp_path: Path) -> None:
    root = BUILDERS[name](tmp_path / "nut")
    others = set(LAYOUTS) - {name, "mvtec", "mvtec_loco", "plain"}
    assert not any(LAYOUTS[other].recognises(root) for other in others)
    assert layout_of(root).name == name
    assert layout_of(root, ReadingSettings(layout=name)).name == name


@pytest.mark.parametrize("name", BUILDERS)
def test_it_recognises_no_other_data_set(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    for other, build in (BUILDERS | OTHERS).items():
        assert layout.recognises(build(tmp_path / other / "nut")) == (other == name), other
    plate = tmp_path / "plate"
    picture(plate / "train/good/000.png")
    picture(plate / "test/ko/000.png")
    mask(plate / "ground_truth/ko/000_mask.png")
    assert not layout.recognises(plate) and layout_of(plate).name == "mvtec"
    forced = ReadingSettings(layout=name)
    with pytest.raises(DataError, match=f"has not the layout {name}"):
        find_examples(plate, reading=forced)


@pytest.mark.parametrize("name", BUILDERS)
def test_every_value_but_0_is_the_defect(name: str, tmp_path: Path) -> None:
    examples = find_examples(BUILDERS[name](tmp_path / "nut"))
    assert {example.values for example in examples} == {NONZERO}
    assert [int(load_example(example)[1].sum()) for example in examples] == [24] * 3


@pytest.mark.parametrize("name", BUILDERS)
def test_it_is_checked_and_gathered(name: str, tmp_path: Path) -> None:
    root = BUILDERS[name](tmp_path / "nut")
    files = gather(root)
    assert len({file.name for file in files}) == len(files)
    assert sum(bool(file.examples) for file in files) == 3
    assert check(CheckConfig(root)).layout == name


# --- VisA


def visa(root: Path) -> Path:
    for name in ("candle", "pcb1"):
        visa_nut(root / name)
    return root


def test_visa_sides_come_from_its_table(tmp_path: Path) -> None:
    root = visa(tmp_path / "VisA")
    assert names_of(root, "pcb1") == names_of(root, "pcb1", "test") == ["0000.JPG", "0001.JPG"]
    rows = [
        "candle,train,normal,candle/Data/Images/Normal/0000.JPG,",
        "candle,test,normal,candle/Data/Images/Normal/0001.JPG,",
        "pcb1,train,normal,pcb1/Data/Images/Normal/0000.JPG,",
        "pcb1,train,normal,pcb1/Data/Images/Normal/0001.JPG,",
        "pcb1,test,anomaly,pcb1/Data/Images/Anomaly/000.JPG,pcb1/Data/Masks/Anomaly/000.png",
        "fryum,test,normal,../../elsewhere/0009.JPG,",
    ]
    split_table(root, rows)
    assert names_of(root, "candle") == ["0000.JPG"]
    assert names_of(root, "candle", "test") == ["0001.JPG"]
    assert names_of(root, "pcb1") == ["0000.JPG", "0001.JPG"] and not names_of(root, "pcb1", "test")
    classes = {(example.object, example.defect) for example in find_examples(root)}
    assert classes == {("candle", "anomaly"), ("pcb1", "anomaly")}
    with pytest.raises(DataError, match="holds 2 objects"):
        layout_of(root).good_examples(root, None, "train")


def test_visa_kinds_are_chosen_by_their_values(tmp_path: Path) -> None:
    reading = ReadingSettings(mask_values="2,3")
    examples = find_examples(visa_nut(tmp_path / "nut"), reading=reading)
    assert load_example(examples[1])[1].sum() == 24
    with pytest.raises(MaskError, match="no pixel of the mask values 2,3"):
        load_example(examples[0])


def test_visa_names_what_is_missing(tmp_path: Path) -> None:
    root = visa_nut(tmp_path / "nut")
    split_table(root, []).write_text("object,label\nnut,normal\n")
    with pytest.raises(DataError, match="lacks the columns split, image"):
        good_examples(root, "nut")
    (root / "Data/Masks/Anomaly/001.png").rename(root / "Data/Masks/Anomaly/007.png")
    with pytest.raises(DataError, match=r"001\.JPG has no mask"):
        find_examples(root)
    (root / "Data/Images/Anomaly/001.JPG").unlink()
    with pytest.raises(DataError, match=r"007\.png has no picture"):
        find_examples(root)


# --- BTAD


def test_btad_objects_and_sides(tmp_path: Path) -> None:
    for name in ("01", "02"):
        btad_nut(tmp_path / "BTech" / name)
    root = tmp_path / "BTech"
    assert layout_of(root).name == "btad" and len(find_examples(root, "02")) == 3
    assert names_of(root, "01") == ["0000.bmp", "0001.bmp"]
    assert names_of(root, "01", "test") == ["0009.bmp"]
    picture(root / "02/test/scratch/0000.bmp")  # a data set of the user's own
    assert layout_of(root).name == "mvtec"


# --- Kolektor


def test_the_pictures_of_a_kolektor_folder_are_a_group(tmp_path: Path) -> None:
    root = ksdd_nut(tmp_path / "nut")
    examples = find_examples(root)
    assert [example.group for example in examples] == ["kos01", "kos01", "kos02"]
    good = good_examples(root, "nut")
    assert [example.group for example in good] == ["kos01", "kos02"]
    assert good == good_examples(root, "nut", "test")  # it has no sides
    split = split_halves(examples)
    assert {example.group for example in split.train} == {"kos01"}
    assert {example.group for example in split.held_out} == {"kos02"}


def test_kolektor_2_has_sides_and_leaves_copies_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listing.report_once.cache_clear()
    root = ksdd2_nut(tmp_path / "nut")
    picture(root / "train/10301 (copy).png")
    mask(root / "train/10301_GT (copy).png")
    with caplog.at_level(logging.WARNING):
        files = [example.image.name for example in find_examples(root)]
    assert files == ["10001.png", "10301.png", "20000.png"]
    assert "passed over 10301 (copy).png, 10301_GT (copy).png" in caplog.text
    assert names_of(root, "nut") == ["10000.png", "10002.png"]
    assert names_of(root, "nut", "test") == ["20001.png"]


@pytest.mark.parametrize(
    ("build", "label"),
    [(ksdd_nut, "kos01/Part2_label.bmp"), (ksdd2_nut, "train/10000_GT.png")],
)
def test_a_black_mask_is_read_once(
    build: Callable[[Path], Path], label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = build(tmp_path / "nut")
    read: list[Path] = []
    decode = black_masks.decode

    def counted(path: Path, error: type[MaskError]) -> object:
        read.append(path)
        return decode(path, error)

    monkeypatch.setattr(black_masks, "decode", counted)
    for _ in range(2):
        assert len(find_examples(root)) == 3 and len(good_examples(root, "nut")) == 2
    assert len(read) == len(set(read)) > 3
    changed = mask(root / label, 7)
    os.utime(changed, ns=(1, 1))  # another state, on file systems with coarse times too
    assert len(find_examples(root)) == 4 and len(good_examples(root, "nut")) == 1


def test_a_damaged_kolektor_mask_is_named_where_it_is_used(tmp_path: Path) -> None:
    root = ksdd_nut(tmp_path / "nut")
    (root / "kos02/Part0_label.bmp").write_bytes(b"BM nothing")
    examples = find_examples(root)
    assert len(examples) == 4
    with pytest.raises(MaskError, match=r"kos02.Part0_label\.bmp"):
        load_example(examples[2])


def test_kolektor_names_what_is_missing(tmp_path: Path) -> None:
    root = ksdd_nut(tmp_path / "nut")
    (root / "kos02/Part0_label.bmp").unlink()
    with pytest.raises(DataError, match=r"Part0\.jpg has no mask"):
        find_examples(root)
    (root / "kos02/Part0.jpg").unlink()
    (root / "kos02/Part1.jpg").unlink()
    with pytest.raises(DataError, match=r"Part1_label\.bmp has no picture"):
        find_examples(root)


# --- Real-IAD


def test_real_iad_views_of_a_part_are_a_group(tmp_path: Path) -> None:
    root = real_iad_nut(tmp_path / "nut")
    examples = find_examples(root)
    folders = ["NG/CUT/S0001", "NG/CUT/S0001", "NG/CUT/S0002"]
    assert [example.group for example in examples] == folders
    (unseen,) = good_examples(root, "nut", "test")  # the defect is not visible in this view
    assert unseen.group == "NG/CUT/S0001" and group_of(unseen) == group_of(examples[0])
    assert {example.group for example in good_examples(root, "nut")} == {"OK/S0001"}
    split = split_halves(examples)
    assert not {*map(group_of, split.train)} & {*map(group_of, split.held_out)}


def test_real_iad_takes_the_largest_pictures_and_passes_over_absent_objects(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listing.report_once.cache_clear()
    root = real_iad_nut(tmp_path / "nut")
    for name in ("realiad_256", "realiad_raw"):
        (root / name / "nut").mkdir(parents=True)
    absent = {"meta": {"normal_class": "OK"}, "train": [view("cap", "OK/S0001", 1)]}
    (root / "realiad_jsons/realiad_jsons/cap.json").write_text(json.dumps(absent))
    with caplog.at_level(logging.INFO):
        examples = find_examples(root)
    assert {example.image.relative_to(root).parts[0] for example in examples} == {"realiad_1024"}
    assert "no pictures of cap" in caplog.text and "realiad_1024 is read" in caplog.text


def test_real_iad_files_beside_the_pictures(tmp_path: Path) -> None:
    root = real_iad_nut(tmp_path / "nut")
    (root / "realiad_jsons/realiad_jsons/nut.json").rename(root / "nut.json")
    (root / "realiad_1024/nut").rename(root / "nut")
    assert len(find_examples(root)) == 3


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"image_path": "../../../secret.jpg"}, "leads out of"),
        ({"mask_path": "/etc/hostname"}, "leads out of"),
        ({"image_path": "NG/none.jpg"}, "does not exist"),
        ({"mask_path": None}, "has no mask_path"),
        ({"anomaly_class": "a/b"}, "a/b"),
        ({"image_path": 7}, "image_path is 7"),
    ],
)
def test_a_hostile_real_iad_file_is_refused(
    change: dict[str, object], text: str, tmp_path: Path
) -> None:
    root = tmp_path / "nut"
    picture(tmp_path / "secret.jpg")
    good, cut = view("nut", "OK/S0001", 1), view("nut", "NG/S0001", 1, "cut")
    place = real_iad(root, "nut", {"train": [good], "test": [cut]})
    content = json.loads(place.read_text())
    content["test"][0] |= change
    place.write_text(json.dumps(content))
    with pytest.raises(DataError, match=text):
        find_examples(root)
