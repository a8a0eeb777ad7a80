"""Labels as programs on Windows save them: with byte order marks, in UTF-16, in an encoding that
their XML declares, and with numbers that are written as texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bgdefect_core.errors import DataError
from trainer.data.examples import load_example
from trainer.data.layouts import find_examples, good_pictures, layout_of

from .annotated_sets import CORNERS, coco_nut, labelme, labelme_nut, pairs, voc_nut, yolo_nut
from .test_names import table
from .tool_exports import cvat_nut, label_studio_nut, labelme_xml_nut

BUILDERS: dict[str, Callable[[Path], Path]] = {
    "csv": table,
    "coco": coco_nut,
    "yolo": yolo_nut,
    "labelme": labelme_nut,
    "label_studio": label_studio_nut,
    "cvat": cvat_nut,
    "voc": voc_nut,
    "labelme_xml": labelme_xml_nut,
}
LABELS = (".csv", ".json", ".txt", ".xml", ".yaml")


def cuts(root: Path) -> list[np.ndarray]:
    return [load_example(example)[1] for example in find_examples(root, defect="cut")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", BUILDERS)
def test_labels_with_a_byte_order_mark_are_read(name: str, encoding: str, tmp_path: Path) -> None:
    root = BUILDERS[name](tmp_path / "nut")
    masks = cuts(root)
    for path in root.rglob("*"):
        if path.suffix in LABELS:
            mark = "" if encoding == "utf-8-sig" else "\ufeff"
            text = (mark + path.read_text()).replace("\n", "\r\n")
            path.write_bytes(text.encode(encoding))
    assert layout_of(root).name == name
    assert len(masks) == 3 and np.array_equal(cuts(root), masks)
    assert len(good_pictures(root)) == 2


def test_xml_in_the_encoding_that_it_declares(tmp_path: Path) -> None:
    root = cvat_nut(tmp_path / "nut")
    path = root / "annotations.xml"
    text = path.read_text().replace('"cut"', '"划痕"')
    path.write_bytes(f'<?xml version="1.0" encoding="gb2312"?>{text}'.encode("gb2312"))
    assert {example.defect for example in find_examples(root)} == {"划痕"}
    path.write_bytes(f'<?xml version="1.0" encoding="gb2312"?>{text}'.encode())
    assert {example.defect for example in find_examples(root)} == {"划痕"}
    for encoding in ("rot13", "nothing", "utf-8"):
        path.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode("gb2312"))
        with pytest.raises(DataError, match="is not in UTF-8"):
            find_examples(root)


def test_entities_hide_in_no_encoding(tmp_path: Path) -> None:
    root = cvat_nut(tmp_path / "nut")
    path = root / "annotations.xml"
    text = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>' + path.read_text()
    encoded = text.replace("<!", "+ADw-!").encode()
    assert encoded.decode("utf-7") == text
    latin = "<!-- \xfc -->".encode("latin-1")  # not in UTF-8, so that the declaration counts
    declared = b'<?xml version="1.0" encoding="utf-7"?>' + encoded
    for content in (declared, declared + latin, text.encode("utf-16")):
        path.write_bytes(content)
        with pytest.raises(DataError):
            find_examples(root)


def as_texts(value: Any) -> Any:
    """The same with every number as a text."""
    if isinstance(value, dict):
        return {name: as_texts(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [as_texts(entry) for entry in value]
    return str(value) if type(value) in (int, float) else value


@pytest.mark.parametrize("name", ["coco", "labelme", "label_studio"])
def test_numbers_that_are_written_as_texts(name: str, tmp_path: Path) -> None:
    root = BUILDERS[name](tmp_path / "nut")
    masks = cuts(root)
    for path in root.rglob("*.json"):
        path.write_text(json.dumps(as_texts(json.loads(path.read_text()))))
    assert len(masks) == 3 and np.array_equal(cuts(root), masks)
    assert len(good_pictures(root)) == 2


@pytest.mark.parametrize("ignore", [1, True, "1", "true"])
def test_switches_that_are_written_as_texts(ignore: Any, tmp_path: Path) -> None:
    root = coco_nut(tmp_path / "nut")
    (path,) = root.rglob("*.json")
    content = json.loads(path.read_text())
    content["annotations"][0]["ignore"] = ignore
    content["annotations"][1]["ignore"] = "0"
    path.write_text(json.dumps(content))
    assert len(cuts(root)) == 2
    content["annotations"][1]["ignore"] = "perhaps"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="ignore is 'perhaps'"):
        find_examples(root)


@pytest.mark.parametrize("number", ["3,5", "nan", "1_0", "٣", "3 4", "1e999", ""])
def test_texts_that_are_no_number_are_refused(number: str, tmp_path: Path) -> None:
    points: list[list[Any]] = pairs(CORNERS)
    points[0][0] = number
    root = labelme(tmp_path / "nut", "a", [{"points": points}])
    with pytest.raises(DataError, match=r"a\.json, shape 0: points is"):
        find_examples(root)
    root = cvat_nut(tmp_path / "bolt")
    path = root / "annotations.xml"
    path.write_text(path.read_text().replace('xtl="3.00"', f'xtl="{number}"', 1))
    with pytest.raises(DataError, match=r"annotations\.xml, image 0, box 0"):
        find_examples(root)
    root = labelme_xml_nut(tmp_path / "plate")
    path = root / "000.xml"
    path.write_text(path.read_text().replace("<x>3.0<", f"<x>{number}<", 1))
    with pytest.raises(DataError, match=r"000\.xml, object 0"):
        find_examples(root)
