"""The structure of the trainer: few rooms and arrows, no circle, wings entered through doors.

A wing is a folder of ``trainer/``. Its ``__init__.py`` lists in ``__all__`` the modules that other
wings may import. Imports inside functions count as well: they are dependencies too.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TRAINER = ROOT / "trainer"
EVALUATE = TRAINER / "evaluate"
ROOMS, ARROWS = 13, 43
LEVELS = (
    {"bases", "data", "drawing", "review"},
    {"training"},
    {"generation"},
    {"evaluate", "pretrain"},
    {"campaign"},
    {"lab", "recipes"},
    {"cli"},
    {"__main__"},
)
"""The wings from the bottom to the top; an arrow points down."""


def module_of(path: Path) -> tuple[str, ...]:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


PLACE = re.compile(r"((?:\w+\.)+\w+):\w+")
"""A module of the trainer and a name in it, as the table of commands writes them."""
MODULES = {module_of(path): path for path in sorted(TRAINER.rglob("*.py"))}


@cache
def imports_of(path: Path) -> frozenset[tuple[str, ...]]:
    """The trainer's modules that a file imports, as paths of names from ``trainer`` on."""
    module = module_of(path)
    package = module if path.name == "__init__.py" else module[:-1]
    targets: set[tuple[str, ...]] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            place = PLACE.fullmatch(node.value)
            if place:
                targets.add(("trainer", *place[1].split(".")))
        if not isinstance(node, ast.ImportFrom) or node.level == 0:
            continue
        base = package[: len(package) - node.level + 1]
        named = base + tuple(node.module.split(".")) if node.module else base
        for alias in node.names:
            inner = (*named, alias.name)
            targets.add(inner if inner in MODULES else named)
    return frozenset(targets)


def arrows_between(folder: Path) -> dict[tuple[str, str], set[tuple[str, ...]]]:
    """(importing room, imported room) -> the imported modules, among the rooms of a folder."""
    depth = len(folder.relative_to(ROOT).parts)
    prefix = module_of(folder / "__init__.py")
    arrows: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    for path in sorted(folder.rglob("*.py")):
        module = module_of(path)
        if len(module) == depth:
            continue
        for target in imports_of(path):
            inside = target[:depth] == prefix and len(target) > depth
            if inside and target[depth] != module[depth]:
                arrows.setdefault((module[depth], target[depth]), set()).add(target)
    return arrows


def circle_among(arrows: set[tuple[str, str]]) -> set[str]:
    """The rooms that are left when rooms without outgoing arrows are taken away again and again."""
    rooms = {room for arrow in arrows for room in arrow}
    while True:
        bottom = {room for room in rooms if not any(a == room and b in rooms for a, b in arrows)}
        if not bottom:
            return rooms
        rooms -= bottom


def test_the_trainer_has_few_rooms_and_arrows_and_they_point_down() -> None:
    arrows = arrows_between(TRAINER)
    level = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}
    rooms = {module[1] for module in MODULES if len(module) > 1}
    assert rooms == set(level)
    assert len(rooms) <= ROOMS
    assert len(arrows) <= ARROWS
    up = [(source, target) for source, target in arrows if level[source] <= level[target]]
    assert up == []


@pytest.mark.parametrize("folder", [TRAINER, EVALUATE], ids=lambda path: path.name)
def test_no_circle(folder: Path) -> None:
    assert circle_among(set(arrows_between(folder))) == set()


def test_a_circle_is_seen() -> None:
    assert circle_among({("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")}) == {"a", "b", "c", "d"}
    assert circle_among({("a", "b"), ("a", "c"), ("b", "c")}) == set()


@pytest.mark.parametrize("wing", sorted(p.parent.name for p in TRAINER.glob("*/__init__.py")))
def test_other_wings_enter_through_the_door(wing: str) -> None:
    source = ast.parse((TRAINER / wing / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(source), f"{wing} does not say what it is"
    lists = [
        ast.literal_eval(node.value)
        for node in source.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    door = set(lists[0]) if lists else set()
    entered: dict[str, set[str]] = {}
    for (room, target_wing), targets in arrows_between(TRAINER).items():
        if target_wing == wing:
            for target in targets:
                entered.setdefault(target[2] if len(target) > 2 else "", set()).add(room)
    behind = {name: rooms for name, rooms in entered.items() if name not in door}
    assert behind == {}, f"imported past the door of {wing}"
    assert set(entered) == door, f"the door of {wing} lists what no wing imports"


def test_no_two_classes_have_one_name() -> None:
    """Who searches for a class finds one."""
    places: dict[str, list[str]] = {}
    for folder in ("bgdefect_core", "nodes", "trainer"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    places.setdefault(node.name, []).append(path.relative_to(ROOT).as_posix())
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
