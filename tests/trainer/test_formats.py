"""Data sets in the formats of other tools: the masks come back pixel by pixel from each, groups
stay on one side, nothing is overwritten, and the real readers read them."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import ndimage

from bgdefect_core.errors import DataError, MaskError, OutputError, PictureError, SettingError
from bgdefect_core.pictures.decoding import decode
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Picture
from bgdefect_core.pictures.writing import write_mask, write_picture
from trainer.data import formats
from trainer.data.convert import ConvertConfig, convert
from trainer.data.examples import load_example
from trainer.data.formats import FORMATS, FormatName, write_formats
from trainer.data.gathering import divided, gather
from trainer.data.layouts import all_good_examples, find_examples, layout_of
from trainer.generation.exports import export_accepted

from .annotated_sets import CORNERS, HEIGHT, WIDTH, coco

EXACT = [name for name in FORMATS if name != "yolo"]
"""Formats that hold outlines; boxes are larger than their defects."""
LAYOUT_OF = {"yolo-seg": "yolo"}


def masks_of(count: int) -> list[Mask]:
    """Blobs with holes and corners that touch."""
    rng = np.random.default_rng(3)
    masks: list[Mask] = []
    for _ in range(count):
        noise = ndimage.gaussian_filter(rng.normal(size=(36, 44)), 1.2)
        masks.append(noise > np.quantile(noise, 0.8))
    masks[0][:] = False
    masks[0][10:20, 10:20] = True
    masks[0][13:15, 13:15] = False  # a hole
    return masks


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of five pictures in two to three groups, one of both classes; four good ones."""
    root = tmp_path_factory.mktemp("source") / "plate"
    rows = [("file", "group")]
    for defect in ("cut", "dent"):
        for number, mask in enumerate(masks_of(5)):
            picture = np.full((36, 44, 3), 80 + number, np.uint8)
            write_picture(root / f"test/{defect}/{number:03d}.png", picture)
            write_mask(root / f"ground_truth/{defect}/{number:03d}_mask.png", mask)
            rows.append((f"test/{defect}/{number:03d}.png", f"part{number // 2}"))
    for number in range(4):
        picture = np.full((36, 44, 3), 40 + number, np.uint8)
        write_picture(root / f"train/good/{number:03d}.png", picture)
    with (root / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root


def written(plate: Path, folder: Path, name: str) -> Path:
    """The plate in a format, in a folder called plate: layouts without objects take its name."""
    root = folder / "plate"
    convert(ConvertConfig(plate, root, (name,)))
    return root / "plate" if name == "mvtec" else root


def contents(root: Path) -> dict[tuple[str, int], bytes]:
    """(defect, gray of the picture) -> its mask."""
    found = {}
    for example in find_examples(root):
        picture, mask = load_example(example)
        found[example.defect, int(picture[0, 0, 0])] = mask.tobytes()
    return found


@pytest.mark.parametrize("name", EXACT)
def test_every_mask_comes_back_pixel_by_pixel(name: str, plate: Path, tmp_path: Path) -> None:
    root = written(plate, tmp_path, name)
    assert layout_of(root).name == LAYOUT_OF.get(name, name)
    assert contents(root) == contents(plate)
    goods = {int(load(example.image)) for example in all_good_examples(root, "plate")}
    assert goods == {40, 41, 42, 43}


def load(path: Path) -> int:
    from bgdefect_core.pictures.reading import read_picture

    return int(read_picture(path)[0, 0, 0])


@pytest.mark.parametrize("first", EXACT)
@pytest.mark.parametrize("second", ["mvtec", "labelme"])
def test_between_any_two(first: str, second: str, plate: Path, tmp_path: Path) -> None:
    root = written(plate, tmp_path / "a", first)
    assert contents(written(root, tmp_path / "b", second)) == contents(plate)


def test_boxes_are_those_of_the_defects(plate: Path, tmp_path: Path) -> None:
    root = written(plate, tmp_path, "yolo")
    example = min(find_examples(root, defect="cut"), key=lambda e: load(e.image))
    mask = load_example(example)[1]
    expected = np.zeros_like(mask)
    expected[10:20, 10:20] = True  # the hole is filled
    assert (mask == expected).all()


def test_parts_stay_on_one_side_and_each_class_on_both(plate: Path) -> None:
    files = divided(gather(plate), 0.2, seed=1)
    sides: dict[str, set[str]] = {}
    classes: dict[str, set[str]] = {}
    for labelled in files:
        if labelled.group:
            sides.setdefault(labelled.group, set()).add(labelled.side)
        name = labelled.examples[0].defect if labelled.examples else "good"
        classes.setdefault(name, set()).add(labelled.side)
    assert all(len(values) == 1 for values in sides.values())
    assert classes == {name: {"train", "val"} for name in ("cut", "dent", "good")}
    assert divided(files, 0.2, seed=1) != files  # new records, the same sides:
    again = [labelled.side for labelled in divided(gather(plate), 0.2, seed=1)]
    assert again == [labelled.side for labelled in files]
    assert {labelled.side for labelled in divided(files, 0.0, seed=1)} == {"train"}


def test_the_yaml_names_no_path_and_both_sides(plate: Path, tmp_path: Path) -> None:
    root = written(plate, tmp_path, "yolo-seg")
    content = yaml.safe_load((root / "data.yaml").read_text())
    assert content == {"train": "images/train", "val": "images/val", "names": {0: "cut", 1: "dent"}}
    for side in ("train", "val"):
        pictures = {path.stem for path in (root / "images" / side).iterdir()}
        labels = {path.stem for path in (root / "labels" / side).iterdir()}
        assert pictures == labels and pictures
    for path in root.glob("labels/*/*.txt"):
        for line in path.read_text().splitlines():
            values = list(map(float, line.split()))
            assert len(values) >= 7 and len(values) % 2 and max(values[1:]) <= 1


# pycocotools 2.0.11 wraps its arrays in the way of numpy 1
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_pycocotools_loads_the_file_and_gives_the_masks(plate: Path, tmp_path: Path) -> None:
    tools = pytest.importorskip("pycocotools.coco")
    root = written(plate, tmp_path, "coco")
    found = {}
    for side in ("train", "val"):
        data = tools.COCO(str(root / f"annotations/instances_{side}.json"))
        for annotation in data.loadAnns(data.getAnnIds()):
            (image,) = data.loadImgs(annotation["image_id"])
            mask = data.annToMask(annotation) > 0
            assert mask.sum() == annotation["area"]
            key = image["file_name"], annotation["category_id"]
            found[key] = found.get(key, np.zeros_like(mask)) | mask
    assert sorted(mask.tobytes() for mask in found.values()) == sorted(contents(plate).values())


@pytest.mark.parametrize("name", FORMATS)
def test_groups_come_back_and_provenance_is_there(name: str, plate: Path, tmp_path: Path) -> None:
    how = {"method": "m", "seed": 90210, "exemplar": "004.png", "base_licence": "OpenRAIL-M"}
    files = [replace(labelled, provenance=how) for labelled in divided(gather(plate), 0.2, seed=1)]
    write_formats(files, [(name, tmp_path / "plate")])
    root = tmp_path / "plate" / ("plate" if name == "mvtec" else "")
    groups = {int(load(e.image)): e.group for e in find_examples(root, defect="cut")}
    assert groups == {80: "part0", 81: "part0", 82: "part1", 83: "part1", 84: "part2"}
    texts = ""
    for path in root.rglob("*.*"):
        if path.suffix in (".json", ".csv", ".xml"):
            texts += path.read_text()
    for text in ("90210", "004.png", "OpenRAIL-M"):
        assert text in texts
    assert str(plate) not in texts and str(tmp_path) not in texts  # it may move


def test_a_picture_of_two_classes_is_one_group_in_folders(tmp_path: Path) -> None:
    labels = [{"segmentation": [CORNERS]}, {"category_id": 2, "bbox": [12, 8, 4, 5]}]
    root = coco(tmp_path / "nut", labels, pictures=2, categories=("cut", "dent"))
    convert(ConvertConfig(root, tmp_path / "out", ("mvtec",)))
    groups = {example.group for example in find_examples(tmp_path / "out")}
    assert groups == {"000"} and len(find_examples(tmp_path / "out")) == 2
    (labelled,) = [file for file in gather(root) if file.examples]
    assert len(labelled.defects((HEIGHT, WIDTH))) == 2


def test_several_objects_become_classes_of_their_own(plate: Path, tmp_path: Path) -> None:
    for name in ("nut", "bolt"):
        for part in ("test", "ground_truth", "train"):
            for path in (plate / part).rglob("*.png"):
                target = tmp_path / "all" / name / path.relative_to(plate)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
    convert(ConvertConfig(tmp_path / "all", tmp_path / "out", ("coco",)))
    defects = {example.defect for example in find_examples(tmp_path / "out")}
    assert defects == {"nut_cut", "nut_dent", "bolt_cut", "bolt_dent"}
    assert len(find_examples(tmp_path / "out")) == 20


def test_classes_of_two_objects_are_not_joined_under_one_name(tmp_path: Path) -> None:
    root = tmp_path / "all"
    for object, defect in (("a_b", "c"), ("a", "b_c")):
        write_picture(root / object / f"test/{defect}/0.png", np.full((20, 20, 3), 80, np.uint8))
        write_mask(root / object / f"ground_truth/{defect}/0_mask.png", np.eye(20, dtype=np.bool_))
    with pytest.raises(DataError, match="a / b_c and a_b / c are both called a_b_c; .*rename one"):
        convert(ConvertConfig(root, tmp_path / "out", ("csv", "coco")))
    assert not (tmp_path / "out").exists()
    convert(ConvertConfig(root, tmp_path / "out", ("csv", "mvtec")))
    assert {e.object for e in find_examples(tmp_path / "out/csv")} == {"a", "a_b"}


@pytest.mark.parametrize("name", FORMATS)
def test_good_pictures_alone_go_through_every_format(name: FormatName, tmp_path: Path) -> None:
    root = coco(tmp_path / "nut", [], pictures=3)
    convert(ConvertConfig(root, tmp_path / "out/nut", (name,)))
    out = tmp_path / "out/nut"
    assert len(all_good_examples(out, "nut")) == 3


def test_nothing_is_overwritten_and_nothing_half_written_stays(
    plate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="exists already"):
        convert(ConvertConfig(plate, tmp_path / "out", ("coco",)))
    (tmp_path / ".new.tmp").mkdir()  # of a killed run
    (tmp_path / ".new.tmp/rest").write_text("x")
    monkeypatch.setattr(formats.coco, "_label", lambda defect: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        convert(ConvertConfig(plate, tmp_path / "new", ("coco",)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    monkeypatch.undo()
    convert(ConvertConfig(plate, tmp_path / "new", ("csv", "labelme")))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["csv", "labelme"]


def test_what_cannot_be_converted_is_refused_before_anything_is_written(
    plate: Path, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match="format"):
        convert(ConvertConfig(plate, tmp_path / "out", ()))
    with pytest.raises(DataError, match="without labels"):
        convert(ConvertConfig(plate / "train/good", tmp_path / "out", ("csv",)))
    root = coco(tmp_path / "nut", [{"bbox": [0, 0, WIDTH, HEIGHT]}])
    with pytest.raises((DataError, MaskError), match="is full"):
        convert(ConvertConfig(root, tmp_path / "out", ("csv",)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["none", "NaN", "-", "null"])
def test_a_class_that_a_csv_reads_as_an_empty_cell(name: str, tmp_path: Path) -> None:
    """It was written, and refused or lost when the csv was read."""
    root = coco(tmp_path / "nut", [{"segmentation": [CORNERS]}], categories=[name])
    with pytest.raises(DataError, match=f"an object or defect is called '{name}'.*rename it"):
        convert(ConvertConfig(root, tmp_path / "out", ("coco", "csv")))
    assert not (tmp_path / "out").exists()
    convert(ConvertConfig(root, tmp_path / "out", ("mvtec",)))
    assert [e.defect for e in find_examples(tmp_path / "out")] == [name]


@pytest.mark.parametrize("name", ["a, b; c' d", "#1", "sep=,", "Ü\u2028ß"])
@pytest.mark.parametrize("written_as", FORMATS)
def test_classes_with_separators_go_through_every_format(
    name: str, written_as: FormatName, tmp_path: Path
) -> None:
    root = coco(tmp_path / "nut", [{"segmentation": [CORNERS]}], categories=[name])
    if written_as == "voc" and name.startswith("#"):  # a comment in labelmap.txt
        with pytest.raises(DataError, match="a class is called '#1'"):
            convert(ConvertConfig(root, tmp_path / "out", (written_as,)))
        return
    convert(ConvertConfig(root, tmp_path / "out", (written_as,)))
    assert [e.defect for e in find_examples(tmp_path / "out")] == [name]


def test_every_format_has_its_name_among_the_choices() -> None:
    from typing import get_args

    assert get_args(formats.FormatName) == tuple(FORMATS)


def test_exports_of_a_run_are_made_once(
    plate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = gather(plate)
    monkeypatch.setattr(export_accepted.__module__ + ".gather_generated", lambda *_: list(files))
    first = export_accepted(tmp_path, "plate", "cut", ("mvtec", "coco"), 0.2, 0)
    assert first == [tmp_path / "exports/plate/cut/coco"]
    assert export_accepted(tmp_path, "plate", "cut", ("coco",), 0.2, 0) == first
    files.pop()
    second = export_accepted(tmp_path, "plate", "cut", ("coco",), 0.2, 0)
    assert second == [tmp_path / "exports/plate/cut/coco-2"]
    assert write_formats([], []) == [] and len(json.loads(record(tmp_path))) == 2


def record(root: Path) -> str:
    return (root / "exports/plate/cut/exports.json").read_text()


@pytest.mark.parametrize("name", FORMATS)
def test_pictures_change_their_files_but_not_their_values(
    name: FormatName, plate: Path, tmp_path: Path
) -> None:
    """Colour of 12 bits and gray of 8, to TIFF and back to PNG, in every format."""
    root = tmp_path / "plate"
    shutil.copytree(plate, root)
    deep = np.random.default_rng(0).integers(0, 4096, (36, 44, 3)).astype(np.uint16)
    write_picture(root / "test/cut/000.png", Picture(deep, 4095))
    write_picture(root / "train/good/000.png", np.full((36, 44), 40, np.uint8))
    as_tiff, as_png = tmp_path / "tiff" / "plate", tmp_path / "png" / "plate"
    convert(ConvertConfig(root, as_tiff, (name,), image_format="tiff"))
    inner = as_tiff / "plate" if name == "mvtec" else as_tiff
    convert(ConvertConfig(inner, as_png, (name,), image_format="png"))
    for folder, ending in ((as_tiff, ".tif"), (as_png, ".png")):
        files = [entry for entry in folder.rglob("*.*") if entry.suffix == ending]
        pictures: list[Path] = []
        for path in files:
            if not path.stem.endswith("_mask") and path.parent.name != "SegmentationClass":
                pictures.append(path)
        assert len(pictures) == 14
        decoded = [decode(path, PictureError).pixels for path in pictures]
        assert sum(np.array_equal(pixels, deep) for pixels in decoded) == 1
        assert sum(pixels.ndim == 2 and (pixels == 40).all() for pixels in decoded) == 1
