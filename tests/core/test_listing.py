from __future__ import annotations

import logging
import unicodedata
from pathlib import Path

import pytest

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import (
    PICTURE_SUFFIXES,
    is_leftover,
    list_folders,
    list_pictures,
    mask_key,
    picture_key,
    unique_names,
)

LEFTOVERS = [
    ".DS_Store",
    "._0.png",
    ".0.png.tmp",
    ".nfs0001",
    "Thumbs.db",
    "desktop.ini",
    "@eaDir",
    "__MACOSX",
    "#recycle",
    "$RECYCLE.BIN",
    "System Volume Information",
    "~$notes.txt",
]


@pytest.mark.parametrize("name", LEFTOVERS)
def test_leftovers_of_systems_are_passed_over(tmp_path: Path, name: str) -> None:
    assert is_leftover(name) and is_leftover(name.upper())
    (tmp_path / name).mkdir()
    (tmp_path / "0.png").write_bytes(b"x")
    assert list_folders(tmp_path) == []
    assert list_pictures(tmp_path) == [tmp_path / "0.png"]


def test_every_ending_is_read_in_either_case(tmp_path: Path) -> None:
    names = sorted(f"{number}{end}" for number, end in enumerate(sorted(PICTURE_SUFFIXES)))
    names += sorted(name.upper() for name in names)
    for number, name in enumerate(names):
        (tmp_path / f"{number:02}{name}").write_bytes(b"x")
    assert len(list_pictures(tmp_path)) == len(names)


def test_what_is_passed_over_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "0.png").write_bytes(b"x")
    (tmp_path / "day2").mkdir()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to("/nowhere/link.png")
    for name in ("8.gif", "9.heic", "notes.txt", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"x")
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert [path.name for path in list_pictures(tmp_path)] == ["0.png"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    for text in (
        "1 pictures; passed over: ",
        "8.gif, 9.heic (not one of .bmp .jfif .jpe .jpeg .jpg .pbm .pgm .png ",
        "day2, folder.png (a folder)",
        "link.png (a link to nothing)",
        "Thumbs.db (left by a system or tool)",
        "notes.txt (no picture)",
    ):
        assert text in caplog.text


def test_side_files_alone_are_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("0.png", "0.json", "0.xml", ".DS_Store"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "000").mkdir()
    with caplog.at_level(logging.INFO):
        list_pictures(tmp_path, folders_are_read=True)
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "000" not in caplog.text.split("passed over")[1]


def test_names_that_a_person_calls_the_same() -> None:
    composed, decomposed = (unicodedata.normalize(form, "für.png") for form in ("NFC", "NFD"))
    assert composed != decomposed and picture_key(composed) == picture_key(decomposed)
    assert picture_key("7.JPG") == picture_key("7.png") == mask_key("7_MASK.PNG") == "7"
    assert picture_key("good.1") == "good.1"  # a folder: no ending of a picture
    assert picture_key("a.b.png") == "a.b"


def test_two_files_of_one_name_are_both_named(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("0.png", "1.png", "0_mask.tif")]
    assert list(unique_names(paths)) == ["0", "1", "0_mask"]
    with pytest.raises(DataError, match=r"0\.png and .*0_mask\.tif have one name"):
        unique_names(paths, mask_key)
