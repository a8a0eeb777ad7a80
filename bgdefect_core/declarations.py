"""One declaration per idea: options of settings classes, and registries of named choices.

An option is a dataclass field whose annotation says everything about it::

    steps: Annotated[int, Range(1, 1000), Doc("Sampling steps.")] = 50
    signal: Annotated[SignalName, Choice(SIGNALS), Doc("What the label is made from.")] = "change"

The command line, the widgets of the nodes, the keys of the evaluation and the tables of the
documentation are made from :func:`options_of`; :func:`check_settings` is the only range check.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from typing_extensions import Doc

from .errors import SettingError, check_range

__all__ = [
    "Choice",
    "Declared",
    "Doc",
    "Free",
    "NotEmpty",
    "Option",
    "Range",
    "Registry",
    "check_settings",
    "flat_values",
    "options_of",
    "replace_options",
    "typed_value",
]


class Declared(Protocol):
    """What every entry of a registry says about itself."""

    @property
    def name(self) -> str:
        """The word that users write."""

    @property
    def summary(self) -> str:
        """One sentence for help texts and the documentation."""


Entry = TypeVar("Entry", bound=Declared)


class Registry(Mapping[str, Entry], Generic[Entry]):
    """The entries of one kind by name, in the order in which they are shown.

    Args:
        kind: what an entry is called in messages, such as "mask signal".
        entries: one object for each; the place where a new one is registered.
    """

    def __init__(self, kind: str, *entries: Entry) -> None:
        self.kind = kind
        self._entries = {entry.name: entry for entry in entries}
        if len(self._entries) != len(entries):
            raise ValueError(f"two entries of the registry {kind!r} share a name")

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __hash__(self) -> int:
        """Of the object itself: annotations must be hashable."""
        return id(self)

    def named(self, name: str) -> Entry:
        """The entry of this name.

        Raises:
            SettingError: there is none; the message lists the names.
        """
        if name not in self._entries:
            expected = f"one of {', '.join(self._entries)}"
            raise SettingError(f"there is no {self.kind} {name!r}", expected, "correct the name")
        return self._entries[name]

    def help(self, introduction: str) -> str:
        """A help text: the introduction, then each entry's name and summary."""
        lines = [introduction]
        for name, entry in self._entries.items():
            lines.append(f"{name}: {entry.summary}.")
        return "\n".join(lines)


@dataclass(frozen=True)
class Range:
    """Limits of a number, both included; of each element where the option is a tuple."""

    low: float
    high: float


@dataclass(frozen=True)
class Choice:
    """The option's value is the name of one of the registry's entries."""

    registry: Registry[Any]


@dataclass(frozen=True)
class Free:
    """The option may differ when a run is resumed: it does not change the results."""


@dataclass(frozen=True)
class NotEmpty:
    """The option is a tuple of at least one element."""


@dataclass(frozen=True)
class Option:
    """One option, as its field declares it."""

    name: str
    kind: Any
    """The field's type without its metadata, such as ``int`` or ``float | None``."""
    default: Any
    """``dataclasses.MISSING`` where the option is required."""
    help: str
    """Empty where the field has no ``Doc``."""
    range: Range | None = None
    choices: tuple[str, ...] = ()
    """Names that may be given; empty where any value of the type may."""
    metadata: tuple[Any, ...] = ()
    """Everything else that the annotation carries."""


def options_of(settings: type) -> Iterator[Option]:
    """The options of a settings class; those of nested settings classes stand in their place.

    Args:
        settings: a dataclass. A field whose type is a dataclass is taken for nested settings.
    """
    hints = get_type_hints(settings, include_extras=True)
    for field in dataclasses.fields(settings):
        kind, metadata = _annotation(hints[field.name])
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            yield from options_of(kind)
            continue
        yield _option(field, kind, metadata)


def _annotation(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type and the metadata of an annotation."""
    metadata = getattr(annotation, "__metadata__", ())
    return (get_args(annotation)[0] if metadata else annotation), metadata


def _option(field: dataclasses.Field[Any], kind: Any, metadata: tuple[Any, ...]) -> Option:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    documentation = ""
    limits: Range | None = None
    choices = _literals(kind)
    rest: list[Any] = []
    for item in metadata:
        if isinstance(item, Doc):
            documentation = documentation or item.documentation
        elif isinstance(item, Range):
            limits = limits or item
        elif isinstance(item, Choice):
            choices = tuple(item.registry)
        else:
            rest.append(item)
    return Option(field.name, kind, default, documentation, limits, choices, tuple(rest))


def flat_values(settings: Any) -> dict[str, Any]:
    """The values of a settings object by option name; those of nested settings in their place."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            values |= flat_values(value)
        else:
            values[field.name] = value
    return values


Settings = TypeVar("Settings")


def replace_options(settings: Settings, **values: Any) -> Settings:
    """A copy with other values of the named options, whichever nested settings hold them. Nested
    settings may be replaced as a whole, by the name of their field.

    Raises:
        SettingError: there is no option of a name.
    """
    fields = dataclasses.fields(settings)  # type: ignore[arg-type]
    changes: dict[str, Any] = {}
    for field in fields:
        current = getattr(settings, field.name)
        value = values.get(field.name)
        nested = dataclasses.is_dataclass(current) and not isinstance(value, type(current))
        if not nested and field.name in values:
            changes[field.name] = values.pop(field.name)
        elif nested:
            names = flat_values(current).keys() & values.keys()
            inner: dict[str, Any] = {}
            for name in sorted(names):
                inner[name] = values.pop(name)
            changes[field.name] = replace_options(current, **inner)
    if values:
        known = ", ".join(flat_values(settings))
        raise SettingError(f"there is no option {min(values)!r}", f"one of {known}")
    return dataclasses.replace(settings, **changes)  # type: ignore[type-var]


def typed_value(where: str, kind: Any, value: Any) -> Any:
    """A value of a JSON or TOML file as an option's type.

    Args:
        where: the file and the option, for the message.
        kind: of the option, as :attr:`Option.kind`.

    Raises:
        SettingError: it has another type.
    """
    if get_origin(kind) in (Union, types.UnionType):
        if value is None:
            return None
        kind = get_args(kind)[0]
    if get_origin(kind) is tuple and isinstance(value, list):
        element = get_args(kind)[0]
        return tuple(typed_value(where, element, item) for item in value)
    if str(get_origin(kind)) == "typing.Literal":
        kind = str
    if isinstance(kind, type) and issubclass(kind, Path) and isinstance(value, str):
        return kind(value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        expected = f"a value of the type {getattr(kind, '__name__', kind)}"
        raise SettingError(f"{where} is {value!r}", expected, "correct it")
    return value


def _literals(kind: Any) -> tuple[str, ...]:
    """The strings of a ``Literal``, also where it stands in a union with None or in a tuple."""
    names: list[str] = []
    if get_origin(kind) in (Union, types.UnionType, tuple):
        for member in get_args(kind):
            names += _literals(member)
    elif str(get_origin(kind)) == "typing.Literal":
        names += filter(_is_text, get_args(kind))
    return tuple(names)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def check_settings(settings: Any) -> None:
    """Compare every value of a settings object with the range, registry or literals of its option.

    Nested settings are checked too; None is accepted wherever it is given.

    Raises:
        SettingError: the first value that is out of its range, or not one of the names.
    """
    hints = get_type_hints(type(settings), include_extras=True)
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            check_settings(value)
            continue
        option = _option(field, *_annotation(hints[field.name]))
        if NotEmpty() in option.metadata and not value:
            expected = "one value or more"
            raise SettingError(f"{option.name} is empty", expected, "leave it out for the default")
        for element in value if isinstance(value, tuple) else (value,):
            _check_value(option, element)


def _check_value(option: Option, value: Any) -> None:
    if value is None:
        return
    if option.range:
        check_range(option.name, value, option.range.low, option.range.high)
    if option.choices and value not in option.choices:
        expected = f"one of {', '.join(option.choices)}"
        raise SettingError(f"{option.name} is {value!r}", expected, "choose one of them")
