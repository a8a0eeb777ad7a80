"""Help pages and translations are complete; that they match the nodes themselves is a host test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def texts(language: str) -> dict[str, Any]:
    entries: dict[str, Any] = json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
    return entries


@pytest.mark.parametrize("language", ["zh", "ko"])
def test_every_name_is_translated(language: str) -> None:
    english, other = texts("en"), texts(language)
    assert list(other) == list(english)
    for name, entry in english.items():
        assert other[name]["display_name"] != entry["display_name"] and other[name]["description"] != entry["description"]
        for kind in ("inputs", "outputs"):
            assert list(other[name].get(kind, {})) == list(entry.get(kind, {})), name
            assert all(item["name"] for item in other[name].get(kind, {}).values())


def test_every_node_has_a_page() -> None:
    pages = {path.stem for path in (ROOT / "web" / "docs").glob("*.md")}
    assert pages == set(texts("en"))


def test_requirements_are_lower_bounds_without_torch() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
    assert lines and all(">=" in line and "==" not in line and "<" not in line for line in lines)
    assert not [line for line in lines if line.startswith(("torch", "diffusers"))]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f'"{line}"' in project for line in lines)
