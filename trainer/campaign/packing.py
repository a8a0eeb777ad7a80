"""Settings, masks and arrays as bytes, for the way between machines: no pickle.

A packed value is a length, a JSON text, and the arrays and byte strings that it refers to. Only the
types that a caller names are made of it, and only arrays of plain numbers.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from bgdefect_core.errors import DataError

__all__ = ["pack", "unpack"]

Value = TypeVar("Value")

_NUMBERS = ("bool", "uint8", "uint16", "int64", "float32", "float64")
_PART = "$part"
_LENGTH = 8
"""Bytes of the number that says how long the JSON text is."""


def pack(value: Any) -> bytes:
    """A value as bytes.

    Args:
        value: a dataclass, or plain JSON values, paths, bytes and arrays in lists, tuples and
            dicts with text as keys.

    Raises:
        DataError: another type.
    """
    parts: list[bytes] = []
    head = {"value": _plain(value, parts)}
    head["sizes"] = [len(part) for part in parts]
    text = json.dumps(head).encode()
    return b"".join([len(text).to_bytes(_LENGTH, "big"), text, *parts])


def _plain(value: Any, parts: list[bytes]) -> Any:
    """The value as JSON; arrays and byte strings are added to ``parts``."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, bytes):
        parts.append(value)
        return {_PART: len(parts) - 1}
    if isinstance(value, np.ndarray):
        if value.dtype.name not in _NUMBERS:
            raise DataError(f"an array of {value.dtype}", f"one of {', '.join(_NUMBERS)}")
        parts.append(np.ascontiguousarray(value).tobytes())
        return {_PART: len(parts) - 1, "type": value.dtype.name, "shape": list(value.shape)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item, parts) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(item, parts) for item in value]
    if dataclasses.is_dataclass(value):
        entries: dict[str, Any] = {}
        for field in dataclasses.fields(value):
            entries[field.name] = _plain(getattr(value, field.name), parts)
        return entries
    raise DataError(f"a value of the type {type(value).__name__} cannot be packed")


def unpack(data: bytes, kind: type[Value]) -> Value:
    """A value from :func:`pack`.

    Args:
        kind: its type; the annotations of a dataclass say what its fields become.

    Raises:
        DataError: the bytes are damaged, or hold something else.
    """
    try:
        end = _LENGTH + int.from_bytes(data[:_LENGTH], "big")
        head = json.loads(data[_LENGTH:end])
        parts: list[memoryview] = []
        rest = memoryview(data)
        for size in head["sizes"]:
            if end + size > len(data):
                raise ValueError("it is cut off")
            parts.append(rest[end : end + size])
            end += size
        value: Value = _made(head["value"], kind, parts)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as reason:
        came = f"{len(data)} packed bytes cannot be read ({reason!r})"
        raise DataError(came, f"a packed {getattr(kind, '__name__', kind)}") from reason
    return value


def _made(value: Any, kind: Any, parts: Sequence[memoryview]) -> Any:
    """A JSON value as ``kind``."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        kind = next(member for member in get_args(kind) if member is not type(None))
        return _made(value, kind, parts)
    if origin is np.ndarray:
        array = np.frombuffer(parts[value[_PART]], value["type"]).reshape(value["shape"])
        return array.copy()
    if kind is bytes:
        return bytes(parts[value[_PART]])
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        inner = get_args(kind)[1]
        return {key: _made(item, inner, parts) for key, item in value.items()}
    if origin is tuple:
        members = get_args(kind)
        if members[-1] is not Ellipsis:
            pairs = zip(value, members, strict=True)
            return tuple(_made(item, member, parts) for item, member in pairs)
        return tuple(_made(item, members[0], parts) for item in value)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Sequence):
        return [_made(item, get_args(kind)[0], parts) for item in value]
    if kind is Path:
        return Path(value)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        entries: dict[str, Any] = {}
        for field in dataclasses.fields(kind):
            entries[field.name] = _made(value[field.name], hints[field.name], parts)
        return kind(**entries)
    return value
