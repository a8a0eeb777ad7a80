"""The licence of a base, as its folder states it; nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import yaml
from huggingface_hub import ModelCard

from bgdefect_core.weights.files import UNKNOWN

_CARD = {
    "creativeml-openrail-m": "CreativeML OpenRAIL-M",
    "openrail++": "CreativeML Open RAIL++-M",
    "openrail": "OpenRAIL",
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
}
"""Values of the key ``license`` in a model card."""
_TITLES = {
    "creativeml openrail-m": "CreativeML OpenRAIL-M",
    "creativeml open rail-m": "CreativeML OpenRAIL-M",
    "creativeml open rail-m license": "CreativeML OpenRAIL-M",
    "creativeml open rail++-m": "CreativeML Open RAIL++-M",
    "creativeml open rail++-m license": "CreativeML Open RAIL++-M",
    "apache license version 2.0, january 2004": "Apache-2.0",
    "mit license": "MIT",
    "the mit license": "MIT",
    "the mit license (mit)": "MIT",
}
"""Whole titles of licence texts; a title may stand on two lines."""
_TITLE_LINES = 8
"""Lines that are not empty, from the beginning, in which a licence states its name."""
_LONGEST = 80
_READ = 64_000
"""Bytes of a file that are read."""


def licence_of(folder: Path) -> str:
    """The licence in the model card, else the one whose title heads the LICENSE file.

    Returns:
        A name of ours; "unknown (NAME)" for another licence; "unknown" where none is stated.
    """
    files = sorted(filter(Path.is_file, folder.iterdir()))
    for path in files:
        if path.name.lower() == "readme.md":
            name = _of_card(_read(path))
            if name:
                return name
    for path in files:
        if path.name.lower().startswith(("license", "licence")):
            name = _of_text(_read(path))
            if name:
                return name
    return UNKNOWN


def _read(path: Path) -> str:
    return path.read_bytes()[:_READ].decode("utf-8-sig", errors="replace")


def _of_card(text: str) -> str:
    """The key ``license`` of a model card's metadata; "" without one."""
    try:
        metadata = ModelCard(text, ignore_metadata_errors=True).data
    except (ValueError, yaml.YAMLError):
        return ""
    name = metadata.get("license")
    if not isinstance(name, str) or not name:
        return ""
    if name.lower() in _CARD:
        return _CARD[name.lower()]
    return _unknown(str(metadata.get("license_name") or name))


def _of_text(text: str) -> str:
    """The licence whose whole title stands among the first lines; else the first line, as
    unknown."""
    lines = []
    for line in text.splitlines():
        words = " ".join(line.strip("#*=- \t").split())
        if words:
            lines.append(words)
    lines = lines[:_TITLE_LINES]
    pairs = [f"{line} {following}" for line, following in zip(lines, lines[1:], strict=False)]
    for title in (*lines, *pairs):
        if title.lower() in _TITLES:
            return _TITLES[title.lower()]
    return _unknown(lines[0]) if lines else ""


def _unknown(name: str) -> str:
    plain = "".join(filter(str.isprintable, name))[:_LONGEST]
    return f"{UNKNOWN} ({plain})" if plain else UNKNOWN
