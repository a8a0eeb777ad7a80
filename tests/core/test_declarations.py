"""Options and registries: what an annotation says is what is checked, listed and explained."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field
from typing import Annotated, Literal

import pytest

from bgdefect_core.declarations import Choice, Doc, Range, Registry, check_settings, options_of
from bgdefect_core.errors import SettingError


@dataclass(frozen=True)
class Fruit:
    name: str
    summary: str


FRUITS = Registry("fruit", Fruit("apple", "round"), Fruit("pear", "not round"))


@dataclass(frozen=True)
class Inner:
    share: Annotated[float, Range(0, 1), Doc("Share of something.")] = 0.5


@dataclass(frozen=True)
class Settings:
    path: str
    count: Annotated[int, Range(1, 9), Doc("How many.")] = 3
    fruit: Annotated[str, Choice(FRUITS)] = "apple"
    size: Literal["small", "large"] | None = None
    weights: Annotated[tuple[float, ...], Range(0, 30)] = (1.0, 2.0)
    inner: Inner = field(default_factory=Inner)


def test_options_say_what_the_annotations_say() -> None:
    options = {option.name: option for option in options_of(Settings)}
    assert list(options) == ["path", "count", "fruit", "size", "weights", "share"]
    assert options["path"].default is MISSING
    assert (options["count"].range, options["count"].help) == (Range(1, 9), "How many.")
    assert options["fruit"].choices == ("apple", "pear")
    assert options["size"].choices == ("small", "large")
    assert options["share"].default == 0.5


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 0},
        {"count": 10},
        {"fruit": "plum"},
        {"weights": (1.0, 31.0)},
        {"weights": (float("nan"),)},
        {"inner": Inner(1.5)},
    ],
)
def test_every_value_is_held_against_its_declaration(changes: dict[str, object]) -> None:
    check_settings(Settings("x"))
    with pytest.raises(SettingError, match=next(iter(changes)).replace("inner", "share")):
        check_settings(Settings("x", **changes))  # type: ignore[arg-type]


def test_a_registry_names_its_entries() -> None:
    assert FRUITS.named("pear").summary == "not round"
    assert FRUITS.help("A fruit.") == "A fruit.\napple: round.\npear: not round."
    with pytest.raises(SettingError, match=r"no fruit 'plum'; expected one of apple, pear"):
        FRUITS.named("plum")
    with pytest.raises(ValueError, match="share a name"):
        Registry("fruit", Fruit("apple", ""), Fruit("apple", ""))
