"""Reading training data: three layouts, splits that keep groups together, and every bad input by
name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bgdefect_core.errors import DataError, MaskError, OutputError
from bgdefect_core.pictures.mask_files import read_library
from bgdefect_core.pictures.mask_values import NONZERO
from bgdefect_core.pictures.writing import write_mask, write_picture
from trainer.data.examples import Example, load_example, validate
from trainer.data.layouts import find_examples, good_pictures
from trainer.data.splits import read_split, split_halves, split_k_shots, write_split

SHARED = Path(
    os.environ.get("BGDEFECT_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
)


def picture(path: Path, value: int = 90) -> Path:
    write_picture(path, np.full((16, 18, 3), value, np.uint8))
    return path


def mask(path: Path, rows: slice = slice(2, 4)) -> Path:
    array = np.zeros((16, 18), bool)
    array[rows, 3:7] = True
    write_mask(path, array)
    return path


@pytest.fixture
def nut(tmp_path: Path) -> Path:
    """Two defects: cut (3 pictures, the masks under the pictures' own names), scratch (2, with
    _mask)."""
    root = tmp_path / "nut"
    for index in range(3):
        picture(root / f"test/cut/00{index}.png")
        mask(root / f"ground_truth/cut/00{index}.png")
    for index in range(2):
        picture(root / f"test/scratch/00{index}.png")
        mask(root / f"ground_truth/scratch/00{index}_mask.png")
        picture(root / f"train/good/00{index}.png")
    picture(root / "test/good/000.png")
    return root


def names(examples: list[Example] | tuple[Example, ...]) -> list[str]:
    return [f"{example.defect}/{example.image.stem}" for example in examples]


def made(*groups: str, defect: str = "cut") -> list[Example]:
    return [
        Example(Path(f"/d/{defect}/{i}.png"), (Path(f"/d/{i}_mask.png"),), "nut", defect, group)
        for i, group in enumerate(groups)
    ]


def stems(examples: tuple[Example, ...]) -> str:
    return " ".join(example.image.stem for example in examples)


# --- layouts


def test_mvtec_ad(nut: Path) -> None:
    found = find_examples(nut)
    assert names(found) == ["cut/000", "cut/001", "cut/002", "scratch/000", "scratch/001"]
    assert found[0] == Example(
        nut / "test/cut/000.png", (nut / "ground_truth/cut/000.png",), "nut", "cut", ""
    )
    assert found[3].masks == (nut / "ground_truth/scratch/000_mask.png",)
    assert find_examples(nut.parent, "nut", "cut") == found[:3] == find_examples(nut, defect="cut")
    assert (
        good_pictures(nut.parent)
        == good_pictures(nut)
        == [nut / "train/good/000.png", nut / "train/good/001.png"]
    )
    assert good_pictures(nut / "train/good") == good_pictures(nut)
    validate(found)


def test_mvtec_groups(nut: Path) -> None:
    (nut / "manifest.csv").write_text(
        "file,source,group\ntest/cut/000.png,x,board1\ntest/cut/002.png,x,\n"
    )
    assert [example.group for example in find_examples(nut, "nut", "cut")] == ["board1", "", ""]


def test_headers_in_capitals(nut: Path) -> None:
    (nut / "manifest.csv").write_text(
        "File , Group\n./test/cut/000.png,board1\ntest/cut/gone.png,\n"
    )
    assert [example.group for example in find_examples(nut, "nut", "cut")] == ["board1", "", ""]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_excels_marks_between_cells(nut: Path, mark: str) -> None:
    rows = (("File", "Group"), ("test/cut/000.png", "board1"), ("test/cut/001.png", "board1"))
    (nut / "manifest.csv").write_text(
        "\ufeff" + "\r\n".join(mark.join(row) for row in rows), encoding="utf-8"
    )
    assert [example.group for example in find_examples(nut, "nut", "cut")] == [
        "board1",
        "board1",
        "",
    ]


@pytest.mark.parametrize("header", ["filename,group", "file,part", "file group", "file"])
def test_a_manifest_without_file_and_group_is_refused(nut: Path, header: str) -> None:
    """Passed over, it would leave pictures of one part on both sides of a split."""
    (nut / "manifest.csv").write_text(f"{header}\ntest/cut/000.png,g\ntest/cut/002.png,g\n")
    said = ", ".join(repr(name) for name in header.split(","))
    with pytest.raises(
        DataError, match=f"manifest.csv has the columns {said}; expected file and group"
    ):
        find_examples(nut)
    (nut / "manifest.csv").rename(nut.parent / "manifest.csv")
    with pytest.raises(
        DataError,
        match=f"manifest.csv has the columns {said}; expected file and group, in the object's "
        "folder",
    ):
        find_examples(nut.parent)


def test_an_open_quote_does_not_swallow_what_follows(nut: Path) -> None:
    for last in ("test/cut/002.png,g", 'test/cut/002.png,"g"'):
        (nut / "manifest.csv").write_text(
            f'file,group\ntest/cut/000.png,"g\ntest/cut/001.png,g\n{last}\n'
        )
        with pytest.raises(DataError, match="close"):
            find_examples(nut)
    (nut / "manifest.csv").write_text('file,group\ntest/cut/000.png,"g\ntest/cut/001.png,h"\n')
    with pytest.raises(DataError, match="row 1 has a cell of several lines"):
        find_examples(nut)


@pytest.mark.parametrize("file", ["nut/test/cut/000.png", "000.png", "test/cut/007.png", ""])
def test_a_group_of_no_file_is_refused(nut: Path, file: str) -> None:
    (nut / "manifest.csv").write_text(f"file,group\ntest/cut/001.png,a\n{file},a\n")
    with pytest.raises(
        DataError,
        match=rf"manifest.csv gives {file or '.'} a group, but .* does not exist; expected files "
        r"relative to .*nut",
    ):
        find_examples(nut)


def test_links_keep_their_own_names(nut: Path, tmp_path: Path) -> None:
    """A linked object, a linked root and linked pictures: names are those listed, not those of the
    targets."""
    linked = tmp_path / "data" / "screw"
    linked.parent.mkdir()
    linked.symlink_to(nut, target_is_directory=True)
    for root in (linked, linked.parent):
        assert {example.object for example in find_examples(root)} == {"screw"}
        assert good_pictures(root, "screw")[0] == linked / "train/good/000.png"
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for index, example in enumerate(find_examples(nut, defect="scratch")):
        blob = blobs / f"{index}f00"
        example.image.rename(blob)
        example.image.symlink_to(blob)
    path = tmp_path / "split.json"
    split = split_halves(find_examples(linked, defect="scratch"))
    write_split(path, split, linked.parent / "screw")
    assert json.loads(path.read_text())["train"] == ["test/scratch/000.png"]
    assert (
        read_split(path, find_examples(nut, defect="scratch"), nut).train[0].image
        == nut / "test/scratch/000.png"
    )
    assert read_library(linked / "ground_truth/scratch", path).names == ["000_mask.png"]


def test_mvtec_loco(tmp_path: Path) -> None:
    """Several masks a picture, joined; saturation values far below 127 count."""
    root = tmp_path / "juice"
    picture(root / "test/logical_anomalies/000.png")
    folder = root / "ground_truth/logical_anomalies/000"
    folder.mkdir(parents=True)
    for name, value, row in (("000.png", 1, 2), ("001.png", 255, 9)):
        array = np.zeros((16, 18), np.uint8)
        array[row] = value
        Image.fromarray(array).save(folder / name)
    (example,) = find_examples(root)
    assert example.values == NONZERO and [path.name for path in example.masks] == [
        "000.png",
        "001.png",
    ]
    image, joined = load_example(example)
    assert image.shape == (16, 18, 3)
    assert sorted(set(np.nonzero(joined)[0])) == [2, 9] and joined.sum() == 36
    left = np.arange(18) < 9
    for name, half in (("002.png", left), ("003.png", ~left)):
        Image.fromarray(np.where(~joined & half, 255, 0).astype(np.uint8)).save(folder / name)
    with pytest.raises(MaskError, match="the union of the masks of .*000.png is full"):
        load_example(find_examples(root)[0])


def test_csv(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        picture(tmp_path / f"pictures/{name}.png")
    mask(tmp_path / "masks/a.png")
    mask(tmp_path / "masks/b.png")
    table = tmp_path / "manifest.csv"
    table.write_text(
        "\ufeffimage, mask, class, defect, group\n"
        "pictures/b.png,masks/b.png,nut,cut,g1\n"
        "pictures/a.png,masks/a.png,nut,dent\n"
        "pictures/c.png,,nut,good,\n",
        encoding="utf-8",
    )
    expected = Example(tmp_path / "pictures/b.png", (tmp_path / "masks/b.png",), "nut", "cut", "g1")
    for root in (table, tmp_path):
        assert find_examples(root)[0] == expected
        assert names(find_examples(root)) == ["cut/b", "dent/a"]
        assert names(find_examples(root, "nut", "dent")) == ["dent/a"]
        assert good_pictures(root) == [tmp_path / "pictures/c.png"]
    with pytest.raises(DataError, match="no defect 'bent'; expected one of cut, dent"):
        find_examples(table, "nut", "bent")
    with pytest.raises(DataError, match="no object 'bolt'; expected one of nut"):
        find_examples(table, "bolt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,mask,defect\nx.png,m.png,cut\n", "lacks the columns class"),
        ("image,mask,class,defect\n", "no rows"),
        ("image,mask,class,defect\nx.png,,nut,cut\n", "row 1: x.png has no mask"),
        (
            "image,mask,class,defect\nx.png,m.png,nut,good\n",
            "row 1: x.png has a mask but no defect",
        ),
        (
            "image,mask,class,defect\nx.png,m.png,nut,cut\ny.png,m.png,nut,cut\n",
            "row 2: .*y.png does not exist",
        ),
        ("image,mask,class,defect\nx.png,n.png,nut,cut\n", "row 1: .*n.png does not exist"),
        (
            "image,mask,class,defect\nx.png,m.png,nut,cut\nx.png,m.png,nut,cut\n",
            "row 2: x.png stands there twice",
        ),
        ("image,mask,class,defect\nx.png,m.png,,cut\n", "row 1 lacks the image or the class"),
        ("image,mask,class,defect\nx.png,m.png,nut,c\xe9\n", "UTF-8"),
        (
            "image,mask,class,defect\nx.png,m.png,../../esc,cut\n",
            "row 1: the object '../../esc' cannot be a folder",
        ),
        (
            "image,mask,class,defect\nx.png,m.png,nut,a/b\n",
            "row 1: the defect 'a/b' cannot be a folder",
        ),
        ("image,mask,class,defect\nx.png,,..,good\n", "row 1: the object '..' cannot be a folder"),
        ("", "lacks the columns"),
    ],
)
def test_bad_csv(tmp_path: Path, text: str, message: str) -> None:
    picture(tmp_path / "x.png")
    mask(tmp_path / "m.png")
    (tmp_path / "list.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=message):
        find_examples(tmp_path / "list.csv")


# --- bad folders


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent does not exist"):
        find_examples(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    for read in (find_examples, good_pictures):
        with pytest.raises(DataError, match="empty is an empty folder"):
            read(tmp_path / "empty")
        (tmp_path / "text.txt").write_text("hello")
        with pytest.raises(DataError, match="text.txt is neither a folder nor a csv"):
            read(tmp_path / "text.txt")
    with pytest.raises(DataError, match="unknown layout.*test/DEFECT"):
        find_examples(tmp_path)
    (tmp_path / "bolt/test/good").mkdir(parents=True)
    with pytest.raises(DataError, match="no defect at all"):
        find_examples(tmp_path)
    with pytest.raises(DataError, match="holds no good pictures; expected pictures in train/good"):
        good_pictures(tmp_path)


def test_unknown_names(nut: Path) -> None:
    with pytest.raises(DataError, match="no object 'bolt'; expected one of nut"):
        find_examples(nut.parent, "bolt")
    with pytest.raises(DataError, match="no defect 'good'; expected one of cut, scratch"):
        find_examples(nut, "nut", "good")
    (nut.parent / "bolt/train").mkdir(parents=True)
    with pytest.raises(DataError, match="2 objects; expected one of bolt, nut"):
        good_pictures(nut.parent)


def test_picture_without_mask(nut: Path) -> None:
    (nut / "ground_truth/cut/001.png").unlink()
    with pytest.raises(
        DataError, match=r"test/cut/001.png has no mask; expected .*ground_truth/cut/001_mask.png"
    ):
        find_examples(nut)
    assert (
        len(find_examples(nut, defect="scratch")) == 2
    )  # another defect's trouble is none of this one's
    (nut / "ground_truth/cut/001").mkdir()  # LOCO's folder, but empty
    with pytest.raises(DataError, match=r"001.png has no mask"):
        find_examples(nut)


def test_mask_without_picture(nut: Path) -> None:
    mask(nut / "ground_truth/scratch/009_mask.png")
    with pytest.raises(DataError, match=r"scratch/009_mask.png has no picture"):
        find_examples(nut)
    mask(nut / "ground_truth/dent/000_mask.png")
    with pytest.raises(DataError, match=r"dent/000_mask.png has no picture"):
        find_examples(nut, defect="dent")


def test_two_pictures_of_one_name(nut: Path) -> None:
    Image.new("RGB", (18, 16)).save(nut / "test/cut/001.jpg")
    with pytest.raises(DataError, match="001.jpg and .*001.png have one name"):
        find_examples(nut)


def test_empty_defect_folder(nut: Path) -> None:
    (nut / "test/dent").mkdir()
    with pytest.raises(DataError, match="test/dent is an empty folder"):
        find_examples(nut)


def test_validate_names_every_bad_file(nut: Path) -> None:
    (nut / "test/cut/001.png").write_bytes((nut / "test/cut/001.png").read_bytes()[:40])
    write_mask(nut / "ground_truth/cut/002.png", np.ones((16, 17), bool))
    write_mask(nut / "ground_truth/scratch/001_mask.png", np.zeros((16, 18), bool))
    with pytest.raises(DataError) as caught:
        validate(find_examples(nut))
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 of 5 examples cannot be used:"
    for line, name in zip(
        lines[1:], ("test/cut/001.png", "cut/002.png", "scratch/001_mask.png"), strict=True
    ):
        assert name in line
    with pytest.raises(DataError, match="no examples"):
        validate([])


# --- splits


def test_halves_without_groups() -> None:
    split = split_halves(made("", "", "", "", ""))
    assert (stems(split.train), stems(split.held_out)) == ("0 1 2", "3 4")
    other = split_halves(made("", "", "", "", ""), fold=1)
    assert (other.train, other.held_out) == (split.held_out, split.train)


def test_halves_keep_groups() -> None:
    # wanted 3 of 6: a (0, 4) and b (1) fill training; c (2, 5) and the single 3 first fall outside
    split = split_halves(made("a", "b", "c", "", "a", "c"))
    assert (stems(split.train), stems(split.held_out)) == ("0 1 4", "2 3 5")
    # every group shows up in the first half: still something to hold out
    split = split_halves(made("a", "b", "c", "d", "a", "b", "c", "d"))
    assert (stems(split.train), stems(split.held_out)) == ("0 1 4 5", "2 3 6 7")


def test_halves_class_by_class() -> None:
    both = [*made("a", "b", "", ""), *made("b", "", "a", "", defect="dent")]
    split = split_halves(both)
    assert names(split.train) == ["cut/0", "cut/1", "dent/0", "dent/2"]
    same_file = [
        Example(e.image, e.masks, "nut", "dent", "") for e in reversed(made("", "", "", ""))
    ]
    split = split_halves([*made("", "", "", ""), *same_file])
    assert not {e.image for e in split.train} & {e.image for e in split.held_out}


def test_halves_refuse() -> None:
    with pytest.raises(DataError, match="3 pictures in one group"):
        split_halves(made("a", "a", "a"))
    with pytest.raises(DataError, match="0 pictures"):
        split_halves([])
    with pytest.raises(DataError, match="fold is 2"):
        split_halves(made("", ""), fold=2)


def test_k_shots() -> None:
    split = split_k_shots(made("", "", "", ""), 2)
    assert (stems(split.train), stems(split.held_out)) == ("0 1", "2 3")
    # a fills one shot too many: 4 belongs to a, so it is on neither side
    split = split_k_shots(made("a", "b", "a", "c", "a"), 2)
    assert (stems(split.train), stems(split.held_out)) == ("0 2", "1 3")
    assert stems(split_k_shots(made("", ""), 2).held_out) == ""
    with pytest.raises(DataError, match="0 shots; expected at least 1"):
        split_k_shots(made("", ""), 0)
    with pytest.raises(DataError, match="3 shots of nut / cut; expected at most 2"):
        split_k_shots(made("", ""), 3)
    # cut takes a and b, which leaves only x in dent... and dent's two shots cannot come without c,
    # held out by cut
    with pytest.raises(DataError, match="every class part a group"):
        split_k_shots([*made("a", "b", "c"), *made("c", "c", "a", defect="dent")], 2)


def test_k_shots_by_seed() -> None:
    examples = made(*[""] * 20)
    first = split_k_shots(examples, 5, seed=1)
    assert first == split_k_shots(examples, 5, seed=1) != split_k_shots(examples, 5, seed=2)
    assert sorted(map(int, (stems(first.train) + " " + stems(first.held_out)).split())) == list(
        range(20)
    )
    assert len(first.train) == 5 and stems(first.train) != "0 1 2 3 4"


def test_split_file(nut: Path, tmp_path: Path) -> None:
    examples = find_examples(nut)
    split = split_halves(examples)
    path = tmp_path / "runs/split.json"
    write_split(path, split, nut)
    record = json.loads(path.read_text())
    assert record["train"] == ["test/cut/000.png", "test/cut/001.png", "test/scratch/000.png"]
    assert read_split(path, examples, nut) == split
    record["train"].remove("test/cut/001.png")
    path.write_text(json.dumps(record))
    assert names(read_split(path, examples, nut).train) == ["cut/000", "scratch/000"]
    with pytest.raises(OutputError):
        write_split(nut / "test/cut/000.png/split.json", split, nut)


def test_bad_split_file(nut: Path, tmp_path: Path) -> None:
    (nut / "manifest.csv").write_text("file,group\ntest/cut/000.png,g\ntest/cut/001.png,g\n")
    examples = find_examples(nut)
    path = tmp_path / "split.json"
    for text, message in (
        ("{", "is no split file"),
        ("[]", "is no split file"),
        ('{"train": []}', "is no split file"),
        ('{"train": ["test/cut/077.png"], "held_out": []}', "lists test/cut/077.png"),
        ('{"train": [], "held_out": ["test/cut/000.png"]}', "nothing to train on"),
        (
            '{"train": ["test/cut/002.png"], "held_out": ["test/cut/002.png"]}',
            "parts one group: test/cut/002.png",
        ),
        (
            '{"train": ["test/cut/000.png"], "held_out": ["test/cut/001.png"]}',
            r"cut/000.png \(train\) and .*cut/001.png",
        ),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_split(path, examples, nut)
    with pytest.raises(DataError, match="absent.json is no split file"):
        read_split(tmp_path / "absent.json", examples, nut)


# --- the real sets


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real sets are not here")
@pytest.mark.parametrize(
    ("name", "defect", "count", "groups"),
    [
        ("cookie", "broken", 32, 32),
        ("deeppcb", "open", 150, 10),
        ("magnetic_tile", "crack", 51, 26),
    ],
)
def test_real_sets(name: str, defect: str, count: int, groups: int) -> None:
    if not (SHARED / name).is_dir():
        pytest.skip(f"{name} is not here")
    examples = find_examples(SHARED, name, defect)
    assert examples == find_examples(SHARED / name, defect=defect)
    assert len(examples) == count
    assert len({example.group or example.image for example in examples}) == groups
    validate(examples[:20])
    assert len(good_pictures(SHARED, name)) in (31, 250)
    for split in (split_halves(examples), split_halves(examples, 1), split_k_shots(examples, 12)):
        sides = [
            {example.group or example.image for example in side}
            for side in (split.train, split.held_out)
        ]
        assert not sides[0] & sides[1]
        assert len(split.held_out) >= count // 4
    halves = split_halves(examples)
    assert len(halves.train) + len(halves.held_out) == count
    assert 0.4 < len(halves.train) / count < 0.7
