"""Groups of pictures that show one part: by their file names, or by a table beside the data."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
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
    groups: list[str | None] = []
    for example in examples:
        match = expression.search(example.image.name)
        groups.append((match[1] or None) if match else None)

    def all_unmatched(name: str) -> DataError:
        came = f"group_pattern {pattern!r} matches no file name in {root}"
        return DataError(came, f"a pattern for names such as {name}", "correct it")

    text = f"{root}: group_pattern does not match"
    return _regrouped(examples, groups, text, all_unmatched)


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
        written = row[column]
        if groups.setdefault(name, written) != written:
            came = f"{table}, row {number} names {row['file']} again"
            raise DataError(came, "one group a picture", "name the folders too")
    folder = Path(os.path.abspath(root if root.is_dir() else root.parent))
    picture_groups: list[str | None] = []
    for example in examples:
        relative = os.path.relpath(os.path.abspath(example.image), folder)
        group = groups.get(comparable(Path(relative).as_posix()))
        group = groups.get(comparable(example.image.name)) if group is None else group
        picture_groups.append(group)

    def all_missing(name: str) -> DataError:
        came = f"{table} names no picture of {root}"
        return DataError(came, f"files such as {name}", "correct the column file")

    return _regrouped(examples, picture_groups, f"{table} does not name", all_missing)


def _regrouped(
    examples: Sequence[Example],
    groups: Sequence[str | None],
    text: str,
    error: Callable[[str], DataError],
) -> list[Example]:
    """The examples with these groups; one without keeps its own, and the log says so.

    Args:
        text: of the log, before the names without a group. error: of a name, where no example has
            a group.
    """
    grouped: list[Example] = []
    missing: list[str] = []
    for example, group in zip(examples, groups, strict=True):
        if group is None:
            missing.append(example.image.name)
        grouped.append(example if group is None else replace(example, group=group))
    if examples and len(missing) == len(examples):
        raise error(missing[0])
    if missing:
        text = f"{text} {shown_names(missing)}: each of them is taken for a part of its own"
        report_once(text, expected=False)
    return grouped
