"""Bad input of names and folders: what a person would call the same name is the same, what systems
leave behind is passed over, and nothing is dropped without a word."""

from __future__ import annotations

import json
import logging
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.errors import DataError
from bgdefect_core.pictures import listing
from bgdefect_core.pictures.mask_files import (
    find_library,
    held_out_masks,
    masks_by_name,
    pictures_beside,
    read_library,
)
from bgdefect_core.pictures.writing import write_mask, write_picture
from trainer.data.examples import Example, load_example, validate
from trainer.data.layouts import (
    LAYOUTS,
    find_examples,
    good_examples,
    good_pictures,
    layout_of,
)
from trainer.data.splits import read_split, split_halves, write_split

from .annotated_sets import coco_nut, labelme_nut, voc_nut, yolo_nut
from .public_sets import DEFECTS, btad_nut, ksdd2_nut, ksdd_nut, real_iad_nut, visa_nut
from .tool_exports import class_masks_nut, cvat_nut, label_studio_nut, labelme_xml_nut

COMPOSED = unicodedata.normalize("NFC", "prüfung")
DECOMPOSED = unicodedata.normalize("NFD", "prüfung")
LEFTOVERS = (".DS_Store", "Thumbs.db", "desktop.ini", "._000.png", "~$000.png", ".000.png.tmp")


def picture(path: Path) -> Path:
    write_picture(path, np.full((20, 24, 3), 90, np.uint8))
    return path


def mask(path: Path, rows: slice = slice(2, 6)) -> Path:
    values = np.zeros((20, 24), bool)
    values[rows, 3:9] = True
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".png":
        write_mask(path, values)
    else:
        Image.fromarray(values.astype(np.uint8) * 255).save(path)
    return path


def nut(root: Path) -> Path:
    """An object in MVTec AD's layout: three cuts, two good pictures."""
    for number in range(3):
        picture(root / f"test/cut/00{number}.png")
        mask(root / f"ground_truth/cut/00{number}_mask.png")
    for number in range(2):
        picture(root / f"train/good/00{number}.png")
    return root


def loco(root: Path) -> Path:
    nut(root)
    for path in sorted((root / "ground_truth/cut").iterdir()):
        mask(root / "ground_truth/cut" / path.stem.removesuffix("_mask") / "000.png")
        path.unlink()
    return root


def table(root: Path) -> Path:
    nut(root)
    rows = [f"test/cut/00{n}.png,ground_truth/cut/00{n}_mask.png,nut,cut" for n in range(3)]
    rows += [f"train/good/00{n}.png,,nut,good" for n in range(2)]
    (root / "manifest.csv").write_text("\n".join(["image,mask,class,defect", *rows]))
    return root


def plain(root: Path) -> Path:
    picture(root / "000.png")
    picture(root / "001.png")
    return root


def masks_beside(root: Path) -> Path:
    plain(root)
    for number in range(2, 5):
        picture(root / f"00{number}.png")
        mask(root / f"00{number}_mask.png")
    return root


BUILDERS: dict[str, Callable[[Path], Path]] = {
    "csv": table,
    "coco": coco_nut,
    "yolo": yolo_nut,
    "labelme": labelme_nut,
    "label_studio": label_studio_nut,
    "cvat": cvat_nut,
    "voc": voc_nut,
    "labelme_xml": labelme_xml_nut,
    "class_masks": class_masks_nut,
    "visa": visa_nut,
    "real_iad": real_iad_nut,
    "ksdd": ksdd_nut,
    "ksdd2": ksdd2_nut,
    "btad": btad_nut,
    "mvtec_loco": loco,
    "mvtec": nut,
    "masks_beside": masks_beside,
    "plain": plain,
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_recognised_and_read(name: str, tmp_path: Path) -> None:
    root = BUILDERS[name](tmp_path / "nut")
    layout = layout_of(root)
    assert layout is LAYOUTS[name] and layout.summary and layout.good_place
    assert len(good_pictures(root)) == 2
    if name == "plain":
        with pytest.raises(DataError, match="unknown layout"):
            find_examples(root)
        return
    examples = find_examples(root)
    classes = [(example.object, example.defect) for example in examples]
    assert classes == [("nut", DEFECTS.get(name, "cut"))] * 3
    assert all(load_example(example)[1].sum() == 24 for example in examples)
    assert len(good_examples(root, "nut")) == 2


# --- equal names


def test_case_and_spaces_of_folders_and_files(tmp_path: Path) -> None:
    root = nut(tmp_path / "Nut")
    expected = [load_example(example)[1].sum() for example in find_examples(root)]
    for path, name in (
        (root / "test/cut/000.png", "000.PNG"),
        (root / "ground_truth/cut/001_mask.png", "001_MASK.Png"),
        (root / "ground_truth/cut/002_mask.png", "002 _mask.png"),
        (root / "ground_truth/cut", "CUT"),
        (root / "test", "Test "),
        (root / "ground_truth", "Ground_Truth"),
        (root / "train/good", "GOOD "),
        (root / "train", "TRAIN"),
    ):
        path.rename(path.with_name(name))
    (root / "Manifest.CSV").write_text("file,group\nTEST/cut/000.png,a\ntest\\Cut\\001.png,a\n")
    examples = find_examples(tmp_path, "nut", "Cut")
    assert [load_example(example)[1].sum() for example in examples] == expected
    assert [example.group for example in examples] == ["a", "a", ""]
    assert {(example.object, example.defect) for example in examples} == {("Nut", "cut")}
    assert len(good_pictures(root)) == len(good_examples(root, "NUT")) == 2
    assert find_library(root, "nut", "cut") == root / "Ground_Truth/CUT"
    assert find_library(root / "TRAIN/GOOD ", "nut", "cut") == root / "Ground_Truth/CUT"
    assert pictures_beside(root / "Ground_Truth/CUT") == root / "Test /cut"


def test_composed_and_decomposed_letters(tmp_path: Path) -> None:
    root = tmp_path / "nut"
    picture(root / f"test/{COMPOSED}/{COMPOSED}.png")
    mask(root / f"ground_truth/{DECOMPOSED}/{DECOMPOSED}_mask.png")
    picture(root / f"test/{COMPOSED}/1.png")
    mask(root / f"ground_truth/{DECOMPOSED}/1.png")
    examples = find_examples(root, defect=DECOMPOSED)
    assert examples == find_examples(root, defect=COMPOSED) and len(examples) == 2
    path = tmp_path / "split.json"
    split = split_halves(examples)
    write_split(path, split, root)
    names = json.loads(path.read_text())
    names = {side: [unicodedata.normalize("NFD", name) for name in names[side]] for side in names}
    path.write_text(json.dumps(names))
    assert read_split(path, examples, root) == split
    library = root / f"ground_truth/{DECOMPOSED}"
    assert len(read_library(library, path).names) == 1


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".jfif", ".bmp", ".tif", ".pgm", ".ppm"])
def test_one_result_for_every_ending(
    suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    root = nut(tmp_path / "nut")
    for number in range(3):
        path = root / f"test/cut/00{number}.png"
        image = Image.open(path)
        image = image.convert("L") if suffix == ".pgm" else image
        image.save(path.with_suffix(suffix.lower()), quality=95)
        path.with_suffix(suffix.lower()).rename(path.with_suffix(suffix))
        path.unlink()
        mask(root / f"ground_truth/cut/00{number}_mask{suffix.lower()}")
        (root / f"ground_truth/cut/00{number}_mask.png").unlink()
    validate(find_examples(root))
    library = read_library(root / "ground_truth/cut", pictures=root / "test/cut")
    assert len(library.masks) == 3
    assert all(mask.surroundings is not None for mask in library.masks)
    said = [line for line in caplog.messages if "3 of 3 masks have their picture" in line]
    assert len(said) == 1


def test_two_of_one_name_are_refused_alike(tmp_path: Path) -> None:
    """Training and generation have one rule for masks, and both files are named."""
    root = nut(tmp_path / "nut")
    mask(root / "ground_truth/cut/000_Mask.tif", slice(9, 12))
    both = "000_Mask.tif and .*000_mask.png have one name"
    masks = root / "ground_truth/cut"
    pictures = sorted((root / "test/cut").iterdir())
    for read in (
        lambda: find_examples(root),
        lambda: read_library(masks),
        lambda: masks_by_name(pictures, masks),
    ):
        with pytest.raises(DataError, match=both):
            read()
    (masks / "000_Mask.tif").unlink()
    mask(masks / "000/000.png")
    for read in (lambda: find_examples(root), lambda: read_library(masks)):
        with pytest.raises(DataError, match="cut/000 and .*000_mask.png have one name"):
            read()


def test_two_good_pictures_of_one_name_are_refused_in_every_folder(tmp_path: Path) -> None:
    root = nut(tmp_path / "nut")
    picture(root / "train/good/000.bmp")
    for place in (root, root / "train/good"):
        with pytest.raises(DataError, match="000.bmp and .*000.png have one name"):
            good_pictures(place)


@pytest.mark.parametrize("twin", ["test/Cut", "Test", "ground_truth/CUT"])
def test_two_folders_of_one_name_are_refused(twin: str, tmp_path: Path) -> None:
    root = nut(tmp_path / "nut")
    shutil.copytree(root / twin.lower(), root / twin)
    with pytest.raises(DataError, match="have one name"):
        find_examples(root)


# --- what is passed over


def test_leftovers_of_systems_and_tools_change_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = nut(tmp_path / "nut")
    expected = find_examples(tmp_path)
    places = [root, *(path for path in root.rglob("*") if path.is_dir())]
    for place in (tmp_path, *places):
        for name in LEFTOVERS:
            (place / name).write_bytes(b"\x00\x05\x16\x07")
        for name in ("@eaDir", "__MACOSX", "$RECYCLE.BIN", ".Trashes"):
            shutil.copytree(root / "train/good", place / name, dirs_exist_ok=True)
    caplog.clear()
    assert find_examples(tmp_path) == expected and layout_of(tmp_path).name == "mvtec"
    assert len(good_pictures(root)) == 2
    assert read_library(root / "ground_truth/cut").names == [
        "000_mask.png",
        "001_mask.png",
        "002_mask.png",
    ]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_nothing_is_left_out_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    root = nut(tmp_path / "nut")
    for folder in ("train/good", "test/cut"):
        picture(root / folder / "day2/7.png")
        (root / folder / "link.png").symlink_to("/nowhere/link.png")
        (root / folder / "8.gif").write_bytes(b"GIF89a...")
    picture(root / "validation/good/0.png")
    picture(tmp_path / "pictures/0.png")
    find_examples(tmp_path)
    good_pictures(root)
    for folder, count in (("train/good", 2), ("test/cut", 3)):
        (line,) = [text for text in caplog.messages if text.startswith(f"{root / folder}: ")]
        assert f"{count} pictures; passed over" in line
        assert "day2 (a folder)" in line and "link.png (a link to nothing)" in line
        assert "8.gif (not one of .bmp .jfif .jpe .jpeg .jpg .pbm .pgm .png" in line
    assert f"{root}: passed over the folders validation" in caplog.messages
    assert f"{tmp_path}: passed over the folders pictures" in caplog.messages


def test_a_library_names_what_has_no_partner(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = nut(tmp_path / "nut")
    masks, pictures = root / "ground_truth/cut", root / "test/cut"
    read_library(masks, pictures=pictures)
    assert not caplog.messages
    picture(pictures / "000 (1).png")
    mask(masks / "007_mask.png")
    assert len(read_library(masks, pictures=pictures).names) == 4
    without_mask, without_picture = caplog.messages
    assert without_mask.endswith("not used, without mask: 000 (1).png")
    assert without_picture.endswith("without picture: 007_mask.png")


# --- csv and split files


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_csv_of_every_program(encoding: str, end: str, mark: str, tmp_path: Path) -> None:
    picture(tmp_path / "Bilder/ä 0.PNG")
    mask(tmp_path / "Masken/ä 0.png")
    lines = ["image,mask,class,defect", "bilder\\ä 0.png,Masken/ä 0.PNG,nut,Riß"]
    if mark == ";":
        lines.insert(0, "sep=,")
    text = end.join(line.replace(",", mark) for line in lines) + end
    (tmp_path / "Manifest.csv").write_bytes(text.encode(encoding))
    (example,) = find_examples(tmp_path)
    assert example.image == tmp_path / "Bilder/ä 0.PNG" and example.defect == "Riß"
    assert example.masks == (tmp_path / "Masken/ä 0.png",)


@pytest.mark.parametrize("nothing", ["", "nan", "None", "NULL", "-"])
def test_cells_that_say_that_there_is_nothing(nothing: str, tmp_path: Path) -> None:
    """Programs write so where a good picture has no mask, no defect and no group."""
    root = nut(tmp_path / "nut")
    rows = [f"test/cut/00{n}.png,ground_truth/cut/00{n}_mask.png,nut,cut,{nothing}" for n in (0, 1)]
    rows += [f"train/good/000.png,{nothing},nut,{nothing},{nothing}"]
    path = root / "list.csv"
    path.write_text("\n".join(["image,mask,class,defect,group", *rows]) + "\n")
    assert [example.group for example in find_examples(path)] == ["", ""]
    assert [picture.name for picture in good_pictures(path)] == ["000.png"]
    (root / "manifest.csv").write_text(f"file,group\ntest/cut/000.png,{nothing}\n")
    assert {example.group for example in find_examples(root)} == {""}


@pytest.mark.parametrize("nothing", ["nan", "None", "NULL", "n/a", "-"])
def test_a_class_that_says_nothing_was_not_filled_in(nothing: str, tmp_path: Path) -> None:
    """Not an object of this name, which would take its pictures from the others unnoticed."""
    root = nut(tmp_path / "nut")
    rows = [
        "test/cut/000.png,ground_truth/cut/000_mask.png,nut,cut",
        ",".join([nothing] * 4),  # a row of nothing is none
        f"test/cut/001.png,ground_truth/cut/001_mask.png,{nothing},cut",
    ]
    path = root / "list.csv"
    path.write_text("\n".join(["image,mask,class,defect", *rows[:2]]) + "\n")
    assert [example.object for example in find_examples(path)] == ["nut"]
    path.write_text("\n".join(["image,mask,class,defect", *rows]) + "\n")
    with pytest.raises(DataError, match="row 2 lacks the image or the class"):
        find_examples(path)


def test_a_comma_in_a_header_between_semicolons(tmp_path: Path) -> None:
    root = nut(tmp_path / "nut")
    for mark in ";|":
        head = mark.join(("image", "mask", "class", "defect", "group", "size, mm"))
        row = mark.join(("test/cut/000.png", "ground_truth/cut/000_mask.png", "nut", "cut", "", ""))
        path = root / "list.csv"
        path.write_text(f"{head}\n{row}\n")
        assert len(find_examples(path)) == 1


def test_empty_rows_of_spreadsheets_are_none(tmp_path: Path) -> None:
    picture(tmp_path / "0.png")
    mask(tmp_path / "0_mask.png")
    text = "image,mask,class,defect,,\n0.png,0_mask.png,nut,cut,,\n,,,,,\n , ,,,,\n"
    (tmp_path / "manifest.csv").write_text(text, encoding="utf-8")
    assert len(find_examples(tmp_path)) == 1


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "utf-32"])
def test_csv_of_an_unknown_encoding_is_refused(encoding: str, tmp_path: Path) -> None:
    text = "image,mask,class,defect\nä.png,m.png,nut,cut\n"
    (tmp_path / "list.csv").write_bytes(text.encode(encoding))
    with pytest.raises(DataError, match="list.csv (cannot be read|holds zero bytes).*UTF-8"):
        find_examples(tmp_path / "list.csv")


def test_split_files_of_other_programs(tmp_path: Path) -> None:
    root = nut(tmp_path / "nut")
    examples = find_examples(root)
    path = tmp_path / "split.json"
    names = {"train": ["test\\cut\\000.png"], "held_out": ["Test/cut/001.PNG"]}
    path.write_text(json.dumps(names), encoding="utf-8-sig")
    split = read_split(path, examples, root)
    assert [example.image.name for example in split.train] == ["000.png"]
    assert [example.image.name for example in split.held_out] == ["001.png"]
    library = root / "ground_truth/cut"
    assert read_library(library, path).names == ["000_mask.png"]
    assert held_out_masks(library, ["000_mask.png", "001_mask.png"], path) == ["001_mask.png"]
    for encoding in ("utf-16", "latin-1"):
        path.write_bytes('{"train": ["ä.png"], "held_out": []}'.encode(encoding))
        for read in (lambda: read_split(path, examples, root), lambda: read_library(library, path)):
            with pytest.raises(DataError, match="is no split file"):
                read()


# --- masks the other way round


def test_a_class_of_masks_that_cover_most_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = nut(tmp_path / "nut")
    for path in (root / "ground_truth/cut").iterdir():
        values = np.ones((20, 24), bool)
        values[:, :8] = False  # half of the border is black: no single mask is refused
        write_mask(path, values)
    said = "3 of 3 masks cover more than half of their picture"
    validate(find_examples(root))
    assert f"nut / cut: {said}" in caplog.text
    caplog.clear()
    read_library(root / "ground_truth/cut")
    assert said in caplog.text


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    example = Example(
        picture(tmp_path / "0.png"), (mask(tmp_path / "0_mask.png"),), "nut", "cut", ""
    )
    pixels, marked = load_example(example)
    pixels[:], marked[:] = 0, True
    assert load_example(example)[0].max() == 90 and load_example(example)[1].sum() == 24
    mask(example.masks[0], slice(2, 9))
    assert load_example(example)[1].sum() == 42


@pytest.mark.parametrize("name", ["ok", "OK", "Normal", "good"])
@pytest.mark.parametrize("side", ["test", "train"])
def test_a_folder_of_good_pictures_is_no_defect(
    tmp_path: Path, name: str, side: str, caplog: pytest.LogCaptureFixture
) -> None:
    listing.report_once.cache_clear()
    root = nut(tmp_path / "nut")
    good = root / side / name
    good.parent.mkdir(exist_ok=True)
    if side == "train":
        (root / "train/good").rename(good)
    else:
        picture(good / "900.png")
    with caplog.at_level(logging.INFO):
        assert {example.defect for example in find_examples(root)} == {"cut"}
    count = len(list(good.iterdir()))
    assert [example.image.parent for example in good_examples(root, "nut", side)] == [good] * count
    assert ("taken for good pictures" in caplog.text) == (name != "good" and side == "test")
    with pytest.raises(DataError, match=f"no defect {name!r}; expected one of cut"):
        find_examples(root, "nut", name)
    if side == "train":
        assert find_library(good, "nut", "cut") == root / "ground_truth/cut"


def test_pictures_that_lie_beside_the_folders_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listing.report_once.cache_clear()
    root = nut(tmp_path / "nut")
    picture(root / "test/lost.png")
    picture(root / "train/bad/0.png")
    with caplog.at_level(logging.INFO):
        find_examples(root)
    assert (
        "test: not read, since they lie in no folder" in caplog.text and "lost.png" in caplog.text
    )
    assert "train: passed over the folders bad" in caplog.text
