"""Help pages and translations are complete; that they match the nodes themselves is a host test."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("en", "zh", "ko")


def texts(language: str) -> dict[str, Any]:
    entries: dict[str, Any] = json.loads(
        (ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8")
    )
    return entries


def lines(entries: dict[str, Any]) -> dict[str, str]:
    """Every text by its place: ``BGDefectSampler.inputs.seed.tooltip`` -> the tooltip."""
    found = {}
    for node, entry in entries.items():
        found |= {f"{node}.{key}": text for key, text in entry.items() if isinstance(text, str)}
        slots = [
            (kind, slot, item)
            for kind in ("inputs", "outputs")
            for slot, item in entry.get(kind, {}).items()
        ]
        found |= {
            f"{node}.{kind}.{slot}.{key}": text
            for kind, slot, item in slots
            for key, text in item.items()
        }
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_there_in_every_language(language: str) -> None:
    english, other = lines(texts("en")), lines(texts(language))
    assert list(other) == list(
        english
    )  # no node, input, output or tooltip is missing, none is left over
    wanted = {
        "BGDefectSampler.description",
        "BGDefectSampler.inputs.seed.tooltip",
        "BGDefectSampler.outputs.1.tooltip",
    }
    assert wanted < set(other) and all(text.strip() for text in other.values())
    assert not [
        place for place, text in other.items() if set(text) & set("{}|@")
    ]  # the host's page would read these as commands


@pytest.mark.parametrize(
    ("language", "script"), [("zh", "[\u4e00-\u9fff]"), ("ko", "[\uac00-\ud7a3]")]
)
def test_every_text_is_translated(language: str, script: str) -> None:
    english, other = lines(texts("en")), lines(texts(language))
    names = {"CLIP", "VAE", "Latent", "Sigmas"}  # what ComfyUI itself leaves as it is
    assert not [
        place for place, text in other.items() if not re.search(script, text) and text not in names
    ]
    for place, text in english.items():  # a number that changes in the nodes changes here too
        assert all(
            number in other[place] for number in re.findall(r"\d+\.\d+|\d{2,}|\de-\d", text)
        ), place


def test_every_node_has_a_page() -> None:
    pages = {path.stem for path in (ROOT / "web" / "docs").glob("*.md")}
    assert pages == set(texts("en"))


def test_the_archive_of_the_registry_keeps_what_the_readme_shows() -> None:
    left_out = [
        line
        for line in (ROOT / ".comfyignore").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown and not [name for name in shown for line in left_out if name.startswith(line)]
    assert all((ROOT / name).is_file() for name in shown)


def test_requirements_are_lower_bounds_without_torch() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
    assert lines and all(">=" in line and "==" not in line and "<" not in line for line in lines)
    assert not [line for line in lines if line.startswith(("torch", "diffusers"))]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f'"{line}"' in project for line in lines)
