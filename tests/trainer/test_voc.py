"""Pascal VOC: as its devkit, LabelImg, CVAT and Roboflow write it, with boxes, masks and sides;
what is refused of files that nobody vouches for; and that it is written as it is read."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.errors import BGDefectError, DataError, MaskError
from bgdefect_core.pictures.writing import write_mask
from trainer.data.annotations.voc_masks import voc_colour
from trainer.data.convert import ConvertConfig, convert
from trainer.data.examples import load_example, load_others
from trainer.data.layouts import ReadingSettings, find_examples, good_pictures, layout_of
from trainer.data.layouts import voc as voc_layout

from .annotated_sets import HEIGHT, WIDTH, plain_picture, voc, voc_nut, voc_object

CUT = np.zeros((HEIGHT, WIDTH), bool)
CUT[2:6, 3:9] = True
DENT = np.zeros((HEIGHT, WIDTH), bool)
DENT[10:15, 12:18] = True
DENT_BOX = (12, 10, 18, 15)
ROUND = CUT.copy()
ROUND[2, 3] = ROUND[5, 8] = False
"""What a person drew of the cut."""


def masks_of(root: Path) -> dict[tuple[str, str], np.ndarray]:
    masks: dict[tuple[str, str], np.ndarray] = {}
    for example in find_examples(root):
        masks[example.image.name, example.defect] = load_example(example)[1]
    return masks


def indexed(path: Path, *masks: np.ndarray, values: tuple[int, ...] = (1, 2, 3)) -> None:
    """A palette file as VOC has them."""
    indices = np.zeros((HEIGHT, WIDTH), np.uint8)
    for mask, value in zip(masks, values, strict=False):
        indices[mask] = value
    image = Image.fromarray(indices)
    palette: list[int] = []
    for number in range(256):
        palette += voc_colour(number)
    image.putpalette(palette)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


# --- boxes and places


@pytest.mark.parametrize(
    ("pictures", "labels"),
    [
        ("JPEGImages", "Annotations"),
        (".", "."),
        ("train", "train"),
        ("IMAGES/deep", "ANNOTATIONS/deep"),
        ("images", "xml"),
        ("VOCdevkit/VOC2012/JPEGImages", "VOCdevkit/VOC2012/Annotations"),
    ],
)
def test_places_of_pictures_and_labels(pictures: str, labels: str, tmp_path: Path) -> None:
    root = voc(tmp_path / "nut", "a", voc_object(), pictures, labels)
    voc(root, "b", "", pictures, labels)
    assert layout_of(root).name == "voc"
    (mask,) = masks_of(root).values()
    assert (mask == CUT).all()
    assert [path.name for path in good_pictures(root)] == ["b.png"]


def test_labels_beside_a_picture_of_another_ending_or_without_one_in_filename(
    tmp_path: Path,
) -> None:
    root = voc(tmp_path / "nut", "a.b", voc_object())
    path = root / "Annotations/a.b.xml"
    text = path.read_text()
    for written in ("a.b", "C:\\data\\a.b.png", "a.b.jpg", "", "never there.jpg"):
        path.write_text(text.replace(">a.b.png<", f">{written}<"))
        assert len(find_examples(root)) == 1


def test_an_xml_file_that_says_it_is_about_another_picture(tmp_path: Path) -> None:
    root = voc_nut(tmp_path / "nut")
    path = root / "Annotations/000.xml"
    path.write_text(path.read_text().replace("000.png", "004.png"))
    with pytest.raises(DataError, match=r"the name of .*000\.png, but says .*004\.png"):
        find_examples(root)


def test_pictures_of_one_name_in_several_folders(tmp_path: Path) -> None:
    root = tmp_path / "nut"
    for side in ("train", "valid"):
        voc(root, "a", voc_object(), f"{side}/images", f"{side}/annotations")
    parts = [example.image.parent.parent.name for example in find_examples(root)]
    assert parts == ["train", "valid"]
    assert [example.side for example in find_examples(root)] == ["train", "val"]
    for path in (root / "valid").rglob("*.xml"):
        path.rename(root / "a.xml")
    with pytest.raises(DataError, match=r"a\.xml may be about .*train.* or .*valid"):
        find_examples(root)


def test_turned_boxes_and_outlines(tmp_path: Path) -> None:
    turned = "<cx>6</cx><cy>4</cy><w>4</w><h>6</h><angle>1.5707963</angle>"
    outline = "<x1>3</x1><y1>2</y1><x2>9</x2><y2>2</y2><x3>9</x3><y3>6</y3><x4>3</x4><y4>6</y4>"
    loose = voc_object((1, 1, 11, 8), more=f"<polygon>{outline}</polygon>")
    root = voc(tmp_path / "nut", "a", loose)
    voc(root, "b", f"<object><name>cut</name><robndbox>{turned}</robndbox></object>")
    voc(root, "c", voc_object(more="<polygon/>"))
    assert all((mask == CUT).all() for mask in masks_of(root).values())
    assert [e.regions[0].is_loose for e in find_examples(root)] == [False, False, True]


def test_parts_of_objects_are_no_objects(tmp_path: Path) -> None:
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    root = voc(tmp_path / "nut", "a", voc_object(more=part))
    assert set(masks_of(root)) == {("a.png", "cut")}


def test_difficult_objects_are_neither_defect_nor_background(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hard = voc_object(DENT_BOX, "cut", "<truncated>1</truncated><difficult>1</difficult>")
    easy = voc_object(more="<truncated>1</truncated><difficult>0</difficult>")
    root = voc(tmp_path / "nut", "a", easy + hard)
    voc(root, "b", hard)
    (example,) = find_examples(root)
    assert (load_example(example)[1] == CUT).all()
    others = load_others(example, (HEIGHT, WIDTH))
    assert others is not None and (others == DENT).all()
    with pytest.raises(DataError):
        good_pictures(root)
    assert "2 objects are difficult or to be ignored" in caplog.text


def test_labels_that_are_not_pascal_voc_s_are_not_passed_over(tmp_path: Path) -> None:
    root = voc_nut(tmp_path / "nut")
    (root / "Annotations/004.xml").write_text("<note/>")
    with pytest.raises(DataError, match=r"004\.xml has the name of .*004\.png"):
        find_examples(root)


def test_good_pictures_of_voc_are_no_labelme_3(tmp_path: Path) -> None:
    """The first file shows no object, as LabelMe 3.0 writes it."""
    root = voc(tmp_path / "nut", "a")
    voc(root, "b", voc_object())
    assert layout_of(root).name == "voc" and len(find_examples(root)) == 1


def test_groups(tmp_path: Path) -> None:
    root = voc(tmp_path / "nut", "a", voc_object(), more="<board>b1</board>")
    assert find_examples(root, reading=ReadingSettings(group_key="board"))[0].group == "b1"


def test_boxes_that_stand_in_no_object_make_no_picture_good(tmp_path: Path) -> None:
    objects = voc_object().replace("object>", "Object>")
    root = voc(tmp_path / "nut", "a", objects)
    with pytest.raises(DataError, match=r"a\.xml has boxes, but no object"):
        good_pictures(root)


def test_where_pictures_are_expected(tmp_path: Path) -> None:
    root = voc_nut(tmp_path / "nut")
    with pytest.raises(DataError, match=r"\.tif .*or give the folder that holds both"):
        find_examples(root / "Annotations")


# --- sides


def test_sides_of_image_sets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = voc_nut(tmp_path / "nut")
    lists = root / "ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("000\n001\n003\n")
    (lists / "trainval.txt").write_text("000\n001\n003\n")
    (lists / "test.txt").write_text("002  -1\n001\n")
    (lists / "cut_test.txt").write_text("000 1\n")
    assert [example.side for example in find_examples(root)] == ["train", "train", "test"]
    assert "1 pictures stand in no list of ImageSets" in caplog.text


# --- masks


@pytest.mark.parametrize("kind", ["objects", "classes", "label map", "colours", "white"])
def test_masks_take_the_place_of_boxes(kind: str, tmp_path: Path) -> None:
    both = voc_object() + voc_object(DENT_BOX, "dent")
    root = voc(tmp_path / "nut", "a", both, more="<segmented>1</segmented>")
    voc(root, "b", voc_object())
    if kind == "objects":
        indexed(root / "SegmentationClass/a.png", ROUND, DENT, values=(7, 4))
        indexed(root / "SegmentationObject/a.png", ROUND, DENT)
    elif kind == "label map":
        indexed(root / "SegmentationClass/a.png", ROUND, DENT)
        (root / "labelmap.txt").write_text("background:0,0,0::\ncut:128,0,0::\ndent:0,128,0::\n")
    elif kind == "colours":
        indexed(root / "SegmentationObject/a.png", ROUND, DENT)
        Image.open(root / "SegmentationObject/a.png").convert("RGB").save(
            root / "SegmentationObject/a.png"
        )
    else:
        voc(root, "a", voc_object())
        if kind == "white":
            write_mask(root / "SegmentationClass/a.png", ROUND)
        else:
            indexed(root / "SegmentationClass/a.png", ROUND, values=(15,))
    assert layout_of(root).name == "voc"
    masks = masks_of(root)
    assert (masks["a.png", "cut"] == ROUND).all() and (masks["b.png", "cut"] == CUT).all()
    if kind not in ("classes", "white"):
        assert (masks["a.png", "dent"] == DENT).all()
    assert [example.regions[0].is_loose for example in find_examples(root, defect="cut")] == [
        False,
        True,
    ]


def test_void_is_neither_and_an_object_without_mask_keeps_its_box(tmp_path: Path) -> None:
    both = voc_object() + voc_object(DENT_BOX, "dent")
    root = voc(tmp_path / "nut", "a", both)
    indexed(root / "SegmentationObject/a.png", ROUND, CUT & ~ROUND, values=(1, 255))
    cut, dent = find_examples(root)
    assert (load_example(cut)[1] == ROUND).all() and (load_example(dent)[1] == DENT).all()
    others = load_others(cut, (HEIGHT, WIDTH))
    assert others is not None and (others == DENT | (CUT & ~ROUND)).all()


def test_masks_that_contradict_the_xml_file(tmp_path: Path) -> None:
    both = voc_object() + voc_object(DENT_BOX, "dent")
    root = voc(tmp_path / "nut", "a", both)
    indexed(root / "SegmentationClass/a.png", ROUND, DENT)
    with pytest.raises(DataError, match="values without names, and .* shows 2 classes"):
        find_examples(root)
    indexed(root / "SegmentationObject/a.png", ROUND, DENT, values=(2, 1))
    with pytest.raises(DataError, match="its object [12] is none of the 2"):
        find_examples(root)
    indexed(root / "SegmentationObject/a.png", ROUND, DENT, values=(1, 3))
    with pytest.raises(DataError, match="its object 3 is none of the 2"):
        find_examples(root)


@pytest.mark.parametrize("has_xml", [True, False])
def test_a_mask_of_a_picture_without_an_object(has_xml: bool, tmp_path: Path) -> None:
    root = voc_nut(tmp_path / "nut")
    if not has_xml:
        (root / "Annotations/004.xml").unlink()
    write_mask(root / "SegmentationClass/004.png", ROUND)
    with pytest.raises(DataError, match=r"004\.png marks something in 004\.png, which has no obj"):
        find_examples(root)
    (root / "labelmap.txt").write_text("background:0,0,0::\ncut:255,255,255::\n")
    assert (masks_of(root)["004.png", "cut"] == ROUND).all()
    (root / "labelmap.txt").unlink()
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(root / "SegmentationClass/004.png")
    assert [path.name for path in good_pictures(root)] == ["003.png", "004.png"]


def test_masks_of_white_are_read_as_everywhere(tmp_path: Path) -> None:
    root = voc(tmp_path / "nut", "a", voc_object())
    place = root / "SegmentationClass"
    place.mkdir()
    Image.fromarray(CUT.astype(np.uint8) * 255).save(place / "a.jpg", quality=30)
    assert (masks_of(root)["a.png", "cut"] == CUT).all()
    (place / "a.jpg").unlink()
    Image.fromarray(255 - CUT.astype(np.uint8) * 255).save(place / "a.png")
    with pytest.raises(MaskError, match="white on 95% of the picture"):
        masks_of(root)


def test_masks_without_a_picture_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = voc(tmp_path / "nut", "a", voc_object())
    write_mask(root / "SegmentationClass/b.png", ROUND)
    assert len(find_examples(root)) == 1
    assert "1 masks have no picture: b.png" in caplog.text


def test_a_mask_outside_the_folder_is_refused(tmp_path: Path) -> None:
    root = voc(tmp_path / "nut", "a", voc_object())
    write_mask(tmp_path / "secret.png", ROUND)
    (root / "SegmentationClass").mkdir()
    (root / "SegmentationClass/a.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match="leads out of"):
        find_examples(root)


# --- hostile files


@pytest.mark.parametrize(
    ("objects", "text"),
    [
        (voc_object((3, 2, "nan", 6)), "xmax holds 'nan'"),
        (voc_object((3, 2, "1e999", 6)), "xmax holds"),
        (voc_object((3, 2, "", 6)), "xmax holds ''"),
        (voc_object(("3,5", 2, 9, 6)), "xmin holds '3,5'"),
        (voc_object((9, 2, 3, 6)), "its box reaches from 9, 2 to 3, 6"),
        (voc_object((3, 2, 1e9, 6)), "point 1e"),
        (voc_object(name=""), "has no name"),
        (voc_object(name="../cut"), "cannot be a folder"),
        ("<object><name>cut</name></object>", "has no bndbox"),
        (voc_object(more="<polygon><x1>3</x1></polygon>"), "1 x and 0 y"),
        (voc_object().replace("</object>", ""), "cannot be read"),
    ],
)
def test_a_hostile_object_is_refused_by_name(objects: str, text: str, tmp_path: Path) -> None:
    root = voc(tmp_path / "nut", "a", objects)
    with pytest.raises(BGDefectError, match=text):
        for example in find_examples(root):
            load_example(example)


def test_a_box_without_an_area_is_a_slip(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = voc(tmp_path / "nut", "a", voc_object((3, 2, 3, 6)))
    voc(root, "b", voc_object())
    assert len(find_examples(root)) == 1
    with pytest.raises(DataError):
        good_pictures(root)
    assert "1 labels have no area, not read" in caplog.text


@pytest.mark.parametrize("kind", ["entities", "external", "outside", "link", "large", "double"])
def test_hostile_files(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = voc(tmp_path / "nut", "a", voc_object())
    plain_picture(tmp_path / "secret.png")
    path = root / "Annotations/a.xml"
    text = path.read_text()
    if kind == "entities":
        bomb = '<!DOCTYPE a [<!ENTITY b "cut"><!ENTITY c "&b;&b;&b;">]>'
        path.write_text(bomb + text.replace(">cut<", ">&c;<"))
    elif kind == "external":
        path.write_text('<!DOCTYPE a SYSTEM "file:///etc/passwd">' + text)
    elif kind == "outside":
        (root / "JPEGImages/a.png").unlink()
        path.write_text(text.replace(">a.png<", f">{tmp_path}/secret.png<"))
    elif kind == "link":
        (root / "JPEGImages/a.png").unlink()
        (root / "JPEGImages/a.png").symlink_to(tmp_path / "secret.png")
    elif kind == "large":
        monkeypatch.setattr(voc_layout, "_LARGEST", 100)
    else:
        (root / "Annotations/b").mkdir()
        (root / "Annotations/b/a.xml").write_text(text)
    with pytest.raises(DataError):
        find_examples(root)


# --- written


def test_what_is_written(tmp_path: Path) -> None:
    both = voc_object() + voc_object(DENT_BOX, "dent") + voc_object((20, 0, 24, 2), "ignore")
    source = voc(tmp_path / "source/nut", "a", both, more="<group>p1</group>")
    voc(source, "b", voc_object())
    voc(source, "c")
    root = tmp_path / "nut"
    convert(ConvertConfig(source, root, ("voc",), val_share=0.34))
    (path,) = root.glob("Annotations/a.xml")
    tree = ElementTree.parse(path).getroot()
    assert tree.findtext("segmented") == "1" and tree.findtext("size/width") == str(WIDTH)
    boxes = []
    for box in tree.iter("bndbox"):
        boxes.append([int(child.text or "") for child in box])
    assert sorted(boxes) == [[3, 2, 9, 6], list(DENT_BOX)]
    assert (root / "labelmap.txt").read_text().splitlines()[1] == "cut:128,0,0::"
    stems = []
    for side in ("train", "val"):
        stems += (root / f"ImageSets/Main/{side}.txt").read_text().split()
    assert sorted(stems) == ["a", "b", "c"]
    before, after = find_examples(source), find_examples(root)
    assert [e.defect for e in after] == [e.defect for e in before] and after[0].group == "p1"
    for old, new in zip(before, after, strict=True):
        assert (load_example(old)[1] == load_example(new)[1]).all()
        size = (HEIGHT, WIDTH)
        assert np.array_equal(load_others(old, size), load_others(new, size))
    assert [path.name for path in good_pictures(root)] == ["c.png"]
