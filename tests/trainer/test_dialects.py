"""Annotations as other tools and other machines leave them: names that no longer fit, pictures that
were turned, labels that say nothing of a shape."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bgdefect_core.errors import DataError, MaskError, SettingError
from bgdefect_core.pictures.listing import report_once
from bgdefect_core.pictures.reading import read_picture
from bgdefect_core.pictures.writing import write_mask
from trainer.data.check import CheckConfig, check
from trainer.data.convert import ConvertConfig, convert
from trainer.data.examples import load_example
from trainer.data.formats import FORMATS, FormatName
from trainer.data.layouts import (
    ReadingSettings,
    all_good_examples,
    find_examples,
    good_examples,
    good_pictures,
    layout_of,
)

from .annotated_sets import (
    CORNERS,
    HEIGHT,
    WIDTH,
    coco_nut,
    labelme,
    labelme_nut,
    pairs,
    plain_picture,
    relative_corners,
    yolo_nut,
)
from .tool_exports import class_masks_nut, label_studio_nut, masks


def coco_file(root: Path) -> Path:
    return root / "annotations/instances_train.json"


def changed(path: Path, **entries: Any) -> None:
    """Give each image of a COCO file other entries; ``{}`` in a text is its number."""
    content = json.loads(path.read_text())
    for number, image in enumerate(content["images"]):
        for name, value in entries.items():
            image[name] = value.format(number) if isinstance(value, str) else value
    path.write_text(json.dumps(content))


def test_sizes_of_0_are_not_known(tmp_path: Path) -> None:
    root = coco_nut(tmp_path / "nut")
    changed(coco_file(root), width=0, height=0)
    examples = find_examples(root)
    assert len(examples) == 3
    assert load_example(examples[0])[1].sum() == 24
    labelme(tmp_path / "bolt", "0", [rectangle()], imageHeight=0, imageWidth=0)
    (example,) = find_examples(tmp_path / "bolt")
    assert load_example(example)[1].any()


def rectangle() -> dict[str, Any]:
    return {"shape_type": "rectangle", "points": [[3, 2], [9, 6]]}


def test_names_as_in_a_web_address(tmp_path: Path) -> None:
    root = coco_nut(tmp_path / "nut")
    for path in sorted((root / "images").iterdir()):
        path.rename(path.with_name(f"part {path.name}"))
    changed(coco_file(root), file_name="part%20{:03d}.png")
    assert [example.image.name for example in find_examples(root)][0] == "part 000.png"


@pytest.mark.parametrize("name", ["{:03d}.jpg", "{:03d}"])
def test_pictures_that_were_converted_after_they_were_labelled(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = coco_nut(tmp_path / "nut")
    changed(coco_file(root), file_name=name)
    assert len(find_examples(root)) == 3
    assert "those that end in .png are read" in caplog.text
    bolt = labelme(tmp_path / "bolt", "0", [rectangle()], imagePath="0.jpg")
    assert len(find_examples(bolt)) == 1
    bolt = labelme(tmp_path / "two", "0", [rectangle()], imagePath="0.jpg")
    plain_picture(bolt / "0.bmp")  # two of the name: nobody knows which
    with pytest.raises(DataError, match=r"its picture 0\.jpg does not exist"):
        find_examples(bolt)


def test_a_picture_in_two_files_names_both(tmp_path: Path) -> None:
    root = coco_nut(tmp_path / "nut")
    coco_file(root).with_name("all.json").write_text(coco_file(root).read_text())
    with pytest.raises(DataError, match=r"all\.json and .*_train\.json both have .*move one"):
        find_examples(root)


@pytest.mark.parametrize("build", [coco_nut, yolo_nut])
def test_pictures_in_no_annotation_are_said(
    build: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = build(tmp_path / "nut")
    if build is yolo_nut:
        (root / "train.txt").write_text("images/train/000.png\nimages/train/001.png\n")
        (root / "data.yaml").write_text("train: train.txt\nval: train.txt\nnames: [cut]\n")
    else:
        plain_picture(root / "images/more.png")
    report = check(CheckConfig(root))
    count = "1" if build is coco_nut else "3"
    assert any(f"{count} pictures stand in no annotation and are not used" in x for x in report.odd)


def test_another_encoding_is_named_with_what_to_do(tmp_path: Path) -> None:
    root = labelme_nut(tmp_path / "nut")
    text = (root / "000.json").read_text().replace('"cut"', '"划痕"')
    (root / "000.json").write_bytes(text.encode("gbk"))
    with pytest.raises(DataError, match=r"000\.json is not in UTF-8 .*save it again in UTF-8"):
        find_examples(root)


def turned_picture(path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(read_picture(path)).save(path, exif=exif)


def test_a_quarter_turn_that_the_annotation_lacks_is_named(tmp_path: Path) -> None:
    root = coco_nut(tmp_path / "nut")
    turned_picture(root / "images/000.png", 6)
    with pytest.raises(MaskError, match="turned by its EXIF orientation 6; expected 24 x 20"):
        load_example(find_examples(root)[0])


@pytest.mark.parametrize(("build", "orientation"), [(coco_nut, 3), (yolo_nut, 3), (yolo_nut, 6)])
def test_a_turn_that_the_annotation_may_lack_is_warned_of(
    build: Any, orientation: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = build(tmp_path / "nut")
    example = find_examples(root)[0]
    turned_picture(example.image, orientation)
    load_example(example)
    assert f"turned by its EXIF orientation {orientation}: check that its labels" in caplog.text


def test_a_turn_that_the_annotation_has_is_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = coco_nut(tmp_path / "nut")
    turned_picture(root / "images/000.png", 6)
    changed(coco_file(root), height=WIDTH, width=HEIGHT)
    assert load_example(find_examples(root)[0])[0].shape == (WIDTH, HEIGHT, 3)
    assert "EXIF" not in caplog.text


def test_x_anylabelings_turned_rectangles(tmp_path: Path) -> None:
    shape = {"shape_type": "rotation", "points": pairs(CORNERS), "direction": 0.0}
    (example,) = find_examples(labelme(tmp_path / "nut", "0", [shape]))
    assert load_example(example)[1].sum() == 24


def test_two_pictures_of_the_name_of_one_json(tmp_path: Path) -> None:
    root = labelme_nut(tmp_path / "nut")
    plain_picture(root / "000.bmp")
    with pytest.raises(DataError, match=r"000\.json has the name of .*000\.bmp, but is about"):
        find_examples(root)


@pytest.mark.parametrize(("label", "good"), [("_background_", 3), ("good", 3), ("ignore", 2)])
def test_places_that_are_no_defect_leave_a_picture_good(
    label: str, good: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    root = labelme_nut(tmp_path / "nut")
    labelme(root, "003", [rectangle() | {"label": label}])
    plain_picture(root / "005.png")
    assert len(good_examples(root, "nut")) == good
    assert f"6 pictures, {good} of them good" in caplog.text
    assert ("regions are to be ignored" in caplog.text) == (label == "ignore")


def test_yolo_folders_in_capitals(tmp_path: Path) -> None:
    root = yolo_nut(tmp_path / "nut")
    (root / "images").rename(root / "Images")
    (root / "labels").rename(root / "Labels")
    (root / "data.yaml").write_text("train: Images/train\nval: Images/train\nnames: [cut]\n")
    assert len(find_examples(root)) == 3


def test_labelimg_writes_the_names_beside_the_labels(tmp_path: Path) -> None:
    root = yolo_nut(tmp_path / "nut")
    (root / "data.yaml").unlink()
    (root / "labels/train/classes.txt").write_text("cut\n")
    assert {example.defect for example in find_examples(root)} == {"cut"}
    plain_picture(root / "images/val/9.png")
    (root / "labels/val").mkdir()
    (root / "labels/val/classes.txt").write_text("dent\ncut\n")
    with pytest.raises(DataError, match="name different classes"):
        find_examples(root)


def test_yolo_without_any_label_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = yolo_nut(tmp_path / "nut")
    (root / "labels").rename(tmp_path / "labels")
    assert len(good_examples(root, "nut")) == 5
    assert "no picture has a label" in caplog.text


def test_two_yaml_files_with_names(tmp_path: Path) -> None:
    root = yolo_nut(tmp_path / "nut")
    (root / "a.yaml").write_text("train: images/train\nval: images/train\nnames: [dent]\n")
    assert {example.defect for example in find_examples(root)} == {"cut"}  # data.yaml counts
    (root / "data.yaml").rename(root / "b.yaml")
    with pytest.raises(DataError, match=r"a\.yaml and .*b\.yaml both have names"):
        find_examples(root)
    assert {example.defect for example in find_examples(root / "b.yaml")} == {"cut"}


def test_yolo_labels_in_pixels(tmp_path: Path) -> None:
    root = yolo_nut(tmp_path / "nut")
    (root / "labels/train/000.txt").write_text("0 12 14 80 14 80 60\n")
    with pytest.raises(DataError, match="in pixels or with key points; expected shares"):
        find_examples(root)
    for line in ("0 1 1 5 5", "0 0.5 0.5 0.25 0.2 0.5 0.5 2 0.4 0.4 2"):
        (root / "labels/train/000.txt").write_text(line)
        with pytest.raises(DataError, match="in pixels or with key points"):
            find_examples(root)
    (root / "labels/train/000.txt").write_text(f"0 {relative_corners()} 1.2 1.1\n")
    find_examples(root)  # a little beyond the picture is cut off


NO_SHAPES: dict[str, tuple[dict[str, Any], bool]] = {
    "cancelled": ({"annotations": [{"result": [], "was_cancelled": True}]}, False),
    "predicted": ({"annotations": [], "predictions": [{"result": []}]}, False),
    "bad": ({"annotations": [{"result": [{"value": {"choices": ["NG"]}}]}]}, False),
    "good": ({"annotations": [{"result": [{"value": {"choices": ["OK"]}}]}]}, True),
    "no label": ({"annotations": [{"result": [{"value": {"x": 1, "y": 1}}]}]}, False),
}


@pytest.mark.parametrize("name", NO_SHAPES)
def test_what_is_not_read_makes_no_picture_of_label_studio_good(name: str, tmp_path: Path) -> None:
    root = label_studio_nut(tmp_path / "nut")
    tasks = json.loads((root / "tasks.json").read_text())
    entries, is_good = NO_SHAPES[name]
    tasks[3] |= entries
    (root / "tasks.json").write_text(json.dumps(tasks))
    good = [example.image.name for example in good_examples(root, "nut")]
    assert good == (["003.png", "004.png"] if is_good else ["004.png"])


def test_labels_and_turns_of_label_studio_that_are_not_used_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = label_studio_nut(tmp_path / "nut")
    tasks = json.loads((root / "tasks.json").read_text())
    result = tasks[0]["annotations"][0]["result"][0]
    result["value"]["polygonlabels"] = ["cut", "dent"]
    result["image_rotation"] = 90
    (root / "tasks.json").write_text(json.dumps(tasks))
    find_examples(root)
    assert "1 shapes have several labels: the first counts" in caplog.text
    assert "1 shapes were drawn on a picture that the tool had turned" in caplog.text


# --- YOLO's paths of another machine

AFAR = ("/content/datasets/nut", "C:\\Users\\me\\nut", "D:/nut", "https://host/nut")


@pytest.mark.parametrize("afar", AFAR)
@pytest.mark.parametrize("entry", ["images/train", "train.txt"])
def test_yolo_paths_of_another_machine(
    afar: str, entry: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = yolo_nut(tmp_path / "nut")
    listed = [f"{afar}/images/train/{number:03d}.png\n" for number in range(5)]
    (root / "train.txt").write_text("".join(listed))
    text = f"train: {afar}/{entry}\nval: {afar}/{entry}\ntest: {afar}/images/test\n"
    (root / "data.yaml").write_text(f"path: {afar}\n{text}names: [cut]\n")
    assert len(find_examples(root)) == 3 and len(good_examples(root, "nut")) == 2
    assert f"names {afar}/{entry}, which is not on this machine: {root / entry}" in caplog.text
    assert "images/test (test) does not exist: passed over" in caplog.text
    named_afar = f"train.txt names pictures by paths that are not on this machine, such as {afar}"
    assert (named_afar in caplog.text) == (entry == "train.txt")


def test_yolo_paths_of_another_machine_lead_nowhere_else(tmp_path: Path) -> None:
    root = yolo_nut(tmp_path / "nut")
    plain_picture(tmp_path / "secret/x.png")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "data.yaml").write_text("train: train.txt\nnames: [cut]\n")
    for name, words in (
        ("/afar/images/val/000.png", "does not exist"),  # 000.png lies in images/train alone
        ("/afar/../images/train/000.png", "does not exist"),
        ("/afar/link/x.png", "leads out|does not exist"),
        (str(tmp_path / "secret/x.png"), "leads out"),
    ):
        (root / "train.txt").write_text(name + "\n")
        with pytest.raises(DataError, match=words):
            find_examples(root)
    (root / "data.yaml").write_text("train: /afar/link\nnames: [cut]\n")
    with pytest.raises(DataError, match="does not exist"):
        find_examples(root)


# --- two of one name


def test_two_masks_or_pictures_of_one_name_are_refused_in_folders_of_masks(tmp_path: Path) -> None:
    for twin in ("masks/000_mask.png", "images/000.bmp"):
        root = class_masks_nut(tmp_path / twin[:3] / "nut")
        shutil.copy(root / twin.replace("_mask", "").replace("bmp", "png"), root / twin)
        with pytest.raises(DataError, match=r"000.*000.* have one name"):
            find_examples(root)


def test_two_pictures_of_one_yolo_label_are_refused(tmp_path: Path) -> None:
    root = yolo_nut(tmp_path / "nut")
    plain_picture(root / "images/train/000.bmp")
    with pytest.raises(DataError, match=r"000\.bmp and .*000\.png have one label"):
        find_examples(root)


# --- pictures with masks beside them


def with_masks_beside(folder: Path, count: int, first: int = 0) -> Path:
    for number in range(first, first + count):
        plain_picture(folder / f"{number}.png", 90 + number)
        write_mask(folder / f"{number}_mask.png", masks()["Cut"])
    return folder


def test_masks_beside_pictures_are_masks(tmp_path: Path) -> None:
    root = with_masks_beside(tmp_path / "nut", 2)
    plain_picture(root / "2.png")
    write_mask(root / "3_mask.png", masks()["Cut"])  # of no picture: it is one itself
    assert [example.image.name for example in find_examples(root)] == ["0.png", "1.png"]
    assert [example.image.name for example in good_examples(root, "nut")] == ["2.png", "3_mask.png"]
    shutil.copy(root / "0_mask.png", root / "0_mask.bmp")
    with pytest.raises(DataError, match=r"0_mask\.bmp and .*0_mask\.png have one name"):
        find_examples(root)


@pytest.mark.parametrize("place", ["train/good", "test/cut"])
def test_masks_beside_pictures_are_no_pictures_in_mvtec(
    place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "nut"
    plain_picture(root / "train/good/9.png")
    plain_picture(root / "test/cut/0.png")
    write_mask(root / "ground_truth/cut/0_mask.png", masks()["Cut"])
    with_masks_beside(root / place, 1, first=0 if place == "test/cut" else 9)
    assert [example.image.name for example in find_examples(root)] == ["0.png"]
    assert [example.image.name for example in good_examples(root, "nut")] == ["9.png"]
    assert f"{root / place}: taken for masks, not for pictures: " in caplog.text


def test_a_folder_of_good_pictures_is_checked(tmp_path: Path) -> None:
    plain_picture(tmp_path / "nut/a.png", 90)
    plain_picture(tmp_path / "nut/b.png", 91)
    assert len(check(CheckConfig(tmp_path / "nut")).good) == 2


# --- names of masks and folders


def test_masks_of_other_names_are_shown(tmp_path: Path) -> None:
    root = tmp_path / "nut"
    plain_picture(root / "test/cut/0.png")
    for place, words in (
        ("ground_truth/cut/0_GT.png", r"no picture in .* has its mask: .*holds 0_GT\.png; .*csv"),
        ("gt/cut/0.png", "ground_truth/cut is not there"),
    ):
        write_mask(root / place, masks()["Cut"])
        with pytest.raises(DataError, match=words):
            find_examples(root)
        (root / place).unlink()
        (root / place).parent.rmdir()


def test_images_and_masks_on_sides(tmp_path: Path) -> None:
    root = tmp_path / "nut"
    for number, side in enumerate(("train", "test")):
        plain_picture(root / f"{side}/images/{number}.png", 90 + number)
        plain_picture(root / f"{side}/images/{number + 5}.png", 95 + number)
        write_mask(root / f"{side}/masks/{number}.png", masks()["Cut"])
    found = [(example.image.name, example.side) for example in find_examples(root)]
    assert found == [("1.png", "test"), ("0.png", "train")]


@pytest.mark.parametrize("layout", ["masks_beside", "class_masks", "class_masks, named"])
def test_good_pictures_of_the_side_that_is_asked_for(layout: str, tmp_path: Path) -> None:
    """What is kept for a test, or to validate, is neither learned from nor painted into."""
    root = tmp_path / "nut"
    for number, side in enumerate(("train", "test", "val")):
        place = root / side if layout == "masks_beside" else root / side / "images"
        plain_picture(place / f"{number}.png", 90 + number)
        plain_picture(place / f"{number + 5}.png", 95 + number)
        mask = f"{number}_mask.png" if layout == "masks_beside" else f"../masks/{number}.png"
        write_mask(place / mask, masks()["Cut"])
    reading = ReadingSettings(mask_classes="255=Cut" if "named" in layout else None)
    assert layout_of(root).name == layout[:12].rstrip(",")
    for side, names in (("train", ["5.png"]), ("test", ["6.png", "7.png"])):
        found = [example.image.name for example in good_examples(root, "nut", side, reading)]
        assert sorted(found) == names
    assert len(all_good_examples(root, "nut", reading)) == 3
    for side in ("train", "val"):
        shutil.rmtree(root / side)
    with pytest.raises(DataError, match="holds no good pictures.*outside the folder test"):
        good_pictures(root, reading=reading)


def test_tables_beside_folders_of_masks_are_not_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = class_masks_nut(tmp_path / "nut")
    (root / "labels.csv").write_text("file,kind\n000.png,cut\n")
    find_examples(root)
    assert "labels.csv is not read" in caplog.text
    report_once.cache_clear()
    caplog.clear()
    (root / "labels.csv").write_text("file,group\n000.png,a\n")
    find_examples(root, reading=ReadingSettings(group_file=root / "labels.csv"))
    assert "labels.csv is not read" not in caplog.text


# --- csv


def csv_nut(root: Path, rows: str, header: str = "image,mask,class,defect,side") -> Path:
    for number in range(3):
        plain_picture(root / f"{number}.png", 90 + number)
        write_mask(root / f"masks/{number}.png", masks()["Cut"])
    (root / "manifest.csv").write_text(f"{header}\n{rows}")
    return root


@pytest.mark.parametrize("way", ["../bolt/", "absolute", "link"])
def test_files_outside_the_folder_of_a_csv_are_read_only_where_the_user_allows(
    way: str, tmp_path: Path
) -> None:
    bolt = csv_nut(tmp_path / "bolt", "")
    root = csv_nut(tmp_path / "nut", "")
    place = "../bolt/" if way != "absolute" else f"{bolt}/"
    if way == "link":
        (root / "link").symlink_to(bolt)
        place = "link/"
    for row in (f"{place}0.png,masks/0.png", f"0.png,{place}masks/0.png"):
        csv_nut(root, f"{row},nut,cut,\n")
        with pytest.raises(DataError, match="row 1: .* leads out of .*--outside-files"):
            find_examples(root)
        assert len(find_examples(root, reading=ReadingSettings(outside_files=True))) == 1


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("image,image,mask,class,defect", "0.png,x,,nut,good", "the column image twice"),
        ("image,mask,class,defect", "a,b.png,,nut,good", "row 1 has 5 cells.*holds ',' in quotes"),
        ("image,mask,class,defect", "0.png,masks/0.png,nut,cut\n1.png,masks/1.png,nut,Cut", "case"),
        ("image,mask,class,defect", "0.png,,nut,good\n1.png,,Nut,good", "'nut' and 'Nut'"),
    ],
)
def test_csv_files_that_say_two_things(
    header: str, rows: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        find_examples(csv_nut(tmp_path / "nut", rows, header))


def test_what_a_csv_leaves_out_or_uses_twice_is_said(tmp_path: Path) -> None:
    root = csv_nut(tmp_path / "nut", "0.png,masks/0.png,nut,cut\n1.png,masks/0.png,nut,cut\n")
    odd = check(CheckConfig(root)).odd
    assert any("one mask stands for several pictures: 0.png" in text for text in odd)
    assert any("1 pictures stand in no row of manifest.csv" in text for text in odd)


# --- sides


def sides_in(root: Path) -> dict[int, str]:
    """Gray of each picture -> the side on which a conversion writes it."""
    out = root.parent / "out"
    convert(ConvertConfig(root, out, ("yolo-seg",)))
    sides: dict[int, str] = {}
    for path in out.rglob("*.png"):
        sides[int(read_picture(path)[0, 0, 0])] = path.parent.name
    shutil.rmtree(out)
    return sides


def coco_sides(root: Path) -> Path:
    root = coco_nut(root)
    content = json.loads(coco_file(root).read_text())
    for name, numbers in (("train", range(1, 4)), ("val", (4, 5))):
        images = [image for image in content["images"] if image["id"] in numbers]
        cuts = [cut for cut in content["annotations"] if cut["image_id"] in numbers]
        part = content | {"images": images, "annotations": cuts}
        coco_file(root).with_name(f"instances_{name}.json").write_text(json.dumps(part))
    return root


def yolo_sides(root: Path) -> Path:
    root = yolo_nut(root)
    for side, numbers in (("train", range(3)), ("val", (3, 4))):
        listed = "\n".join(f"images/train/{number:03d}.png" for number in numbers)
        (root / f"{side}.txt").write_text(listed)
    (root / "data.yaml").write_text("train: train.txt\nval: val.txt\nnames: [cut]\n")
    return root


def labelme_sides(root: Path) -> Path:
    labelme_nut(root / "train")
    for number in (3, 4):
        (root / "train" / f"{number:03d}.png").unlink()
        plain_picture(root / "test" / f"{number:03d}.png", 90 + number)
        labelme(root / "test", f"{number:03d}", [])
        plain_picture(root / "test" / f"{number:03d}.png", 90 + number)
    for number in range(3):
        plain_picture(root / "train" / f"{number:03d}.png", 90 + number)
    return root


def csv_sides(root: Path) -> Path:
    rows = [f"{n}.png,masks/{n}.png,nut,cut,train" for n in range(3)]
    csv_nut(root, "\n".join([*rows, "3.png,,nut,good,valid", "4.png,,nut,good,Test"]))
    for number in (3, 4):
        plain_picture(root / f"{number}.png", 90 + number)
    return root


@pytest.mark.parametrize("build", [coco_sides, yolo_sides, labelme_sides, csv_sides])
def test_a_conversion_keeps_the_sides_of_its_source(build: Any, tmp_path: Path) -> None:
    root = build(tmp_path / "nut")
    held = {labelme_sides: ("test", "test"), csv_sides: ("val", "test")}.get(build, ("val", "val"))
    expected = {90: "train", 91: "train", 92: "train", 93: held[0], 94: held[1]}
    assert sides_in(root) == expected
    convert(ConvertConfig(root, tmp_path / "all", ("yolo-seg",), val_share=0))
    assert len(list((tmp_path / "all/images/train").iterdir())) == 5


def test_one_side_alone_is_divided(tmp_path: Path) -> None:
    root = labelme_nut(tmp_path / "train")
    for number, path in enumerate(sorted(root.glob("*.png"))):
        plain_picture(path, 90 + number)
    assert set(sides_in(root).values()) == {"train", "val"}


# --- names that are no text


LATIN = "kr\udcfctze"
"""A name in Latin-1, as Python shows it."""


@pytest.mark.parametrize("kind", ["object", "defect"])
def test_a_class_in_another_encoding_is_refused(kind: str, tmp_path: Path) -> None:
    object, defect = (LATIN, "cut") if kind == "object" else ("nut", LATIN)
    root = tmp_path / object
    plain_picture(root / f"test/{defect}/0.png")
    write_mask(root / f"ground_truth/{defect}/0_mask.png", masks()["Cut"])
    plain_picture(root / "train/good/0.png", 91)
    with pytest.raises(SettingError, match=f"the {kind} .* is in another encoding than UTF-8"):
        find_examples(root)
    assert len(good_examples(root, object)) == 1


@pytest.mark.parametrize("name", FORMATS)
def test_pictures_in_another_encoding_and_of_two_lines_are_converted(
    name: FormatName, tmp_path: Path
) -> None:
    root = tmp_path / "nut"
    for number, stem in enumerate((LATIN, "two\nlines", "a")):
        plain_picture(root / f"test/cut/{stem}.png", 90 + number)
        write_mask(root / f"ground_truth/cut/{stem}_mask.png", masks()["Cut"])
        plain_picture(root / f"train/good/{stem}.png", 80 + number)
    check(CheckConfig(root, page=tmp_path / "check.html"))
    assert "kr?tze.png" in (tmp_path / "check.html").read_text(encoding="utf-8")
    convert(ConvertConfig(root, tmp_path / "out/nut", (name,)))
    found = [example.image.name for example in find_examples(tmp_path / "out/nut")]
    assert len(found) == 3 and all(name.isprintable() for name in found)
