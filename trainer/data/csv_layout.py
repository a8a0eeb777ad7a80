"""The csv layout: a row a picture, with the columns image, mask, class, defect and group."""

from __future__ import annotations

import csv
from pathlib import Path

from bgdefect_core.errors import DataError, SettingError
from bgdefect_core.records.dataset_place import check_name

from .examples import GOOD, Example

__all__ = ["csv_of", "csv_rows", "read_csv"]


def csv_of(root: Path) -> Path | None:
    """The csv that describes the examples, where there is one: root itself, or a fitting
    manifest.csv in it."""
    path = root if root.is_file() else root / "manifest.csv"
    if not path.is_file() or path.suffix.lower() != ".csv":
        return None
    return path if root.is_file() or {"image", "mask"} <= set(csv_rows(path)[0]) else None


def csv_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Header, in lower case, and rows, stripped; a cell that is missing at the end of a row is
    empty."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            mark = next((mark for mark in ",;\t" if mark in first), ",")
            lines = [
                [cell.strip() for cell in line]
                for line in csv.reader(file, delimiter=mark, strict=True)
                if line
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as reason:
        do = "save it again, and close every quote"
        raise DataError(f"{path} cannot be read ({reason})", "a csv in UTF-8", do) from reason
    for number, line in enumerate(lines):
        torn = [cell for cell in line if "\n" in cell or "\r" in cell]
        if torn:  # an open quote takes all up to the next one for its cell
            raise DataError(
                f"{path}, row {number} has a cell of several lines ({torn[0][:40]!r})",
                "one line a row",
                "close its quote",
            )
    header = [name.lower() for name in lines[0]] if lines else []
    return header, [
        dict(zip(header, [*line, *[""] * len(header)], strict=False)) for line in lines[1:]
    ]


def read_csv(path: Path) -> list[Example]:
    """Every row; those of good pictures have no masks."""
    header, rows = csv_rows(path)
    missing = [name for name in ("image", "mask", "class", "defect") if name not in header]
    if missing:
        raise DataError(
            f"{path} lacks the columns {', '.join(missing)}",
            "image, mask, class, defect, group",
            "add them",
        )
    if not rows:
        raise DataError(f"{path} holds no rows", "a row a picture")
    found, seen = [], set[tuple[Path, str]]()
    for number, row in enumerate(rows, start=1):
        where = f"{path}, row {number}"
        if not row["image"] or not row["class"]:
            raise DataError(f"{where} lacks the image or the class", "both", "fill them in")
        image = path.parent / row["image"]
        good = row["defect"] in ("", GOOD)
        names = (
            {"object": row["class"]} if good else {"object": row["class"], "defect": row["defect"]}
        )
        try:
            for what, name in names.items():
                check_name(what, name)  # they become folders
        except SettingError as error:
            raise DataError(f"{where}: {error.came}", error.expected, error.do) from error
        if good and row["mask"]:
            raise DataError(
                f"{where}: {row['image']} has a mask but no defect",
                "the defect's name",
                "fill it in",
            )
        if not good and not row["mask"]:
            raise DataError(
                f"{where}: {row['image']} has no mask",
                "the mask's file",
                "add it or leave the row out",
            )
        mask = () if good else (path.parent / row["mask"],)
        for file in (image, *mask):
            if not file.is_file():
                raise DataError(
                    f"{where}: {file} does not exist",
                    "a file relative to the csv",
                    "correct the path",
                )
        if (image, row["defect"]) in seen:
            raise DataError(
                f"{where}: {row['image']} stands there twice",
                "once a defect",
                "join the masks into one",
            )
        seen.add((image, row["defect"]))
        found.append(Example(image, mask, row["class"], row["defect"], row.get("group", "")))
    return found
