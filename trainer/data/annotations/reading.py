"""Annotation files that nobody vouches for: sizes are limited, every value is checked before it is
used, and no path leads out of the data's folder."""

from __future__ import annotations

import codecs
import json
import math
import os
import re
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import (
    comparable,
    named,
    picture_files,
    picture_key,
    report_once,
)

__all__ = [
    "Entries",
    "child_called",
    "encoding_of",
    "find_inside",
    "inside",
    "number_of",
    "numbers_of",
    "read_json",
    "read_small_text",
    "read_xml",
    "read_yaml",
]

LARGEST = 160 << 20
"""Bytes of a JSON file: 100,000 regions with outlines have a third of that, and reading takes about
ten times as much memory."""
_LARGEST_TEXT = 16 << 20
_EXCERPT = 60
_SETTLED = 2_000_000_000
"""Nanoseconds after which a change of a folder has another time than the last one."""
_HALF = re.compile(r"\\u[dD][89a-fA-F]|\\U0000[dD][89a-fA-F]")
_BETWEEN = re.compile(r"[,;\s]+")
_NUMBER = re.compile(r"\s*[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?\s*")
"""A number as a text. One comma stands before decimals or between numbers: that is for no program
to decide."""
_HEAD = 200
_DECLARED = re.compile(rb"""^<\?xml[^>]*\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")


def read_json(path: Path, largest: int = LARGEST) -> Any:
    """The content of a JSON file.

    Raises:
        DataError: unreadable, too large, no JSON, nested without end, with NaN or infinity, or with
            an entry twice.
    """
    text = _text_of(path, largest)
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_entries)
        _refuse_halves(text, value)
        return value
    except (ValueError, RecursionError) as reason:
        came = f"{path} cannot be read ({str(reason)[:_EXCERPT] or type(reason).__name__})"
        raise DataError(came, "JSON", "export it again") from reason


def _entries(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The entries of an object of JSON, none of which may stand twice: of two the last would count,
    and what the first says would be lost."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:20]!r} stands twice")
    return entries


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}")


def _refuse_halves(text: str, value: Any) -> None:
    """Refuse halves of characters, which escapes can write: no name of a file takes them.

    Raises:
        UnicodeError: there is one.
    """
    if _HALF.search(text):
        json.dumps(value, ensure_ascii=False, default=str).encode()


def read_yaml(path: Path) -> Any:
    """The content of a small YAML file: plain values alone.

    Raises:
        DataError: unreadable, too large, no YAML, or with an entry twice.
    """
    import yaml

    text = _text_of(path, 1 << 20)
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            came = f"{path} holds aliases, which can grow without end"
            raise DataError(came, "plain values", "write them out")
        twice = _twice(yaml.compose(text, yaml.SafeLoader))
        if twice is not None:
            raise DataError(f"{path} holds {twice[:_EXCERPT]!r} twice", "it once", "correct it")
        value = yaml.safe_load(text)
        _refuse_halves(text, value)
        return value
    except (yaml.YAMLError, ValueError, RecursionError) as reason:
        came = f"{path} cannot be read ({type(reason).__name__})"
        raise DataError(came, "YAML", "correct it") from reason


def _twice(node: Any) -> str | None:
    """An entry that stands twice in a mapping of YAML; None: there is none."""
    names: set[str] = set()
    for child in getattr(node, "value", ()):
        name, value = child if isinstance(child, tuple) else (None, child)
        written = getattr(name, "value", None)
        if isinstance(written, str):
            if written in names:
                return written
            names.add(written)
        below = None if isinstance(value, str) else _twice(value)
        if below is not None:
            return below
    return None


def read_xml(path: Path, tag: str, largest: int = LARGEST) -> ElementTree.Element:
    """The root of an XML file without declarations of its own: these could name other files, or
    grow without end. An encoding that it declares is read.

    Args:
        tag: of the root.

    Raises:
        DataError: unreadable, too large, no XML, with such declarations, or of another root.
    """
    text = _text_of(path, largest, _declared_encoding(path))
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DataError(f"{path} declares entities", "XML without them", "export it again")
    try:
        document = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as reason:
        came = f"{path} cannot be read ({str(reason)[:_EXCERPT]})"
        raise DataError(came, "XML", "export it again") from reason
    if document.tag != tag:  # also of a namespace, in which no tag would be found
        came = f"the root of {path} is {document.tag[:_EXCERPT]}"
        raise DataError(came, tag, "export it again")
    return document


def _declared_encoding(path: Path) -> str:
    """The encoding that an XML file names in its first line; UTF-8 where it names none."""
    try:
        with open(path, "rb") as file:
            match = _DECLARED.match(file.read(_HEAD))
    except OSError:  # said where it is read
        match = None
    return "utf-8" if match is None else match[1].decode("ascii")


def number_of(text: str, where: str) -> float:
    """The one number in a text.

    Raises:
        DataError: something else, such as a comma before decimals.
    """
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        came = f"{where} holds {text[:40]!r}"
        raise DataError(came, "one finite number, with a point before decimals", "export it again")
    return float(text)


def numbers_of(text: str, where: str) -> tuple[float, ...]:
    """The numbers in a text, between commas, semicolons or spaces: one at least.

    Raises:
        DataError: something else, or a number that is not finite.
    """
    try:
        numbers = tuple(map(float, filter(None, _BETWEEN.split(text))))
    except ValueError as reason:
        raise DataError(f"{where} holds {text[:40]!r}", "numbers", "export it again") from reason
    if not numbers or not all(map(math.isfinite, numbers)):
        raise DataError(f"{where} holds {text[:40]!r}", "finite numbers", "export it again")
    return numbers


def read_small_text(path: Path) -> str:
    """A text file in UTF-8 or, with a byte order mark, in UTF-16.

    Raises:
        DataError: unreadable or too large.
    """
    return _text_of(path, _LARGEST_TEXT)


def _text_of(path: Path, largest: int, declared: str = "utf-8") -> str:
    """The text of a file in UTF-8, with a byte order mark in UTF-16, else in what it declares."""
    try:
        size = path.stat().st_size
        if size > largest:
            came = f"{path} has {size >> 20} MB"
            raise DataError(came, f"at most {largest >> 20}", "divide it into several data sets")
        content = path.read_bytes()
        try:
            return content.decode(encoding_of(content))
        except UnicodeError:
            return content.decode(declared)
    except (UnicodeError, LookupError) as reason:
        came = f"{path} is not in UTF-8 ({reason})"
        raise DataError(came, "a text file in UTF-8", "save it again in UTF-8") from reason
    except OSError as reason:
        came = f"{path} cannot be read ({reason})"
        raise DataError(came, "a text file in UTF-8", "check the path and its rights") from reason


def encoding_of(content: bytes) -> str:
    """The encoding of a text by its byte order mark: UTF-16, else UTF-8 with or without one."""
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "utf-16" if is_wide else "utf-8-sig"


class Entries:
    """A mapping out of a file, whose values are of the expected type or refused.

    Args:
        values: what the file holds at that place.
        where: the place, for messages.

    Raises:
        DataError: no mapping.
    """

    def __init__(self, values: Any, where: str) -> None:
        if not isinstance(values, Mapping):
            raise DataError(f"{where} is {_kind(values)}", "entries by name", "export it again")
        self._values = values
        self.where = where

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def any(self, name: str) -> Any:
        """The value as it is; None where there is none."""
        return self._values.get(name)

    def values(self) -> list[Any]:
        """All values, in the file's order."""
        return list(self._values.values())

    def text(self, name: str) -> str:
        """A text that is not empty."""
        value = self._values.get(name)
        if not isinstance(value, str) or not value.strip() or "\x00" in value:
            self._refuse(name, value, "a text")
        return value

    def label(self, name: str) -> str:
        """The name of a class: a text without spaces at its ends, or a whole number as one."""
        value = self._values.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self.text(name).strip()

    def whole(self, name: str) -> int:
        """A whole number; 3.0 is one too, and so is "3"."""
        value = _plain(self._values.get(name))
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 1 << 63:
            self._refuse(name, value, "a whole number")
        return value

    def id(self, name: str) -> str:
        """A whole number or a text by which other entries name this one, as a text: 7, 7.0 and "7"
        are one id."""
        value = self._values.get(name)
        if isinstance(value, str) and value.strip() and "\x00" not in value:
            return value.strip()
        if isinstance(value, int | float):
            return str(self.whole(name))
        self._refuse(name, value, "a whole number or a text")

    def numbers(self, name: str) -> tuple[float, ...]:
        """A list of finite numbers."""
        return self.numbers_in(self._values.get(name), name)

    def numbers_in(self, value: Any, name: str) -> tuple[float, ...]:
        """A list of finite numbers out of the entry of this name; they may be written as texts."""
        if not isinstance(value, list):
            self._refuse(name, value, "a list of numbers")
        if not set(map(type, value)) <= {int, float}:
            value = list(map(_plain, value))
            others = [entry for entry in value if type(entry) not in (int, float)]
            if others:
                self._refuse(name, others[0], "a list of numbers alone")
        try:
            numbers = tuple(map(float, value))
        except OverflowError:
            numbers = (math.inf,)
        if not all(map(math.isfinite, numbers)):
            self._refuse(name, value, "a list of finite numbers")
        return numbers

    def is_on(self, name: str) -> bool:
        """Whether a switch is on: true or 1, also as a text. One that is not there is off."""
        value = _plain(self._values.get(name))
        value = value.strip().lower() if isinstance(value, str) else value
        if value in (1, "true"):
            return True
        if value in (0, None, "", "false"):
            return False
        self._refuse(name, value, "true or false")

    def list(self, name: str) -> list[Any]:
        """A list of anything."""
        value = self._values.get(name)
        if not isinstance(value, list):
            self._refuse(name, value, "a list")
        return value

    def group(self, name: str) -> str:
        """The text or number by which a person tells parts apart; "" where there is none.

        Of tags that are on or off (LabelMe's ``flags``, such as ``board_1``) the first that is on
        and whose name begins so.
        """
        value = self._values.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return str(value).strip()
        return next((flag for flag in self.flags() if flag.startswith(name)), "")

    def flags(self) -> tuple[str, ...]:
        """The names of LabelMe's flags that are on."""
        flags = self._values.get("flags")
        if not isinstance(flags, Mapping):
            return ()
        return tuple(str(flag) for flag, is_on in flags.items() if is_on is True)

    def _refuse(self, name: str, value: Any, expected: str) -> NoReturn:
        came = f"{self.where}: {name} is {_kind(value)}"
        raise DataError(came, expected, "export it again, or leave it out")


def _plain(value: Any) -> Any:
    """A number where a value is one that is written as a text; else the value."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return value
    try:
        return int(value)
    except ValueError:
        return float(value)


def _kind(value: Any) -> str:
    if value is None:
        return "not there"
    text = repr(value) if not isinstance(value, list | dict) else type(value).__name__
    return text[:_EXCERPT]


def inside(root: Path, path: Path, outside: bool = False) -> bool:
    """Whether a path lies in a folder, links followed.

    Args:
        outside: the user allows other places.
    """
    if outside:
        return True
    real = os.path.realpath(path)
    folder = os.path.realpath(root)
    return real == folder or real.startswith(folder.rstrip(os.sep) + os.sep)


def find_inside(
    root: Path, folders: tuple[Path, ...], name: str, where: str, outside: bool = False
) -> Path | None:
    """The file that an annotation names, looked up below some folders in turn.

    Separators may be those of Windows; names are compared as a person reads them, and may be
    written as in a web address (``part%201.png``). Where there is none of that name, the one
    picture of the name with another ending is taken: pictures are converted after they are
    labelled.

    Args:
        root: the data's folder; nothing outside it is read.
        folders: where the name may begin.
        name: relative, or absolute where ``outside`` allows.
        where: who names it, for messages.
        outside: the user allows files outside the folder.

    Returns:
        The file; None: there is none of that name.

    Raises:
        DataError: the name leads out of the folder.
    """
    relative = name.replace("\\", "/")
    leads_out = False
    for folder in folders:
        path = Path(os.path.normpath(folder / relative))
        if not inside(root, path, outside):
            leads_out = True
            continue
        file = path if path.is_file() else _spelled(folder, relative)
        if file is not None and inside(root, file, outside):
            return file
    if "%" in relative and unquote(relative) != relative:
        return find_inside(root, folders, unquote(relative), where, outside)
    for folder in folders:
        path = Path(os.path.normpath(folder / relative))
        if not inside(root, path.parent, outside):
            continue
        file = _with_another_ending(path)
        if file is not None and inside(root, file, outside):
            return file
    if leads_out:
        came = f"{where} names {name[:200]!r}, which leads out of {root}"
        do = "put the file there, or give --outside-files"
        raise DataError(came, "a file in the data's folder", do)
    return None


def _with_another_ending(path: Path) -> Path | None:
    """The picture of this name where it ends otherwise; None: there is none, or several."""
    if not path.parent.is_dir():
        return None
    status = path.parent.stat()
    files = _by_stem(path.parent, status.st_mtime_ns).get(picture_key(path), ())
    if len(files) != 1:
        return None
    text = f"{path.parent}: annotations name pictures that end in {path.suffix or 'nothing'}; "
    report_once(f"{text}those that end in {files[0].suffix} are read", expected=False)
    return files[0]


@lru_cache(maxsize=32)
def _by_stem(folder: Path, changed: int) -> dict[str, list[Path]]:
    """The pictures of a folder by their names without ending; ``changed`` is its state."""
    by_stem: dict[str, list[Path]] = {}
    for path in picture_files(folder):
        by_stem.setdefault(picture_key(path), []).append(path)
    return by_stem


def _spelled(folder: Path, relative: str) -> Path | None:
    path = folder
    for part in Path(relative).parts:
        if part == ".." or Path(part).is_absolute():
            return None
        child = child_called(path, part)
        if child is None:
            return None
        path = child
    return path if path.is_file() else None


def child_called(folder: Path, name: str) -> Path | None:
    """The file or folder of this name in a folder, as a person reads names; None where there is
    none. A folder is listed once for each of its states.

    Raises:
        DataError: two that a person would call the same.
    """
    if not folder.is_dir():
        return None
    changed = folder.stat().st_mtime_ns
    is_settled = time.time_ns() - changed > _SETTLED
    listed = _children if is_settled else _children.__wrapped__
    return named(listed(folder, changed).get(comparable(name), ()), name)


@lru_cache(maxsize=64)
def _children(folder: Path, changed: int) -> dict[str, list[Path]]:
    """What lies in a folder by comparable names; ``changed`` is its state."""
    children: dict[str, list[Path]] = {}
    for path in folder.iterdir():
        children.setdefault(comparable(path.name), []).append(path)
    return children
