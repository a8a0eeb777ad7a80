"""Groups of pictures that show one part: by their file names, or by a table beside the data."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bgdefect_core.errors import DataError, SettingError
from bgdefect_core.pictures.listing import comparable, report_once, shown_names

from ..examples import Example
from .tables import read_table

__all__ = ["compiled", "grouped_by_file", "grouped_by_name"]


def grouped_by_name(root: Path, examples: list[Example], pattern: str) -> list[Example]:
    """The examples with the groups that a pattern finds in their names.

    Raises:
        DataError: it matches no name at all. SettingError: it is no pattern with one group.
    """
    expression = compiled(pattern)
    if expression is None or not examples:
        return examples
    grouped: list[Example] = []
    unmatched: list[str] = []
    for example in examples:
        match = expression.search(example.image.name)
        if match is None or not match[1]:
            unmatched.append(example.image.name)
            grouped.append(example)
        else:
            grouped.append(replace(example, group=match[1]))
    if len(unmatched) == len(examples):
        came = f"group_pattern {pattern!r} matches no file name in {root}"
        raise DataError(came, f"a pattern for names such as {unmatched[0]}", "correct it")
    if unmatched:
        text = f"{root}: group_pattern does not match {shown_names(unmatched)}: each of them is "
        report_once(f"{text}taken for a part of its own", expected=False)
    return grouped


def compiled(pattern: str | None) -> re.Pattern[str] | None:
    """The pattern of groups.

    Raises:
        SettingError: it is no regular expression with one group.
    """
    if pattern is None:
        return None
    do = 'correct it, such as "^(board[0-9]+)_"'
    try:
        expression = re.compile(pattern)
    except re.error as reason:
        came = f"group_pattern is {pattern!r} ({reason})"
        raise SettingError(came, "a regular expression", do) from reason
    if expression.groups != 1:
        came = f"group_pattern {pattern!r} has {expression.groups} groups in parentheses"
        raise SettingError(came, "one", do)
    return expression


def grouped_by_file(
    root: Path, examples: Sequence[Example], table: Path, key: str
) -> list[Example]:
    """The examples with the groups of a csv: the columns ``file`` and ``key``.

    Raises:
        DataError: other columns, a name that is several pictures', or no picture of the table.
    """
    header, rows = read_table(table)
    column = key.lower()
    if not {"file", column} <= set(header):
        came = f"{table} has the columns {', '.join(header) or 'none'}"
        raise DataError(came, f"file and {column}", "correct its first line")
    groups: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        name = comparable(Path(row["file"].replace("\\", "/")).as_posix())
        if groups.setdefault(name, row[column]) != row[column]:
            came = f"{table}, row {number} names {row['file']} again"
            raise DataError(came, "one group a picture", "name the folders too")
    folder = Path(os.path.abspath(root if root.is_dir() else root.parent))
    grouped: list[Example] = []
    missing: list[str] = []
    for example in examples:
        relative = os.path.relpath(os.path.abspath(example.image), folder)
        group = groups.get(comparable(Path(relative).as_posix()))
        group = groups.get(comparable(example.image.name)) if group is None else group
        if group is None:
            missing.append(example.image.name)
        grouped.append(example if group is None else replace(example, group=group))
    if examples and len(missing) == len(examples):
        came = f"{table} names no picture of {root}"
        raise DataError(came, f"files such as {missing[0]}", "correct the column file")
    if missing:
        text = f"{table} does not name {shown_names(missing)}: each of them is taken for a part of "
        report_once(f"{text}its own", expected=False)
    return grouped
