"""Reading of csv files as spreadsheet programs write them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from bgdefect_core.errors import DataError

from ..annotations.reading import encoding_of

_MARKS = (",", ";", "\t", "|")
_NOTHING = frozenset({"nan", "none", "null", "n/a", "-"})
"""What programs write into a cell that holds nothing."""


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The header, in lower case, and the rows of a csv.

    Cells are stripped. A cell that is missing at the end of a row is empty, and so is one that says
    so (nan, none, null, n/a, -), in every column: a class of that name is a class that was not
    filled in. Rows of empty cells are left out. The encoding is UTF-8 or, with a byte order mark,
    UTF-16. Cells are separated by commas, semicolons, tabs or bars, whichever the first line has
    most of; Excel's line ``sep=;`` is read.

    Raises:
        DataError: unreadable, another encoding, an open quote, a column twice, or a row with more
            cells than the header.
    """
    file = io.StringIO(_text_of(path), newline="")
    first = file.readline().strip()
    if first.lower().startswith("sep="):
        mark = first[4:5] or "\t"
    else:
        mark = max(_MARKS, key=first.count)
        file.seek(0)
    lines: list[list[str]] = []
    try:
        for cells in csv.reader(file, delimiter=mark, strict=True):
            stripped = list(map(str.strip, cells))
            if not all(map(says_nothing, stripped)):  # spreadsheet programs leave empty rows
                lines.append(stripped)
    except csv.Error as reason:
        came = f"{path} cannot be read ({reason})"
        raise DataError(came, "a csv", "save it again, and close every quote") from reason
    header = list(map(str.lower, lines[0])) if lines else []
    for name in header:
        if name and header.count(name) > 1:
            came = f"{path} has the column {name} twice"
            raise DataError(came, "each column once", "remove or rename one")
    rows = []
    for number, cells in enumerate(lines):
        for cell in cells:
            if "\n" in cell or "\r" in cell:  # an open quote includes all up to the next quote
                came = f"{path}, row {number} has a cell of several lines ({cell[:40]!r})"
                raise DataError(came, "one line a row", "close its quote")
        if len(header) > 1 and any(cells[len(header) :]):  # one column alone is refused later
            came = f"{path}, row {number} has {len(cells)} cells, but the header {len(header)}"
            raise DataError(came, "a cell a column", f"put a cell that holds {mark!r} in quotes")
        if number:
            said = ["" if says_nothing(cell) else cell for cell in cells]
            padded = [*said, *[""] * len(header)]
            rows.append(dict(zip(header, padded, strict=False)))
    return header, rows


def says_nothing(cell: str) -> bool:
    """Whether a cell counts as empty."""
    return not cell or cell.casefold() in _NOTHING


def _text_of(path: Path) -> str:
    do = "save it as a csv in UTF-8"
    try:
        data = path.read_bytes()
        text = data.decode(encoding_of(data))
    except (OSError, UnicodeError) as reason:
        raise DataError(f"{path} cannot be read ({reason})", "a csv in UTF-8", do) from reason
    if "\x00" in text:
        raise DataError(f"{path} holds zero bytes", "a csv in UTF-8", do)
    return text
